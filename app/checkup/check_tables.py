"""The tables that a run writes: a database comes in; their rights, shape and version go out, and what fits in."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Numeric, inspect, text
from sqlalchemy.dialects.mysql import TEXT, TINYTEXT

from app.checkup.check_privileges import ALL, OURS, RIGHTS, Account, look_at_creation, look_at_rights, open_account
from app.checkup.finding import TABLES, Finding
from app.core.database import Database
from app.faces.embedding_spec import DIMENSIONS
from app.gallery.embeddings_table import NEEDED_COLUMNS, TABLE, define_table, table_exists
from app.gallery.own_tables import VERSION, read_version

NUMBER_CHARACTERS = 12  # of a vector, with its comma, as they mostly are: -0.12345678,
TEXT_BYTES = {TINYTEXT: 255, TEXT: 65_535}
CONFIDENCE_DECIMALS = 2
TRANSACTIONAL = "innodb"
NEW_INDEX = f"CREATE INDEX crew_active ON {TABLE} (crew_id, active);"
KNOWN_COLUMNS = (*NEEDED_COLUMNS, "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Shape:
    """What `face_embeddings` can hold: characters of the texts (None: any number). `collation` and `charset` are of the
    ids, empty where they are told apart byte by byte. `prepared`: all tables are there in their present form;
    `changeable`: their columns can be made longer, which SQLite's cannot."""

    id_characters: int | None
    url_characters: int | None
    charset: str = ""
    collation: str = ""
    prepared: bool = False
    changeable: bool = True


def look_at_tables(database: Database, model: str) -> Generator[Finding, None, Shape | None]:
    """None where nobody can look at the tables. Raises DatabaseUnavailable."""
    account = open_account(database) if database.is_mysql else None
    if account is not None and not (yield from _may_look(account)):
        return None
    version = read_version(database, retry=False)
    if version > VERSION:
        text_ = f"las tablas del programa son de una versión más nueva ({version}; esta conoce hasta la {VERSION})"
        yield TABLES.broken("version", text_, "Use la versión nueva del programa también en este equipo.")
        return None
    is_there = table_exists(database)
    due = [*([] if is_there else [TABLE]), *([] if version == VERSION else ["las del programa"])]
    if due:
        yield look_at_creation(account, due)
    else:
        yield TABLES.ok("version", f"las tablas del programa están al día (paso {version})")
    if is_there:
        yield from database.transaction(lambda connection: list(_judge(connection, model, account)), retry=False)
    return database.transaction(lambda connection: _shape(connection, prepared=not due), retry=False)


def _may_look(account: Account) -> Generator[Finding, None, bool]:
    """What the rights are; whether they suffice to look at the tables that there are."""
    gallery = account.rights_to(TABLE, ALL, NEEDED_COLUMNS[1:])
    ours = [account.rights_to(each.name, RIGHTS.get(each, ALL), list(each.primary_key.columns.keys())) for each in OURS]
    yield from look_at_rights(account, gallery, ours)
    return not any("SELECT" in each.missing for each in (gallery, *ours))


def _judge(connection: Connection, model: str, account: Account | None) -> Iterator[Finding]:
    """The shape of `face_embeddings`, whoever made it."""
    schema = inspect(connection)
    columns = {column["name"]: dict(column) for column in schema.get_columns(TABLE)}
    missing = [name for name in NEEDED_COLUMNS if name not in columns]
    if missing:
        advice = "Añada las columnas (docs/tabla.md trae la tabla), o renombre esa tabla para que se cree otra."
        yield TABLES.broken("columns", f"a {TABLE} le falta {', '.join(missing)}", advice)
        return
    troubles = [*_types(columns, model), *_strangers(columns), *_keys(schema), *_engine(schema)]
    yield from troubles or [TABLES.ok("columns", f"{TABLE} tiene sus columnas, tipos e índice")]


def _types(columns: dict[str, dict[str, Any]], model: str) -> Iterator[Finding]:
    confidence = columns["confidence"]["type"]
    if isinstance(confidence, Numeric) and confidence.precision is not None and confidence.asdecimal:
        whole, decimals = confidence.precision - (confidence.scale or 0), confidence.scale or 0
        advice = f"ALTER TABLE {TABLE} MODIFY confidence DECIMAL(3,2) DEFAULT 1.00;"
        if whole < 1:
            yield TABLES.broken("confidence", f"confidence es {confidence}: no cabe un 1", advice)
        elif decimals < CONFIDENCE_DECIMALS:
            yield TABLES.warning("confidence", f"confidence es {confidence}: se redondea", advice)
    needed, room = DIMENSIONS.get(model, max(DIMENSIONS.values())) * NUMBER_CHARACTERS, _room(columns["embedding"])
    if room is not None and room < needed:
        text_ = f"embedding es {columns['embedding']['type']}: un vector de {model} necesita unos {needed} caracteres"
        yield TABLES.broken("embedding", text_, f"ALTER TABLE {TABLE} MODIFY embedding LONGTEXT NOT NULL;")


def _room(column: dict[str, Any]) -> int | None:
    """Characters that fit; None for any number."""
    kind = column["type"]
    length: int | None = getattr(kind, "length", None)
    return length or next((size for name, size in TEXT_BYTES.items() if type(kind) is name), None)


def _strangers(columns: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """Columns of another program's that no row of ours would fill."""
    for name, column in columns.items():
        given = column.get("nullable") or column.get("default") is not None or column.get("autoincrement") is True
        if name not in KNOWN_COLUMNS and not given and not column.get("computed"):
            text_ = f"la columna {name} de {TABLE} es obligatoria y el programa no la conoce"
            kind = column["type"]
            yield TABLES.broken("stranger", text_, f"ALTER TABLE {TABLE} MODIFY `{name}` {kind} NULL;")


def _keys(schema: Any) -> Iterator[Finding]:
    indexes = schema.get_indexes(TABLE)
    if not any(index["column_names"][:1] == ["crew_id"] for index in indexes):
        yield TABLES.warning("index", "falta el índice por crew_id: cada lote recorre toda la tabla", NEW_INDEX)
    for index in indexes:
        others = [each for each in indexes if each is not index and each["column_names"][:1] == ["crew_id"]]
        if index.get("unique") and "id" not in index["column_names"] and "crew_id" in index["column_names"]:
            text_ = (
                f"la clave única {index['name']} no deja guardar otra fila de la misma persona (--migrate la necesita)"
            )
            drop = f"DROP INDEX {index['name']} ON {TABLE};"
            advice = drop if others else f"{NEW_INDEX}\n{drop}"
            yield TABLES.warning("unique", text_, advice)


def _engine(schema: Any) -> Iterator[Finding]:
    options = {name.lower(): value for name, value in schema.get_table_options(TABLE).items()}
    engine = options.get("mysql_engine", options.get("mariadb_engine", TRANSACTIONAL))
    if engine.lower() != TRANSACTIONAL:
        text_ = f"el motor es {engine}, sin transacciones: un corte puede dejar dos filas activas de una persona"
        yield TABLES.warning("engine", text_, f"ALTER TABLE {TABLE} ENGINE = InnoDB;")


def _shape(connection: Connection, *, prepared: bool) -> Shape:
    schema = inspect(connection)
    if schema.has_table(TABLE):
        found = {column["name"]: dict(column) for column in schema.get_columns(TABLE)}
    else:
        table = define_table(mysql=connection.dialect.name != "sqlite")
        found = {column.name: {"type": column.type} for column in table.columns}
    ids, urls = (_room(found[name]) if name in found else None for name in ("crew_id", "imagen_path"))
    changeable = connection.dialect.name != "sqlite"
    charset, collation = _characters(connection) if changeable else ("", "")
    return Shape(ids, urls, charset, collation, prepared, changeable)


def _characters(connection: Connection) -> tuple[str, str]:
    """Of the ids in the gallery: their character set and collation; the database's while there is no table."""
    asked = text(
        "SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM INFORMATION_SCHEMA.COLUMNS "
        "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = :name AND COLUMN_NAME = 'crew_id'"
    )
    found = connection.execute(asked, {"name": TABLE}).first()
    if found is None:
        found = connection.execute(text("SELECT @@character_set_database, @@collation_database")).one()
    return str(found[0] or ""), str(found[1] or "")
