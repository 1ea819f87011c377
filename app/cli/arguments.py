"""The command line's words: `parse_arguments` turns them into options, or complains in Spanish.

Imports nothing heavy, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from app.core.streams import STDOUT
from app.errors import EXIT_NOT_STARTED

PROGRAM = "./run_embeddings.sh"
HELP_WIDTH = 96
MAX_MINUTES = 60 * 24 * 366
INSTEAD = ("--check", "--history", "--forget", "--print-schema")
WHO = ("--all", "--crew-id", "--retry-failed", "--migrate", "--demo")
HOW = (
    *("--plan", "--force", "--refresh", "--purge-after", "--allow-mass-change", "--accept-low-quality"),
    "--max-minutes",
)
# What makes no sense together: none of the first with any of the second.
EXCLUDED = (
    (INSTEAD, (*INSTEAD, *WHO, *HOW)),
    (("--print-schema",), ("--json",)),
    (("--demo",), ("--photos", "--plan")),
    (("--crew-id", "--retry-failed", "--migrate"), ("--purge-after",)),
    (("--migrate",), ("--force", "--refresh")),
    (("--metrics",), (*INSTEAD, "--plan", "--demo")),
    (("--quiet",), ("--history", "--print-schema", "--forget", "--plan", "--demo")),
)
# argparse speaks English; these are all the complaints that our arguments can cause.
TRANSLATIONS = (
    (r"argument (\S+): expected one argument", r"a \1 le falta su valor"),
    (r"argument (\S+): not allowed with argument (\S+)", r"\1 no se puede usar junto con \2"),
    (r"argument (\S+): invalid choice: (\S+) \(choose from (.+)\)", r"\1: \2 no vale; solo \3"),
    (r"argument (\S+): (debe ser .+)", r"\1 \2"),
    (r"argument (\S+): ignored explicit argument (.+)", r"\1 no lleva valor (sobra \2)"),
    (r"unrecognized arguments: (.+)", r"argumentos desconocidos: \1"),
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
        allow_abbrev=False,  # run_embeddings.sh looks for --demo as it is written
        description="Genera los embeddings faciales de los tripulantes activos y los guarda en face_embeddings.",
        epilog=(
            "Sin opciones hace lo mismo que --all. Códigos de salida: 0 todo bien; 1 algunos tripulantes con error,\n"
            "o un cambio masivo retenido; 2 no se pudo empezar; 3 base de datos o pesos no disponibles, o detenido\n"
            "por sospechoso o por un error inesperado; 4 ya hay otra ejecución en marcha; 129, 130 y 143\n"
            "interrumpido.\n"
            "Con --check: 0 todo bien, 1 hay avisos, 2 no se puede ejecutar."
        ),
    )
    for add in (_add_who, _add_how, _add_with_what, _add_instead, _add_what):
        add(parser)
    return parser


def _add_who(parser: argparse.ArgumentParser) -> None:
    who = parser.add_argument_group("a quién procesar").add_mutually_exclusive_group()
    who.add_argument("--all", action="store_true", help="todos los tripulantes activos sin embedding al día")
    who.add_argument("--crew-id", metavar="ID", type=_given, help="solo este tripulante")
    who.add_argument("--retry-failed", action="store_true", help="solo los que fallaron, ahora mismo")
    who.add_argument(
        "--migrate",
        action="store_true",
        help="cambia de modelo sin mezclar: prepara los vectores aparte, los comprueba y cambia de una vez",
    )
    who.add_argument("--demo", action="store_true", help="demostración completa, sin configurar nada")


def _add_how(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("cómo")
    how.add_argument("--plan", action="store_true", help="dice qué haría y por qué; no escribe nada")
    how.add_argument("--force", action="store_true", help="regenera también los que están al día")
    how.add_argument(
        "--refresh",
        choices=["full"],
        metavar="full",
        help="full: descarga todas las fotos y compara su contenido",
    )
    how.add_argument(
        "--purge-after",
        metavar="DÍAS",
        type=_days,
        help="borra los vectores de quienes faltan en el padrón desde hace más días",
    )
    how.add_argument(
        "--allow-mass-change",
        action="store_true",
        help="permite desactivar o borrar a muchos a la vez, y no se detiene ante lo sospechoso",
    )
    how.add_argument(
        "--accept-low-quality",
        action="store_true",
        help="guarda también las fotos de calidad insuficiente, marcadas en face_photos",
    )
    how.add_argument(
        "--max-minutes",
        metavar="N",
        type=_minutes,
        help="termina en orden a los N minutos; la ejecución siguiente continúa",
    )


def _add_with_what(parser: argparse.ArgumentParser) -> None:
    means = parser.add_argument_group("con qué")
    means.add_argument(
        "--photos",
        metavar="DIR",
        type=_path,
        help="sin MySQL ni servidor web: fotos en DIR/<crew_id>/<foto>, embeddings en DIR/embeddings.db",
    )
    for name, what in (
        ("--model", "modelo de DeepFace (por omisión, FACE_MODEL: Facenet512)"),
        ("--detector", "detector de rostros (por omisión, FACE_DETECTOR: mtcnn)"),
    ):
        means.add_argument(name, metavar="NOMBRE", type=_given, help=what)


def _add_instead(parser: argparse.ArgumentParser) -> None:
    instead = parser.add_argument_group("en lugar de procesar")
    instead.add_argument(
        "--check",
        action="store_true",
        help="comprueba todo lo que hace falta para ejecutar y dice qué hacer; no escribe nada",
    )
    instead.add_argument("--history", action="store_true", help="muestra las últimas ejecuciones")
    instead.add_argument("--forget", metavar="ID", type=_given, help="borra todo lo que se guarda de esta persona")
    instead.add_argument("--print-schema", action="store_true", help="escribe el SQL de las tablas que faltan")


def _add_what(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("qué mostrar")
    what.add_argument(
        "--json",
        metavar="ARCHIVO",
        type=_given,
        help="escribe la ejecución como JSON («-»: salida estándar)",
    )
    what.add_argument(
        "--metrics",
        metavar="ARCHIVO",
        type=_plain_file,
        help="escribe métricas para Prometheus (textfile collector de node exporter)",
    )
    what.add_argument(
        "--quiet",
        action="store_true",
        help="solo habla si hay algo nuevo que atender: para cron",
    )
    what.add_argument("--no-thumbnails", action="store_true", help="el informe logs/report.html no lleva fotos")
    what.add_argument("--debug", action="store_true", help="registro detallado y tiempos de cada etapa")
    what.add_argument("-h", "--help", action="help", help="muestra esta ayuda y termina")


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options. Ends the process with exit code 2 when they make no sense, and with 0 after `--help`."""
    options = build_parser().parse_args(words)
    for one, other in _contradictions(options):
        build_parser().error(f"argument {other}: not allowed with argument {one}")
    return options


def _contradictions(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    values = vars(options).items()  # 0 is a value
    given = {f"--{name.replace('_', '-')}" for name, value in values if value is not None and value is not False}
    for words, excluded in EXCLUDED:
        for word in words:
            if word in given:
                yield from ((word, other) for other in excluded if other in given and other != word)


def _given(text: str) -> str:
    """A value: `--forget "$ID"` with nothing in the variable must not become a run of everybody."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected one argument")
    return text


def _path(text: str) -> Path:
    return Path(_given(text))


def _plain_file(text: str) -> str:
    """It is read, replaced and found by its name: no pipe, no device, no standard output."""
    path = Path(_given(text))
    if text == STDOUT or (path.exists() and not path.is_file()):
        raise argparse.ArgumentTypeError("debe ser un archivo")
    return text


def _minutes(text: str) -> float:
    try:
        minutes = float(_given(text).replace(",", "."))
    except ValueError:
        minutes = math.nan
    if not 0 < minutes <= MAX_MINUTES:
        raise argparse.ArgumentTypeError(f"debe ser un número de minutos mayor que 0, hasta {MAX_MINUTES}")
    return minutes


def _days(text: str) -> int:
    if not _given(text).isdecimal():
        raise argparse.ArgumentTypeError("debe ser un número de días")
    return int(text)
