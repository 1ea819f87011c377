"""Run all checks of `--check` in their order, each even if one before it failed. They write nothing anywhere."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

from app.checkup.check_database import check_database
from app.checkup.check_gallery import check_gallery
from app.checkup.check_installation import check_machine, check_settings
from app.checkup.check_model import check_model
from app.checkup.check_photos import check_photos
from app.checkup.check_roster import check_roster
from app.checkup.check_tables import check_tables
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
from app.errors import RunError, SettingsError
from app.records import CrewMember
from app.roster.folder import FolderRoster

Value = TypeVar("Value")


def run_checks(
    settings: Settings | SettingsError,
    stop: threading.Event,
    env_file: Path = ENV_FILE,
    folder: FolderRoster | None = None,
) -> Iterator[Finding]:
    """Yield the findings of all areas. `settings` may be the error of loading them; `folder` replaces the roster table.

    Once `stop` is set, the rest are findings named INTERRUPTED, one for each area that was not checked to its end. The
    finding that was made meanwhile is dropped: the stop may have caused it.
    """
    for finding in _check_areas(settings, stop, env_file, folder):
        if stop.is_set():
            rest = IN_ORDER[[area.name for area in IN_ORDER].index(finding.area) :]
            yield from (area.unchecked("se interrumpió la comprobación", INTERRUPTED) for area in rest)
            return
        yield finding


def _check_areas(
    settings: Settings | SettingsError, stop: threading.Event, env_file: Path, folder: FolderRoster | None
) -> Iterator[Finding]:
    if isinstance(settings, SettingsError):
        yield from _guarded(SETTINGS, check_settings(env_file, settings))
        yield from _guarded(MACHINE, check_machine(None))
        yield from (area.unchecked("hace falta corregir antes los ajustes") for area in IN_ORDER[2:])
        return
    yield from _guarded(SETTINGS, check_settings(env_file, None))
    yield from _guarded(MACHINE, check_machine(settings))
    reached = yield from _guarded(DATABASE, check_database(settings, stop, may_be_new=folder is not None))
    database = reached if reached is not None and reached.exists else None
    if database is None:
        shape = None
        without = "hace falta llegar antes a la base" if reached is None else "se crearán en la primera ejecución"
        yield TABLES.unchecked(without)
    else:
        without = "hacen falta antes las tablas"
        shape = yield from _guarded(TABLES, check_tables(database, settings.FACE_MODEL))
    entries = yield from _guarded(ROSTER, check_roster(settings, folder, database, shape))
    if entries is None:
        yield PHOTOS.unchecked("hace falta antes el padrón")
    else:
        members = [entry for entry in entries if isinstance(entry, CrewMember)]
        yield from _guarded(PHOTOS, check_photos(settings, members, stop))
    faces = yield from _guarded(MODEL, check_model(settings))
    if database is None or shape is None or not shape.prepared:
        yield RUNS.unchecked(without)
    else:
        yield from _guarded(RUNS, check_gallery(settings, database, faces))


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
