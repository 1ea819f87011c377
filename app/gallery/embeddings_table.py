"""The table `face_embeddings`: as this program creates it, and as it finds one that another program made."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import (
    BINARY,
    TIMESTAMP,
    VARBINARY,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    TypeDecorator,
    inspect,
    text,
    true,
    type_coerce,
)
from sqlalchemy.dialects.mysql import LONGBLOB, LONGTEXT, MEDIUMBLOB, TINYBLOB
from sqlalchemy.engine.interfaces import ReflectedIndex
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.schema import CreateIndex
from sqlalchemy.types import TypeEngine

from app.core.database import Database, holding_off_others, unavailable
from app.core.shown_text import show_as_text
from app.gallery.reading import advising_the_denied
from app.gallery.tables import (
    ENGINE,
    MAX_ID_CHARACTERS,
    MYSQL,
    NO_TRANSACTIONS,
    TABLE,
    create_statement,
    tables_without_transactions,
)

log = logging.getLogger(__name__)

NEEDED_COLUMNS = ("id", "crew_id", "embedding", "modelo", "confidence", "imagen_path", "active")
COLUMNS_ADVICE = "Añada las columnas (docs/tabla.md trae la tabla), o renombre esa tabla para que se cree otra."
MAX_PATH_CHARACTERS = 3 * 4096  # the longest path of Linux, percent-encoded
FOUND = "found"  # the key of a column's information that holds its type in the database
BINARIES = (BINARY, VARBINARY, LargeBinary, TINYBLOB, MEDIUMBLOB, LONGBLOB)


class ActiveFlag(TypeDecorator[bool]):
    """Reads and writes `active` as the recognition service reads it: whether `active = TRUE`, whatever its type."""

    impl = Boolean
    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        return type_coerce(column, Integer) == 1


class PlainText(TypeDecorator[str]):
    """Text, whatever the column's type: for JSON, SQLAlchemy would encode our JSON a second time; bytes are UTF-8."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, _dialect: Dialect) -> Any:
        return value.decode(errors="replace") if isinstance(value, bytes | bytearray) else value


def define_table(*, mysql: bool) -> Table:
    """Define `face_embeddings` as this program creates it: in MySQL as the recognition service does; in SQLite, which
    no other program writes, with room for the names and the paths of folders."""
    now = "CURRENT_TIMESTAMP"
    return Table(
        TABLE,
        MetaData(),
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("crew_id", String(10 if mysql else MAX_ID_CHARACTERS), nullable=False),
        Column("embedding", Text().with_variant(LONGTEXT(), *MYSQL), nullable=False),
        Column("modelo", String(50), server_default="Facenet512"),
        # In quotes: what SQLAlchemy makes of a bare number, (1.00), is an error in MySQL before 8.0.13.
        Column("confidence", Numeric(3, 2), server_default=text("'1.00'" if mysql else "1.00")),
        Column("imagen_path", String(255 if mysql else MAX_PATH_CHARACTERS)),
        Column("active", Boolean, server_default=true()),
        Column("created_at", TIMESTAMP, nullable=True, server_default=text(now)),
        Column("updated_at", TIMESTAMP, nullable=True, server_default=text(f"{now} ON UPDATE {now}" if mysql else now)),
        Index("crew_active", "crew_id", "active"),
        **ENGINE,
    )


def table_statements(database: Database) -> Iterator[str]:
    """Yield the SQL that creates `face_embeddings`."""
    table, dialect = define_table(mysql=database.is_mysql), database.engine.dialect
    yield create_statement(table, dialect)
    yield from (str(CreateIndex(index).compile(dialect=dialect)).strip() for index in table.indexes)


def table_exists(database: Database) -> bool:
    """Say whether `face_embeddings` is there. Raises DatabaseUnavailable at once: it may be the first contact."""
    return database.exists and database.transaction(lambda each: inspect(each).has_table(TABLE), retry=False)


def open_table(database: Database) -> Table:
    """Return `face_embeddings` as it is in the database, created if it is missing.

    Raises DatabaseUnavailable, also for another program's table that lacks columns.
    """
    table = find_table(database, retry=True)
    if table is None:
        with advising_the_denied():
            database.transaction(_create)
        return open_table(database)
    for name, engine in database.transaction(tables_without_transactions).items():
        log.warning("La tabla %s es de motor %s, sin transacciones: %s", name, engine, NO_TRANSACTIONS)
    return table


def find_table(database: Database, *, retry: bool = False) -> Table | None:
    """Return `face_embeddings` as it is in the database; None when it is missing. Creates nothing.

    Raises DatabaseUnavailable as `open_table` does; without `retry` at once, for the first contact.
    """
    if not database.exists:
        return None
    with advising_the_denied():
        table = database.transaction(reflect, retry=retry)
    missing = [] if table is None else missing_columns(table.c.keys())
    if table is not None and missing:
        found = f"a la tabla {TABLE} le falta {', '.join(missing)}. Tiene: {', '.join(table.c.keys())}"
        raise unavailable(database.url, found, COLUMNS_ADVICE)
    return table


def missing_columns(columns: Collection[str]) -> list[str]:
    """Return the columns that this program needs and a table with `columns` lacks."""
    return [name for name in NEEDED_COLUMNS if name not in columns]


def _create(connection: Connection) -> None:
    with holding_off_others(connection, TABLE):  # another run may create it meanwhile
        define_table(mysql=connection.dialect.name != "sqlite").create(connection, checkfirst=True)


def reflect(connection: Connection) -> Table | None:
    """Return `face_embeddings` with its types as this program uses them; None when it is missing."""
    try:
        table = Table(
            TABLE, MetaData(), autoload_with=connection, resolve_fks=False, listeners=[("column_reflect", _lower_name)]
        )
    except NoSuchTableError:
        return None
    for column in table.columns:
        column.info[FOUND] = column.type
        if column.name == "active":
            column.type = ActiveFlag()
        elif column.name in ("crew_id", "modelo", "imagen_path"):
            show_as_text(column)
        elif column.name == "embedding" or (column.name in NEEDED_COLUMNS and isinstance(column.type, BINARIES)):
            column.type = PlainText()
        elif column.name == "id":
            column.autoincrement = _numbers(connection, column)
    return table


def _numbers(connection: Connection, column: Column[Any]) -> bool:
    """Tell whether the database gives each new row a number of its own in the column `id`."""
    if connection.dialect.name == "sqlite":  # only this word makes the column the number of the row
        declared = text(f"SELECT type FROM pragma_table_info('{TABLE}') WHERE lower(name) = 'id' AND pk")  # noqa: S608
        return str(connection.execute(declared).scalar()).upper() == "INTEGER"
    # A view does not tell what the table that it shows does.
    return column.autoincrement is True or TABLE in inspect(connection).get_view_names()


def found_type(column: Column[Any]) -> TypeEngine[Any]:
    """Return the type that a column of `face_embeddings` has in the database, or will have."""
    found: TypeEngine[Any] = column.info.get(FOUND, column.type)
    return found


def _lower_name(_schema: object, _table: Table, column: dict[str, Any]) -> None:
    column["name"] = column["name"].lower()  # the database tells no `Crew_ID` from crew_id


def leads_to_ids(index: ReflectedIndex) -> bool:
    """Say whether an index of `face_embeddings` finds rows by crew id."""
    return [name and name.lower() for name in index["column_names"][:1]] == ["crew_id"]
