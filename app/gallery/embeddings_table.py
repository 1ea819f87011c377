"""The table `face_embeddings`: created when missing, accepted as it stands when another program made it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator

from sqlalchemy import (
    TIMESTAMP,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    inspect,
    text,
    true,
)
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.schema import CreateIndex, CreateTable

from app.core.database import (
    Database,
    describe_url,
    holding_off_others,
)
from app.errors import DatabaseUnavailable
from app.gallery.reading import advising_the_denied

log = logging.getLogger(__name__)

TABLE = "face_embeddings"
NEEDED_COLUMNS = ("id", "crew_id", "embedding", "modelo", "confidence", "imagen_path", "active")
COLUMNS_ADVICE = "Añada las columnas (docs/tabla.md trae la tabla), o renombre esa tabla para que se cree otra."


def define_table(*, mysql: bool) -> Table:
    """Define the table as this program creates it."""
    now = "CURRENT_TIMESTAMP"
    return Table(
        TABLE,
        MetaData(),
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("crew_id", String(10), nullable=False),
        Column("embedding", Text().with_variant(LONGTEXT(), "mysql", "mariadb"), nullable=False),
        Column("modelo", String(50), server_default="Facenet512"),
        # In quotes: what SQLAlchemy makes of a bare number, (1.00), is an error in MySQL before 8.0.13.
        Column("confidence", Numeric(3, 2), server_default=text("'1.00'" if mysql else "1.00")),
        Column("imagen_path", String(255)),
        Column("active", Boolean, server_default=true()),
        Column("created_at", TIMESTAMP, nullable=True, server_default=text(now)),
        Column(
            "updated_at",
            TIMESTAMP,
            nullable=True,
            server_default=text(f"{now} ON UPDATE {now}" if mysql else now),
        ),
        Index("crew_active", "crew_id", "active"),
    )


def table_statements(database: Database) -> Iterator[str]:
    """Yield the SQL that creates the table."""
    table, dialect = define_table(mysql=database.is_mysql), database.engine.dialect
    yield str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)).strip()
    yield from (str(CreateIndex(index).compile(dialect=dialect)).strip() for index in table.indexes)


def table_exists(database: Database) -> bool:
    """Say whether the table is in the database. Raises DatabaseUnavailable at once: it may be the first contact."""
    return database.exists and database.transaction(lambda each: inspect(each).has_table(TABLE), retry=False)


def open_table(database: Database) -> Table:
    """Return the table as it is in the database, created if it is missing.

    Raises DatabaseUnavailable, also for another program's table that lacks columns.
    """
    table = find_table(database, retry=True)
    if table is None:
        new = define_table(mysql=database.is_mysql)
        with advising_the_denied():
            database.transaction(lambda connection: _create(connection, new))
        return open_table(database)
    return table


def find_table(database: Database, *, retry: bool = False) -> Table | None:
    """Return the table as it is in the database; None when it is missing. Creates nothing.

    Raises DatabaseUnavailable as `open_table` does; without `retry` at once, for the first contact.
    """
    if not database.exists:
        return None
    with advising_the_denied():
        table = database.transaction(_reflect, retry=retry)
    if table is not None:
        _refuse_incomplete(database, table)
    return table


def _refuse_incomplete(database: Database, table: Table) -> None:
    missing = missing_columns(table.c.keys())
    if missing:
        raise DatabaseUnavailable(
            f"Conexión a base de datos: {describe_url(database.url)}: a la tabla {TABLE} le falta "
            f"{', '.join(missing)}. Tiene: {', '.join(table.c.keys())}",
            COLUMNS_ADVICE,
        )


def missing_columns(columns: Collection[str]) -> list[str]:
    """Return the columns that this program needs and a table with `columns` lacks."""
    return [name for name in NEEDED_COLUMNS if name not in columns]


def _create(connection: Connection, table: Table) -> None:
    """Create the table, unless another run has created it while this one waited for the lock."""
    with holding_off_others(connection, table.name):
        table.create(connection, checkfirst=True)


def _reflect(connection: Connection) -> Table | None:
    try:
        table = Table(TABLE, MetaData(), autoload_with=connection, resolve_fks=False)
    except NoSuchTableError:
        return None
    if "embedding" in table.c:
        # Text, whatever the column's type: for JSON, SQLAlchemy would encode our JSON a second time.
        table.c.embedding.type = Text()
    if not any(index["column_names"][:1] == ["crew_id"] for index in inspect(connection).get_indexes(TABLE)):
        log.warning("La tabla %s no tiene índice por crew_id: cada lote la recorrerá entera", TABLE)
    return table
