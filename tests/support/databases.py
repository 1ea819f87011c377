"""Run SQL in tests, and make the organisation's roster table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, inspect, text

from app.core.database import Database

ROSTER_COLUMNS = "crew_id VARCHAR(10), nombres VARCHAR(60), apellidos VARCHAR(60), imagen VARCHAR(120), estatus INT"
Row = tuple[Any, ...]


def run_sql(database: Database, sql: str, *rows: dict[str, Any]) -> list[Row]:
    """Run one statement in its own transaction, once for each of `rows`; return the rows of its result."""

    def work(connection: Connection) -> list[Row]:
        result = connection.execute(text(sql), list(rows) or None)
        return [tuple(row) for row in result] if result.returns_rows else []

    return database.transaction(work)


def read_tables(connection: Connection, *without: str) -> dict[str, list[Row]]:
    """Read every row of every table, except these columns (`table.column`)."""
    found = {}
    for table in sorted(inspect(connection).get_table_names()):
        result = connection.execute(text(f"SELECT * FROM {table}"))  # noqa: S608
        columns = tuple(result.keys())
        kept = [name for name in columns if f"{table}.{name}" not in without]
        found[table] = list(map(tuple, result.columns(*kept)))
    return found


def run_carelessly(database: Database, sql: str) -> None:
    """Run one statement as a less strict program does: the server makes what it is given fit."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql("SET sql_mode = ''")
        connection.exec_driver_sql(sql)
        connection.detach()  # no other work gets a connection of this mode


def create_roster(database: Database, rows: Sequence[Row], columns: str = ROSTER_COLUMNS) -> None:
    """Make the table `tripulantes` with these rows: (crew_id, nombres, apellidos, imagen, estatus)."""
    run_sql(database, f"CREATE TABLE tripulantes ({columns})")
    insert = "INSERT INTO tripulantes (crew_id, nombres, apellidos, imagen, estatus) VALUES (:a, :b, :c, :d, :e)"
    if rows:
        run_sql(database, insert, *(dict(zip("abcde", row, strict=True)) for row in rows))
