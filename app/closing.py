"""The end of a run: its result comes in; what console, page, document and history say of it goes out."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from app.core.disk import why
from app.core.logs import printable, printable_lines
from app.errors import EXIT_ALREADY_RUNNING, RunError, SharedPhoto, Suspicious
from app.gallery.runs import RunEnd
from app.records import SKIPPED_REACTIVATED, Failed, Skipped
from app.reports.document import write_document
from app.reports.page import REPORT, write_report
from app.reports.review import Notice, Review, RunFacts
from app.reports.summary import Summary, error_lines, roster_lines, summary_lines, timing_line
from app.run import RunResult

log = logging.getLogger(__name__)

# A run for some people only leaves the list of all the others as it is.
PARTIAL_REPORT = "report_individual"
NOTHING_TO_SWITCH = "No había nada que cambiar: todos los vectores son ya de este modelo."


def what_else(result: RunResult) -> dict[str, object]:
    """What the outcomes do not tell."""
    return {
        "error": str(result.error) if result.error else None,
        "plan": result.plan.counts if result.plan else {},
        "blocked": _blocked(result),
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
        "reactivated": len(_reactivated(result)),
        "blocked": len(_blocked(result)),
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
    if result.outcomes or result.error is None:
        console.print("\n".join(_end_lines(result, summary, options)))
    for blocked in _blocked(result):
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
        *roster_lines(*changes, reactivated=_reactivated(result)),
        *told,
        *([] if isinstance(result.error, Suspicious) else error_lines(result.outcomes)),
    ]
    if summary.interrupted:
        why = "Se acabó el tiempo (--max-minutes)" if result.out_of_time else "Interrumpido"
        lines += ["", f"{why}: {summary.interrupted} sin procesar. Al ejecutar de nuevo se continúa."]
    if options.debug:
        lines += ["", f"⏲️  {timing_line(summary)}"]
    return lines


def _blocked(result: RunResult) -> list[str]:
    return list(result.plan.blocked) if result.plan else []


def _reactivated(result: RunResult) -> list[str]:
    skipped = [each for each in result.outcomes if isinstance(each, Skipped)]
    return [each.member.crew_id for each in skipped if each.code == SKIPPED_REACTIVATED]


def _model_lines(result: RunResult, options: argparse.Namespace) -> list[str]:
    if result.mixed:
        return [
            f"⚠️  {result.mixed} filas en uso siguen siendo de otro modelo: desactivarlas dejaría fuera a muchos.",
            "   Corrija las fotos de la lista y repita, o desactívelas con --allow-mass-change.",
        ]
    if not options.migrate or result.error is not None:
        return []
    if result.switched is None:
        return [] if result.outcomes else [NOTHING_TO_SWITCH]
    told = f"🔁 Cambio hecho: {result.switched} vectores nuevos en uso; los de antes quedan inactivos."
    reminder = f"   Escriba FACE_MODEL={options.model} en .env antes de la próxima ejecución."
    return [told, reminder] if options.model else [told]


def has_news(result: RunResult) -> bool:
    """Whether there is something that nobody was told yet, or that somebody has to do: a cron mail is worth its while.
    Whoever failed in an earlier run is on HR's page, and no news unless another photo fails now."""
    before = result.previous or frozenset()
    failures = (each for each in result.outcomes if isinstance(each, Failed) and not each.recalled)
    failed = any(each.photo is not None or each.member.crew_id not in before for each in failures)
    return failed or result.error is not None or bool(_blocked(result)) or bool(result.mixed)


def hand_over(console: Console, document: Any, target: str) -> None:
    """Write the document of --json; that it cannot be written does not undo the run."""
    try:
        write_document(document, target)
    except OSError as error:
        log.error("No se pudo escribir %s", target, exc_info=True)
        console.quiet = False
        console.print(printable_lines(f"⚠️  No se pudo escribir {target}: {why(error)}"))


def publish(
    options: argparse.Namespace, exit_code: int, result: RunResult | None = None, summary: Summary | None = None
) -> None:
    """Write the metrics, if asked for. A run that found another one at work leaves that one's alone."""
    if not options.metrics or exit_code == EXIT_ALREADY_RUNNING:
        return
    from app.reports.metrics import RunMetrics, write_metrics  # noqa: PLC0415  # a tenth of a second, not for everybody

    changes = _changes(result) if result else {}
    metrics = RunMetrics(exit_code, time.time(), summary, _people(result), changes)
    try:
        write_metrics(metrics, Path(options.metrics))
    except OSError:
        log.exception("No se pudieron escribir las métricas")


def _changes(result: RunResult) -> dict[str, int]:
    return {
        "deactivated": len(result.deactivated),
        "purged": len(result.purged),
        "reactivated": len(_reactivated(result)),
        "retired": result.retired,
        "mixed": result.mixed,
        "blocked": len(_blocked(result)),
    }


def _people(result: RunResult | None) -> int | None:
    try:
        return result.gallery.people() if result and result.gallery else None
    except RunError:  # the database is away: the run's own error says so
        return None


def complain(console: Console, error: RunError) -> int:
    """Say what ended the run, or kept it from starting, and what to do."""
    console.quiet = False
    console.print(printable_lines(f"❌ {error}"))
    if error.advice:
        console.print(printable_lines(f"   Qué hacer: {error.advice}"))
    return error.exit_code
