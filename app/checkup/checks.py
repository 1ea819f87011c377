"""Run all checks of `--check` in their order, each even if one before it failed. They write nothing anywhere."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from app.checkup.check_database import check_database
from app.checkup.check_gallery import check_gallery
from app.checkup.check_machine import check_machine
from app.checkup.check_model import check_model
from app.checkup.check_photos import check_photos
from app.checkup.check_roster import check_entries, check_ids, read_roster
from app.checkup.check_settings import check_settings
from app.checkup.check_tables import Shape, check_tables
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
from app.planning.plan import RosterEntry
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
    """What to check beside the settings: the file that they come from, and a `folder` roster instead of the table."""

    env_file: Path = ENV_FILE
    folder: FolderRoster | None = None
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0))


def run_checks(settings: Settings | SettingsError, subject: Subject, stop: threading.Event) -> Iterator[Finding]:
    """Yield the findings of all areas; `settings` may be the error of loading them.

    Once `stop` is set, the rest are findings named INTERRUPTED, one for each area that was not checked to its end. The
    finding that was made meanwhile is dropped: the stop may have caused it.
    """
    for finding in _check_areas(settings, subject, stop):
        if stop.is_set():
            names = [area.name for area in IN_ORDER]
            yield from (area.unchecked(CUT_SHORT, INTERRUPTED) for area in IN_ORDER[names.index(finding.area) :])
            return
        yield finding


def _check_areas(settings: Settings | SettingsError, subject: Subject, stop: threading.Event) -> Iterator[Finding]:
    error = settings if isinstance(settings, SettingsError) else None
    usable = settings if isinstance(settings, Settings) else None
    yield from _guarded(SETTINGS, check_settings(subject.env_file, error))
    yield from _guarded(MACHINE, check_machine(usable))
    if usable is None:
        yield from (area.unchecked(WITHOUT_SETTINGS) for area in (DATABASE, TABLES, ROSTER, PHOTOS, MODEL, RUNS))
        return
    reached = yield from _guarded(DATABASE, check_database(usable, stop))
    database = reached if reached is not None and reached.exists else None
    without = WITHOUT_DATABASE if reached is None else WITHOUT_FILE
    shape = yield from _check_tables(usable, database, without)
    entries = yield from _guarded(ROSTER, _check_roster(usable, subject, database, shape))
    if entries is None:
        yield PHOTOS.unchecked(WITHOUT_ROSTER)
    else:
        members = [entry for entry in entries if isinstance(entry, CrewMember)]
        yield from _guarded(PHOTOS, check_photos(usable, members, stop))
    faces = yield from _guarded(MODEL, check_model(usable))
    if database is None or shape is None or not shape.prepared:
        yield RUNS.unchecked(without if database is None else WITHOUT_TABLES)
    else:
        yield from _guarded(RUNS, check_gallery(usable, database, faces, subject.now))


def _check_tables(
    settings: Settings, database: Database | None, without: str
) -> Generator[Finding, None, Shape | None]:
    if database is None:
        yield TABLES.unchecked(without)
        return None
    return (yield from _guarded(TABLES, check_tables(database, settings.FACE_MODEL)))


def _check_roster(
    settings: Settings, subject: Subject, database: Database | None, shape: Shape | None
) -> Generator[Finding, None, list[RosterEntry] | None]:
    """Check the roster and return its entries; None if it cannot be read."""
    if subject.folder is not None:
        entries: list[RosterEntry] | None = subject.folder.active()
    elif database is None:
        yield ROSTER.unchecked(WITHOUT_DATABASE)
        return None
    else:
        entries = yield from read_roster(settings, database)
    yield from check_entries(entries or [], settings.IMAGE_BASE_URL, shape)
    if entries and subject.folder is None and database is not None and shape is not None and shape.collation:
        longest = max(len(entry.crew_id) for entry in entries)
        yield from check_ids(database, settings, shape, longest)
    return entries


def _guarded(area: Area, findings: Generator[Finding, None, Value]) -> Generator[Finding, None, Value | None]:
    """Turn an error into a finding of the area, so that the areas after it are checked all the same."""
    try:
        return (yield from findings)
    except RunError as error:
        yield area.broken("failed", str(error), error.advice)
    except Exception as error:  # a defect of this program
        # No log is written here, and the message may quote anything: only the type and the line are shown.
        place = traceback.extract_tb(error.__traceback__)[-1]
        text = f"error inesperado: {type(error).__name__} en {Path(place.filename).name}, línea {place.lineno}"
        yield area.broken("unexpected", text, "Envíe a soporte lo que muestra esta orden.")
    return None
