"""The program's own tables beside `face_embeddings`: what they hold, and how they are made.

face_schema     the version of these tables
face_photos     one row for each member: what was last seen of the photo, and what became of it
face_vectors    one row for each row of `face_embeddings`: its photo and the embedding spec that made it
face_contracts  what the digest of each embedding spec stands for
face_attempts   members under way; a row that is left after a run died is a crash suspect
face_runs       one row for each run

Times are UTC.
"""

from __future__ import annotations

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
    false,
    func,
    inspect,
    select,
)
from sqlalchemy.dialects.mysql import MEDIUMBLOB
from sqlalchemy.schema import CreateTable

from app.core.database import Database, describe_url, holding_off_others
from app.errors import DatabaseUnavailable
from app.gallery.reading import advising_the_denied, read_rows

# What later releases change, in SQL: version 2, version 3 and so on. The tables below have the change, too, for new
# databases. A published change is never edited.
CHANGES: tuple[str, ...] = ()
VERSION = 1 + len(CHANGES)
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


def open_own_tables(database: Database) -> None:
    """Create the tables that are missing, and bring older ones to VERSION.

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
    """Return `read_version`. Raises DatabaseUnavailable for the tables of a newer program."""
    version = read_version(database)
    if version > VERSION:
        raise DatabaseUnavailable(
            f"Conexión a base de datos: {describe_url(database.url)}: las tablas son de una versión más nueva del "
            f"programa ({version}; esta conoce hasta la {VERSION})",
            "Use la versión nueva del programa también en este equipo.",
        )
    return version


def read_version(database: Database, *, retry: bool = True) -> int:
    """Return the version of the tables; 0 when they are still to be made. Raises DatabaseUnavailable."""
    rows = read_rows(database, select(func.max(VERSIONS.c.version)), retry=retry)
    return next((row[0] for row in rows), None) or 0


def pending_statements(version: int, dialect: Dialect) -> Iterator[str]:
    """Yield the SQL that brings tables of this version to VERSION."""
    if version >= VERSION:
        return
    if version == 0:
        tables = METADATA.sorted_tables
        yield from (str(CreateTable(table, if_not_exists=True).compile(dialect=dialect)).strip() for table in tables)
    else:
        yield from CHANGES[version - 1 :]
    yield f"INSERT INTO {VERSIONS.name} (version) VALUES ({VERSION})"  # noqa: S608  # constants


def _bring_up_to_date(connection: Connection) -> None:
    """MySQL commits each table by itself. The version comes last, so that a run that was cut short is repeated."""
    with holding_off_others(connection, VERSIONS.name):
        version = 0
        if inspect(connection).has_table(VERSIONS.name):
            # Waits for another run that has written its version and not yet committed it.
            version = connection.execute(select(func.max(VERSIONS.c.version)).with_for_update()).scalar() or 0
        for statement in pending_statements(version, connection.dialect):
            connection.exec_driver_sql(statement)
