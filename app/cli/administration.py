"""What is done to the gallery without a run: one person forgotten, the history read, the tables' SQL printed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.core.config import Settings
from app.core.database import Database
from app.errors import EXIT_OK, EXIT_SOME_FAILED, AlreadyRunning, RunError
from app.gallery.embeddings_table import TABLE, open_table, table_exists, table_statements
from app.gallery.erasure import erase
from app.gallery.own_tables import open_own_tables, pending_statements, read_version
from app.gallery.reading import advising_the_denied
from app.gallery.run_history import PastRun, RunEnd, RunHistory
from app.pipeline.stages import build_roster
from app.runs.run_lock import holding_run_lock

log = logging.getLogger(__name__)
SHOWN_RUNS = 20
MAY_NOT_DELETE = f"El usuario necesita el permiso DELETE en {TABLE} para esta orden: pídalo a quien administra la base."


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted of a person: how many vectors there were, how many rows are left in all tables, and whether the
    roster still has the person, so that the next run would begin anew."""

    crew_id: str
    vectors: int
    rows_left: int
    still_active: bool


def forget(settings: Settings, crew_id: str, now: datetime) -> Forgotten:
    """Delete all that is known of one person, and leave proof of it in `face_runs`. Raises RunError: also while a run
    is under way, which might store the person again."""
    database = Database(settings)
    try:
        with holding_run_lock(database, now, lambda error: log.warning("%s", error)):
            vectors, left = _erase_with_proof(database, crew_id, now)
    except AlreadyRunning as error:
        error.advice = "No se borró nada: repita la orden cuando termine."
        raise
    return Forgotten(crew_id, vectors, left, _is_active(settings, database, crew_id))


def _erase_with_proof(database: Database, crew_id: str, now: datetime) -> tuple[int, int]:
    """How many vectors there were, and how many rows are left."""
    started = time.perf_counter()
    table = open_table(database)
    open_own_tables(database)
    runs = RunHistory(database)
    run_id = runs.begin(now, {"forget": crew_id}, "")

    def close(exit_code: int, **what: Any) -> None:
        seconds = time.perf_counter() - started
        runs.end(run_id, now + timedelta(seconds=round(seconds)), RunEnd(exit_code, seconds, **what))

    try:
        with advising_the_denied(MAY_NOT_DELETE):
            vectors, left = erase(database, table, [crew_id])
    except RunError as error:
        with suppress(RunError):  # the database may be gone: the first error says so
            close(error.exit_code, error=str(error))
        raise
    close(EXIT_OK if left == 0 else EXIT_SOME_FAILED, counts={"forgotten": vectors}, rows_left=left)
    return vectors, left


def read_history(settings: Settings, now: datetime) -> list[PastRun]:
    """The last runs, the latest first; none where there are no tables yet: looking makes none. Raises RunError."""
    return RunHistory(Database(settings)).last(SHOWN_RUNS, now)


def schema_statements(settings: Settings) -> Iterator[str]:
    """The SQL that is still to be run for all our tables; all of it when the database cannot be asked."""
    database = Database(settings)
    try:
        version, is_there = read_version(database, retry=False), table_exists(database)
    except RunError:
        version, is_there = 0, False
    if not is_there:
        yield from table_statements(database)
    yield from pending_statements(version, database.engine.dialect)


def _is_active(settings: Settings, database: Database, crew_id: str) -> bool:
    try:
        build_roster(settings, database).find(crew_id)
    except RunError:  # not in it, or no roster to be asked
        return False
    return True
