"""A run on a cluster of three nodes leaves the tables, outcomes and codes that one on this machine's threads leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from app.core.database import Database
from app.records import Image
from tests.conftest import OpenWorld
from tests.end_to_end.test_failures import CASES, SOME_FAILED
from tests.end_to_end.test_month import MANY, MONTH, live_through
from tests.scale.conftest import NewCustomer
from tests.support.chaos_options import rounds
from tests.support.organisation import Oracle
from tests.support.program import World

LIMITS: dict[str, object] = {
    "MAX_PHOTO_MB": 2,
    "MAX_PHOTO_MEGAPIXELS": 4,
    "HTTP_READ_TIMEOUT_S": 0.5,
    "HTTP_TOTAL_TIMEOUT_S": 3,
    "WORKER_THREADS": 1,
}
DAYS = rounds(quick=3, full=len(MONTH))


@pytest.mark.chaos
def test_the_days_of_a_month_cost_and_leave_what_they_do_on_threads(
    new_customer: NewCustomer, sqlite_database: Database
) -> None:
    """The oracle knows the rows and the fewest downloads and vectors; the quick round lives through the first days."""
    home, oracle = new_customer(sqlite_database), Oracle()
    for number, events in enumerate(MONTH[:DAYS]):
        live_through(home, oracle, number, events)


def test_a_migration_on_the_cluster_switches_everybody_on_mysql(
    new_customer: NewCustomer, mariadb_database: Database
) -> None:
    home = new_customer(mariadb_database)
    home.hire(*MANY)
    home.run()
    home.settings = home.settings.model_copy(update={"FACE_MODEL": "Dlib"})
    ran = home.run(migrate=True)
    assert (ran.result.error, ran.result.switched, ran.exit_code) == (None, len(MANY), 0)
    assert {row[2] for row in home.active_rows()} == {"Dlib"}


def test_every_failure_is_the_same_as_on_threads(
    open_world: OpenWorld, cluster: Cluster, tmp_path: Path, astronaut: Image, portrait_jpeg: bytes
) -> None:
    """All of the table of failures in one roster, with the real nets, through the command line."""
    seen = []
    for name, engine in (("threads", ()), ("cluster", ("--engine", "ray", "--ray-address", cluster.address))):
        world = open_world(f"sqlite:///{tmp_path / name}.db", **LIMITS)
        expected = hire_all_cases(world, astronaut, portrait_jpeg)
        ran = world.run("--all", *engine)
        assert ran.exit_code == SOME_FAILED
        found = members(ran.document)
        assert {crew_id: each[:3] for crew_id, each in found.items() if each[0] == "failed"} == expected
        seen.append((found, [(row.crew_id, row.embedding, row.confidence) for row in world.rows()]))
    assert seen[0] == seen[1]


def hire_all_cases(world: World, astronaut: Image, portrait_jpeg: bytes) -> dict[str, tuple[str, str, str]]:
    """Hire somebody for each case, and one whose photo is fine; return what is to come of the cases."""
    world.web.default_photo, world.web.failures, world.web.retry_after = portrait_jpeg, 99, "0"
    world.web.redirect_target = "http://127.0.0.2:9/a.jpg"
    world.hire("good", "a.jpg", portrait_jpeg)
    expected = {}
    for number, case in enumerate(CASES.values()):
        crew_id = f"c{number}" if case.crew_id == "photo" else case.crew_id
        world.hire(crew_id, case.photo, case.content(astronaut) if case.content else None)
        expected[crew_id] = ("failed", case.stage, case.code)
    return expected


def members(document: dict[str, Any]) -> dict[str, tuple[str, str, str, str]]:
    fields = ("outcome", "stage", "code", "detail")
    found = {each["crew_id"]: tuple(each.get(name, "") for name in fields) for each in document["members"]}
    assert len(found) == len(document["members"])
    return found
