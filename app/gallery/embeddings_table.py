"""The table `face_embeddings`: created when missing, accepted as it stands when another program made it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager

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

from app.core.database import (
    ACCESS_DENIED_DATABASE,
    COLUMN_DENIED,
    TABLE_DENIED,
    Database,
    describe_url,
    holding_off_others,
)
from app.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

TABLE = "face_embeddings"
NEEDED_COLUMNS = ("id", "crew_id", "embedding", "modelo", "confidence", "imagen_path", "active")
COLUMNS_ADVICE = "Añada las columnas (el README trae la tabla), o renombre esa tabla para que se cree otra."
DENIED = (ACCESS_DENIED_DATABASE, TABLE_DENIED, COLUMN_DENIED)
DENIED_ADVICE = "Ejecute --print-schema y entregue ese SQL a quien administra la base: al usuario le faltan permisos."


@contextmanager
def advising_the_denied(advice: str = DENIED_ADVICE) -> Iterator[None]:
    """Give this advice with a DatabaseUnavailable that is for want of a right."""
    try:
        yield
    except DatabaseUnavailable as error:
        if getattr(getattr(error.__cause__, "orig", None), "errno", 0) in DENIED:
            error.advice = advice
        raise


def define_table(*, mysql: bool) -> Table:
    """The table as this program creates it."""
    now = "CURRENT_TIMESTAMP"
    return Table(
        TABLE,
        MetaData(),
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("crew_id", String(10), nullable=False),
        Column("embedding", Text().with_variant(LONGTEXT(), "mysql", "mariadb"), nullable=False),
        Column("modelo", String(50), server_default="Facenet512"),
        Column("confidence", Numeric(3, 2), server_default=text("1.00")),
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


def open_table(database: Database) -> Table:
    """The table as it is in the database, created if need be. Raises DatabaseUnavailable when it cannot serve."""
    with advising_the_denied():
        table = _open(database)
    refuse_incomplete(database, table)
    return table


def refuse_incomplete(database: Database, table: Table) -> None:
    """Raises DatabaseUnavailable when another program's table lacks what we need."""
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


def _open(database: Database) -> Table:
    try:
        return database.transaction(_reflect)
    except NoSuchTableError:
        new = define_table(mysql=database.is_mysql)
        database.transaction(lambda connection: _create(connection, new))
        return database.transaction(_reflect)


def _create(connection: Connection, table: Table) -> None:
    """Create the table, unless another run does so at this very moment."""
    with holding_off_others(connection, table.name):
        table.create(connection, checkfirst=True)


def _reflect(connection: Connection) -> Table:
    table = Table(TABLE, MetaData(), autoload_with=connection, resolve_fks=False)
    if "embedding" in table.c:
        # As text whatever its type: SQLAlchemy would wrap our JSON once more for a column of type JSON.
        table.c.embedding.type = Text()
    if not any(index["column_names"][:1] == ["crew_id"] for index in inspect(connection).get_indexes(TABLE)):
        log.warning("La tabla %s no tiene índice por crew_id: cada lote la recorrerá entera", TABLE)
    return table
