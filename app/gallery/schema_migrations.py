"""The numbered steps that bring our own tables (companions.py) to their present form, whatever they find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, Inspector, func, inspect, select, text

from app.core.database import Database, describe_url, holding_off_others
from app.errors import DatabaseUnavailable
from app.gallery.embeddings_table import advising_the_denied
from app.gallery.own_tables import MAX_ID_CHARACTERS, SCHEMA, VERSIONS

SCHEMA_COLUMNS = "version INTEGER NOT NULL PRIMARY KEY"
# Of our own tables, whatever the database's: a photo's name may be in any language, and ids are told apart by case.
COLLATION = "utf8mb4_bin"
UNICODE = f" CHARACTER SET utf8mb4 COLLATE {COLLATION}"


@dataclass(frozen=True, slots=True)
class Change:
    """One statement, and whether it is still to be made: MySQL commits each by itself, so a step can end halfway."""

    sql: str
    is_due: Callable[[Inspector], bool]

    def __call__(self, connection: Connection) -> None:
        if self.is_due(inspect(connection)):
            connection.execute(text(self.sql))


def _create(name: str, columns: str, *, mysql: bool) -> Change:
    sql = f"CREATE TABLE IF NOT EXISTS {name} ({columns}){UNICODE if mysql else ''}"
    return Change(sql, lambda schema: not schema.has_table(name))


def _convert(table: str) -> Change:
    """In MySQL: its texts from the database's characters to ours."""
    return Change(
        f"ALTER TABLE {table} CONVERT TO{UNICODE}",
        lambda schema: COLLATION not in schema.get_table_options(table).values(),
    )


def _add(table: str, column: str, kind: str) -> Change:
    return Change(f"ALTER TABLE {table} ADD COLUMN {column} {kind}", lambda schema: column not in _names(schema, table))


def _drop(table: str, column: str) -> Change:
    return Change(f"ALTER TABLE {table} DROP COLUMN {column}", lambda schema: column in _names(schema, table))


def _names(schema: Inspector, table: str) -> set[str]:
    return {column["name"] for column in schema.get_columns(table)}


PICTURE = "sha256 VARCHAR(64), perceptual_hash VARCHAR(16), grey TEXT, width INTEGER, height INTEGER"
FROM_FIRST = "embedding_id, crew_id, sha256, perceptual_hash, grey, width, height"


def steps(*, mysql: bool) -> tuple[tuple[Change, ...], ...]:
    """What makes each version out of the one before. A published step is never edited: a new one follows."""
    crew_id = f"crew_id VARCHAR({MAX_ID_CHARACTERS})" + (f" COLLATE {COLLATION}" if mysql else "")
    return (
        _first(crew_id),
        (
            *([_convert("face_photos")] if mysql else []),
            *_vectors_of_photos(crew_id, mysql=mysql),
            *_more_of_photos(mysql=mysql),
            *_more_tables(crew_id, mysql=mysql),
        ),
        (_add("face_contracts", "golden", "TEXT"),),
    )


def _first(crew_id: str) -> tuple[Change, ...]:
    columns = (
        f"{crew_id} NOT NULL PRIMARY KEY, url TEXT, {PICTURE}, faces_seen INTEGER, box VARCHAR(64), "
        "attempt VARCHAR(20), confidence NUMERIC(4, 3), quality TEXT, quality_verdict VARCHAR(12), "
        "quality_component VARCHAR(64), code VARCHAR(40), detail TEXT, embedding_id INTEGER, "
        "seen_at TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP"
    )
    return (_create("face_photos", columns, mysql=False),)  # published without its characters: the next step has them


def _vectors_of_photos(crew_id: str, *, mysql: bool) -> tuple[Change, ...]:
    """What made a vector moves to a table of its own."""
    columns = (
        f"embedding_id INTEGER NOT NULL PRIMARY KEY, {crew_id} NOT NULL, contract VARCHAR(16), {PICTURE}, "
        "staged BOOLEAN NOT NULL DEFAULT FALSE"
    )
    move = (
        f"INSERT INTO face_vectors ({FROM_FIRST}) SELECT {FROM_FIRST} FROM face_photos WHERE embedding_id IS NOT NULL "
        "AND embedding_id NOT IN (SELECT embedding_id FROM face_vectors)"
    )
    return (
        _create("face_vectors", columns, mysql=mysql),
        Change(move, lambda schema: "embedding_id" in _names(schema, "face_photos")),
        _drop("face_photos", "embedding_id"),
    )


def _more_of_photos(*, mysql: bool) -> tuple[Change, ...]:
    return (
        _drop("face_photos", "seen_at"),  # it was in the server's own time zone
        _add("face_photos", "etag", "TEXT"),
        _add("face_photos", "last_modified", "TEXT"),
        _add("face_photos", "size_bytes", "BIGINT"),
        _add("face_photos", "thumbnail", "MEDIUMBLOB" if mysql else "BLOB"),
        _add("face_photos", "judged_by", "VARCHAR(16)"),
        _add("face_photos", "failures", "INTEGER"),
        _add("face_photos", "tried_at", "DATETIME"),
        _add("face_photos", "checked_at", "DATETIME"),
        _add("face_photos", "left_at", "DATETIME"),
    )


def _more_tables(crew_id: str, *, mysql: bool) -> tuple[Change, ...]:
    number = "INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY" if mysql else "INTEGER PRIMARY KEY AUTOINCREMENT"
    contracts = "digest VARCHAR(16) NOT NULL PRIMARY KEY, meaning TEXT, first_used_at DATETIME"
    attempts = f"{crew_id} NOT NULL PRIMARY KEY, url TEXT, run_id INTEGER, deaths INTEGER"
    runs = (
        f"id {number}, started_at DATETIME, ended_at DATETIME, host VARCHAR(255), pid INTEGER, options TEXT, "
        "contract VARCHAR(16), counts TEXT, stages_ms TEXT, processed INTEGER, seconds NUMERIC(10, 3), "
        "exit_code INTEGER, error TEXT, rows_left INTEGER"
    )
    return (
        _create("face_contracts", contracts, mysql=mysql),
        _create("face_attempts", attempts, mysql=mysql),
        _create("face_runs", runs, mysql=mysql),
    )


def open_own_tables(database: Database) -> None:
    """Bring our tables to the present version. Raises DatabaseUnavailable: no right to, or made by a newer program."""
    wanted = steps(mysql=database.is_mysql)
    with advising_the_denied():
        version = database.transaction(read_version)
    if version > len(wanted):
        raise DatabaseUnavailable(
            f"Conexión a base de datos: {describe_url(database.url)}: las tablas son de una versión más nueva del "
            f"programa ({version}; esta conoce hasta la {len(wanted)})",
            "Use la versión nueva del programa también en este equipo.",
        )
    for number, changes in enumerate(wanted[version:], start=version + 1):
        try:
            with advising_the_denied():
                database.transaction(partial(_take_step, number=number, changes=changes))
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(f"{error} (al preparar las tablas del programa)", error.advice) from error


def read_version(connection: Connection) -> int:
    """How many steps were taken."""
    known = inspect(connection).has_table(SCHEMA)
    return (connection.execute(select(func.max(VERSIONS.c.version))).scalar() or 0) if known else 0


def _take_step(connection: Connection, number: int, changes: tuple[Change, ...]) -> None:
    """All of a step and its number, unless another run was faster."""
    with holding_off_others(connection, SCHEMA):
        _create(SCHEMA, SCHEMA_COLUMNS, mysql=connection.dialect.name != "sqlite")(connection)
        # Waits for one that has taken the step already and not yet committed it.
        if connection.execute(select(VERSIONS).where(VERSIONS.c.version == number).with_for_update()).first():
            return
        for change in changes:
            change(connection)
        connection.execute(VERSIONS.insert().values(version=number))


def step_statements(*, mysql: bool, after: int = 0) -> Iterator[str]:
    """The steps after that version as SQL, for whoever may run it."""
    if after == 0:
        yield _create(SCHEMA, SCHEMA_COLUMNS, mysql=mysql).sql
    for number, changes in enumerate(steps(mysql=mysql)[after:], start=after + 1):
        yield from (change.sql for change in changes)
        yield f"INSERT INTO {SCHEMA} (version) VALUES ({number})"
