"""The check of everything that a run needs: settings, or why there are none, come in; findings go out as they are made.
Nothing is written anywhere."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from app.checkup.check_database import look_at_database
from app.checkup.check_gallery import look_at_gallery
from app.checkup.check_machine import look_at_machine
from app.checkup.check_model import look_at_model
from app.checkup.check_photos import look_at_photos
from app.checkup.check_roster import look_at_ids, look_at_people, look_at_table
from app.checkup.check_settings import look_at_settings
from app.checkup.check_tables import Shape, look_at_tables
from app.checkup.finding import (
    DATABASE,
    IN_ORDER,
    INTERRUPTED,
    MACHINE,
    MODEL,
    PHOTOS,
    ROSTER,
    RUNS,
    SETTINGS,
    TABLES,
    Area,
    Finding,
)
from app.core.config import ENV_FILE, Settings
from app.core.database import Database
from app.errors import RunError, SettingsError
from app.planning.survey import RosterEntry
from app.records import CrewMember
from app.roster.folder import FolderRoster

Value = TypeVar("Value")

WITHOUT_SETTINGS = "hace falta corregir antes los ajustes"
WITHOUT_DATABASE = "hace falta llegar antes a la base"
WITHOUT_FILE = "se crearán en la primera ejecución"
WITHOUT_TABLES = "hacen falta antes las tablas"
WITHOUT_ROSTER = "hace falta antes el padrón"
CUT_SHORT = "se interrumpió la comprobación"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at beside the settings: the file that they come from; a `folder` roster instead of the table."""

    env_file: Path = ENV_FILE
    folder: FolderRoster | None = None
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0))


def check(settings: Settings | SettingsError, subject: Subject, stop: threading.Event) -> Iterator[Finding]:
    """Look at everything, one thing after the other, whatever is wrong with those before. Told to stop it says what
    was not looked at; what was found meanwhile may come of the stop, and does not count."""
    for finding in _look(settings, subject, stop):
        if stop.is_set():
            names = [area.name for area in IN_ORDER]
            yield from (area.unchecked(CUT_SHORT, INTERRUPTED) for area in IN_ORDER[names.index(finding.area) :])
            return
        yield finding


def _look(settings: Settings | SettingsError, subject: Subject, stop: threading.Event) -> Iterator[Finding]:
    problem = settings if isinstance(settings, SettingsError) else None
    usable = settings if isinstance(settings, Settings) else None
    yield from _guarded(SETTINGS, _each(look_at_settings(subject.env_file, problem)))
    yield from _guarded(MACHINE, _each(look_at_machine(usable)))
    if usable is None:
        yield from (area.unchecked(WITHOUT_SETTINGS) for area in (DATABASE, TABLES, ROSTER, PHOTOS, MODEL, RUNS))
        return
    found = yield from _guarded(DATABASE, look_at_database(usable, stop))
    database = found if found is not None and found.exists else None
    without = WITHOUT_DATABASE if found is None else WITHOUT_FILE
    shape = yield from _tables(usable, database, without)
    entries = yield from _guarded(ROSTER, _roster(usable, subject, database, shape))
    yield from _photos(usable, entries, stop)
    faces = yield from _guarded(MODEL, look_at_model(usable))
    if database is None or shape is None or not shape.prepared:
        yield RUNS.unchecked(without if database is None else WITHOUT_TABLES)
    else:
        yield from _guarded(RUNS, _each(look_at_gallery(usable, database, faces, subject.now)))


def _tables(settings: Settings, database: Database | None, without: str) -> Generator[Finding, None, Shape | None]:
    if database is None:
        yield TABLES.unchecked(without)
        return None
    return (yield from _guarded(TABLES, look_at_tables(database, settings.FACE_MODEL)))


def _roster(
    settings: Settings, subject: Subject, database: Database | None, shape: Shape | None
) -> Generator[Finding, None, list[RosterEntry] | None]:
    if subject.folder is not None:
        entries: list[RosterEntry] | None = subject.folder.active()
    elif database is None:
        yield ROSTER.unchecked(WITHOUT_DATABASE)
        return None
    else:
        entries = yield from look_at_table(settings, database)
    yield from look_at_people(entries or [], settings.IMAGE_BASE_URL, shape)
    if entries and subject.folder is None and database is not None and shape is not None and shape.collation:
        longest = max(
            len(entry.crew_id if isinstance(entry, CrewMember) else entry.member.crew_id) for entry in entries
        )
        yield from look_at_ids(database, settings, shape, longest)
    return entries


def _photos(settings: Settings, entries: list[RosterEntry] | None, stop: threading.Event) -> Iterator[Finding]:
    if entries is None:
        yield PHOTOS.unchecked(WITHOUT_ROSTER)
        return
    members = [entry for entry in entries if isinstance(entry, CrewMember)]
    yield from _guarded(PHOTOS, _each(look_at_photos(settings, members, stop)))


def _each(findings: Iterator[Finding]) -> Generator[Finding, None, None]:
    yield from findings


def _guarded(area: Area, findings: Generator[Finding, None, Value]) -> Generator[Finding, None, Value | None]:
    """What is wrong with one area keeps nobody from looking at the next."""
    try:
        return (yield from findings)
    except RunError as error:
        yield area.broken("failed", str(error), error.advice)
    except Exception as error:  # a defect of ours: the others are looked at all the same
        # Its message may hold anything; its place does not, and no log is written here.
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = f"error inesperado: {type(error).__name__} en {Path(place.filename).name}, línea {place.lineno}"
        yield area.broken("unexpected", text, "Envíe a soporte lo que muestra esta orden.")
    return None
