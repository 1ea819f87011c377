"""What a run hands to other programs, and whether it has anything new to say: its result comes in, files go out."""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from app.core.disk import why
from app.core.logs import printable_lines
from app.errors import EXIT_ALREADY_RUNNING, AlreadyRunning, RunError
from app.gallery.photo_records import PhotoRecord
from app.records import Failed, Stored
from app.reports.run_json import write_document
from app.reports.run_summary import Summary
from app.runs.context import RunResult

log = logging.getLogger(__name__)


def has_news(result: RunResult) -> bool:
    """Whether there is something that nobody was told yet, or that somebody has to do: a cron mail is worth its while.
    Whoever failed with the same photo in an earlier run is on HR's page."""
    if isinstance(result.error, AlreadyRunning):  # the closing words know when that is worth a word
        return False
    known = {each.member.crew_id: each.case.remembered for each in result.plan.decisions} if result.plan else {}
    failures = (each for each in result.outcomes if isinstance(each, Failed))
    failed = any(_is_news(each, known.get(each.member.crew_id)) for each in failures)
    idle = result.out_of_time and not any(isinstance(each, Stored) for each in result.outcomes)
    stopped = result.error is not None or idle or result.died_before is not None or result.unswitched
    return failed or stopped or bool(result.blocked) or bool(result.mixed)


def _is_news(failure: Failed, remembered: PhotoRecord | None) -> bool:
    if remembered is None or remembered.code != failure.code:
        return True
    seen = failure.photo.sha256 if failure.photo and not failure.recalled else ""
    return bool(seen) and seen != remembered.sha256


def hand_over(console: Console, document: Any, target: str) -> None:
    """Write the document of --json; that it cannot be written does not undo the run."""
    try:
        write_document(document, target)
    except OSError as error:
        _say_unwritten(console, target, error)


def publish(
    console: Console,
    options: argparse.Namespace,
    exit_code: int,
    result: RunResult | None = None,
    summary: Summary | None = None,
) -> None:
    """Write the metrics, if asked for. A run that found another one at work leaves that one's alone."""
    if not options.metrics or exit_code == EXIT_ALREADY_RUNNING:
        return
    from app.reports.metrics import RunMetrics, write_metrics  # noqa: PLC0415  # a tenth of a second, not for everybody

    changes = _changes(result) if result else {}
    metrics = RunMetrics(exit_code, time.time(), summary, _people(result), changes)
    try:
        write_metrics(metrics, Path(options.metrics))
    except OSError as error:
        _say_unwritten(console, options.metrics, error)


def _say_unwritten(console: Console, target: str, error: OSError) -> None:
    log.error("No se pudo escribir %s", target, exc_info=True)
    console.quiet = False
    console.print(printable_lines(f"⚠️  No se pudo escribir {target}: {why(error)}"))


def _changes(result: RunResult) -> dict[str, int]:
    return {
        "deactivated": len(result.deactivated),
        "purged": len(result.purged),
        "reactivated": len(result.reactivated),
        "retired": result.retired,
        "mixed": result.mixed,
        "blocked": len(result.blocked),
    }


def _people(result: RunResult | None) -> int | None:
    try:
        return result.gallery.people() if result and result.gallery else None
    except RunError:  # the database is away: the run's own error says so
        return None
