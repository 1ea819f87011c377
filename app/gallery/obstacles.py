"""Finds what no run could write into `face_embeddings` as it stands, or no question read, when another program made
it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Boolean, Enum, Float, Integer, Numeric, String, Table, select, type_coerce
from sqlalchemy.dialects.mysql import BIT, SET, TEXT, TINYBLOB, TINYTEXT
from sqlalchemy.exc import CompileError
from sqlalchemy.types import TypeEngine

from app.core.database import Database, unavailable
from app.core.shown_text import ShownText
from app.gallery.embeddings_table import BINARIES, NEEDED_COLUMNS, found_type
from app.gallery.reading import read_rows
from app.gallery.tables import TABLE

log = logging.getLogger(__name__)

WRITTEN = tuple(name for name in NEEDED_COLUMNS if name != "id")
NUMBERS = (Integer, Numeric, Float, Boolean, BIT)
CONFIDENCE_CHARACTERS = 4  # 0.97
NUMBER_CHARACTERS = 12  # of one number of a vector with its comma, as most are: -0.12345678,
LABELS = (Enum, SET)
BYTES: dict[type[TypeEngine[Any]], int] = {TINYTEXT: 255, TINYBLOB: 255, TEXT: 65_535}
CONFIDENCE = "DECIMAL(3,2) DEFAULT 1.00"
FLAG_ADVICE = (
    "Pida a quien administra la base que active sea BOOLEAN (1, la fila que vale; 0, las demás), y a quien mantiene el "
    "servicio de reconocimiento que lea active = TRUE."
)
ORDINARY = "Pida a quien administra la base una columna como la de docs/tabla.md."


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why no row can be written or read. `name` is stable and English; `text` and `advice` are Spanish, with SQL."""

    name: str
    text: str
    advice: str


def require_writable(database: Database, table: Table, model: str, dimensions: int) -> None:
    """Find out before anything is downloaded whether rows can be written, and warn of a table that will be slow.

    Raises DatabaseUnavailable with the first obstacle, DatabaseUnavailable when it cannot be read.
    """
    for obstacle in find_obstacles(database, table, model, dimensions):
        raise unavailable(database.url, obstacle.text, obstacle.advice)
    if not _is_indexed(table, "crew_id"):
        log.warning("La tabla %s no tiene índice por crew_id: cada lote la recorrerá entera", TABLE)


def require_readable(database: Database, table: Table) -> None:
    """Find out before rows are compared whether the ones in use can be told: nothing else hinders who only asks.

    Raises DatabaseUnavailable with the obstacle, DatabaseUnavailable when it cannot be read.
    """
    for obstacle in _Judge(database, table).active():
        raise unavailable(database.url, obstacle.text, obstacle.advice)


def find_obstacles(database: Database, table: Table, model: str, dimensions: int) -> Iterator[Obstacle]:
    """Yield what keeps every row of this model, with vectors of so many numbers, out of the table."""
    judge = _Judge(database, table)
    yield from judge.id()
    yield from judge.active()
    for name in WRITTEN:
        if table.c[name].computed is not None:
            yield Obstacle("computed", f"la columna {name} de {TABLE} es calculada: no se puede escribir", ORDINARY)
    yield from judge.confidence()
    for name, value in (("modelo", model), ("imagen_path", "")):
        yield from judge.text(name, value)
    yield from judge.embedding(model, dimensions * NUMBER_CHARACTERS)
    yield from judge.others()


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges the columns of one table."""

    database: Database
    table: Table

    def id(self) -> Iterator[Obstacle]:
        """Judge whether the database numbers the rows: only so does the program learn the id of a row it inserts."""
        column, kind = self.table.c.id, self._word("id")
        if column.autoincrement is True:
            return
        text = f"la base no numera la columna id de {TABLE} ({kind}): sin AUTO_INCREMENT no se sabe qué fila se guardó"
        key = self.table.primary_key.columns.keys()
        new_key = "PRIMARY KEY" if key in ([], ["id"]) else "UNIQUE"
        if isinstance(found_type(column), Integer):
            add_key = "" if _is_indexed(self.table, "id") else f", ADD {new_key} (id)"
            change = f"MODIFY id {kind} NOT NULL AUTO_INCREMENT{add_key}"
        else:
            drop_key = "DROP PRIMARY KEY, " if key == ["id"] else ""
            new = f"id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT {new_key} FIRST"
            change = f"{drop_key}DROP COLUMN id, ADD COLUMN {new}"
        advice = f"Si ningún otro programa usa esos id, pida a quien administra la base:\nALTER TABLE {TABLE} {change};"
        yield Obstacle("id", text, advice)

    def active(self) -> Iterator[Obstacle]:
        """Judge whether the service's `active = TRUE` tells the rows in use. MySQL compares an ENUM by the index of its
        label, so that `'0'` may be TRUE; a text by the number that it begins with. A number but 0 and 1 is not TRUE,
        and yet in use to whoever wrote it: its person would get a second row."""
        kind = found_type(self.table.c.active)
        found, advice = f"es {self._word('active')}", FLAG_ADVICE
        if isinstance(kind, (*NUMBERS, String)) and not isinstance(kind, LABELS) and _holds_one(kind):
            flag = type_coerce(self.table.c.active, ShownText(kind))
            strange = select(flag).where(flag.not_in(("0", "1"))).limit(1)
            rows = read_rows(self.database, strange)
            if not rows:
                return
            known = "'0', '1'" if isinstance(kind, String) else "0, 1"
            found = f"guarda «{rows[0].active}»"
            advice += f" Cuáles son:\nSELECT id, crew_id, active FROM {TABLE} WHERE active NOT IN ({known});"
        text = f"la columna active de {TABLE} {found}: con active = TRUE, como lee el servicio, no se sabe qué vale"
        yield Obstacle("active_type", text, advice)

    def confidence(self) -> Iterator[Obstacle]:
        kind = found_type(self.table.c.confidence)
        room = max_characters(kind)
        if isinstance(kind, NUMBERS) and not isinstance(kind, BIT):
            fits = _holds_one(kind)
        else:
            fits = _is_text(kind) and (room is None or room >= CONFIDENCE_CHARACTERS)
        if not fits:
            text = f"confidence es {self._word('confidence')}: no cabe un número de 0 a 1"
            yield Obstacle("confidence", text, f"ALTER TABLE {TABLE} MODIFY confidence {CONFIDENCE};")

    def text(self, name: str, value: str) -> Iterator[Obstacle]:
        """Judge whether the column takes this text, or any."""
        kind = found_type(self.table.c[name])
        room = max_characters(kind)
        if isinstance(kind, Enum):
            fits = value in kind.enums
        else:
            fits = _is_text(kind) and (room is None or len(value) <= room)
        if not fits:
            text = f"la columna {name} de {TABLE} es {self._word(name)}: no cabe {value or 'un texto'}"
            yield Obstacle(name, text, ORDINARY)

    def embedding(self, model: str, characters: int) -> Iterator[Obstacle]:
        column = self.table.c.embedding
        kind = found_type(column)
        room = max_characters(kind)
        if not _is_text(kind) or (room is not None and room < characters):
            word, ending = self._word("embedding"), "" if column.nullable else " NOT NULL"
            text = f"embedding es {word}: un vector de {model} necesita unos {characters} caracteres"
            yield Obstacle("embedding", text, f"ALTER TABLE {TABLE} MODIFY embedding LONGTEXT{ending};")

    def others(self) -> Iterator[Obstacle]:
        """Find columns that are mandatory and that the program does not fill."""
        for column in self.table.columns:
            optional = column.nullable or column.server_default is not None or column.computed is not None
            if column.name not in NEEDED_COLUMNS and not optional:
                text = f"la columna {column.name} de {TABLE} es obligatoria y el programa no la llena"
                change = f"MODIFY `{column.name}` {self._word(column.name)} NULL"
                yield Obstacle("stranger", text, f"ALTER TABLE {TABLE} {change};")

    def _word(self, name: str) -> str:
        """Return the column's type as SQL has it."""
        try:
            return found_type(self.table.c[name]).compile(self.database.engine.dialect)
        except CompileError:
            return "de un tipo que el programa no conoce"


def _is_indexed(table: Table, name: str) -> bool:
    """Tell whether an index begins with the column."""
    keys = [list(index.columns.keys()) for index in table.indexes]
    return any(key[:1] == [name] for key in [*keys, table.primary_key.columns.keys()])


def _holds_one(kind: TypeEngine[Any]) -> bool:
    """Tell whether a column of numbers has room for a 1."""
    precision = getattr(kind, "precision", None)
    return not isinstance(kind, Numeric) or precision is None or precision > (kind.scale or 0)


def _is_text(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, (String, JSON, *BINARIES)) and not isinstance(kind, LABELS)


def max_characters(kind: TypeEngine[Any]) -> int | None:
    """Return how many characters fit; None for any number."""
    return getattr(kind, "length", None) or BYTES.get(type(kind))
