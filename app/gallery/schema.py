"""The tables: `face_embeddings`, created when missing and accepted as it stands when another program made it, and
`face_photos`, which is ours: one row for each member, what was seen of the photo and what became of it.
"""

from __future__ import annotations

import logging

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
    func,
    inspect,
    select,
    text,
    true,
)
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.exc import NoSuchTableError

from app.core.database import Database, describe_url
from app.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

TABLE, LEDGER = "face_embeddings", "face_photos"
LOCK_TIMEOUT_S = 30
MAX_LOCK_CHARACTERS = 64  # MySQL's limit
MAX_ID_CHARACTERS = 64  # of a crew id in the ledger
NEEDED_COLUMNS = ("id", "crew_id", "embedding", "modelo", "confidence", "imagen_path", "active")


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


def define_ledger(*, mysql: bool) -> Table:
    """`face_photos`. Ids are compared byte by byte: to a roster, `a1` and `A1` may be two people."""
    binary = "utf8mb4_bin" if mysql else None
    return Table(
        LEDGER,
        MetaData(),
        Column("crew_id", String(MAX_ID_CHARACTERS, collation=binary), primary_key=True),
        Column("url", Text),
        Column("sha256", String(64)),
        Column("perceptual_hash", String(16)),
        Column("grey", Text),  # hexadecimal: 24 x 24 pixels, which tell two like hashes apart
        Column("width", Integer),
        Column("height", Integer),
        Column("faces_seen", Integer),
        Column("box", String(64)),  # JSON: x, y, width, height in pixels of the upright original
        Column("attempt", String(20)),
        Column("confidence", Numeric(4, 3)),
        Column("quality", Text),  # JSON: value, score and verdict by component
        Column("quality_verdict", String(12)),
        Column("quality_component", String(64)),
        Column("code", String(40)),  # of the failure; NULL for those in the gallery
        Column("detail", Text),
        Column("embedding_id", Integer),
        Column("seen_at", TIMESTAMP, nullable=True, server_default=text("CURRENT_TIMESTAMP")),
    )


def open_ledger(database: Database) -> Table:
    """`face_photos`, created if need be. Raises DatabaseUnavailable."""
    table = define_ledger(mysql=database.is_mysql)
    if not database.transaction(lambda connection: inspect(connection).has_table(LEDGER)):
        database.transaction(lambda connection: _create(connection, table, mysql=database.is_mysql))
    return table


def open_table(database: Database) -> Table:
    """The table as it is in the database, created if need be. Raises DatabaseUnavailable when it cannot serve."""
    try:
        table = database.transaction(_reflect, retry=False)  # the first contact: a wrong port is said at once
    except NoSuchTableError:
        new = define_table(mysql=database.is_mysql)
        database.transaction(lambda connection: _create(connection, new, mysql=database.is_mysql))
        table = database.transaction(_reflect)
    missing = [name for name in NEEDED_COLUMNS if name not in table.c]
    if missing:
        raise DatabaseUnavailable(
            f"Conexión a base de datos: {describe_url(database.url)}: a la tabla {TABLE} le falta "
            f"{', '.join(missing)}. Tiene: {', '.join(table.c.keys())}",
            "Añada las columnas (el README trae la tabla), o renombre esa tabla para que se cree otra.",
        )
    return table


def _create(connection: Connection, table: Table, *, mysql: bool) -> None:
    """Create the table, unless another run does so at this very moment: a transaction does not hold that off."""
    name = f"{table.name} {connection.engine.url.database}"[:MAX_LOCK_CHARACTERS]
    if mysql:
        connection.execute(select(func.get_lock(name, LOCK_TIMEOUT_S)))
    try:
        table.create(connection, checkfirst=True)
    finally:
        if mysql:
            connection.execute(select(func.release_lock(name)))


def _reflect(connection: Connection) -> Table:
    table = Table(TABLE, MetaData(), autoload_with=connection, resolve_fks=False)
    if "embedding" in table.c:
        # As text whatever its type: SQLAlchemy would wrap our JSON once more for a column of type JSON.
        table.c.embedding.type = Text()
    if not any(index["column_names"][:1] == ["crew_id"] for index in inspect(connection).get_indexes(TABLE)):
        log.warning("La tabla %s no tiene índice por crew_id: cada lote la recorrerá entera", TABLE)
    return table
