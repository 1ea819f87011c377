"""The program: find the command that the options ask for, carry it out, and turn whatever ends it into an exit code."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

from rich.console import Console

from app.cli.document import answer_ending
from app.core.logs import is_logging
from app.core.redaction import redacted
from app.core.streams import STDOUT, without_native_chatter
from app.core.text import printable_lines
from app.errors import EXIT_INTERRUPTED, Defect, MissingDependency, RunError, SettingsError
from app.pipeline.face_loading import LoadFaces
from app.reports.console import complain, open_console

# A long roster's objects live until the end: Python's usual 700 would look through all of them again and again.
GARBAGE_THRESHOLDS = (50_000, 20, 20)
# The module of each command, by the option that asks for it. Only the one that is asked for is imported.
COMMANDS = {
    "audit": "app.cli.commands.audit",
    "check": "app.cli.commands.check",
    "demo": "app.cli.demo",
    "export": "app.cli.commands.export",
    "forget": "app.cli.commands.forget",
    "history": "app.cli.commands.history",
    "match": "app.cli.commands.match",
    "operating_point": "app.cli.commands.operating_point",
    "print_schema": "app.cli.commands.schema",
}
INTERRUPTED = "Interrumpido"
WITHOUT_ONE = "app.cli.commands.run"

log = logging.getLogger(__name__)


def run(options: argparse.Namespace, load_faces: LoadFaces | None = None) -> int:
    """Run the program and return its exit code. `load_faces` loads the nets, by default the real ones. Raises
    ImportError when a package that the command imports is not installed or cannot be loaded."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    with nullcontext() if options.debug else without_native_chatter():
        asked = (module for name, module in COMMANDS.items() if getattr(options, name) not in (None, False))
        command = import_module(next(asked, WITHOUT_ONE))
        return _run_or_complain(options, command.run, load_faces)


def _run_or_complain(options: argparse.Namespace, command: Callable[..., int], load_faces: LoadFaces | None) -> int:
    console = open_console(to_stderr=options.json == STDOUT, quiet=options.quiet)
    try:
        _check_targets(options)
    except RunError as error:  # no metrics of this one: there is no place for them
        if options.json and (options.json == STDOUT or _is_writable(options.json)):
            answer_ending(options, console, str(error), error.exit_code)
        return complain(console, error)
    try:
        return command(options, console, load_faces)
    except RunError as error:
        ending = error
    except ImportError as error:
        ending = MissingDependency.of(error)
    except KeyboardInterrupt:
        console.print(INTERRUPTED)
        answer_ending(options, console, INTERRUPTED, EXIT_INTERRUPTED)
        return EXIT_INTERRUPTED
    except Exception as error:
        ending = _explain_defect(console, error)
    answer_ending(options, console, str(ending), ending.exit_code)
    if options.metrics:
        from app.reports.metrics import publish  # noqa: PLC0415  # slow to import, and rarely asked for

        publish(console, options.metrics, ending.exit_code)
    return complain(console, ending)


def _explain_defect(console: Console, error: Exception) -> Defect:
    """Log the traceback of an error that should not happen, or print it where there is no log yet."""
    if not is_logging():
        console.quiet = False
        console.print(printable_lines(redacted(traceback.format_exc())))
    log.error("Error inesperado", exc_info=True)
    return Defect.of(error, redacted(str(error)))


def _check_targets(options: argparse.Namespace) -> None:
    """Find out before anything is done whether the files asked for could be written. Raises SettingsError."""
    for option, target in (("--json", options.json), ("--metrics", options.metrics), ("--export", options.export)):
        if not target or (target == STDOUT and sys.stdout is not None):
            continue
        if not _is_writable(target):
            advice = f"Indique en {option} la ruta completa de un archivo, en una carpeta que exista y sea suya."
            raise SettingsError(f"No se puede escribir en {target}", advice)


def _is_writable(target: str) -> bool:
    try:
        path = Path(target).resolve()
        special = path.exists() and not path.is_file() and not path.is_dir()  # a pipe is written, not replaced
        return not path.is_dir() and os.access(path if special else path.parent, os.W_OK)
    except OSError:  # a folder on the way that cannot be entered; or the current one is gone
        return False
