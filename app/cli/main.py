"""The program: arguments come in, an exit code goes out. Wiring only."""

from __future__ import annotations

import argparse
import gc
import logging
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime, timezone

from rich.console import Console

from app.cli.administration import forget, read_history, schema_statements
from app.cli.arguments import STDOUT
from app.cli.closing import complain, facts_of, run_end, tell_end, what_else, write_page
from app.cli.demo import EXPECTED_ERRORS, EXPECTED_STORED, NEXT_STEPS, open_demo
from app.cli.publishing import hand_over, has_news, publish
from app.core.config import BYTES_PER_MB, ENV_FILE, Settings, load_settings
from app.core.logs import LogOptions, configure_logs, is_logging
from app.core.redaction import redacted
from app.core.signals import Stopper, stopping_on_signals
from app.core.streams import without_native_chatter
from app.core.text import printable_lines
from app.errors import (
    EXIT_BY_SIGNAL,
    EXIT_INTERRUPTED,
    EXIT_NOT_AVAILABLE,
    EXIT_OK,
    EXIT_SOME_FAILED,
    Defect,
    ImplausibleRun,
    Interrupted,
    MissingDependency,
    RunError,
    SettingsError,
)
from app.pipeline.face_extractor import open_face_extractor
from app.planning.request import Request
from app.reports.columns import fitting_width
from app.reports.console import open_console
from app.reports.console_progress import ConsoleProgress
from app.reports.forgotten import forgotten_document, forgotten_lines
from app.reports.history_report import history_document, history_lines
from app.reports.photo_review import build_review
from app.reports.plan_report import plan_document, plan_lines
from app.reports.run_json import check_target, run_document
from app.reports.run_summary import Summary
from app.roster.folder import FolderRoster
from app.runs.context import RunResult, close_run
from app.runs.progress_log import ProgressLog
from app.runs.run import LoadFaces, run_batch

# A long roster's objects live until the end: Python's usual 700 would look through all of them again and again.
GARBAGE_THRESHOLDS = (50_000, 20, 20)
FOLDER_DATABASE = "embeddings.db"
SECONDS_PER_MINUTE = 60

log = logging.getLogger(__name__)


def run(options: argparse.Namespace, load_faces: LoadFaces = open_face_extractor) -> int:
    """Run the program, with these nets; returns its exit code."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    with nullcontext() if options.debug else without_native_chatter():
        return _run_or_complain(options, load_faces)


def _run_or_complain(options: argparse.Namespace, load_faces: LoadFaces) -> int:
    console = open_console(to_stderr=options.json == STDOUT, quiet=options.quiet)
    try:
        _check_targets(options)
    except RunError as error:  # no metrics of this one: there is no place for them
        return complain(console, error)
    try:
        return _do(options, console, load_faces)
    except RunError as error:
        ending = error
    except ModuleNotFoundError as error:
        ending = MissingDependency.of(error)
    except KeyboardInterrupt:
        console.print("Interrumpido")
        return EXIT_INTERRUPTED
    except Exception as error:  # nobody is there to read a traceback on a screen
        said = redacted(str(error))
        if not is_logging():
            console.quiet = False
            console.print(printable_lines(redacted(traceback.format_exc())))
        log.error("Error inesperado", exc_info=True)
        ending = Defect.of(error, said)
    publish(console, options, ending.exit_code)
    return complain(console, ending)


def _check_targets(options: argparse.Namespace) -> None:
    """Before anything is done: whether the files that are asked for could be written. Raises SettingsError."""
    for name, target in (("--json", options.json), ("--metrics", options.metrics)):
        if target:
            check_target(target, name)


def _do(options: argparse.Namespace, console: Console, load_faces: LoadFaces) -> int:
    if options.demo:
        return _run_demo(options, console, load_faces)
    if options.check:
        from app.cli.commands.check import run_checkup  # noqa: PLC0415  # no run has to wait for it

        exit_code, document = run_checkup(options, console, lambda: _read_settings(options, {}))
        if options.json:
            hand_over(console, document, options.json)
        return exit_code
    settings = _read_settings(options, {})
    if options.history or options.forget is not None or options.print_schema:
        return _administer(options, settings, console)
    return _run(options, settings, console, load_faces)[0]


def _administer(options: argparse.Namespace, settings: Settings, console: Console) -> int:
    """What is done instead of a run."""
    now = datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)
    if options.print_schema:
        missing = [f"{statement};" for statement in schema_statements(settings)]
        console.print("\n\n".join(missing or ["-- No falta ninguna tabla: todas están al día."]))
        return EXIT_OK
    if options.history:
        runs = read_history(settings, now)
        console.print("\n".join(history_lines(runs, fitting_width(console))))
        if options.json:
            hand_over(console, history_document(runs), options.json)
        return EXIT_OK
    _open_logs(options, settings)
    forgotten = forget(settings, options.forget, now)
    console.print("\n".join(forgotten_lines(forgotten.crew_id, forgotten.vectors, forgotten.rows_left)))
    if forgotten.still_active:
        console.print("⚠️  Sigue activa en el padrón: la próxima ejecución la registraría de nuevo. Dela de baja antes.")
    if options.json:
        told = forgotten_document(
            forgotten.crew_id, forgotten.vectors, forgotten.rows_left, still_active=forgotten.still_active
        )
        hand_over(console, told, options.json)
    return EXIT_OK if forgotten.rows_left == 0 else EXIT_SOME_FAILED


def _run_demo(options: argparse.Namespace, console: Console, load_faces: LoadFaces) -> int:
    with open_demo(console.print) as values:
        exit_code, summary = _run(options, _read_settings(options, values), console, load_faces)
    if (summary.stored, dict(summary.by_code)) != (EXPECTED_STORED, EXPECTED_ERRORS):
        console.print("\n❌ La demostración no salió como debía: los errores de arriba dicen por qué.")
        return exit_code or EXIT_SOME_FAILED
    console.print(NEXT_STEPS)
    return EXIT_OK  # the errors that it shows on purpose do not make it a failure


def _read_settings(options: argparse.Namespace, values: Mapping[str, object]) -> Settings:
    """The settings under what the command line says. Raises SettingsError."""
    overrides = dict(values)
    if options.photos is not None:
        folder = options.photos.resolve()
        if not folder.is_dir():
            raise SettingsError(f"No existe la carpeta {folder}", "Indique en --photos una carpeta con las fotos.")
        overrides |= {"DB_URL": f"sqlite:///{folder / FOLDER_DATABASE}", "IMAGE_BASE_URL": folder.as_uri()}
    named = {"FACE_MODEL": options.model, "FACE_DETECTOR": options.detector}
    overrides |= {name: value for name, value in named.items() if value}
    return load_settings(None if options.demo else ENV_FILE, **overrides)


def _open_logs(options: argparse.Namespace, settings: Settings) -> None:
    log_bytes = int(settings.LOG_MAX_MB * BYTES_PER_MB)
    names, secrets = settings.LOG_NAMES, settings.secrets()
    configure_logs(LogOptions(settings.LOG_DIR, log_bytes, settings.LOG_BACKUPS, options.debug, names, secrets))


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
    )


def _run(
    options: argparse.Namespace, settings: Settings, console: Console, load_faces: LoadFaces
) -> tuple[int, Summary]:
    _open_logs(options, settings)
    # Until everything is said: a signal must not take the end of a run that is over.
    limit_s = options.max_minutes and options.max_minutes * SECONDS_PER_MINUTE
    with stopping_on_signals(limit_s) as stopper:
        return _run_and_tell(options, settings, console, load_faces, stopper)


def _run_and_tell(
    options: argparse.Namespace, settings: Settings, console: Console, load_faces: LoadFaces, stopper: Stopper
) -> tuple[int, Summary]:
    request = _request(options)
    with (
        ConsoleProgress(console, notices=not options.plan, migrating=options.migrate) as progress,
        ProgressLog(progress) as observer,
    ):
        result = run_batch(settings, request, observer, stopper.event, load_faces)
    result.out_of_time = stopper.out_of_time
    limits = settings.quality_limits()
    review = build_review(result.outcomes, facts_of(result), limits)
    summary = review.summary
    exit_code = decide_exit_code(result, summary, stopper)
    if request.plan_only and result.plan is not None:
        _show_plan(console, result, options)
        return exit_code, summary
    close_run(result, request, run_end(result, summary, exit_code))
    publish(console, options, exit_code, result, summary)
    console.quiet = options.quiet and not has_news(result)
    tell_end(console, result, summary, options)
    if result.outcomes and not isinstance(result.error, ImplausibleRun):  # what a suspicious run saw is not true
        write_page(console, review, settings.LOG_DIR, options)
    if options.json:
        ending = {"model": settings.FACE_MODEL, "exit_code": exit_code, **what_else(result)}
        hand_over(console, run_document(result.outcomes, review, ending), options.json)
    return exit_code, summary


def _show_plan(console: Console, result: RunResult, options: argparse.Namespace) -> None:
    if result.plan is None or result.rules is None:
        return
    lines = plan_lines(result.plan, result.rules, fitting_width(console), migrating=options.migrate)
    console.print("\n".join(lines))
    if options.json:
        hand_over(console, plan_document(result.plan), options.json)
    if result.error is not None:
        complain(console, result.error)


def decide_exit_code(result: RunResult, summary: Summary, stopper: Stopper) -> int:
    """What the caller's shell is told: a signal, else what ended the run, else whether there is anything to look at."""
    if stopper.signal_number is not None:
        return EXIT_BY_SIGNAL + stopper.signal_number
    if isinstance(result.error, Interrupted):  # by nobody: the time was over before there was anybody to process
        return EXIT_NOT_AVAILABLE
    if result.error is not None:
        return result.error.exit_code
    left = result.blocked or result.mixed or result.unswitched
    return EXIT_SOME_FAILED if summary.failed or left else EXIT_OK
