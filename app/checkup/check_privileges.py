"""Find out which rights the database user lacks, and write the GRANT that gives them.

The server is asked to EXPLAIN each statement: that needs the same rights as the statement and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.checkup.finding import TABLES, Finding
from app.core.database import ACCESS_DENIED_DATABASE, COLUMN_DENIED, TABLE_DENIED, Database
from app.gallery.tables import ATTEMPTS, CONTRACTS, PHOTOS, RUNS, TABLE, VECTORS, VERSIONS

DENIED = (ACCESS_DENIED_DATABASE, TABLE_DENIED, COLUMN_DENIED)
NO_SUCH_TABLE = 1146
OWN = (PHOTOS, VECTORS, CONTRACTS, ATTEMPTS, RUNS, VERSIONS)
READ, WRITE, ALL = ("SELECT",), ("SELECT", "INSERT", "UPDATE"), ("SELECT", "INSERT", "UPDATE", "DELETE")
RIGHTS = {VERSIONS: READ}  # written only when tables are created or changed, by a user who may do that
TO_CREATE = ("CREATE", "ALTER", "INDEX")  # ALTER: for what a later release may change in the own tables
STATEMENTS = {
    "SELECT": "SELECT {columns} FROM {table}",
    "INSERT": "INSERT INTO {table} ({first}) VALUES (DEFAULT)",
    "UPDATE": "UPDATE {table} SET {first} = DEFAULT",
    "DELETE": "DELETE FROM {table}",
}
# A line of SHOW GRANTS: the rights, and the pattern of the databases that it gives them to.
GRANT = re.compile(r"GRANT (?P<rights>.+) ON (?P<base>\*|[`\"](?:[^`\"])+[`\"])\.\* TO ")
SCHEMA_ADVICE = "Entregue a quien administra la base el SQL que escribe --print-schema, o pídale:"


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights to a table that are missing, and whether the table exists (None: the server hides it)."""

    table: str
    missing: tuple[str, ...]
    exists: bool | None


@dataclass(frozen=True, slots=True)
class Account:
    """The database user whose rights are checked; `base` and `user` as a GRANT names them, `user` quoted."""

    database: Database
    base: str
    user: str

    def grant(self, rights: Sequence[str], table: str) -> str:
        """Return the statement that gives rights to a table; `*` stands for all tables."""
        where = table if table == "*" else self.quote(table)
        return f"GRANT {', '.join(rights)} ON {self.quote(self.base)}.{where} TO {self.user};"

    def quote(self, name: str) -> str:
        return str(self.database.engine.dialect.identifier_preparer.quote_identifier(name))

    def rights_to(self, table: str, wanted: Sequence[str], columns: Sequence[str]) -> Rights:
        """Try which of the `wanted` rights to some columns of a table are missing."""
        names = [self.quote(name) for name in columns]
        words = {"table": self.quote(table), "columns": ", ".join(names), "first": names[0]}
        sql = {right: f"EXPLAIN {STATEMENTS[right].format(**words)}".replace("%", "%%") for right in wanted}
        errors = self.database.transaction(
            lambda connection: {right: _errno(connection, statement) for right, statement in sql.items()}, retry=False
        )
        missing = tuple(right for right, errno in errors.items() if errno in DENIED)
        exists = None if len(missing) == len(errors) else NO_SUCH_TABLE not in errors.values()
        return Rights(table, missing, exists)

    def missing_to_create(self) -> tuple[str, ...]:
        """Return which of the rights that creating and changing tables needs are missing."""
        lines = self.database.transaction(
            lambda connection: [str(row[0]) for row in connection.execute(text("SHOW GRANTS"))], retry=False
        )
        held = {right for line in lines for right in _held(line, self.base)}
        return () if "ALL PRIVILEGES" in held else tuple(right for right in TO_CREATE if right not in held)


def _errno(connection: Connection, sql: str) -> int:
    """Return the number of the error that the server refuses the statement with; 0 if it does not."""
    try:
        connection.exec_driver_sql(sql)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return int(getattr(error.orig, "errno", 0) or 0)
    return 0


def open_account(database: Database) -> Account:
    """Read which user and database the connection has."""
    query = text("SELECT CURRENT_USER(), DATABASE()")
    account, base = database.transaction(lambda connection: connection.execute(query).one(), retry=False)
    user, _, host = str(account).rpartition("@")
    return Account(database, str(base), "@".join("'{}'".format(part.replace("'", "''")) for part in (user, host)))


def _held(line: str, base: str) -> Iterator[str]:
    """Yield the rights that a line of SHOW GRANTS gives to all tables of the database."""
    found = GRANT.match(line)
    if found and _covers(found["base"], base):
        yield from (right.strip() for right in found["rights"].split(","))


def _covers(pattern: str, base: str) -> bool:
    """Whether the pattern of a GRANT, in which % and _ are wildcards, matches the database."""
    if pattern == "*":
        return True
    parts = re.split(r"(\\.|%|_)", pattern[1:-1])
    wild = {"%": ".*", "_": "."}
    as_regex = "".join(wild.get(part) or re.escape(part[1:] if part.startswith("\\") else part) for part in parts)
    return re.fullmatch(as_regex, base) is not None


def check_rights(account: Account, gallery: Rights, own: Sequence[Rights]) -> Iterator[Finding]:
    """Judge the rights to the gallery's table and to the program's own tables."""
    yield from _judge_gallery_rights(account, gallery)
    known = [rights for rights in own if rights.exists is not False]
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
        message = f"{', '.join(WRITE)}; sin DELETE, que solo piden --purge-after y --forget"
        yield TABLES.ok("gallery_rights", message)
    else:
        yield TABLES.ok("gallery_rights", f"{', '.join(ALL)} en {TABLE}")


def check_creation(account: Account | None, names: Sequence[str]) -> Finding:
    """Judge whether the next run can create or update the tables named so; without accounts (SQLite) it can."""
    message = f"faltan o están por actualizar: {', '.join(names)}"
    lacking = account.missing_to_create() if account else ()
    if account is None or not lacking:
        return TABLES.ok("to_create", f"{message}. La próxima ejecución las prepara")
    advice = f"{SCHEMA_ADVICE}\n{account.grant(lacking, '*')}"
    return TABLES.broken("to_create", f"{message}, y el usuario no puede ({', '.join(lacking)})", advice)
