"""`--forget`: delete all that is stored of one person."""

from __future__ import annotations

import argparse
import logging
import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console

from app.cli.document import answer
from app.cli.settings import open_logs, read_settings
from app.core.clock import utc_now
from app.core.database import Database
from app.core.spanish import inflect
from app.core.text import as_utf8, printable
from app.errors import EXIT_OK, EXIT_SOME_FAILED, AlreadyRunning, RunError
from app.gallery.embeddings_table import open_table
from app.gallery.erasure import erase, suggest_id
from app.gallery.reading import advising_the_denied
from app.gallery.run_history import RunEnd, RunHistory
from app.gallery.tables import TABLE, open_own_tables
from app.roster.database import DatabaseRoster
from app.runs.run_lock import holding_run_lock

MAY_NOT_DELETE = f"El usuario necesita el permiso DELETE en {TABLE} para esta orden: pídalo a quien administra la base."

log = logging.getLogger(__name__)


def run(options: argparse.Namespace, console: Console, _load_faces: object) -> int:
    """Delete the person, print what was deleted, and hand it over as JSON if asked for. Raises RunError."""
    settings, crew_id = read_settings(options), options.forget
    open_logs(options, settings)
    database = Database(settings)
    database.require_file()  # of a mistyped one nobody may be told that nothing is left
    vectors, rows_left = erase_with_proof(database, crew_id, utc_now())
    still_active = False
    with suppress(RunError):  # not in the roster, or no roster to be asked
        DatabaseRoster(settings, database).find(crew_id)
        still_active = True
    suggestion = "" if vectors or rows_left else suggest_id(database, open_table(database), crew_id)
    console.print("\n".join(forgotten_lines(crew_id, vectors, rows_left, suggestion)))
    if still_active:
        console.print("⚠️  Sigue activa en el padrón: la próxima ejecución la registraría de nuevo. Dela de baja antes.")
    if options.json:
        shown = {
            "crew_id": as_utf8(crew_id),
            "vectors": vectors,
            "rows_left": rows_left,
            "still_active": still_active,
        }
        answer(options, console, {"forgotten": shown})
    return EXIT_OK if rows_left == 0 else EXIT_SOME_FAILED


def erase_with_proof(database: Database, crew_id: str, now: datetime) -> tuple[int, int]:
    """Delete all that is stored of one person, with proof of it in `face_runs`. Return how many vectors there were,
    and how many rows are left. Raises RunError: also while a run is under way, which might store the person again."""
    try:
        with holding_run_lock(database, now, lambda error: log.warning("%s", error)):
            return _erase(database, crew_id, now)
    except AlreadyRunning as error:
        error.advice = "No se borró nada: repita la orden cuando termine."
        raise


def _erase(database: Database, crew_id: str, now: datetime) -> tuple[int, int]:
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


def forgotten_lines(crew_id: str, vectors: int, rows_left: int, suggestion: str = "") -> list[str]:
    """Return what was deleted, what is left, and what this program cannot delete."""
    shown = printable(crew_id)
    if rows_left:
        return [f"❌ Quedan {rows_left} filas de {shown}: repita la orden, o revise el permiso DELETE del usuario."]
    if not vectors:
        return [f"No había ningún vector de {shown}. Filas que quedan: 0.{printable(suggestion)}"]
    deleted = inflect(vectors, "# vector[es] borrado[s]")
    return [
        f"🗑️  {shown}: {deleted}, y todo lo que se recordaba de su foto. Filas que quedan: 0.",
        "   Los registros y el último informe pueden nombrarla todavía: vea docs/operations.md.",
    ]
