"""Runs with an account that a shared host limits: within the limits, or a sentence that names the one."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import create_engine, text

from app.core.account_limits import AT_ONCE, CONNECTIONS, QUERIES, UPDATES
from tests.conftest import OpenWorld
from tests.support.mariadb import MariaDb
from tests.support.program import World

PEOPLE = 30


@pytest.fixture
def poor(
    mariadb: MariaDb, mariadb_name: str, open_world: OpenWorld, portrait_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> World:
    """A customer whose account can be limited; the tests look at the tables as root."""
    world = open_world(mariadb.url(mariadb_name).render_as_string(hide_password=False), BATCH_SIZE=2)
    for number in range(PEOPLE):
        world.hire(str(number), "a.jpg", portrait_jpeg + b"x" * number)
    mariadb.create_user("pobre", "x", f"ALL ON {mariadb_name}.*")
    monkeypatch.setenv("DB_URL", mariadb.url(mariadb_name, "pobre", "x").render_as_string(hide_password=False))
    return world


def test_two_connections_are_enough_for_a_run(mariadb: MariaDb, poor: World) -> None:
    mariadb.limit_user("pobre", f"{AT_ONCE} 2 {CONNECTIONS} 2")
    result = poor.run("--all")
    assert (result.exit_code, len(poor.rows())) == (0, PEOPLE)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (f"{QUERIES} 260", "260 consultas por hora (MAX_QUERIES_PER_HOUR)"),
        (f"{UPDATES} 90", "90 cambios por hora (MAX_UPDATES_PER_HOUR)"),
    ],
)
def test_a_run_that_used_up_the_hour_ends_in_good_order_and_the_next_goes_on(
    mariadb: MariaDb, mariadb_name: str, poor: World, limit: str, said: str
) -> None:
    mariadb.limit_user("pobre", limit)
    result = poor.run("--all")
    stored, left = (result.document["summary"][name] for name in ("stored", "interrupted"))
    assert (result.exit_code, stored > 0, left > 0, stored + left) == (0, True, True, PEOPLE)
    end = f"Se acabó lo que la cuenta de la base puede hacer: {said}: {left} sin procesar. Al ejecutar de nuevo se"
    assert end in " ".join(result.stdout.split())
    assert mariadb.execute("SELECT * FROM face_attempts", mariadb_name) == []
    assert mariadb.execute("SELECT exit_code FROM face_runs", mariadb_name) == [(0,)]
    mariadb.limit_user("pobre", f"{QUERIES} 0 {UPDATES} 0")
    assert poor.run("--all").exit_code == 0
    assert len(poor.rows()) == PEOPLE


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (QUERIES, 190, "190 consultas por hora (MAX_QUERIES_PER_HOUR)"),
        (UPDATES, 40, "40 cambios por hora (MAX_UPDATES_PER_HOUR)"),
        (CONNECTIONS, 1, "1 conexión por hora (MAX_CONNECTIONS_PER_HOUR)"),
        (AT_ONCE, 1, "1 conexión a la vez (MAX_USER_CONNECTIONS)"),
    ],
)
def test_a_limit_that_no_run_fits_into_is_named_by_the_run_and_by_check(
    mariadb: MariaDb, poor: World, name: str, value: int, said: str
) -> None:
    mariadb.limit_user("pobre", f"{name} {value}")
    found = poor.run("--check").document["findings"]
    assert [each["text"] for each in found if each["level"] == "broken"] == [
        f"límite de la cuenta demasiado bajo: {said}"
    ]
    mariadb.limit_user("pobre", f"{name} {value}")
    result = poor.run("--all")
    assert (result.exit_code, said in result.document["summary"]["error"]) == (3, True)
    assert "Qué hacer: Una ejecución necesita al menos " in result.stdout


def test_check_says_how_many_people_a_limit_is_enough_for(mariadb: MariaDb, poor: World) -> None:
    mariadb.limit_user("pobre", f"{QUERIES} 260")
    found = {each["name"]: each for each in poor.run("--check").document["findings"]}
    assert found["account"]["level"] == "ok"
    assert found["allowance"]["level"] == "warning"
    assert "unas 6 personas nuevas por ejecución, de 30 activas" in found["allowance"]["text"]
    assert "MAX_QUERIES_PER_HOUR 500" in found["allowance"]["advice"]
    mariadb.limit_user("pobre", f"{QUERIES} 500")
    assert "allowance" not in {each["name"] for each in poor.run("--check").document["findings"]}


def test_an_hour_that_another_program_used_up_is_named_at_once(
    mariadb: MariaDb, mariadb_name: str, poor: World
) -> None:
    mariadb.limit_user("pobre", f"{UPDATES} 60")
    other = create_engine(os.environ["DB_URL"])
    with other.begin() as connection:
        connection.execute(text("CREATE TABLE otra (n INT)"))
        for _ in range(55):
            connection.execute(text("INSERT INTO otra VALUES (1)"))
    other.dispose()
    result = poor.run("--all")
    assert (result.exit_code, "MAX_UPDATES_PER_HOUR" in result.document["summary"]["error"]) == (3, True)
    assert result.document["summary"]["seconds"] < 10
    assert "1226" not in result.stdout
