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

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import (
    BINARY,
    TIMESTAMP,
    VARBINARY,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    DateTime,
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
    false,
    func,
    inspect,
    select,
    text,
    true,
    type_coerce,
)
from sqlalchemy.dialects.mysql import BIGINT, LONGBLOB, LONGTEXT, MEDIUMBLOB, TINYBLOB
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable
from sqlalchemy.types import TypeEngine

from app.core.database import Database, holding_off_others, unavailable
from app.errors import DatabaseUnavailable
from app.gallery.reading import advising_the_denied, read_rows

TABLE = "face_embeddings"
NEEDED_COLUMNS = ("id", "crew_id", "embedding", "modelo", "confidence", "imagen_path", "active")
COLUMNS_ADVICE = "Añada las columnas (docs/tabla.md trae la tabla), o renombre esa tabla para que se cree otra."
FIRST_VERSION = 3  # tables of versions 1 and 2 were only used while the program was developed
# Of a crew id: the longest key of MySQL 5.6. Ids are compared byte by byte: `a1` and `A1` may be two people.
MAX_ID_CHARACTERS = 191
FOUND = "found"  # the key of a column's information that holds its type in the database
BINARIES = (BINARY, VARBINARY, LargeBinary, TINYBLOB, MEDIUMBLOB, LONGBLOB)
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
    # Takes whatever an id of another program's table can be.
    Column(
        "embedding_id", Integer().with_variant(BIGINT(unsigned=True), *MYSQL), primary_key=True, autoincrement=False
    ),
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
# What each version after FIRST_VERSION does, and with which columns. A published change is never edited.
ADD, RETYPE = "ADD COLUMN", "MODIFY COLUMN"
CHANGES: dict[int, tuple[str, tuple[Column[Any], ...]]] = {
    4: (ADD, (PHOTOS.c.stage,)),
    5: (RETYPE, (VECTORS.c.embedding_id, VECTORS.c.crew_id, PHOTOS.c.crew_id, ATTEMPTS.c.crew_id)),
}
VERSION = max(CHANGES)


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
        table = Table(TABLE, MetaData(), autoload_with=connection, resolve_fks=False)
    except NoSuchTableError:
        return None
    for column in table.columns:
        column.info[FOUND] = column.type
        if column.name == "active":
            column.type = ActiveFlag()
        elif column.name == "embedding" or (column.name in NEEDED_COLUMNS and isinstance(column.type, BINARIES)):
            column.type = PlainText()
        elif column.name == "id":
            column.autoincrement = _numbers(connection, column)
    return table


def _numbers(connection: Connection, column: Column[Any]) -> bool:
    """Tell whether the database gives each new row a number of its own in the column `id`."""
    if connection.dialect.name == "sqlite":  # only this word makes the column the number of the row
        declared = text(f"SELECT type FROM pragma_table_info('{TABLE}') WHERE name = 'id' AND pk")  # noqa: S608
        return str(connection.execute(declared).scalar()).upper() == "INTEGER"
    # A view does not tell what the table that it shows does.
    return column.autoincrement is True or TABLE in inspect(connection).get_view_names()


def found_type(column: Column[Any]) -> TypeEngine[Any]:
    """Return the type that a column of `face_embeddings` has in the database, or will have."""
    found: TypeEngine[Any] = column.info.get(FOUND, column.type)
    return found


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
        for number in range(version + 1, VERSION + 1):
            how, columns = CHANGES[number]
            if how == ADD or dialect.name != "sqlite":  # which takes values of any length, and whole numbers of any
                yield from (_change(how, column, dialect) for column in columns)
    yield f"INSERT INTO {VERSIONS.name} (version) VALUES ({VERSION})"  # noqa: S608  # constants


def _bring_up_to_date(connection: Connection) -> None:
    # MySQL commits each table by itself. The version comes last, so that a run that was cut short is repeated.
    with holding_off_others(connection, VERSIONS.name):
        version = 0
        if inspect(connection).has_table(VERSIONS.name):
            # Waits for another run that has written its version and not yet committed it.
            version = connection.execute(select(func.max(VERSIONS.c.version)).with_for_update()).scalar() or 0
        added = (column for how, columns in CHANGES.values() if how == ADD for column in columns)
        made = {_change(ADD, column, connection.dialect) for column in added if _exists(connection, column)}
        for statement in pending_statements(version, connection.dialect):
            if statement not in made:  # by a run that was cut short; a type may be set twice
                connection.exec_driver_sql(statement)


def _change(how: str, column: Column[Any], dialect: Dialect) -> str:
    return f"ALTER TABLE {column.table.name} {how} {CreateColumn(column).compile(dialect=dialect)}"


def _exists(connection: Connection, column: Column[Any]) -> bool:
    schema, table = inspect(connection), column.table.name
    return schema.has_table(table) and column.name in {each["name"] for each in schema.get_columns(table)}
