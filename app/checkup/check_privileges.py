"""What the database user may do: the server is asked by EXPLAIN, which needs the same rights as the statement and
changes nothing. The exact GRANT that is missing goes out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.checkup.finding import TABLES, Finding
from app.core.database import ACCESS_DENIED_DATABASE, COLUMN_DENIED, TABLE_DENIED, Database
from app.gallery.embeddings_table import TABLE
from app.gallery.own_tables import ATTEMPTS, CONTRACTS, PHOTOS, RUNS, VECTORS, VERSIONS

DENIED = (ACCESS_DENIED_DATABASE, TABLE_DENIED, COLUMN_DENIED)
NO_SUCH_TABLE = 1146
OURS = (PHOTOS, VECTORS, CONTRACTS, ATTEMPTS, RUNS, VERSIONS)
READ, WRITE, ALL = ("SELECT",), ("SELECT", "INSERT", "UPDATE"), ("SELECT", "INSERT", "UPDATE", "DELETE")
RIGHTS = {VERSIONS: READ}  # it is written when tables are made or changed, which whoever may do so may, too
TO_CREATE = ("CREATE", "ALTER", "INDEX")
STATEMENTS = {
    "SELECT": "SELECT {columns} FROM {table}",
    "INSERT": "INSERT INTO {table} ({first}) VALUES (DEFAULT)",
    "UPDATE": "UPDATE {table} SET {first} = DEFAULT",
    "DELETE": "DELETE FROM {table}",
}
# One line of SHOW GRANTS: the rights, and the pattern of the databases that they are for.
GRANT = re.compile(r"GRANT (?P<rights>.+) ON (?P<base>\*|[`\"](?:[^`\"])+[`\"])\.\* TO ")
SCHEMA_ADVICE = "Entregue a quien administra la base el SQL que escribe --print-schema, o pídale:"


@dataclass(frozen=True, slots=True)
class Rights:
    """To one table: which of the rights asked for are missing, and whether the table is there (None: hidden)."""

    table: str
    missing: tuple[str, ...]
    exists: bool | None


@dataclass(frozen=True, slots=True)
class Account:
    """Whose rights are looked at: as in the GRANT that would give some."""

    database: Database
    base: str
    user: str

    def grant(self, rights: Sequence[str], table: str) -> str:
        """The statement that gives rights to a table; `*`: to all."""
        where = table if table == "*" else self.quote(table)
        return f"GRANT {', '.join(rights)} ON {self.quote(self.base)}.{where} TO {self.user};"

    def quote(self, name: str) -> str:
        return str(self.database.engine.dialect.identifier_preparer.quote_identifier(name))

    def rights_to(self, table: str, wanted: Sequence[str], columns: Sequence[str]) -> Rights:
        """Which of them are missing."""
        names = [self.quote(name) for name in columns]
        words = {"table": self.quote(table), "columns": ", ".join(names), "first": names[0]}
        sql = {right: f"EXPLAIN {STATEMENTS[right].format(**words)}".replace("%", "%%") for right in wanted}
        said = self.database.transaction(
            lambda connection: {right: _errno(connection, statement) for right, statement in sql.items()}, retry=False
        )
        exists = None if all(errno in DENIED for errno in said.values()) else NO_SUCH_TABLE not in said.values()
        return Rights(table, tuple(right for right, errno in said.items() if errno in DENIED), exists)

    def may_create(self) -> tuple[str, ...]:
        """Which of the rights that making and changing tables needs are missing."""
        lines = self.database.transaction(
            lambda connection: [str(row[0]) for row in connection.execute(text("SHOW GRANTS"))], retry=False
        )
        held = {right for line in lines for right in _held(line, self.base)}
        return () if "ALL PRIVILEGES" in held else tuple(right for right in TO_CREATE if right not in held)


def _errno(connection: Connection, sql: str) -> int:
    """What the server refuses the statement with; 0 when it does not."""
    try:
        connection.exec_driver_sql(sql)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return int(getattr(error.orig, "errno", 0) or 0)
    return 0


def open_account(database: Database) -> Account:
    """Who we are to the server."""
    asked = text("SELECT CURRENT_USER(), DATABASE()")
    who, base = database.transaction(lambda connection: connection.execute(asked).one(), retry=False)
    user, _, host = str(who).rpartition("@")
    return Account(database, str(base), "@".join("'{}'".format(part.replace("'", "''")) for part in (user, host)))


def _held(line: str, base: str) -> Iterator[str]:
    """The rights that a line of SHOW GRANTS gives to all tables of that database."""
    found = GRANT.match(line)
    if found and _covers(found["base"], base):
        yield from (right.strip() for right in found["rights"].split(","))


def _covers(pattern: str, base: str) -> bool:
    """Whether a database's name in a GRANT, with MySQL's wildcards, means this one."""
    if pattern == "*":
        return True
    parts = re.split(r"(\\.|%|_)", pattern[1:-1])
    wild = {"%": ".*", "_": "."}
    as_regex = "".join(wild.get(part) or re.escape(part[1:] if part.startswith("\\") else part) for part in parts)
    return re.fullmatch(as_regex, base) is not None


def look_at_rights(account: Account, gallery: Rights, ours: Sequence[Rights]) -> Iterator[Finding]:
    """To the gallery and to our own tables."""
    yield from judge_gallery(account, gallery)
    known = [each for each in ours if each.exists is not False]
    lacking = [each for each in known if each.missing]
    if lacking:
        same = {each.missing: [other.table for other in lacking if other.missing == each.missing] for each in lacking}
        names = "; ".join(f"{', '.join(missing)} en {', '.join(tables)}" for missing, tables in same.items())
        grants = "\n".join(account.grant(each.missing, each.table) for each in lacking)
        advice = (
            f"Pida a quien administra la base (si alguna tabla no existe, antes el SQL de --print-schema):\n{grants}"
        )
        yield TABLES.broken("own_rights", f"faltan {names}", advice)
    elif known:
        yield TABLES.ok("own_rights", f"los necesarios en las {len(known)} tablas del programa")


def judge_gallery(account: Account, rights: Rights) -> Iterator[Finding]:
    if rights.exists is False:
        return
    needed = [right for right in rights.missing if right != "DELETE"]
    if needed:
        hidden = " (o no existe esa tabla)" if rights.exists is None else ""
        first = " (si la tabla no existe, antes el SQL de --print-schema)" if hidden else ""
        advice = f"Pida a quien administra la base{first}:\n{account.grant(needed, TABLE)}"
        yield TABLES.broken("gallery_rights", f"faltan {', '.join(needed)} en {TABLE}{hidden}", advice)
    elif rights.missing:
        # As the README recommends: whoever never deletes needs no right to.
        text_ = f"{', '.join(WRITE)}; sin DELETE, que solo piden --purge-after y --forget"
        yield TABLES.ok("gallery_rights", text_)
    else:
        yield TABLES.ok("gallery_rights", f"{', '.join(ALL)} en {TABLE}")


def look_at_creation(account: Account | None, missing: Sequence[str]) -> Finding:
    """Whether tables that are missing or out of date (named so) can be made; where there are no accounts they can."""
    text_ = f"faltan o están por actualizar: {', '.join(missing)}"
    lacking = account.may_create() if account else ()
    if account is None or not lacking:
        return TABLES.ok("to_create", f"{text_}. La próxima ejecución las prepara")
    advice = f"{SCHEMA_ADVICE}\n{account.grant(lacking, '*')}"
    return TABLES.broken("to_create", f"{text_}, y el usuario no puede ({', '.join(lacking)})", advice)
