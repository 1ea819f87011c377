"""A run: what the program does without another command. `--plan` shows what one would do."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from rich.console import Console

from app.cli.arguments import RAY
from app.cli.document import answer
from app.cli.settings import open_logs, read_settings
from app.core.config import Settings
from app.core.files import why
from app.core.signals import Stopper, stopping_on_signals
from app.core.text import printable_lines
from app.errors import EXIT_BY_SIGNAL, EXIT_NOT_AVAILABLE, EXIT_OK, EXIT_SOME_FAILED, ImplausibleRun, Interrupted
from app.pipeline.face_loading import LoadFaces, open_faces
from app.planning.rules import Request
from app.reports.console import complain, fitting_width
from app.reports.console_progress import ConsoleProgress
from app.reports.photo_review import Review, build_review
from app.reports.plan_report import plan_document, plan_lines
from app.reports.run_json import run_document
from app.reports.run_summary import print_end
from app.roster.folder import FolderRoster
from app.runs.context import Observers
from app.runs.progress_log import ProgressLog
from app.runs.result import RunCounts, RunResult
from app.runs.run import close_run, run_batch

SECONDS_PER_MINUTE = 60
PARTIAL_REPORT = "report_individual"  # a run for some people only leaves the page of all the others as it is

log = logging.getLogger(__name__)


def run(options: argparse.Namespace, console: Console, load_faces: LoadFaces | None) -> int:
    return carry_out(options, read_settings(options), console, load_faces)[0]


def carry_out(
    options: argparse.Namespace, settings: Settings, console: Console, load_faces: LoadFaces | None
) -> tuple[int, RunCounts]:
    """Carry out a run and report it; return the exit code and the run's numbers."""
    open_logs(options, settings)
    limit_s = options.max_minutes and options.max_minutes * SECONDS_PER_MINUTE
    with stopping_on_signals(limit_s) as stopper:  # until the report is written, so that a signal does not prevent it
        request = _request(options)
        result = _run_batch(settings, request, console, stopper, load_faces or open_faces)
        review = build_review(result, settings.quality_limits())
        exit_code = decide_exit_code(result, review.counts, stopper)
        if request.plan_only and result.plan is not None:
            _show_plan(console, result, options)
        else:
            close_run(result, request, result.end(review.counts, exit_code))
            if options.metrics:
                from app.reports.metrics import publish  # noqa: PLC0415  # slow to import, and rarely asked for

                publish(console, options.metrics, exit_code, review.counts, result.gallery)
            console.quiet = options.quiet and not result.has_news
            print_end(console, result, review.counts, request, options.model or "")
            if result.outcomes and not isinstance(result.error, ImplausibleRun):  # what that run saw is not true
                _write_page(console, review, settings.LOG_DIR, options)
            if options.json:
                answer(options, console, run_document(result, review, settings.FACE_MODEL, exit_code))
    return exit_code, review.counts


def _request(options: argparse.Namespace) -> Request:
    return Request(
        crew_id=options.crew_id,
        retry_failed=options.retry_failed,
        force=options.force,
        compare=options.refresh == "full",
        plan_only=options.plan,
        migrate=options.migrate,
        purge_after_days=options.purge_after,
        allow_mass_change=options.allow_mass_change,
        folder=FolderRoster(options.photos) if options.photos else None,
        accept_low_quality=options.accept_low_quality,
        thumbnails=not options.no_thumbnails,
        debug=options.debug,
        ray=options.engine == RAY,
        ray_address=options.ray_address,
    )


def _run_batch(
    settings: Settings, request: Request, console: Console, stopper: Stopper, load_faces: LoadFaces
) -> RunResult:
    with (
        ConsoleProgress(console, notices=not request.plan_only, migrating=request.migrate) as progress,
        ProgressLog() as progress_log,
    ):
        result = run_batch(settings, request, Observers(progress_log, progress), stopper.event, load_faces)
    result.out_of_time = stopper.out_of_time
    return result


def decide_exit_code(result: RunResult, counts: RunCounts, stopper: Stopper) -> int:
    """Return a signal's exit code, else that of the error that ended the run, else whether anything is left to do."""
    if stopper.signal_number is not None:
        return EXIT_BY_SIGNAL + stopper.signal_number
    if isinstance(result.error, Interrupted):  # not by a signal: the time was over before the first photo
        return EXIT_NOT_AVAILABLE
    if result.error is not None:
        return result.error.exit_code
    left = result.blocked or result.mixed or result.unswitched or result.unchecked
    return EXIT_SOME_FAILED if counts.failed or left else EXIT_OK


def _show_plan(console: Console, result: RunResult, options: argparse.Namespace) -> None:
    if result.plan is None or result.rules is None:
        return
    lines = plan_lines(result.plan, result.rules, fitting_width(console), migrating=options.migrate)
    console.print("\n".join(lines))
    if options.json:
        answer(options, console, plan_document(result.plan))
    if result.error is not None:
        complain(console, result.error)


def _write_page(console: Console, review: Review, folder: Path, options: argparse.Namespace) -> None:
    """Write the page for people who never see this console. That it cannot be written does not undo the run."""
    # Jinja takes as long to import as the database's library, and a plan has no page.
    from app.reports.html_page import REPORT, write_report  # noqa: PLC0415

    name = PARTIAL_REPORT if options.crew_id is not None or options.retry_failed else REPORT
    try:
        page = write_report(review, folder, thumbnails=not options.no_thumbnails, name=name)
    except OSError as error:
        log.error("No se pudo escribir el informe", exc_info=True)
        console.print(printable_lines(f"\n⚠️  No se pudo escribir el informe en {folder}: {why(error)}"))
        return
    if review.entries:
        console.print(printable_lines(f"\n📄 Fotos por corregir, con su imagen y qué hacer: {page}"))
