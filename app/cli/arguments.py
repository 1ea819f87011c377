"""The command line's options in Spanish. Imports nothing heavy, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NoReturn

from app.core.streams import STDOUT
from app.core.text import as_utf8
from app.core.version import VERSION
from app.errors import EXIT_NOT_STARTED

MAX_MINUTES = 60 * 24 * 366
ENGINES = (LOCAL, RAY) = ("local", "ray")
QUESTIONS = ("--match", "--audit", "--operating-point")
INSTEAD = ("--check", "--history", "--forget", "--print-schema", "--export", *QUESTIONS)
WHO = ("--all", "--crew-id", "--retry-failed", "--migrate", "--demo")
HOW = (
    *("--plan", "--force", "--refresh", "--purge-after", "--allow-mass-change", "--accept-low-quality"),
    *("--max-minutes", "--engine"),
)
# Contradictions: no option of the first tuple goes with any of the second.
EXCLUDED = (
    (INSTEAD, (*INSTEAD, *WHO, *HOW)),
    (("--print-schema",), ("--json",)),
    (("--demo",), ("--photos", "--plan")),
    (("--crew-id", "--retry-failed", "--migrate"), ("--purge-after",)),
    (("--migrate",), ("--force", "--refresh")),
    (("--metrics",), (*INSTEAD, "--plan", "--demo")),
    (
        ("--quiet",),
        ("--history", "--print-schema", "--forget", "--plan", "--demo", "--match", "--audit", "--operating-point"),
    ),
)
# What makes sense only beside another option.
NEEDED = {
    "--target-fpir": "--operating-point",
    "--people": "--operating-point",
    "--probes": "--operating-point",
    "--accept": "--audit",
}
# argparse speaks English; these are all the complaints that our arguments can cause.
TRANSLATIONS = (
    (r"argument (\S+): expected (?:at least )?one argument", r"a \1 le falta su valor"),
    (r"argument (\S+): expected 2 arguments", r"\1 lleva dos valores"),
    (r"argument (\S+): not allowed with argument (\S+)", r"\1 no se puede usar junto con \2"),
    (r"argument (\S+): invalid choice: (\S+) \(choose from (.+)\)", r"\1: \2 no vale; solo \3"),
    (r"argument (\S+): (debe ser .+)", r"\1 \2"),
    (r"argument (\S+): needs argument (.+)", r"\1 solo se usa con \2"),
    (r"argument (\S+): ignored explicit argument (.+)", r"\1 no lleva valor (sobra \2)"),
    (r"unrecognized arguments: (.+)", r"argumentos desconocidos: \1"),
)


def _given(text: str) -> str:
    """Refuse an empty value: `--forget "$ID"` with nothing in the variable must not become a run for all members."""
    if not text.strip():
        raise argparse.ArgumentTypeError("expected one argument")
    return text


def _crew_id(text: str) -> str:
    """Write bytes that are no UTF-8 as reports show them: nothing could store them."""
    return as_utf8(_given(text))


def _path(text: str) -> Path:
    return Path(_given(text))


def _plain_file(text: str) -> str:
    """Refuse pipes, devices and standard output: the metrics' file is read again, and replaced."""
    # Unlike Path's, these do not raise where a folder on the way cannot be entered; that is said later.
    if _given(text) == STDOUT or (os.path.exists(text) and not os.path.isfile(text)):  # noqa: PTH110, PTH113
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


def _share(text: str) -> float:
    try:
        share = float(_given(text).replace(",", "."))
    except ValueError:
        share = math.nan
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError("debe ser un número entre 0 y 1, como 0,01")
    return share


def _people(text: str) -> int:
    if not _given(text).isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError("debe ser un número de personas")
    return int(text)


def _server(text: str) -> str:
    """Refuse what is no host with a port: `auto` would join any cluster that happens to run."""
    host, _, port = _given(text).rpartition(":")
    if not host or "/" in host or not port.isdecimal() or int(port) not in PORTS:
        raise argparse.ArgumentTypeError("debe ser HOST:PUERTO, como 10.0.0.5:6379")
    return text


FLAG = {"action": "store_true"}
PORTS = range(1, 2**16)
EXCLUSIVE = "a quién procesar"  # at most one of this group
# The options by group, as the help shows them: names and value, help, and the value's type or argparse's settings.
GROUPS: dict[str, tuple[tuple[str, str, Callable[[str], Any] | dict[str, Any]], ...]] = {
    EXCLUSIVE: (
        ("--all", "todos los tripulantes activos sin embedding al día", FLAG),
        ("--crew-id ID", "solo este tripulante", _crew_id),
        ("--retry-failed", "solo los que fallaron, ahora mismo", FLAG),
        (
            "--migrate",
            "cambia de modelo sin mezclar: prepara los vectores aparte, los comprueba y cambia de una vez",
            FLAG,
        ),
        ("--demo", "demostración completa, sin configurar nada", FLAG),
    ),
    "cómo": (
        ("--plan", "dice qué haría y por qué; no escribe nada", FLAG),
        ("--force", "regenera también los que están al día", FLAG),
        ("--refresh full", "full: descarga todas las fotos y compara su contenido", {"choices": ["full"]}),
        ("--purge-after DÍAS", "borra los vectores de quienes faltan en el padrón desde hace más días", _days),
        (
            "--allow-mass-change",
            "permite desactivar o borrar a muchos a la vez, y no se detiene ante lo sospechoso",
            FLAG,
        ),
        ("--accept-low-quality", "guarda también las fotos de calidad insuficiente, marcadas en face_photos", FLAG),
        ("--max-minutes N", "termina en orden a los N minutos; la ejecución siguiente continúa", _minutes),
        ("--engine MOTOR", "local: en este equipo (por omisión); ray: en un clúster de Ray", {"choices": ENGINES}),
        ("--ray-address SERVIDOR", "con --engine ray: HOST:PUERTO de un clúster; sin ella, uno propio aquí", _server),
    ),
    "con qué": (
        (
            "--photos DIR",
            "sin MySQL ni servidor web: fotos en DIR/<crew_id>/<foto>, embeddings en DIR/embeddings.db",
            _path,
        ),
        ("--model NOMBRE", "modelo de DeepFace (por omisión, FACE_MODEL: Facenet512)", _given),
        ("--detector NOMBRE", "detector de rostros (por omisión, FACE_DETECTOR: mtcnn)", _given),
    ),
    "en lugar de procesar": (
        ("--check", "comprueba todo lo que hace falta para ejecutar y dice qué hacer; no escribe nada", FLAG),
        ("--history", "muestra las últimas ejecuciones", FLAG),
        ("--forget ID", "borra todo lo que se guarda de esta persona", _crew_id),
        ("--print-schema", "escribe el SQL de las tablas que faltan", FLAG),
    ),
    "preguntas a la galería": (
        (
            "--match FOTO",
            "quién sale en estas fotos (archivos, carpetas o direcciones)",
            {"nargs": "+"},  # an empty one is a photo that fails: the others are answered
        ),
        ("--audit", "compara a todos con todos: fotos repetidas y personas que se parecen demasiado", FLAG),
        (
            "--accept ID",
            "con --audit: estas dos personas se miraron y están bien; no vuelven hasta que cambie una foto",
            {"nargs": 2, "type": lambda text: _crew_id(text).strip()},  # a space lets an id begin with a hyphen
        ),
        ("--operating-point", "mide con su propia gente qué errores da cada umbral, y aconseja uno", FLAG),
        ("--target-fpir Q", "con --operating-point: parte de los desconocidos que se acepta confundir (0,01)", _share),
        ("--people N", "con --operating-point: para un evento con N personas inscritas", _people),
        (
            "--probes DIR",
            "con --operating-point: otras fotos, en DIR/<crew_id>/, y a quién no reconoce",
            _path,
        ),
        (
            "--export ARCHIVO",
            "entrega los vectores a otro servicio: .npy, .npz (DeepFace), .faiss o .parquet; no cambia la tabla",
            _given,
        ),
    ),
    "qué mostrar": (
        ("--json ARCHIVO", "escribe la ejecución como JSON («-»: salida estándar)", _given),
        ("--metrics ARCHIVO", "escribe métricas para Prometheus (textfile collector de node exporter)", _plain_file),
        ("--quiet", "solo habla si hay algo nuevo que atender: para cron", FLAG),
        ("--no-thumbnails", "el informe logs/report.html no lleva fotos", FLAG),
        ("--debug", "registro detallado y tiempos de cada etapa", FLAG),
        (
            "--version",
            "muestra la versión y termina",
            {"action": "version", "version": f"face-embeddings {VERSION}"},
        ),
        ("-h --help", "muestra esta ayuda y termina", {"action": "help"}),
    ),
}


class SpanishFormatter(argparse.RawDescriptionHelpFormatter):
    """Writes `uso` instead of `usage`."""

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        super().add_usage(usage, actions, groups, prefix or "uso: ")


class SpanishParser(argparse.ArgumentParser):
    """Complains in Spanish, with exit code 2, also where the caller closed standard output and error."""

    def error(self, message: str) -> NoReturn:
        for english, spanish in TRANSLATIONS:
            message = re.sub(english, spanish, message)
        self.print_usage(sys.stderr)
        self.exit(EXIT_NOT_STARTED, f"Error: {message}\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        if file or sys.stderr:
            super()._print_message(message, file)


def build_parser() -> argparse.ArgumentParser:
    parser = SpanishParser(
        prog="./run_embeddings.sh",
        # A fixed width, so that docs/uso.md can hold the text.
        formatter_class=partial(SpanishFormatter, width=96, max_help_position=28),
        add_help=False,
        allow_abbrev=False,  # run_embeddings.sh looks for the word --demo, unabbreviated
        description="Genera los embeddings faciales de los tripulantes activos y los guarda en face_embeddings.",
        epilog=(
            "Sin opciones hace lo mismo que --all. Códigos de salida: 0 todo bien; 1 algunos tripulantes con error,\n"
            "o un cambio masivo retenido; 2 no se pudo empezar; 3 base de datos o pesos no disponibles, o detenido\n"
            "por sospechoso o por un error inesperado; 4 ya hay otra ejecución en marcha; 129, 130 y 143\n"
            "interrumpido.\n"
            "Con --check: 0 todo bien, 1 hay avisos, 2 no se puede ejecutar."
        ),
    )
    for title, options in GROUPS.items():
        group = parser.add_argument_group(title)
        target = group.add_mutually_exclusive_group() if title == EXCLUSIVE else group
        for words, help_text, of in options:
            names = [word for word in words.split() if word.startswith("-")]
            settings: dict[str, Any] = dict(of) if isinstance(of, dict) else {"type": of}
            if names != words.split():
                settings["metavar"] = words.split()[-1]
            target.add_argument(*names, help=help_text, **settings)
    return parser


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options. Ends the process with exit code 2 when they make no sense, and with 0 after `--help`."""
    parser = build_parser()
    options = parser.parse_args(words)
    values = vars(options).items()  # 0 is a value, too
    given = {f"--{name.replace('_', '-')}" for name, value in values if value is not None and value is not False}
    for these, excluded in EXCLUDED:
        for one, other in product(these, excluded):
            if one != other and {one, other} <= given:
                parser.error(f"argument {other}: not allowed with argument {one}")
    for one, other in NEEDED.items():
        if one in given and other not in given:
            parser.error(f"argument {one}: needs argument {other}")
    if options.ray_address is not None and options.engine != RAY:
        parser.error("argument --ray-address: needs argument --engine ray")
    return options
