"""Write the findings of `--check`: the lines of a table, a closing sentence, and the document for `--json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.cells import set_cell_size

from app.checkup.finding import BROKEN, INTERRUPTED, OK, UNCHECKED, WARNING, Finding
from app.core.spanish import inflect, say_all
from app.core.text import as_utf8, printable
from app.errors import EXIT_NOT_STARTED, EXIT_OK, EXIT_SOME_FAILED
from app.reports.console import fold

MARKS = {OK: "🟢 bien", WARNING: "🟡 aviso", BROKEN: "🔴 falla", UNCHECKED: "⚪ sin ver"}
AREAS = {
    "settings": "Ajustes",
    "machine": "Este equipo",
    "database": "Base de datos",
    "tables": "Tablas del programa",
    "roster": "Padrón",
    "photos": "Servidor de fotos",
    "model": "Modelo",
    "runs": "Ejecuciones",
}
LABELS = {
    "file": "Archivo .env",
    "env_rights": "Permisos de .env",
    "env_name": "Nombre en .env",
    "env_line": "Línea de .env",
    "env_twice": "Repetido en .env",
    "values": "Valores",
    "python": "Python",
    "memory": "Memoria",
    "logs_folder": "Registros",
    "logs_space": "Disco: registros",
    "log_files": "Registros",
    "temp_folder": "Temporales",
    "temp_space": "Disco: temporales",
    "weights_folder": "Carpeta de pesos",
    "weights_space": "Disco: pesos",
    "reach": "Conexión",
    "version": "Versión",
    "latency": "Respuesta",
    "clock": "Hora",
    "encryption": "Cifrado",
    "certificate": "Certificado",
    "packet": "Tamaño de orden",
    "wait_timeout": "Espera",
    "read_only": "Escritura",
    "gallery_rights": "Permisos",
    "own_rights": "Permisos",
    "to_create": "Por crear",
    "columns": "Columnas",
    "confidence": "Columna",
    "embedding": "Columna",
    "stranger": "Columna",
    "index": "Índice",
    "unique": "Clave única",
    "engine": "Motor",
    "table": "Tabla",
    "active": "Activos",
    "no_photo": "Sin foto",
    "duplicate_ids": "Repetidos",
    "several_photos": "Varias fotos",
    "bad_names": "Nombres",
    "id_length": "Identificadores",
    "id_kind": "Identificadores",
    "url_length": "Direcciones",
    "charset": "Caracteres",
    "equal_ids": "Ids parecidos",
    "address": "Dirección",
    "validators": "Cambios",
    "image": "Imagen",
    "weights": "Pesos",
    "load": "Carga",
    "golden": "Rostro control",
    "speed": "Rapidez",
    "contract": "Vectores",
    "lock": "Bloqueo",
    "last": "Última",
    "dead": "Murieron",
    "set_aside": "Apartadas",
    "failed": "Error",
    "unexpected": "Error",
}
MARK_CELLS, LABEL_CELLS = 11, 18
INDENT = " " * (2 + MARK_CELLS + LABEL_CELLS)
WIDE_MARK = 1  # a mark fills two cells of the terminal, but `fold` counts one character


def finding_lines(finding: Finding, previous: Finding | None, width: int | None) -> list[str]:
    """Return one row of the table, under the heading of its area if `previous` is of another one.

    None for `width` folds nothing.
    """
    heading = [] if previous and previous.area == finding.area else ["", AREAS[finding.area]]
    label = LABELS.get(finding.name, "")
    start = "  " + set_cell_size(MARKS[finding.level], MARK_CELLS) + set_cell_size(label, LABEL_CELLS)
    row = fold(start + printable(finding.text), width and width - WIDE_MARK, INDENT)
    return [*heading, *row, *_advice(finding.advice, width)]


def _advice(advice: str, width: int | None) -> Iterator[str]:
    """Yield the advice; each of its lines (SQL, mostly) starts on a line of its own, so that it can be copied."""
    for number, line in enumerate(advice.splitlines()):
        start = INDENT + ("  " if number else "Qué hacer: ")
        yield from fold(start + printable(line), width, INDENT + "  ")


def closing_lines(findings: Sequence[Finding], width: int | None) -> list[str]:
    """Return the closing sentence, which says whether a run can start."""
    counts = Counter(finding.level for finding in findings)
    notes = [inflect(counts[WARNING], "# aviso[s]")] if counts[WARNING] else []
    notes += [f"{counts[UNCHECKED]} sin comprobar"] if counts[UNCHECKED] else []
    interrupted = [AREAS[finding.area] for finding in findings if finding.name == INTERRUPTED]
    if interrupted:
        verb = "falta" if len(interrupted) == 1 else "faltan"
        sentence = f"⚪ Comprobación interrumpida: {verb} {say_all(interrupted)}."
    elif counts[BROKEN]:
        summary = say_all([inflect(counts[BROKEN], "# falla[s]"), *notes])
        sentence = f"🔴 Así no se puede ejecutar: {summary}. Empiece por la primera 🔴 y repita --check."
    elif counts[WARNING]:
        sentence = f"🟡 Se puede ejecutar, con {say_all(notes)}. Conviene atenderlos."
    else:
        summary = say_all([inflect(counts[OK], "# [comprobación|comprobaciones]"), *notes])
        sentence = f"🟢 Todo listo para ejecutar: {summary}."
    return ["", *fold(sentence, width and width - WIDE_MARK, "   ")]


def decide_check_exit_code(findings: Sequence[Finding]) -> int:
    levels = {finding.level for finding in findings}
    if BROKEN in levels:
        return EXIT_NOT_STARTED
    return EXIT_SOME_FAILED if WARNING in levels else EXIT_OK


def check_document(findings: Sequence[Finding], exit_code: int) -> dict[str, Any]:
    """Return the findings as a document with stable keys, ready to serialise (docs/json.md)."""
    counts = Counter(finding.level for finding in findings)
    return {
        "summary": {"exit_code": exit_code} | {level: counts[level] for level in MARKS},
        "interrupted": any(finding.name == INTERRUPTED for finding in findings),
        "findings": [{key: as_utf8(value) for key, value in asdict(each).items()} for each in findings],
    }
