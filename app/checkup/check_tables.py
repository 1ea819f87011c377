"""Check the tables that a run writes: the rights to them, their version, their columns and what fits into those."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Numeric, inspect, text
from sqlalchemy.dialects.mysql import TEXT, TINYTEXT

from app.checkup.check_privileges import ALL, OWN, RIGHTS, Account, check_creation, check_rights, open_account
from app.checkup.finding import TABLES, Finding
from app.core.database import Database
from app.faces.embedder import DIMENSIONS
from app.gallery.tables import (
    COLUMNS_ADVICE,
    NEEDED_COLUMNS,
    TABLE,
    VERSION,
    define_table,
    missing_columns,
    read_version,
    table_exists,
)

NUMBER_CHARACTERS = 12  # of one number of a vector with its comma, as most are: -0.12345678,
TEXT_BYTES = {TINYTEXT: 255, TEXT: 65_535}
CONFIDENCE_DECIMALS = 2
TRANSACTIONAL = "innodb"
NEW_INDEX = f"CREATE INDEX crew_active ON {TABLE} (crew_id, active);"
KNOWN_COLUMNS = (*NEEDED_COLUMNS, "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Shape:
    """What `face_embeddings` can hold: characters of an id and of a URL (None: any number).

    `charset` and `collation`: of the ids, empty in SQLite. `prepared`: all tables exist and are up to date.
    `changeable`: columns can be made longer, which SQLite cannot do.
    """

    id_characters: int | None
    url_characters: int | None
    charset: str = ""
    collation: str = ""
    prepared: bool = False
    changeable: bool = True


def check_tables(database: Database, model: str) -> Generator[Finding, None, Shape | None]:
    """Check the tables and return the shape of the gallery's; None if it cannot be read. Raises DatabaseUnavailable."""
    account = open_account(database) if database.is_mysql else None
    if account is not None and not (yield from _may_read(account)):
        return None
    version = read_version(database, retry=False)
    if version > VERSION:
        message = f"las tablas del programa son de una versión más nueva ({version}; esta conoce hasta la {VERSION})"
        yield TABLES.broken("version", message, "Use la versión nueva del programa también en este equipo.")
        return None
    is_there = table_exists(database)
    due = [*([] if is_there else [TABLE]), *([] if version == VERSION else ["las del programa"])]
    if due:
        yield check_creation(account, due)
    else:
        yield TABLES.ok("version", f"las tablas del programa están al día (paso {version})")
    if is_there:
        yield from database.transaction(lambda connection: list(_check_columns(connection, model)), retry=False)
    return database.transaction(lambda connection: _read_shape(connection, prepared=not due), retry=False)


def _may_read(account: Account) -> Generator[Finding, None, bool]:
    """Check the rights and return whether they suffice to read the tables that exist."""
    gallery = account.rights_to(TABLE, ALL, NEEDED_COLUMNS[1:])
    own = [account.rights_to(table.name, RIGHTS.get(table, ALL), table.primary_key.columns.keys()) for table in OWN]
    yield from check_rights(account, gallery, own)
    return not any("SELECT" in rights.missing for rights in (gallery, *own))


def _check_columns(connection: Connection, model: str) -> Iterator[Finding]:
    """Check the shape of `face_embeddings`, which another program may have made."""
    schema = inspect(connection)
    columns = {column["name"]: dict(column) for column in schema.get_columns(TABLE)}
    missing = missing_columns(columns)
    if missing:
        yield TABLES.broken("columns", f"a {TABLE} le falta {', '.join(missing)}", COLUMNS_ADVICE)
        return
    problems = [*_check_types(columns, model), *_check_others(columns), *_check_indexes(schema), *_check_engine(schema)]
    yield from problems or [TABLES.ok("columns", f"{TABLE} tiene sus columnas, tipos e índice")]


def _check_types(columns: dict[str, dict[str, Any]], model: str) -> Iterator[Finding]:
    confidence = columns["confidence"]["type"]
    if isinstance(confidence, Numeric) and confidence.precision is not None and confidence.asdecimal:
        whole, decimals = confidence.precision - (confidence.scale or 0), confidence.scale or 0
        advice = f"ALTER TABLE {TABLE} MODIFY confidence DECIMAL(3,2) DEFAULT 1.00;"
        if whole < 1:
            yield TABLES.broken("confidence", f"confidence es {confidence}: no cabe un 1", advice)
        elif decimals < CONFIDENCE_DECIMALS:
            yield TABLES.warning("confidence", f"confidence es {confidence}: se redondea", advice)
    needed = DIMENSIONS.get(model, max(DIMENSIONS.values())) * NUMBER_CHARACTERS
    room = _max_characters(columns["embedding"])
    if room is not None and room < needed:
        message = f"embedding es {columns['embedding']['type']}: un vector de {model} necesita unos {needed} caracteres"
        yield TABLES.broken("embedding", message, f"ALTER TABLE {TABLE} MODIFY embedding LONGTEXT NOT NULL;")


def _max_characters(column: dict[str, Any]) -> int | None:
    """Return how many characters fit; None for any number."""
    kind = column["type"]
    length: int | None = getattr(kind, "length", None)
    return length or next((size for name, size in TEXT_BYTES.items() if type(kind) is name), None)


def _check_others(columns: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """Report columns of another program that are mandatory and that this program does not fill."""
    for name, column in columns.items():
        optional = column.get("nullable") or column.get("default") is not None or column.get("computed")
        if name not in KNOWN_COLUMNS and not optional and column.get("autoincrement") is not True:
            message = f"la columna {name} de {TABLE} es obligatoria y el programa no la conoce"
            kind = column["type"]
            yield TABLES.broken("stranger", message, f"ALTER TABLE {TABLE} MODIFY `{name}` {kind} NULL;")


def _check_indexes(schema: Any) -> Iterator[Finding]:
    indexes = schema.get_indexes(TABLE)
    if not any(index["column_names"][:1] == ["crew_id"] for index in indexes):
        yield TABLES.warning("index", "falta el índice por crew_id: cada lote recorre toda la tabla", NEW_INDEX)
    for index in indexes:
        others = [other for other in indexes if other is not index and other["column_names"][:1] == ["crew_id"]]
        if index.get("unique") and "id" not in index["column_names"] and "crew_id" in index["column_names"]:
            problem = "no deja guardar otra fila de la misma persona (--migrate la necesita)"
            drop = f"DROP INDEX {index['name']} ON {TABLE};"
            advice = drop if others else f"{NEW_INDEX}\n{drop}"
            yield TABLES.warning("unique", f"la clave única {index['name']} {problem}", advice)


def _check_engine(schema: Any) -> Iterator[Finding]:
    options = {name.lower(): value for name, value in schema.get_table_options(TABLE).items()}
    engine = options.get("mysql_engine", options.get("mariadb_engine", TRANSACTIONAL))
    if engine.lower() != TRANSACTIONAL:
        message = f"el motor es {engine}, sin transacciones: un corte puede dejar dos filas activas de una persona"
        yield TABLES.warning("engine", message, f"ALTER TABLE {TABLE} ENGINE = InnoDB;")


def _read_shape(connection: Connection, *, prepared: bool) -> Shape:
    schema = inspect(connection)
    if schema.has_table(TABLE):
        found = {column["name"]: dict(column) for column in schema.get_columns(TABLE)}
    else:
        table = define_table(mysql=connection.dialect.name != "sqlite")
        found = {column.name: {"type": column.type} for column in table.columns}
    ids, urls = (_max_characters(found[name]) if name in found else None for name in ("crew_id", "imagen_path"))
    changeable = connection.dialect.name != "sqlite"
    charset, collation = _read_charset(connection) if changeable else ("", "")
    return Shape(ids, urls, charset, collation, prepared, changeable)


def _read_charset(connection: Connection) -> tuple[str, str]:
    """Read the character set and the collation of the ids in the gallery; the database's while there is no table."""
    query = text(
        "SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM INFORMATION_SCHEMA.COLUMNS "
        "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :name AND COLUMN_NAME = 'crew_id'"
    )
    found = connection.execute(query, {"name": TABLE}).first()
    if found is None:
        found = connection.execute(text("SELECT @@character_set_database, @@collation_database")).one()
    return str(found[0] or ""), str(found[1] or "")
