"""The command line's words: `parse_arguments` turns them into options, or complains in Spanish.

Imports nothing heavy, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from app.errors import EXIT_NOT_STARTED

PROGRAM = "./run_embeddings.sh"
HELP_WIDTH = 96
STDOUT = "-"
# argparse speaks English; these are all the complaints that our arguments can cause.
TRANSLATIONS = (
    (r"argument (\S+): expected one argument", r"a \1 le falta su valor"),
    (r"argument (\S+): not allowed with argument (\S+)", r"\1 no se puede usar junto con \2"),
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
    how.add_argument(
        "--accept-low-quality",
        action="store_true",
        help="guarda también las fotos de calidad insuficiente, marcadas en face_photos",
    )
    what = parser.add_argument_group("qué mostrar")
    what.add_argument("--json", metavar="ARCHIVO", help="escribe la ejecución como JSON («-»: salida estándar)")
    what.add_argument("--no-thumbnails", action="store_true", help="el informe logs/report.html no lleva fotos")
    what.add_argument("--debug", action="store_true", help="registro detallado y tiempos de cada etapa")
    what.add_argument("-h", "--help", action="help", help="muestra esta ayuda y termina")
    return parser


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options. Ends the process with exit code 2 when they make no sense, and with 0 after `--help`."""
    options = build_parser().parse_args(words)
    if options.demo and options.photos:
        build_parser().error("argument --photos: not allowed with argument --demo")
    return options
