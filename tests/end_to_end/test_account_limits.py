"""Limits that a shared host sets on the database's account: a run lives within them, or says which and what it needs.
`--check` says the same."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from tests.conftest import OpenWorld
from tests.support.mariadb import MariaDb
from tests.support.program import Result, World

NAME, PASSWORD = "alojada", "S3creta"
MEMBERS = 12


def run_alone(world: World, *words: str) -> Result:
    """Run as a process of its own would: without connections that earlier runs in this process have left open."""
    leave(world)
    return world.run(*words)


def leave(world: World) -> None:
    world.engine.dispose()
    close_forgotten(MariaDb(world.engine.url.port or 0))


def close_forgotten(server: MariaDb) -> None:
    """Close the account's connections that earlier runs have left, and wait until the server has seen that."""
    gc.collect()
    query = f"SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{NAME}'"  # noqa: S608
    deadline = time.monotonic() + 10
    while server.execute(query) != [(0,)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def findings(checked: Result, name: str) -> list[tuple[str, str]]:
    return [(each["level"], each["text"]) for each in checked.document["findings"] if each["name"] == name]


@pytest.fixture
def limited(
    mariadb: MariaDb, mariadb_name: str, open_world: OpenWorld, portrait_jpeg: bytes
) -> Iterator[Callable[[str], World]]:
    """Make a customer whose account has these limits; the tables are made by its first run."""

    def make(limits: str) -> World:
        close_forgotten(mariadb)
        mariadb.create_user(NAME, PASSWORD, f"ALL ON {mariadb_name}.*")
        owner = open_world(mariadb.url(mariadb_name).render_as_string(hide_password=False))
        for number in range(MEMBERS):
            owner.hire(str(number), "a.jpg", portrait_jpeg)
        mariadb.execute(f"GRANT USAGE ON *.* TO {NAME}@'%' WITH {limits}")
        url = mariadb.url(mariadb_name, NAME, PASSWORD).render_as_string(hide_password=False)
        owner.engine.dispose()
        return open_world(url, BATCH_SIZE=1)

    yield make
    mariadb.execute(f"DROP USER IF EXISTS {NAME}@'%'")


def renew(mariadb: MariaDb) -> None:
    """Begin a new hour."""
    mariadb.execute("FLUSH USER_RESOURCES")


def stored(mariadb: MariaDb, name: str) -> int:
    return int(mariadb.execute("SELECT COUNT(*) FROM face_embeddings", name)[0][0])


def test_two_connections_at_once_are_enough(limited: Callable[[str], World], mariadb: MariaDb) -> None:
    world = limited("MAX_USER_CONNECTIONS 2")
    assert findings(run_alone(world, "--check"), "account") == [
        ("ok", "límites de la cuenta: 2 conexiones a la vez (MAX_USER_CONNECTIONS)")
    ]
    assert run_alone(world, "--all").exit_code == 0


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("MAX_USER_CONNECTIONS 1", "1 conexiones a la vez (MAX_USER_CONNECTIONS)"),
        ("MAX_UPDATES_PER_HOUR 20", "20 cambios por hora (MAX_UPDATES_PER_HOUR)"),
        ("MAX_QUERIES_PER_HOUR 180", "180 consultas por hora (MAX_QUERIES_PER_HOUR)"),
    ],
)
def test_a_limit_that_no_run_fits_into_is_said_by_run_and_check(
    limited: Callable[[str], World], mariadb: MariaDb, limits: str, said: str
) -> None:
    world = limited(limits)
    checked = run_alone(world, "--check")
    assert checked.exit_code == 2
    assert said in checked.stdout
    renew(mariadb)
    world.web.requests.clear()
    result = run_alone(world, "--all")
    assert result.exit_code == 3
    assert said in result.document["summary"]["error"]
    assert "Una ejecución necesita al menos" in result.stdout
    assert world.web.requests == []


def test_a_run_ends_in_good_order_before_the_hour_is_used_up_and_the_next_goes_on(
    limited: Callable[[str], World], mariadb: MariaDb, mariadb_name: str
) -> None:
    world = limited("MAX_QUERIES_PER_HOUR 260")
    renew(mariadb)
    first = run_alone(world, "--all")
    after_one = stored(mariadb, mariadb_name)
    assert first.exit_code == 0, first.stdout
    assert 0 < after_one < MEMBERS
    assert "Se acabó lo que la cuenta de la base puede hacer: 260 consultas por hora" in first.stdout
    assert first.document["summary"]["interrupted"] == MEMBERS - after_one
    with_history = mariadb.execute("SELECT exit_code, error FROM face_runs", mariadb_name)
    assert [tuple(row) for row in with_history] == [(0, None)]
    for _ in range(MEMBERS):
        renew(mariadb)
        if stored(mariadb, mariadb_name) == MEMBERS:
            break
        run_alone(world, "--all")
    assert stored(mariadb, mariadb_name) == MEMBERS


def test_what_the_account_allows_is_compared_with_the_roster(limited: Callable[[str], World]) -> None:
    world = limited("MAX_UPDATES_PER_HOUR 70")
    ((level, words),) = findings(run_alone(world, "--check"), "allowance")
    assert (level, words.endswith(f"de {MEMBERS} activas")) == ("warning", True)


def test_a_limit_that_is_reached_in_the_middle_is_named_at_once_and_not_waited_for(
    limited: Callable[[str], World], mariadb: MariaDb, mariadb_name: str
) -> None:
    world = limited("MAX_UPDATES_PER_HOUR 60")
    renew(mariadb)
    url = mariadb.url(mariadb_name, NAME, PASSWORD)
    spender = MariaDb(mariadb.port)
    assert spender.url(mariadb_name, NAME, PASSWORD) == url
    with world.engine.begin() as connection:  # another program of the same account uses most of the hour
        connection.execute(text("CREATE TABLE otra (n INT)"))
        for _ in range(55):
            connection.execute(text("INSERT INTO otra VALUES (1)"))
    world.engine.dispose()
    result = run_alone(world, "--all")
    assert result.exit_code == 3
    assert "MAX_UPDATES_PER_HOUR" in result.document["summary"]["error"]
    assert result.document["summary"]["seconds"] < 10
    assert "1226" not in result.stdout
