"""The gallery's tables: what they hold, and how they are made.

face_embeddings  the vectors, for the recognition service; accepted as it stands when another program made it
face_schema      the version of the program's own tables, which are all the following ones
face_photos      one row for each member: what was last seen of the photo, and what became of it
face_vectors     one row for each row of `face_embeddings`: its photo and the embedding spec that made it
face_contracts   what the digest of each embedding spec stands for
face_attempts    members under way; a row that is left after a run died is a crash suspect
face_runs        one row for each run

Times in the own tables are UTC.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import (
    TIMESTAMP,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Index,
    Inspector,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    false,
    func,
    inspect,
    select,
    text,
    true,
)
from sqlalchemy.dialects.mysql import LONGTEXT, MEDIUMBLOB
from sqlalchemy.engine.interfaces import ReflectedIndex
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from app.core.database import Database, holding_off_others, unavailable
from app.core.shown_text import show_as_text
from app.errors import DatabaseUnavailable
from app.gallery.reading import advising_the_denied, read_rows

log = logging.getLogger(__name__)

TABLE = "face_embeddings"
NEEDED_COLUMNS = ("id", "crew_id", "embedding", "modelo", "confidence", "imagen_path", "active")
COLUMNS_ADVICE = "Añada las columnas (docs/tabla.md trae la tabla), o renombre esa tabla para que se cree otra."
FIRST_VERSION = 3  # tables of versions 1 and 2 were only used while the program was developed
MAX_ID_CHARACTERS = 64  # of a crew id; ids are compared byte by byte: to a roster, `a1` and `A1` may be two people
MYSQL = ("mysql", "mariadb")
# Whatever the database's own characters are: a photo's name may be in any language.
CHARACTERS = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
OPTIONS: dict[str, Any] = {f"{dialect}_{name}": value for dialect in MYSQL for name, value in CHARACTERS.items()}

METADATA = MetaData()
PHOTOS = Table(
    "face_photos",
    METADATA,
    Column("crew_id", String(MAX_ID_CHARACTERS), primary_key=True),
    Column("url", Text),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("size_bytes", BigInteger),
    Column("sha256", String(64)),
    Column("perceptual_hash", String(16)),
    Column("grey", Text),  # hexadecimal: 24 x 24 pixels, which tell similar hashes apart
    Column("width", Integer),
    Column("height", Integer),
    Column("faces_seen", Integer),
    Column("box", String(64)),  # JSON: x, y, width, height in pixels of the upright original
    Column("attempt", String(20)),
    Column("confidence", Numeric(4, 3)),
    Column("quality", Text),  # JSON: value, score and verdict by component
    Column("quality_verdict", String(12)),
    Column("quality_component", String(64)),
    Column("thumbnail", LargeBinary().with_variant(MEDIUMBLOB(), *MYSQL)),  # JPEG, of what the report shows
    Column("code", String(40)),  # of the failure; NULL when the photo is in the gallery
    Column("stage", String(20)),  # where it failed: two errors of one code may have two
    Column("detail", Text),
    Column("judged_by", String(16)),  # digest of the rules that the photo failed by
    Column("failures", Integer),  # in a row
    Column("tried_at", DateTime),  # when the photo was last processed
    Column("checked_at", DateTime),  # when its server was last asked whether it had changed
    Column("left_at", DateTime),  # when the member was first missing from the roster
    **OPTIONS,
)
VECTORS = Table(
    "face_vectors",
    METADATA,
    Column("embedding_id", Integer, primary_key=True, autoincrement=False),
    Column("crew_id", String(MAX_ID_CHARACTERS), nullable=False),  # empty for an id that is too long
    Column("contract", String(16)),  # NULL: adopted from another program
    Column("sha256", String(64)),
    Column("perceptual_hash", String(16)),
    Column("grey", Text),
    Column("staged", Boolean, nullable=False, server_default=false()),  # made by --migrate, waiting for the switch
    **OPTIONS,
)
CONTRACTS = Table(
    "face_contracts",
    METADATA,
    Column("digest", String(16), primary_key=True),
    Column("meaning", Text),
    Column("first_used_at", DateTime),
    Column("golden", Text),  # JSON: the vector of the built-in picture
    **OPTIONS,
)
ATTEMPTS = Table(
    "face_attempts",
    METADATA,
    Column("crew_id", String(MAX_ID_CHARACTERS), primary_key=True),
    Column("url", Text),
    Column("run_id", Integer),
    Column("deaths", Integer),  # runs that died while the member was under way
    **OPTIONS,
)
RUNS = Table(
    "face_runs",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("started_at", DateTime),
    Column("ended_at", DateTime),  # NULL: under way, or killed
    Column("host", String(255)),
    Column("pid", Integer),
    Column("options", Text),  # JSON
    Column("contract", String(16)),
    Column("counts", Text),  # JSON: by outcome, by code, by what was planned
    Column("stages_ms", Text),  # JSON: mean of each stage
    Column("processed", Integer),  # members that went through the stages
    Column("seconds", Numeric(10, 3)),
    Column("exit_code", Integer),
    Column("error", Text),
    Column("rows_left", Integer),  # after deleting people: how many of their rows are left
    sqlite_autoincrement=True,
    **OPTIONS,
)
VERSIONS = Table("face_schema", METADATA, Column("version", Integer, primary_key=True, autoincrement=False), **OPTIONS)
# The column that each version after FIRST_VERSION adds. A published change is never edited.
CHANGES: dict[int, Column[Any]] = {4: PHOTOS.c.stage}
VERSION = max(CHANGES)


def define_table(*, mysql: bool) -> Table:
    """Define `face_embeddings` as this program creates it."""
    now = "CURRENT_TIMESTAMP"
    return Table(
        TABLE,
        MetaData(),
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("crew_id", String(10), nullable=False),
        Column("embedding", Text().with_variant(LONGTEXT(), *MYSQL), nullable=False),
        Column("modelo", String(50), server_default="Facenet512"),
        # In quotes: what SQLAlchemy makes of a bare number, (1.00), is an error in MySQL before 8.0.13.
        Column("confidence", Numeric(3, 2), server_default=text("'1.00'" if mysql else "1.00")),
        Column("imagen_path", String(255)),
        Column("active", Boolean, server_default=true()),
        Column("created_at", TIMESTAMP, nullable=True, server_default=text(now)),
        Column("updated_at", TIMESTAMP, nullable=True, server_default=text(f"{now} ON UPDATE {now}" if mysql else now)),
        Index("crew_active", "crew_id", "active"),
    )


def table_statements(database: Database) -> Iterator[str]:
    """Yield the SQL that creates `face_embeddings`."""
    table, dialect = define_table(mysql=database.is_mysql), database.engine.dialect
    yield str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)).strip()
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
    return table


def find_table(database: Database, *, retry: bool = False) -> Table | None:
    """Return `face_embeddings` as it is in the database; None when it is missing. Creates nothing.

    Raises DatabaseUnavailable as `open_table` does; without `retry` at once, for the first contact.
    """
    if not database.exists:
        return None
    with advising_the_denied():
        table = database.transaction(_reflect, retry=retry)
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


def _reflect(connection: Connection) -> Table | None:
    try:
        table = Table(
            TABLE, MetaData(), autoload_with=connection, resolve_fks=False, listeners=[("column_reflect", _lower_name)]
        )
    except NoSuchTableError:
        return None
    if "embedding" in table.c:
        # Text, whatever the column's type: for JSON, SQLAlchemy would encode our JSON a second time.
        table.c.embedding.type = Text()
    for name in {"crew_id", "modelo", "imagen_path"} & set(table.c.keys()):
        show_as_text(table.c[name])
    if not any(leads_to_ids(index) for index in inspect(connection).get_indexes(TABLE)):
        log.warning("La tabla %s no tiene índice por crew_id: cada lote la recorrerá entera", TABLE)
    return table


def _lower_name(_schema: object, _table: Table, column: dict[str, Any]) -> None:
    column["name"] = column["name"].lower()  # the database tells no `Crew_ID` from crew_id


def read_columns(schema: Inspector) -> dict[str, dict[str, Any]]:
    """Return what the database says of the columns of `face_embeddings`, by name in lower case."""
    return {column["name"].lower(): dict(column) for column in schema.get_columns(TABLE)}


def leads_to_ids(index: ReflectedIndex) -> bool:
    """Say whether an index of `face_embeddings` finds rows by crew id."""
    return [name and name.lower() for name in index["column_names"][:1]] == ["crew_id"]


def open_own_tables(database: Database) -> None:
    """Create the own tables that are missing, and bring older ones to VERSION.

    Raises DatabaseUnavailable, also when the user lacks a right or a newer program made the tables.
    """
    if check_version(database) == VERSION:
        return
    try:
        with advising_the_denied():
            database.transaction(_bring_up_to_date)
    except DatabaseUnavailable as error:
        raise DatabaseUnavailable(f"{error} (al preparar las tablas del programa)", error.advice) from error


def check_version(database: Database) -> int:
    """Return `read_version`. Raises DatabaseUnavailable for tables that this program cannot bring to VERSION."""
    version = read_version(database)
    if 0 < version < FIRST_VERSION:
        names = ", ".join(table.name for table in METADATA.sorted_tables)
        older = f"las tablas del programa son de una versión de prueba ({version})"
        raise unavailable(database.url, older, f"Borre {names}: la próxima ejecución las crea de nuevo.")
    if version > VERSION:
        newer = f"las tablas son de una versión más nueva del programa ({version}; esta conoce hasta la {VERSION})"
        raise unavailable(database.url, newer, "Use la versión nueva del programa también en este equipo.")
    return version


def read_version(database: Database, *, retry: bool = True) -> int:
    """Return the version of the own tables; 0 when they are still to be made. Raises DatabaseUnavailable."""
    rows = read_rows(database, select(func.max(VERSIONS.c.version)), retry=retry)
    return next((row[0] for row in rows), None) or 0


def pending_statements(version: int, dialect: Dialect) -> Iterator[str]:
    """Yield the SQL that brings own tables of this version to VERSION."""
    if version >= VERSION:
        return
    if version == 0:
        tables = METADATA.sorted_tables
        yield from (str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)).strip() for table in tables)
    else:
        yield from (_add_column(CHANGES[number], dialect) for number in range(version + 1, VERSION + 1))
    yield f"INSERT INTO {VERSIONS.name} (version) VALUES ({VERSION})"  # noqa: S608  # constants


def _bring_up_to_date(connection: Connection) -> None:
    # MySQL commits each table by itself. The version comes last, so that a run that was cut short is repeated.
    with holding_off_others(connection, VERSIONS.name):
        version = 0
        if inspect(connection).has_table(VERSIONS.name):
            # Waits for another run that has written its version and not yet committed it.
            version = connection.execute(select(func.max(VERSIONS.c.version)).with_for_update()).scalar() or 0
        made = {_add_column(column, connection.dialect) for column in CHANGES.values() if _exists(connection, column)}
        for statement in pending_statements(version, connection.dialect):
            if statement not in made:  # by a run that was cut short
                connection.exec_driver_sql(statement)


def _add_column(column: Column[Any], dialect: Dialect) -> str:
    return f"ALTER TABLE {column.table.name} ADD COLUMN {CreateColumn(column).compile(dialect=dialect)}"


def _exists(connection: Connection, column: Column[Any]) -> bool:
    schema, table = inspect(connection), column.table.name
    return schema.has_table(table) and column.name in {each["name"] for each in schema.get_columns(table)}
