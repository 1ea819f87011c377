"""Columns of every type that a roster's ids have, in a real MariaDB: what is shown, and what is found by a text."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, Select, Table, select, text

from app.core.database import Database
from app.core.shown_text import ShownText, show_as_text, shown_text
from tests.support.databases import run_sql
from tests.support.mariadb import MariaDb

FILLERS = 400  # rows, so that the server has a reason to use an index


def column_of(database: Database) -> Any:
    with database.engine.connect() as connection:
        column = Table("padron", MetaData(), autoload_with=connection).c.id
    show_as_text(column)
    return column


def make_roster(mariadb: MariaDb, database: Database, kind: str) -> None:
    mariadb.need_kinds(kind)
    run_sql(database, f"CREATE TABLE padron (id {kind})")


def found_by(database: Database, wanted: str) -> list[str]:
    """Return what the database finds by this text; the same by `=`, by IN, and in rows that are locked."""
    column = column_of(database)
    query = select(column)
    queries = (query.where(column == wanted), query.where(column.in_([wanted])), query.where(column == wanted))
    found = [
        database.transaction(lambda connection, each=each: list(connection.execute(each).scalars()))
        for each in (*queries[:2], queries[2].with_for_update())
    ]
    assert found[0] == found[1] == found[2]
    return found[0]


SHOWN = [
    ("VARBINARY(10)", "'789100'", "789100"),
    ("VARBINARY(10)", "'ñ1'", "ñ1"),
    ("BINARY(10)", "'A1'", "A1"),
    ("TINYBLOB", "'A1'", "A1"),
    ("INT", "101", "101"),
    ("INT(6) ZEROFILL", "101", "000101"),
    ("INT(6) ZEROFILL", "1234567", "1234567"),
    ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"),
    ("DOUBLE", "789100", "789100"),
    ("DOUBLE", "1.5", "1.5"),
    ("DOUBLE", "1234567890123456", "1234567890123456"),
    ("FLOAT", "7891001", "7891001"),  # as text the server shows 7891000
    ("DECIMAL(20,10)", "789100", "789100"),
    ("DECIMAL(5,2)", "1.5", "1.50"),
    ("DECIMAL(30)", "123456789012345678901234567890", "123456789012345678901234567890"),
    ("DECIMAL(8,2) ZEROFILL", "101", "000101"),
    ("BIT(20)", "101", "101"),
    ("YEAR", "2024", "2024"),
    ("DATE", "'2024-01-02'", "2024-01-02"),
    ("TIME", "'01:02:03'", "01:02:03"),
    ("DATETIME", "'2024-01-02 03:04:05'", "2024-01-02 03:04:05"),
    ("ENUM('7', '8', '1')", "'8'", "8"),
    ("SET('x', 'y')", "'x,y'", "x,y"),
    ("CHAR(10)", "'A1'", "A1"),
    ("VARCHAR(10)", "' A1 '", "A1"),
    ("UUID", "'123e4567-e89b-12d3-a456-426614174000'", "123e4567-e89b-12d3-a456-426614174000"),
    ("VARCHAR(10)", "NULL", ""),
]


@pytest.mark.parametrize(("kind", "stored", "shown"), SHOWN)
def test_a_value_is_read_as_it_is_shown(
    mariadb: MariaDb, mariadb_database: Database, kind: str, stored: str, shown: str
) -> None:
    make_roster(mariadb, mariadb_database, kind)
    run_sql(mariadb_database, f"INSERT INTO padron VALUES ({stored})")  # noqa: S608
    query = select(column_of(mariadb_database))
    assert mariadb_database.transaction(lambda connection: connection.execute(query).scalar()) == shown


@pytest.mark.parametrize(("kind", "stored", "shown"), [each for each in SHOWN if each[1] not in ("NULL", "' A1 '")])
def test_a_value_is_found_by_what_is_shown(
    mariadb: MariaDb, mariadb_database: Database, kind: str, stored: str, shown: str
) -> None:
    make_roster(mariadb, mariadb_database, kind)
    run_sql(mariadb_database, f"INSERT INTO padron VALUES ({stored})")  # noqa: S608
    assert found_by(mariadb_database, shown) == [shown]


@pytest.mark.parametrize("wanted", ["0x1", "zzz", "9" * 60, "1.25", "\udcff", "'", "2024-13-45", ""])
@pytest.mark.parametrize("kind", [each[0] for each in SHOWN])
def test_no_text_makes_the_server_end_the_query(
    mariadb: MariaDb, mariadb_database: Database, kind: str, wanted: str
) -> None:
    make_roster(mariadb, mariadb_database, kind)
    assert found_by(mariadb_database, wanted) == []


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        *[("VARBINARY(20)", "7"), ("BINARY(20)", "7"), ("INT(6) ZEROFILL", "000007"), ("BIGINT UNSIGNED", "7")],
        *[("DOUBLE", "7"), ("FLOAT", "7"), ("DECIMAL(20,10)", "7"), ("VARCHAR(20)", "7"), ("BIT(20)", "7")],
    ],
)
def test_the_column_s_index_is_used(mariadb_database: Database, kind: str, wanted: str) -> None:
    run_sql(mariadb_database, f"CREATE TABLE padron (id {kind}, nota CHAR(200), KEY (id))")
    values = ", ".join(f"({number if 'BIN' not in kind else repr(str(number))}, 'x')" for number in range(FILLERS))
    run_sql(mariadb_database, f"INSERT INTO padron VALUES {values}")  # noqa: S608
    column = column_of(mariadb_database)

    def rows_read(connection: Connection, query: Select[Any]) -> int:
        connection.exec_driver_sql("FLUSH STATUS")
        assert connection.execute(query).all() != []
        return sum(int(n) for _, n in connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%'"))

    for condition in (column == wanted, column.in_([wanted, wanted.replace("7", "8")])):
        query = select(text("nota")).select_from(column.table).where(condition)
        assert mariadb_database.transaction(lambda connection, query=query: rows_read(connection, query)) < FILLERS / 10


def test_what_is_no_utf8_is_read_and_found_as_surrogates(mariadb_database: Database) -> None:
    run_sql(mariadb_database, "CREATE TABLE padron (id VARBINARY(10))")
    run_sql(mariadb_database, "INSERT INTO padron VALUES (X'4EF1')")
    assert found_by(mariadb_database, "N\udcf1") == ["N\udcf1"]


@pytest.mark.parametrize(
    ("kind", "kept", "changed"),
    [
        ("INT", ["101", "-1", "A1"], ["000101", "101.0", "1.5", "-0"]),
        ("INT(6) ZEROFILL", ["000101", "1234567"], ["101", "0000101"]),
        ("DOUBLE", ["101"], ["000101", "101.0"]),
        ("FLOAT", ["16777216"], ["16777217"]),
        ("DATE", ["2024-01-02"], ["20240102", "7"]),
        ("VARBINARY(9)", ["000101", "a", "ñ"], []),
        ("VARCHAR(9)", ["000101", "101.0", "2024-1-2"], []),
    ],
)
def test_what_a_column_would_change_is_known_before(
    mariadb_database: Database, kind: str, kept: list[str], changed: list[str]
) -> None:
    run_sql(mariadb_database, f"CREATE TABLE padron (id {kind})")
    shown = shown_text(column_of(mariadb_database))
    assert [each for each in kept + changed if shown.keeps(each)] == kept


def test_sqlite_shows_its_loosely_typed_values(sqlite_database: Database) -> None:
    run_sql(sqlite_database, "CREATE TABLE padron (id REAL, n INTEGER, b BLOB, v VARBINARY(5))")
    run_sql(sqlite_database, "INSERT INTO padron VALUES (789100, '1e5x', 'A1', 'A1'), (1.5, 7, X'4131', X'4131')")
    with sqlite_database.engine.connect() as connection:
        table = Table("padron", MetaData(), autoload_with=connection)
        for column in table.c:
            column.type = ShownText(column.type)
        assert connection.execute(select(table)).all() == [("789100", "1e5x", "A1", "A1"), ("1.5", "7", "A1", "A1")]
        for wanted, found in (("1.5", ["1.5"]), ("789100", ["789100"]), ("9" * 60, [])):
            query = select(table.c.id).where(table.c.id == wanted)
            assert list(connection.execute(query).scalars()) == found
