"""The gallery's tables: what they hold, and how they are made.

face_embeddings  the vectors, for the recognition service; accepted as it stands when another program made it
face_schema      the version of the program's own tables, which are all the following ones
face_photos      one row for each member: what was last seen of the photo, and what became of it
face_vectors     one row for each row of `face_embeddings`: its photo and the embedding spec that made it
face_contracts   what the digest of each embedding spec stands for
face_attempts    members under way; a row that is left after a run died is a crash suspect
face_runs        one row for each run
face_accepted_pairs  two members whom a person looked at and found to be two, for as long as both keep their photos

Times in the own tables are UTC.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    bindparam,
    false,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.mysql import BIGINT, MEDIUMBLOB
from sqlalchemy.schema import CreateColumn, CreateTable

from app.core.database import Database, holding_off_others, unavailable
from app.errors import DatabaseUnavailable
from app.gallery.reading import advising_the_denied, read_rows

log = logging.getLogger(__name__)

TABLE = "face_embeddings"
NO_TRANSACTIONS = "un corte puede dejar dos filas activas de una persona, o lo anotado a medias"
FIRST_VERSION = 3  # tables of versions 1 and 2 were only used while the program was developed
# Of a crew id: the longest key of MySQL 5.6. Ids are compared byte by byte: `a1` and `A1` may be two people.
MAX_ID_CHARACTERS = 191
MYSQL = ("mysql", "mariadb")
# A server's default engine may be one without transactions.
ENGINE: dict[str, Any] = {f"{dialect}_engine": "InnoDB" for dialect in MYSQL}
# Whatever the database's own characters are: a photo's name may be in any language.
CHARACTERS = {"charset": "utf8mb4", "collate": "utf8mb4_bin"}
OPTIONS: dict[str, Any] = ENGINE | {f"{dialect}_{key}": text for dialect in MYSQL for key, text in CHARACTERS.items()}

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
ACCEPTED = Table(
    "face_accepted_pairs",
    METADATA,
    Column("crew_id", String(MAX_ID_CHARACTERS), primary_key=True),  # the lower of the two ids
    Column("other_id", String(MAX_ID_CHARACTERS), primary_key=True),
    Column("photo", String(64)),  # SHA-256 of the photo's file; of the vector where the file is unknown
    Column("other_photo", String(64)),
    Column("accepted_at", DateTime),
    **OPTIONS,
)
# What each version after FIRST_VERSION does, with which columns or tables. A published change is never edited.
ADD, RETYPE, CREATE = "ADD COLUMN", "MODIFY COLUMN", "CREATE TABLE"
CHANGES: dict[int, tuple[str, tuple[Column[Any] | Table, ...]]] = {
    4: (ADD, (PHOTOS.c.stage,)),
    5: (RETYPE, (VECTORS.c.embedding_id, VECTORS.c.crew_id, PHOTOS.c.crew_id, ATTEMPTS.c.crew_id)),
    6: (CREATE, (ACCEPTED,)),
}
VERSION = max(CHANGES)


def tables_without_transactions(connection: Connection) -> dict[str, str]:
    """Return those of our tables whose engine has no transactions, with the engine's name."""
    if connection.dialect.name == "sqlite":
        return {}
    query = text(
        "SELECT tables.table_name, tables.engine FROM information_schema.tables AS tables "
        "JOIN information_schema.engines AS engines ON engines.engine = tables.engine "
        "WHERE engines.transactions <> 'YES' AND table_schema = DATABASE() AND table_name IN :names"
    ).bindparams(bindparam("names", expanding=True))
    found = connection.execute(query, {"names": [TABLE, *METADATA.tables]})
    return {str(name): str(engine) for name, engine in found}


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
        yield from (create_statement(table, dialect) for table in METADATA.sorted_tables)
    else:
        for number in range(version + 1, VERSION + 1):
            how, changed = CHANGES[number]
            if how != RETYPE or dialect.name != "sqlite":  # which takes values of any length, and whole numbers of any
                yield from (_change(how, what, dialect) for what in changed)
    yield f"INSERT INTO {VERSIONS.name} (version) VALUES ({VERSION})"  # noqa: S608  # constants


def create_statement(table: Table, dialect: Dialect) -> str:
    """Return the SQL that creates a table unless it is there."""
    return str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)).strip()


def _bring_up_to_date(connection: Connection) -> None:
    # MySQL commits each table by itself. The version comes last, so that a run that was cut short is repeated.
    with holding_off_others(connection, VERSIONS.name):
        version = 0
        if inspect(connection).has_table(VERSIONS.name):
            # Waits for another run that has written its version and not yet committed it.
            version = connection.execute(select(func.max(VERSIONS.c.version)).with_for_update()).scalar() or 0
        added = (what for how, changed in CHANGES.values() if how == ADD for what in changed)
        made = {
            _change(ADD, column, connection.dialect)
            for column in added
            if isinstance(column, Column) and _exists(connection, column)
        }
        for statement in pending_statements(version, connection.dialect):
            if statement not in made:  # by a run that was cut short; a type may be set twice
                connection.exec_driver_sql(statement)


def _change(how: str, what: Column[Any] | Table, dialect: Dialect) -> str:
    if isinstance(what, Table):
        return create_statement(what, dialect)
    return f"ALTER TABLE {what.table.name} {how} {CreateColumn(what).compile(dialect=dialect)}"


def _exists(connection: Connection, column: Column[Any]) -> bool:
    schema, table = inspect(connection), column.table.name
    return schema.has_table(table) and column.name in {each["name"] for each in schema.get_columns(table)}
