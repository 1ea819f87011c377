"""The end of a run: its result comes in; what console, page, document and history say of it goes out."""

from __future__ import annotations

import argparse
import logging
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from app.core.files import why
from app.core.text import printable, printable_lines
from app.errors import AlreadyRunning, ImplausibleRun, RunError, SharedPhoto
from app.gallery.run_history import PastRun, RunEnd
from app.reports.html_page import REPORT, write_report
from app.reports.photo_review import Notice, Review, RunFacts
from app.reports.run_summary import Summary, error_lines, roster_lines, summary_lines, timing_line
from app.runs.context import RunResult

log = logging.getLogger(__name__)

# A run for some people only leaves the list of all the others as it is.
PARTIAL_REPORT = "report_individual"
NO_TIME, USUAL_RUN = timedelta(0), timedelta(hours=12)
NOTHING_TO_SWITCH = "No había nada que cambiar: todos los vectores son ya de este modelo."


def what_else(result: RunResult) -> dict[str, object]:
    """What the outcomes do not tell."""
    return {
        "error": str(result.error) if result.error else None,
        "plan": result.plan.counts if result.plan else {},
        "blocked": result.blocked,
        "deactivated": result.deactivated,
        "purged": result.purged,
        "rows_left": result.rows_left,
        "retired": result.retired,
        "mixed": result.mixed,
        "switched": result.switched,
    }


def run_end(result: RunResult, summary: Summary, exit_code: int) -> RunEnd:
    counts = {
        "stored": summary.stored,
        "failed": summary.failed,
        "skipped": summary.skipped,
        "codes": dict(summary.by_code),
        "deactivated": len(result.deactivated),
        "purged": len(result.purged),
        "retired": result.retired,
        "plan": result.plan.counts if result.plan else {},
    }
    particular = {
        "switched": result.switched,
        "reactivated": len(result.reactivated),
        "blocked": len(result.blocked),
        "mixed": result.mixed,
    }
    counts |= {name: number for name, number in particular.items() if number}
    error = str(result.error) if result.error else ""
    return RunEnd(exit_code, result.seconds, summary.processed, counts, summary.stages_ms, error, result.rows_left)


def facts_of(result: RunResult) -> RunFacts:
    notices = [Notice(member, SharedPhoto.code, detail) for member, detail in result.reported]
    return RunFacts(
        result.started_at,
        result.seconds,
        result.error,
        result.previous,
        notices,
        result.improvable,
        result.illustrations,
    )


def write_page(console: Console, review: Review, folder: Path, options: argparse.Namespace) -> None:
    """The page for those who never saw this console; that it cannot be written does not undo the run."""
    name = PARTIAL_REPORT if options.crew_id is not None or options.retry_failed else REPORT
    try:
        page = write_report(review, folder, thumbnails=not options.no_thumbnails, name=name)
    except OSError as error:
        log.error("No se pudo escribir el informe", exc_info=True)
        console.print(printable_lines(f"\n⚠️  No se pudo escribir el informe en {folder}: {why(error)}"))
        return
    if review.entries:
        console.print(printable_lines(f"\n📄 Fotos por corregir, con su imagen y qué hacer: {page}"))


def tell_end(console: Console, result: RunResult, summary: Summary, options: argparse.Namespace) -> None:
    """What is held back is said once more at the end, where the log of an unattended run is read."""
    log.info(timing_line(summary))
    if result.died_before is not None:
        console.print(f"\n⚠️  {printable(_describe_death(result.died_before))}")
    if result.outcomes or result.error is None:
        console.print("\n".join(_end_lines(result, summary, options)))
    for blocked in result.blocked:
        console.print(f"⚠️  {printable(blocked)}")
    if result.error is not None:
        complain(console, result.error)


def _end_lines(result: RunResult, summary: Summary, options: argparse.Namespace) -> list[str]:
    """What a run stopped as suspicious saw is not true."""
    told = _model_lines(result, options)
    if told == [NOTHING_TO_SWITCH] and not result.outcomes:
        return told
    changes = (result.deactivated, result.purged, result.rows_left, result.retired)
    lines = [
        "",
        *summary_lines(summary),
        *roster_lines(*changes, reactivated=result.reactivated),
        *told,
        *([] if isinstance(result.error, ImplausibleRun) else error_lines(result.outcomes)),
    ]
    if summary.interrupted:
        cause = "Se acabó el tiempo (--max-minutes)" if result.out_of_time else "Interrumpido"
        again = "Con --force se empieza de nuevo." if options.force else "Al ejecutar de nuevo se continúa."
        lines += ["", f"{cause}: {summary.interrupted} sin procesar. {again}"]
    if options.debug:
        lines += ["", f"⏲️  {timing_line(summary)}"]
    return lines


def _describe_death(run: PastRun) -> str:
    return (
        f"La ejecución anterior ({run.started_at:%Y-%m-%d %H:%M} UTC, en {run.host}) murió sin terminar. "
        "Quién estaba en curso lo dice logs/app.log; se procesa al final y aparte."
    )


def _model_lines(result: RunResult, options: argparse.Namespace) -> list[str]:
    if result.mixed:
        return [
            f"⚠️  {result.mixed} filas en uso siguen siendo de otro modelo: desactivarlas dejaría fuera a muchos.",
            "   Corrija las fotos de la lista y repita, o desactívelas con --allow-mass-change.",
        ]
    if not options.migrate or result.error is not None:
        return []
    if result.unswitched:
        return ["⏳ El modelo no se ha cambiado todavía: lo preparado queda guardado. Repita --migrate, que continúa."]
    if result.switched is None:
        return [NOTHING_TO_SWITCH]
    told = f"🔁 Cambio hecho: {result.switched} vectores nuevos en uso; los de antes quedan inactivos."
    reminder = f"   Escriba FACE_MODEL={options.model} en .env antes de la próxima ejecución."
    return [told, reminder] if options.model else [told]


def complain(console: Console, error: RunError) -> int:
    """Say what ended the run, or kept it from starting, and what to do. A quiet console need not hear that another run
    is at it, unless that one should long be over."""
    console.quiet = console.quiet and isinstance(error, AlreadyRunning) and (error.age or NO_TIME) < USUAL_RUN
    console.print(printable_lines(f"❌ {error}"))
    if error.advice:
        console.print(printable_lines(f"   Qué hacer: {error.advice}"))
    return error.exit_code
