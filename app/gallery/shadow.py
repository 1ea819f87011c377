"""A copy of the gallery in memory, for a plan on a database whose tables are not ready: a plan writes nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, MetaData, Table, Text, func, insert, inspect, select, type_coerce

from app.core.config import Settings
from app.core.database import Database
from app.gallery.embeddings_table import TABLE, advising_the_denied, define_table, refuse_incomplete
from app.gallery.own_tables import PHOTOS
from app.gallery.schema_migrations import read_version, steps

IN_MEMORY = "sqlite://"
VECTOR = "embedding"


def is_prepared(database: Database) -> bool:
    """Whether all tables are there in their present form. Makes no SQLite file. Raises DatabaseUnavailable."""
    if not database.exists:
        return False

    def look(connection: Connection) -> bool:
        return inspect(connection).has_table(TABLE) and read_version(connection) >= len(steps(mysql=False))

    with advising_the_denied():
        return database.transaction(look, retry=False)  # the first contact: a wrong port is said at once


def shadow_of(database: Database, settings: Settings) -> Database:
    """The rows of `face_embeddings`, and those of the former release's `face_photos`, as far as they exist, in a
    database of its own, where a vector is no more than its commas. Raises DatabaseUnavailable."""
    shadow = Database(Settings(**settings.model_dump() | {"DB_URL": IN_MEMORY}))
    shadow.transaction(define_table(mysql=False).create)
    for change in steps(mysql=False)[0]:
        shadow.transaction(change)
    if database.exists:
        with advising_the_denied():
            for name in (TABLE, PHOTOS.name):
                _copy(database, shadow, name)
    return shadow


def _copy(source: Database, target: Database, name: str) -> None:
    """The columns that both have."""
    theirs = source.transaction(lambda connection: _reflect(connection, name))
    ours = target.transaction(lambda connection: _reflect(connection, name))
    if theirs is None or ours is None:
        return
    if name == TABLE:
        refuse_incomplete(source, theirs)
    columns = [column.name for column in ours.columns if column.name in theirs.c]
    query = select(*(_commas(theirs) if column == VECTOR else theirs.c[column] for column in columns))
    found = source.transaction(lambda connection: connection.execute(query).mappings().all())
    rows = [_with_commas(dict(row)) for row in found]
    target.in_chunks(rows, lambda connection, chunk: connection.execute(insert(ours), chunk))


def _commas(table: Table) -> ColumnElement[Any]:
    """How many there are in a vector: its dimensions are counted by them, and nothing else of it is needed here."""
    text = type_coerce(table.c[VECTOR], Text)
    return (func.length(text) - func.length(func.replace(text, ",", ""))).label(VECTOR)


def _with_commas(row: dict[str, Any]) -> dict[str, Any]:
    return row | {VECTOR: "," * int(row[VECTOR] or 0)} if VECTOR in row else row


def _reflect(connection: Connection, name: str) -> Table | None:
    if not inspect(connection).has_table(name):
        return None
    return Table(name, MetaData(), autoload_with=connection, resolve_fks=False)
