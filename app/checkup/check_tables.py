"""Check the tables that a run writes: the rights to them, their version, their columns and what fits into those."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Numeric, inspect, text
from sqlalchemy.dialects.mysql import TEXT, TINYTEXT
from sqlalchemy.exc import DBAPIError

from app.checkup.check_database import read_grants
from app.checkup.finding import TABLES, Finding
from app.core.database import Database
from app.core.shown_text import ShownText
from app.faces.embedder import DIMENSIONS
from app.gallery.reading import DENIED, NO_SUCH_TABLE
from app.gallery.tables import (
    COLUMNS_ADVICE,
    METADATA,
    NEEDED_COLUMNS,
    TABLE,
    VERSION,
    VERSIONS,
    define_table,
    leads_to_ids,
    missing_columns,
    read_columns,
    read_version,
)

READ, ALL = ("SELECT",), ("SELECT", "INSERT", "UPDATE", "DELETE")
STATEMENTS = {
    "SELECT": "SELECT {columns} FROM {table}",
    "INSERT": "INSERT INTO {table} ({first}) VALUES (DEFAULT)",
    "UPDATE": "UPDATE {table} SET {first} = DEFAULT",
    "DELETE": "DELETE FROM {table}",
}
# A line of SHOW GRANTS: the rights, and the pattern of the databases that it gives them to.
GRANT = re.compile(r"GRANT (?P<rights>.+) ON (?P<base>\*|[`\"](?:[^`\"])+[`\"])\.\* TO ")
NUMBER_CHARACTERS = 12  # of one number of a vector with its comma, as most are: -0.12345678,
TEXT_BYTES = {TINYTEXT: 255, TEXT: 65_535}
CONFIDENCE_DECIMALS = 2
NEW_INDEX = f"CREATE INDEX crew_active ON {TABLE} (crew_id, active);"
KNOWN_COLUMNS = (*NEEDED_COLUMNS, "created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Shape:
    """What `face_embeddings` can hold: characters of an id and of a URL (None: any number).

    `charset` and `collation`: of the ids, empty in SQLite and where ids are no text. `prepared`: all tables exist and
    are up to date. `changeable`: columns can be made longer, which SQLite cannot do. `ids`: the type of the ids.
    """

    id_characters: int | None
    url_characters: int | None
    charset: str = ""
    collation: str = ""
    prepared: bool = False
    changeable: bool = True
    ids: ShownText | None = None


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights to a table that are missing, and whether the table exists (None: the server hides it)."""

    table: str
    missing: tuple[str, ...]
    exists: bool | None


class Account:
    """The database user whose rights are checked. Raises DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        query = text("SELECT CURRENT_USER(), DATABASE()")
        account, base = database.transaction(lambda connection: connection.execute(query).one(), retry=False)
        user, _, host = str(account).rpartition("@")
        self._database, self._base = database, str(base)
        self._user = "@".join("'{}'".format(part.replace("'", "''")) for part in (user, host))

    def grant(self, rights: Sequence[str], table: str) -> str:
        """Return the statement that gives rights to a table; `*` stands for all tables."""
        where = table if table == "*" else quote(self._database, table)
        return f"GRANT {', '.join(rights)} ON {quote(self._database, self._base)}.{where} TO {self._user};"

    def rights_to(self, table: str, wanted: Sequence[str], columns: Sequence[str]) -> Rights:
        """Find out which of the `wanted` rights to some columns of a table are missing.

        The server is asked to EXPLAIN a statement for each: that needs the same rights and changes nothing.
        """
        names = [quote(self._database, name) for name in columns]
        words = {"table": quote(self._database, table), "columns": ", ".join(names), "first": names[0]}
        sql = {right: f"EXPLAIN {STATEMENTS[right].format(**words)}".replace("%", "%%") for right in wanted}
        errors = self._database.transaction(
            lambda connection: {right: _errno(connection, statement) for right, statement in sql.items()}, retry=False
        )
        missing = tuple(right for right, errno in errors.items() if errno in DENIED)
        exists = None if len(missing) == len(errors) else NO_SUCH_TABLE not in errors.values()
        return Rights(table, missing, exists)

    def missing_to_create(self) -> list[str]:
        """Return which of the rights that creating and changing tables needs are missing."""
        found = [GRANT.match(line) for line in self._database.transaction(read_grants, retry=False)]
        grants = [grant["rights"] for grant in found if grant and _covers(grant["base"], self._base)]
        held = {right.strip() for rights in grants for right in rights.split(",")}
        return (
            [] if "ALL PRIVILEGES" in held else [right for right in ("CREATE", "ALTER", "INDEX") if right not in held]
        )


def quote(database: Database, name: str) -> str:
    """Quote the name of a database, table or column."""
    return str(database.engine.dialect.identifier_preparer.quote_identifier(name))


def _errno(connection: Connection, sql: str) -> int:
    """Return the number of the error that the server refuses the statement with; 0 if it does not."""
    try:
        connection.exec_driver_sql(sql)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return int(getattr(error.orig, "errno", 0) or 0)
    return 0


def _covers(pattern: str, base: str) -> bool:
    """Whether the pattern of a GRANT, in which % and _ are wildcards, matches the database."""
    if pattern == "*":
        return True
    wild = {"%": ".*", "_": "."}
    parts = re.findall(r"\\?.", pattern[1:-1])  # a wildcard behind a backslash is itself
    return re.fullmatch("".join(wild.get(part) or re.escape(part[-1]) for part in parts), base) is not None


def check_tables(database: Database, model: str) -> Generator[Finding, None, Shape | None]:
    """Check the tables and return the shape of the gallery's; None if it cannot be read. Raises DatabaseUnavailable."""
    account = Account(database) if database.is_mysql else None
    if account is not None and not (yield from _may_read(account)):
        return None
    version = read_version(database, retry=False)
    if version > VERSION:
        message = f"las tablas del programa son de una versión más nueva ({version}; esta conoce hasta la {VERSION})"
        yield TABLES.broken("version", message, "Use la versión nueva del programa también en este equipo.")
        return None
    is_there = database.transaction(lambda connection: inspect(connection).has_table(TABLE), retry=False)
    due = [*([] if is_there else [TABLE]), *([] if version == VERSION else ["las del programa"])]
    if due:
        yield _judge_creation(account, due)
    else:
        yield TABLES.ok("version", f"las tablas del programa están al día (paso {version})")
    if is_there:
        yield from database.transaction(lambda connection: list(_check_columns(connection, model)), retry=False)
    return database.transaction(lambda connection: _read_shape(connection, prepared=not due), retry=False)


def _may_read(account: Account) -> Generator[Finding, None, bool]:
    """Check the rights and return whether they suffice to read the tables that exist."""
    gallery = account.rights_to(TABLE, ALL, NEEDED_COLUMNS[1:])
    yield from _judge_gallery_rights(account, gallery)
    own = []
    for table in METADATA.tables.values():
        # Versions are written only when tables are created or changed, by a user who may do that.
        wanted = READ if table is VERSIONS else ALL
        own.append(account.rights_to(table.name, wanted, table.primary_key.columns.keys()))
    yield from _judge_own_rights(account, [rights for rights in own if rights.exists is not False])
    return not any("SELECT" in rights.missing for rights in (gallery, *own))


def _check_columns(connection: Connection, model: str) -> Iterator[Finding]:
    """Check the shape of `face_embeddings`, which another program may have made."""
    schema = inspect(connection)
    columns = read_columns(schema)
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
    return getattr(column["type"], "length", None) or TEXT_BYTES.get(type(column["type"]))


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
    if not any(leads_to_ids(index) for index in indexes):
        yield TABLES.warning("index", "falta el índice por crew_id: cada lote recorre toda la tabla", NEW_INDEX)
    for index in indexes:
        others = [other for other in indexes if other is not index and leads_to_ids(other)]
        names = {str(name).lower() for name in index["column_names"]}
        if index.get("unique") and "id" not in names and "crew_id" in names:
            problem = "no deja guardar otra fila de la misma persona (--migrate la necesita)"
            drop = f"DROP INDEX {index['name']} ON {TABLE};"
            advice = drop if others else f"{NEW_INDEX}\n{drop}"
            yield TABLES.warning("unique", f"la clave única {index['name']} {problem}", advice)


def _check_engine(schema: Any) -> Iterator[Finding]:
    options = {name.lower(): value for name, value in schema.get_table_options(TABLE).items()}
    engine = options.get("mysql_engine", options.get("mariadb_engine", "innodb"))
    if engine.lower() != "innodb":
        message = f"el motor es {engine}, sin transacciones: un corte puede dejar dos filas activas de una persona"
        yield TABLES.warning("engine", message, f"ALTER TABLE {TABLE} ENGINE = InnoDB;")


def _read_shape(connection: Connection, *, prepared: bool) -> Shape:
    """Read the shape of the gallery's table; while there is none, of the one that a run would create."""
    schema, is_mysql = inspect(connection), connection.dialect.name != "sqlite"
    if schema.has_table(TABLE):
        found = read_columns(schema)
    else:
        found = {column.name: {"type": column.type} for column in define_table(mysql=is_mysql).columns}
    ids, urls = (_max_characters(found[name]) if name in found else None for name in ("crew_id", "imagen_path"))
    charset, collation = _read_charset(connection) if is_mysql else ("", "")
    kind = ShownText(found["crew_id"]["type"]) if "crew_id" in found else None
    return Shape(ids, urls, charset, collation, prepared, changeable=is_mysql, ids=kind)


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


def _judge_own_rights(account: Account, known: Sequence[Rights]) -> Iterator[Finding]:
    """Judge the rights to the program's own tables; `known` has those that exist or that the server hides."""
    lacking = [rights for rights in known if rights.missing]
    if lacking:
        tables: dict[tuple[str, ...], list[str]] = {}
        for rights in lacking:
            tables.setdefault(rights.missing, []).append(rights.table)
        names = "; ".join(f"{', '.join(missing)} en {', '.join(same)}" for missing, same in tables.items())
        grants = "\n".join(account.grant(rights.missing, rights.table) for rights in lacking)
        advice = "Pida a quien administra la base (si alguna tabla no existe, antes el SQL de --print-schema):"
        yield TABLES.broken("own_rights", f"faltan {names}", f"{advice}\n{grants}")
    elif known:
        yield TABLES.ok("own_rights", f"los necesarios en las {len(known)} tablas del programa")


def _judge_gallery_rights(account: Account, rights: Rights) -> Iterator[Finding]:
    if rights.exists is False:
        return
    needed = [right for right in rights.missing if right != "DELETE"]
    if needed:
        hidden = " (o no existe esa tabla)" if rights.exists is None else ""
        first = " (si la tabla no existe, antes el SQL de --print-schema)" if hidden else ""
        advice = f"Pida a quien administra la base{first}:\n{account.grant(needed, TABLE)}"
        yield TABLES.broken("gallery_rights", f"faltan {', '.join(needed)} en {TABLE}{hidden}", advice)
    elif rights.missing:  # docs/security.md recommends to grant DELETE only where rows are deleted
        held = "SELECT, INSERT, UPDATE; sin DELETE, que solo piden --purge-after y --forget"
        yield TABLES.ok("gallery_rights", held)
    else:
        yield TABLES.ok("gallery_rights", f"{', '.join(ALL)} en {TABLE}")


def _judge_creation(account: Account | None, names: Sequence[str]) -> Finding:
    """Judge whether the next run can create or update the tables named so; without accounts (SQLite) it can."""
    message = f"faltan o están por actualizar: {', '.join(names)}"
    lacking = account.missing_to_create() if account else []
    if account is None or not lacking:
        return TABLES.ok("to_create", f"{message}. La próxima ejecución las prepara")
    advice = "Entregue a quien administra la base el SQL que escribe --print-schema, o pídale:"
    message = f"{message}, y el usuario no puede ({', '.join(lacking)})"
    return TABLES.broken("to_create", message, f"{advice}\n{account.grant(lacking, '*')}")
