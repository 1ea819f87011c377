"""The program: arguments come in, an exit code goes out. Wiring only."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.console import Console

from app.arguments import STDOUT
from app.batch import Request, RunResult, run_batch
from app.core.config import BYTES_PER_MB, ENV_FILE, Settings, load_settings
from app.core.logs import LogOptions, configure_logs, printable_lines
from app.demo import EXPECTED_ERRORS, EXPECTED_STORED, NEXT_STEPS, open_demo
from app.errors import (
    EXIT_BY_SIGNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_SOME_FAILED,
    MissingDependency,
    RunError,
    SettingsError,
    SharedPhoto,
)
from app.reports.document import check_target, run_document, write_document
from app.reports.page import REPORT, write_report
from app.reports.progress import ConsoleProgress, open_console
from app.reports.review import Notice, Review, RunFacts, build_review
from app.reports.summary import Summary, error_lines, summary_lines, timing_line
from app.roster.folder import FolderRoster

log = logging.getLogger(__name__)

FOLDER_DATABASE = "embeddings.db"
INDIVIDUAL_REPORT = "report_individual"  # a run for one person leaves the list of all the others as it is


def run(options: argparse.Namespace) -> int:
    """Run the program; returns its exit code."""
    console = open_console(to_stderr=options.json == STDOUT)
    try:
        if options.json:
            check_target(options.json)
        if options.demo:
            return _run_demo(options, console)
        return _run(options, _read_settings(options, {}), console)[0]
    except RunError as error:
        return _complain(console, error)
    except ModuleNotFoundError as error:
        return _complain(console, MissingDependency.of(error))
    except KeyboardInterrupt:
        console.print("Interrumpido")
        return EXIT_INTERRUPTED


def _run_demo(options: argparse.Namespace, console: Console) -> int:
    with open_demo(console.print) as values:
        exit_code, summary = _run(options, _read_settings(options, values), console)
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


def _run(options: argparse.Namespace, settings: Settings, console: Console) -> tuple[int, Summary]:
    log_bytes = int(settings.LOG_MAX_MB * BYTES_PER_MB)
    configure_logs(LogOptions(settings.LOG_DIR, log_bytes, settings.LOG_BACKUPS, options.debug))
    folder = FolderRoster(options.photos) if options.photos else None
    request = Request(
        options.crew_id,
        options.force,
        folder,
        accept_low_quality=options.accept_low_quality,
        thumbnails=not options.no_thumbnails,
        debug=options.debug,
    )
    with stopping_on_signals() as stopper, ConsoleProgress(console) as progress:
        result = run_batch(settings, request, progress, stopper.event)
    limits = settings.quality_limits()
    review = build_review(result.outcomes, _facts(result), limits)
    summary = review.summary
    exit_code = decide_exit_code(result, summary, stopper.signal_number)
    _report(console, result, summary, debug=options.debug)
    if result.outcomes:
        _write_report(console, review, settings.LOG_DIR, options)
    if options.json:
        error = str(result.error) if result.error else None
        ending = {"model": settings.FACE_MODEL, "exit_code": exit_code, "error": error}
        write_document(run_document(result.outcomes, review, limits, ending), options.json)
    return exit_code, summary


def _facts(result: RunResult) -> RunFacts:
    notices = [Notice(member, SharedPhoto.code, detail) for member, detail in result.reported]
    return RunFacts(result.started_at, result.seconds, result.error, result.previous, notices, result.improvable)


def _write_report(console: Console, review: Review, folder: Path, options: argparse.Namespace) -> None:
    """The page for those who never saw this console; that it cannot be written does not undo the run."""
    name = REPORT if options.crew_id is None else INDIVIDUAL_REPORT
    try:
        page = write_report(review, folder, thumbnails=not options.no_thumbnails, name=name)
    except OSError as error:
        log.error("No se pudo escribir el informe", exc_info=True)
        console.print(printable_lines(f"\n⚠️  No se pudo escribir el informe en {folder}: {error.strerror}"))
        return
    if review.entries:
        console.print(printable_lines(f"\n📄 Fotos por corregir, con su imagen y qué hacer: {page}"))


def decide_exit_code(result: RunResult, summary: Summary, signal_number: int | None) -> int:
    """What the caller's shell is told: a signal, else what ended the run, else whether anyone failed."""
    if signal_number is not None:
        return EXIT_BY_SIGNAL + signal_number
    if result.error is not None:
        return result.error.exit_code
    return EXIT_SOME_FAILED if summary.failed else EXIT_OK


def _report(console: Console, result: RunResult, summary: Summary, *, debug: bool) -> None:
    log.info(timing_line(summary))
    if result.outcomes or result.error is None:
        lines = ["", *summary_lines(summary), *error_lines(result.outcomes)]
        if summary.interrupted:
            lines += ["", f"Interrumpido: {summary.interrupted} sin procesar. Al ejecutar de nuevo se continúa."]
        if debug:
            lines += ["", f"⏲️  {timing_line(summary)}"]
        console.print("\n".join(lines))
    if result.error is not None:
        _complain(console, result.error)


def _complain(console: Console, error: RunError) -> int:
    """Say what ended the run, or kept it from starting, and what to do."""
    console.print(printable_lines(f"❌ {error}"))
    if error.advice:
        console.print(printable_lines(f"   Qué hacer: {error.advice}"))
    return error.exit_code


@dataclass(slots=True)
class Stopper:
    """Set by the first SIGINT or SIGTERM; the second one acts as if we were not there."""

    event: threading.Event = field(default_factory=threading.Event)
    signal_number: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        self.event.set()
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)


@contextmanager
def stopping_on_signals() -> Iterator[Stopper]:
    """While inside, a signal asks the run to stop instead of killing it."""
    stopper = Stopper()
    before = {number: signal.signal(number, stopper) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopper
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
