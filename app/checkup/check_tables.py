"""Check the tables that a run writes: the rights to them, their version, their columns and what fits into those."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, Table, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine

from app.checkup.check_database import read_grants
from app.checkup.finding import TABLES, Finding
from app.core.database import Database
from app.core.shown_text import ShownText
from app.faces.embedding_spec import max_dimensions
from app.gallery.embeddings_table import (
    COLUMNS_ADVICE,
    NEEDED_COLUMNS,
    define_table,
    found_type,
    leads_to_ids,
    missing_columns,
    reflect,
)
from app.gallery.obstacles import CONFIDENCE, find_obstacles, max_characters
from app.gallery.reading import DENIED, NO_SUCH_TABLE
from app.gallery.tables import (
    METADATA,
    NO_TRANSACTIONS,
    TABLE,
    VERSION,
    VERSIONS,
    read_version,
    tables_without_transactions,
)
from app.roster.database import split_name

VIEW_HIDDEN = 1345  # the server's error of an EXPLAIN of a view without the right to see what it reads
READ, ALL = ("SELECT",), ("SELECT", "INSERT", "UPDATE", "DELETE")
STATEMENTS = {
    "SELECT": "SELECT {columns} FROM {table}",
    "INSERT": "INSERT INTO {table} ({first}) VALUES (DEFAULT)",
    "UPDATE": "UPDATE {table} SET {first} = DEFAULT",
    "DELETE": "DELETE FROM {table}",
}
# A line of SHOW GRANTS: the rights, and the pattern of the databases that it gives them to.
GRANT = re.compile(r"GRANT (?P<rights>.+) ON (?P<base>\*|[`\"](?:[^`\"])+[`\"])\.\* TO ")
CONFIDENCE_DECIMALS = 2
NEW_INDEX = f"CREATE INDEX crew_active ON {TABLE} (crew_id, active);"
Need = tuple[str, tuple[str, ...]]  # tables that a run has to make or to change, and the rights that it takes
NEW_GALLERY: Need = (TABLE, ("CREATE", "INDEX"))
NEW_TABLES: Need = ("las del programa", ("CREATE", "INSERT"))
OLD_TABLES: Need = ("las del programa", ("ALTER", "CREATE", "INSERT"))  # MySQL's ALTER TABLE asks for all three


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
        """Return the statement that gives rights to a table, perhaps of another database; `*` stands for all tables."""
        where = table if table == "*" else quote_table(self._database, table)
        if split_name(table)[0] is None:
            where = f"{quote(self._database, self._base)}.{where}"
        return f"GRANT {', '.join(rights)} ON {where} TO {self._user};"

    def rights_to(self, table: str, wanted: Sequence[str], columns: Sequence[str]) -> Rights:
        """Find out which of the `wanted` rights to some columns of a table are missing.

        The server is asked to EXPLAIN a statement for each: that needs the same rights and changes nothing.
        """
        names = [quote(self._database, name) for name in columns]
        words = {"table": quote_table(self._database, table), "columns": ", ".join(names), "first": names[0]}
        sql = {right: f"EXPLAIN {STATEMENTS[right].format(**words)}".replace("%", "%%") for right in wanted}
        errors = self._database.transaction(
            lambda connection: {right: _errno(connection, statement) for right, statement in sql.items()}, retry=False
        )
        missing = tuple(right for right, errno in errors.items() if errno in DENIED)
        if VIEW_HIDDEN in errors.values():
            missing = (*missing, "SHOW VIEW")
        exists = None if len(missing) == len(errors) else NO_SUCH_TABLE not in errors.values()
        return Rights(table, missing, exists)

    def missing_to_create(self, wanted: Sequence[str]) -> list[str]:
        """Return which of the wanted rights to all tables are missing."""
        found = [GRANT.match(line) for line in self._database.transaction(read_grants, retry=False)]
        grants = [grant["rights"] for grant in found if grant and _covers(grant["base"], self._base)]
        held = {right.strip() for rights in grants for right in rights.split(",")}
        return [] if "ALL PRIVILEGES" in held else [right for right in wanted if right not in held]


def quote(database: Database, name: str) -> str:
    """Quote the name of a database, table or column."""
    return str(database.engine.dialect.identifier_preparer.quote_identifier(name))


def quote_table(database: Database, name: str) -> str:
    """Quote the name of a table, which may begin with that of its database."""
    return ".".join(quote(database, part) for part in split_name(name) if part)


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
    table = database.transaction(reflect, retry=False)
    needed = [*([] if table is not None else [NEW_GALLERY]), *_rights_to_prepare(version)]
    if needed:
        yield _judge_creation(account, needed)
    else:
        yield TABLES.ok("version", f"las tablas del programa están al día (paso {version})")
    suits = table is None or (yield from _check_gallery_table(database, table, model))
    found = define_table(mysql=database.is_mysql) if table is None else table
    yield from database.transaction(lambda connection: list(_check_engines(connection)), retry=False)
    return _read_shape(database, found, prepared=suits and not needed)


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


def _check_gallery_table(database: Database, table: Table, model: str) -> Generator[Finding, None, bool]:
    """Check `face_embeddings`, which another program may have made, and return whether a run can write into it."""
    missing = missing_columns(table.c.keys())
    if missing:
        yield TABLES.broken("columns", f"a {TABLE} le falta {', '.join(missing)}", COLUMNS_ADVICE)
        return False
    obstacles = list(find_obstacles(database, table, model, max_dimensions(model)))
    problems = [TABLES.broken(each.name, each.text, each.advice) for each in obstacles]
    if "confidence" not in [each.name for each in obstacles]:
        problems += _check_rounding(found_type(table.c.confidence))
    problems += database.transaction(lambda connection: list(_check_indexes(inspect(connection))), retry=False)
    yield from problems or [TABLES.ok("columns", f"{TABLE} tiene sus columnas, tipos e índice")]
    return not obstacles


def _check_rounding(confidence: TypeEngine[Any]) -> Iterator[Finding]:
    decimals = 0 if isinstance(confidence, Integer) else getattr(confidence, "scale", None)
    if decimals is not None and decimals < CONFIDENCE_DECIMALS:
        advice = f"ALTER TABLE {TABLE} MODIFY confidence {CONFIDENCE};"
        yield TABLES.warning("confidence", f"confidence es {confidence}: se redondea", advice)


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


def _check_engines(connection: Connection) -> Iterator[Finding]:
    found = tables_without_transactions(connection)
    if found:
        names = ", ".join(f"{name} ({engine})" for name, engine in found.items())
        advice = "\n".join(f"ALTER TABLE {name} ENGINE = InnoDB;" for name in found)
        yield TABLES.warning("engine", f"de un motor sin transacciones: {names}; {NO_TRANSACTIONS}", advice)


def _read_shape(database: Database, table: Table, *, prepared: bool) -> Shape:
    """Read the shape of the gallery's table; while there is none, of the one that a run would create."""
    columns = (table.c.get(name) for name in ("crew_id", "imagen_path"))
    ids, urls = (None if column is None else max_characters(found_type(column)) for column in columns)
    charset, collation = database.transaction(_read_charset, retry=False) if database.is_mysql else ("", "")
    kind = ShownText(found_type(table.c.crew_id)) if "crew_id" in table.c else None
    return Shape(ids, urls, charset, collation, prepared, changeable=database.is_mysql, ids=kind)


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


def _rights_to_prepare(version: int) -> Iterator[Need]:
    """Yield what the next run needs to create the own tables, or to bring those of this version up to date."""
    if version == 0:
        yield NEW_TABLES
    elif version < VERSION:
        yield OLD_TABLES


def _judge_creation(account: Account | None, needs: Sequence[Need]) -> Finding:
    """Judge whether the next run can create or update these tables; without accounts (SQLite) it can."""
    message = f"faltan o están por actualizar: {', '.join(name for name, _ in needs)}"
    wanted = dict.fromkeys(right for _, rights in needs for right in rights)
    lacking = account.missing_to_create(list(wanted)) if account else []
    if account is None or not lacking:
        return TABLES.ok("to_create", f"{message}. La próxima ejecución las prepara")
    advice = "Entregue a quien administra la base el SQL que escribe --print-schema, o pídale:"
    message = f"{message}, y el usuario no puede ({', '.join(lacking)})"
    return TABLES.broken("to_create", message, f"{advice}\n{account.grant(lacking, '*')}")
