"""The limits of a host's account: read from each server, counted as it counts, and named when one is reached."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from app.core.account_limits import AT_ONCE, CONNECTIONS, QUERIES, UPDATES, Limit, exceeded_limit, read_limits
from app.core.database import Database
from app.errors import DatabaseUnavailable
from tests.conftest import OpenDatabase
from tests.support.databases import run_sql
from tests.support.mariadb import MariaDb


@pytest.fixture
def enter(mariadb: MariaDb, mariadb_name: str, open_database: OpenDatabase) -> Iterator[OpenDatabase]:
    """Open the database with an account of these limits."""

    def open_limited(limits: str, **settings: object) -> Database:
        mariadb.create_user("pobre", "x", f"ALL ON {mariadb_name}.*")
        mariadb.limit_user("pobre", limits)
        url = mariadb.url(mariadb_name, "pobre", "x").render_as_string(hide_password=False)
        return open_database(DB_URL=url, **settings)

    yield open_limited
    mariadb.execute("FLUSH USER_RESOURCES")


@pytest.mark.parametrize(
    ("number", "message", "limit"),
    [
        (1226, "User 'ana' has exceeded the 'max_questions' resource (current value: 50)", Limit(QUERIES, 50)),
        (1226, "User 'ana' has exceeded the 'max_queries_per_hour' resource (current value: 50)", Limit(QUERIES, 50)),
        (1226, "User 'max_updates' has exceeded the 'max_user_connections' resource (.. 3)", Limit(AT_ONCE, 3)),
        (1226, "User '9' has exceeded the 'max_updates_per_hour' resource (current value: 7)", Limit(UPDATES, 7)),
        (1226, "Usuario 'ana' ha excedido el recurso 'max_connections_per_hour' (2)", Limit(CONNECTIONS, 2)),
        (1226, "something else", None),
        (1142, "SELECT command denied for table 'max_questions' (50)", None),
    ],
)
def test_an_error_names_its_limit(number: int, message: str, limit: Limit | None) -> None:
    assert exceeded_limit(number, message) == limit


def test_a_limit_is_said_with_its_name_and_what_a_run_needs() -> None:
    assert str(Limit(AT_ONCE, 1)) == "1 conexión a la vez (MAX_USER_CONNECTIONS)"
    assert str(Limit(QUERIES, 60)) == "60 consultas por hora (MAX_QUERIES_PER_HOUR)"
    assert Limit(AT_ONCE, 1).advice == "Una ejecución necesita al menos 2. Pida ese límite a quien administra la base."
    assert Limit(QUERIES, 1).advice == (
        "Una ejecución necesita al menos 200, y hasta 10 más por cada persona que procesa. Pida ese límite a quien "
        "administra la base. Se renueva cada hora."
    )


def test_the_limits_are_read_from_the_server(enter: OpenDatabase) -> None:
    database = enter(f"{QUERIES} 500 {CONNECTIONS} 9 {AT_ONCE} 4")
    found = [Limit(QUERIES, 500), Limit(CONNECTIONS, 9), Limit(AT_ONCE, 4)]
    assert database.transaction(read_limits) == found
    assert enter(f"{QUERIES} 0 {CONNECTIONS} 0 {AT_ONCE} 0").transaction(read_limits) == []


@pytest.mark.parametrize(("name", "value"), [(QUERIES, 240), (UPDATES, 60)])
def test_what_is_used_is_counted_as_the_server_counts_it(enter: OpenDatabase, name: str, value: int) -> None:
    """Nothing is left uncounted: the server refuses no statement before what was counted reaches its limit."""
    database = enter(f"{name} {value}")
    run_sql(database, "CREATE TABLE t (n INT)")
    insert, update = text("INSERT INTO t VALUES (:n)"), text("UPDATE t SET n = :n WHERE n = :n")
    with pytest.raises(DatabaseUnavailable, match=f"la cuenta llegó a su límite: .*{name}"):
        while True:
            database.transaction(lambda each: each.execute(insert, [{"n": n} for n in range(5)]))
            database.transaction(lambda each: each.execute(update, [{"n": n} for n in range(3)]))
    assert value <= database.used[name] <= 1.5 * value


def test_an_hour_that_is_used_up_is_not_waited_for(enter: OpenDatabase) -> None:
    database = enter(f"{QUERIES} 40", DB_RETRY_TOTAL_S=300)
    attempts = 0

    def work(connection):  # type: ignore[no-untyped-def]
        nonlocal attempts
        attempts += 1
        connection.execute(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailable) as caught:
        for _ in range(40):
            attempts = 0
            database.transaction(work)
    assert attempts <= 1
    assert "la cuenta llegó a su límite: 40 consultas por hora" in str(caught.value)
    assert caught.value.advice == Limit(QUERIES, 40).advice


def test_a_connection_that_another_program_of_the_account_holds_is_waited_for(enter: OpenDatabase) -> None:
    database = enter(f"{AT_ONCE} 2")
    held = [database.connect() for _ in range(2)]
    free = threading.Timer(1, lambda: (held[0].invalidate(), held[0].close()))
    free.start()
    assert run_sql(database, "SELECT 1") == [(1,)]
    free.join()
    held[1].close()


@pytest.fixture
def impatient_server(mariadb: MariaDb) -> Iterator[None]:
    """Let the server end statements after a second where it has such a limit."""
    mariadb.need_mysql(5, 7, 8, of="max_execution_time")
    name, one = ("max_statement_time", 1) if mariadb.is_mariadb else ("max_execution_time", 1000)
    mariadb.execute(f"SET GLOBAL {name} = {one}")
    yield
    mariadb.execute(f"SET GLOBAL {name} = 0")


def test_a_host_s_limit_on_the_time_of_a_statement_does_not_end_ours(
    impatient_server: None, mariadb_database: Database
) -> None:
    started = time.monotonic()
    assert run_sql(mariadb_database, "SELECT SLEEP(2)") == [(0,)]
    assert time.monotonic() - started >= 2
