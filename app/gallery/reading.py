"""Reads without creating or changing: a missing table counts as empty, a column that the tables of an earlier version
lack as NULL, and no SQLite file is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from sqlalchemy import (
    Column,
    Connection,
    Inspector,
    Label,
    Row,
    Select,
    Subquery,
    Table,
    inspect,
    null,
    select,
    type_coerce,
)
from sqlalchemy.sql.dml import Delete, Update
from sqlalchemy.sql.visitors import replacement_traverse

from app.core.database import (
    ACCESS_DENIED_DATABASE,
    AS_THEY_COME,
    COLUMN_DENIED,
    ITEMS_AT_ONCE,
    TABLE_DENIED,
    Database,
)
from app.errors import DatabaseUnavailable

Result = TypeVar("Result")

DENIED = (ACCESS_DENIED_DATABASE, TABLE_DENIED, COLUMN_DENIED)
DENIED_ADVICE = "Ejecute --print-schema y entregue ese SQL a quien administra la base: al usuario le faltan permisos."
NO_SUCH_TABLE, NO_SUCH_COLUMN = 1146, 1054
NOT_THERE_IN_SQLITE = ("no such table", "no such column")


@contextmanager
def advising_the_denied(advice: str = DENIED_ADVICE) -> Iterator[None]:
    """Give this advice with a DatabaseUnavailable whose cause is a missing right."""
    try:
        yield
    except DatabaseUnavailable as error:
        if getattr(getattr(error.__cause__, "orig", None), "errno", 0) in DENIED:
            error.advice = advice
        raise


def read_rows(database: Database, query: Select[Any], *, retry: bool = True) -> Sequence[Row[Any]]:
    """Return the query's rows. Raises DatabaseUnavailable; without `retry` at once, for the first contact."""
    if not database.exists:
        return []
    with advising_the_denied():
        try:
            return database.transaction(lambda connection: connection.execute(query).all(), retry=retry)
        except DatabaseUnavailable as error:
            if not _is_about_what_is_missing(error):
                raise
        return database.transaction(lambda each: each.execute(_without_the_missing(each, query)).all(), retry=retry)


def read_folded(database: Database, query: Select[Any], fold: Callable[[Iterator[Row[Any]]], Result]) -> Result:
    """Return what `fold` makes of the query's rows as they come: of a long table the driver would hold every row twice.
    `fold` may not use the database. After a lost connection it begins anew.

    Raises DatabaseUnavailable.
    """
    if not database.exists:
        return fold(iter(()))

    def read(connection: Connection, query: Select[Any]) -> Result:
        return fold(iter(connection.execute(query, execution_options=AS_THEY_COME)))

    with advising_the_denied():
        try:
            return database.transaction(lambda connection: read(connection, query))
        except DatabaseUnavailable as error:
            if not _is_about_what_is_missing(error):
                raise
        return database.transaction(lambda each: read(each, _without_the_missing(each, query)))


def read_rows_of(database: Database, query: Select[Any], column: Column[Any], values: Sequence[Any]) -> list[Row[Any]]:
    """Return the query's rows with one of these values in the column. Raises DatabaseUnavailable."""
    chunks = (values[start : start + ITEMS_AT_ONCE] for start in range(0, len(values), ITEMS_AT_ONCE))
    return [row for chunk in chunks for row in read_rows(database, query.where(column.in_(chunk)))]


def change_rows_of(database: Database, change: Update | Delete, column: Column[Any], values: Sequence[Any]) -> None:
    """Change the rows with one of these values in the column. Raises DatabaseUnavailable."""
    database.in_chunks(values, lambda connection, chunk: connection.execute(change.where(column.in_(chunk))))


def _is_about_what_is_missing(error: DatabaseUnavailable) -> bool:
    cause = getattr(error.__cause__, "orig", None)
    return getattr(cause, "errno", 0) in (NO_SUCH_TABLE, NO_SUCH_COLUMN) or any(
        words in str(cause) for words in NOT_THERE_IN_SQLITE
    )


def _without_the_missing(connection: Connection, query: Select[Any]) -> Select[Any]:
    """Put a subquery in the place of each table that is missing or lacks a column."""
    schema = inspect(connection)
    places: dict[str, Subquery | None] = {}

    def place_of(table: Table) -> Subquery | None:
        if table.name not in places:
            places[table.name] = _completed(schema, table) if schema.has_table(table.name) else _nothing(table)
        return places[table.name]

    def replace(element: Any, **_: Any) -> Any:
        if isinstance(element, Table):
            return place_of(element)
        place = place_of(element.table) if isinstance(element, Column) and element.table is not None else None
        return None if place is None else place.c[element.name]

    return cast("Select[Any]", replacement_traverse(query, {}, replace))


def _completed(schema: Inspector, table: Table) -> Subquery | None:
    """Return the table with NULL in the columns that it lacks; None where it has them all."""
    there = {each["name"] for each in schema.get_columns(table.name)}
    if there.issuperset(table.columns.keys()):
        return None
    return select(*(each if each.name in there else _unknown(each) for each in table.columns)).subquery(table.name)


def _unknown(column: Column[Any]) -> Label[Any]:
    return type_coerce(null(), column.type).label(column.name)


def _nothing(table: Table) -> Subquery:
    columns = map(_unknown, table.columns)
    return select(*columns).limit(0).subquery(table.name)  # without WHERE: MySQL 5.7 takes none where no table is named
