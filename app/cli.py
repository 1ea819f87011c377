"""The command line: arguments come in, an exit code goes out. Wiring only."""

from __future__ import annotations

import argparse
import logging
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console

from app.batch import Request, RunResult, run_batch
from app.core.config import ENV_FILE, Settings, load_settings
from app.core.logs import LogOptions, configure_logs, printable_lines
from app.demo import NEXT_STEPS, open_demo
from app.errors import EXIT_NOT_STARTED, EXIT_OK, EXIT_SOME_FAILED, MissingDependency, RunError, SettingsError
from app.reports.document import STDOUT, run_document, write_document
from app.reports.progress import ConsoleProgress, open_console
from app.reports.summary import Summary, error_lines, summarise, summary_lines, timing_line
from app.roster.folder import FolderRoster

log = logging.getLogger(__name__)

PROGRAM = "./run_embeddings.sh"
EXIT_BY_SIGNAL = 128  # plus the signal's number, as shells count
HELP_WIDTH = 96
BYTES_PER_MB = 1_000_000
FOLDER_DATABASE = "embeddings.db"
# argparse speaks English; these are all the complaints that our arguments can cause.
TRANSLATIONS = (
    (r"argument (\S+): expected one argument", r"a \1 le falta su valor"),
    (r"argument (\S+): not allowed with argument (\S+)", r"\1 no se puede usar junto con \2"),
    (r"argument (\S+): ignored explicit argument (.+)", r"\1 no lleva valor (sobra \2)"),
    (r"unrecognized arguments: (.+)", r"argumentos desconocidos: \1"),
    (r"ambiguous option: (\S+) could match (.+)", r"\1 es ambiguo: puede ser \2"),
)


class SpanishFormatter(argparse.RawDescriptionHelpFormatter):
    """A fixed width, so that the README can hold the text; `uso` instead of `usage`."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=HELP_WIDTH, max_help_position=28)

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        super().add_usage(usage, actions, groups, prefix or "uso: ")


class SpanishParser(argparse.ArgumentParser):
    """Complains in Spanish, with exit code 2."""

    def error(self, message: str) -> NoReturn:
        for english, spanish in TRANSLATIONS:
            message = re.sub(english, spanish, message)
        self.print_usage(sys.stderr)
        self.exit(EXIT_NOT_STARTED, f"Error: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    parser = SpanishParser(
        prog=PROGRAM,
        formatter_class=SpanishFormatter,
        add_help=False,
        description="Genera los embeddings faciales de los tripulantes activos y los guarda en face_embeddings.",
        epilog=(
            "Sin opciones hace lo mismo que --all. Códigos de salida: 0 todo bien; 1 algunos tripulantes con "
            "error;\n2 no se pudo empezar; 3 base de datos o pesos no disponibles; 130 y 143 interrumpido."
        ),
    )
    who = parser.add_argument_group("a quién procesar").add_mutually_exclusive_group()
    who.add_argument("--all", action="store_true", help="todos los tripulantes activos sin embedding al día")
    who.add_argument("--crew-id", metavar="ID", help="solo este tripulante")
    who.add_argument("--demo", action="store_true", help="demostración completa, sin configurar nada")
    how = parser.add_argument_group("cómo")
    how.add_argument("--force", action="store_true", help="regenera también los que están al día")
    how.add_argument(
        "--photos",
        metavar="DIR",
        type=Path,
        help="sin MySQL ni servidor web: fotos en DIR/<crew_id>/<foto>, embeddings en DIR/embeddings.db",
    )
    how.add_argument("--model", metavar="NOMBRE", help="modelo de DeepFace (por omisión, FACE_MODEL: Facenet512)")
    how.add_argument("--detector", metavar="NOMBRE", help="detector de rostros (por omisión, FACE_DETECTOR: mtcnn)")
    what = parser.add_argument_group("qué mostrar")
    what.add_argument("--json", metavar="ARCHIVO", help="escribe la ejecución como JSON («-»: salida estándar)")
    what.add_argument("--debug", action="store_true", help="registro detallado y tiempos de cada etapa")
    what.add_argument("-h", "--help", action="help", help="muestra esta ayuda y termina")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    options = build_parser().parse_args(arguments)
    console = open_console(to_stderr=options.json == STDOUT)
    try:
        with open_demo(console.print) if options.demo else nullcontext({}) as values:
            exit_code = _run(options, _read_settings(options, values), console)
            return _end_demo(console, exit_code) if options.demo else exit_code
    except RunError as error:
        return _complain(console, error)
    except ModuleNotFoundError as error:
        return _complain(console, MissingDependency.of(error))
    except KeyboardInterrupt:
        console.print("Interrumpido")
        return EXIT_BY_SIGNAL + signal.SIGINT


def _end_demo(console: Console, exit_code: int) -> int:
    """The errors that the demonstration shows on purpose do not make it a failure."""
    console.print(NEXT_STEPS)
    return EXIT_OK if exit_code == EXIT_SOME_FAILED else exit_code


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


def _run(options: argparse.Namespace, settings: Settings, console: Console) -> int:
    log_bytes = int(settings.LOG_MAX_MB * BYTES_PER_MB)
    configure_logs(LogOptions(settings.LOG_DIR, log_bytes, settings.LOG_BACKUPS, options.debug))
    folder = FolderRoster(options.photos) if options.photos else None
    request = Request(options.crew_id, options.force, folder, options.debug)
    with stopping_on_signals() as stopper, ConsoleProgress(console) as progress:
        result = run_batch(settings, request, progress, stopper.event)
    summary = summarise(result.outcomes, result.seconds)
    exit_code = decide_exit_code(result, summary, stopper.signal_number)
    _report(console, result, summary, debug=options.debug)
    if options.json:
        document = run_document(result.outcomes, summary, settings.FACE_MODEL, exit_code, result.error)
        write_document(document, options.json)
    return exit_code


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
