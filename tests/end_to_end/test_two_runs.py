"""What happens between two runs, and to rows that another program changed meanwhile."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from app.errors import ImplausibleRun, MixedModels, NotSwitched
from app.gallery.crash_suspects import CrashSuspects
from app.planning.rules import Request
from app.runs.run import run_batch
from tests.conftest import NEW_MODEL, OLD_MODEL, NewHome
from tests.support.databases import run_sql
from tests.support.organisation import Organisation
from tests.support.tiny_faces import Silent

CREW = [f"P{number:02}" for number in range(24)]
ACTIVE = "SELECT id, crew_id, modelo FROM face_embeddings WHERE active ORDER BY crew_id, id"


@pytest.fixture
def home(new_home: NewHome) -> Organisation:
    home = new_home()
    home.hire(*CREW)
    assert home.run().exit_code == 0
    return home


class Meddling(Silent):
    """Does something between the plan and its execution."""

    def __init__(self, stop: threading.Event, meddle: Any) -> None:
        super().__init__(stop)
        self._meddle = meddle

    def planned(self, plan: object, rules: object) -> None:
        self._meddle()


def without_lock(*_: object) -> AbstractContextManager[None]:
    """As if the server had lost it: what happens then must be right all the same."""
    return nullcontext()


def run_with(home: Organisation, meddle: Any, **request: Any) -> Any:
    home.publish()
    stop = threading.Event()
    asked = Request(now=home.now, **request)
    return run_batch(home.settings, asked, Meddling(stop, meddle), stop, home.loader, without_lock)


def test_a_row_that_the_service_deactivates_meanwhile_stays_so(home: Organisation) -> None:
    home.rename("P01")
    result = run_with(
        home, lambda: run_sql(home.database, "UPDATE face_embeddings SET active = 0 WHERE crew_id = 'P01'")
    )
    assert result.error is None
    assert "P01" not in [row[1] for row in run_sql(home.database, ACTIVE)]


def test_a_run_with_an_old_plan_writes_over_no_row_of_a_migration(home: Organisation) -> None:
    """The nightly run has its plan when the operator's `--migrate` switches."""
    for crew_id in CREW[:3]:
        home.replace(crew_id)
    home.tomorrow()

    def migrate() -> None:
        old = home.settings
        home.settings = old.model_copy(update={"FACE_MODEL": NEW_MODEL})
        assert home.run(migrate=True).result.switched == 24
        home.settings = old

    result = run_with(home, migrate)
    assert {row[2] for row in run_sql(home.database, ACTIVE)} == {NEW_MODEL}
    refused = [each.member.crew_id for each in result.outcomes if getattr(each, "code", "") == "row_refused"]
    assert sorted(refused) == CREW[:3]


@pytest.mark.parametrize("request_", [{"crew_id": "P01"}, {"retry_failed": True}], ids=["one", "failed"])
def test_a_run_for_some_does_not_begin_a_mixture(home: Organisation, request_: dict[str, Any]) -> None:
    home.lose("P02")
    home.tomorrow()
    home.run()
    before = home.active_rows()
    home.find("P02")
    home.settings = home.settings.model_copy(update={"FACE_MODEL": NEW_MODEL})
    ran = home.run(**request_)
    assert isinstance(ran.result.error, MixedModels)
    assert (home.active_rows(), {row[2] for row in before}) == (before, {OLD_MODEL})


def test_while_the_photo_server_is_down_leavers_go_all_the_same(home: Organisation) -> None:
    home.dismiss("P05")
    home.tomorrow()
    home.web.down = True
    ran = home.run()
    assert isinstance(ran.result.error, ImplausibleRun)
    assert (ran.result.deactivated, ran.exit_code) == (["P05"], 3)
    assert len(home.active_rows()) == 23


def test_old_failures_do_not_stop_a_run(home: Organisation) -> None:
    """Hours later their turn comes again, and nothing else is downloaded."""
    home.hire(*(f"N{number:02}" for number in range(25)))
    for number in range(25):
        home.lose(f"N{number:02}")
    assert home.run(recheck_hours=0).exit_code == 1
    home.hire("Z")
    home.tomorrow()
    again = home.run(recheck_hours=100)
    assert (again.result.error, again.codes["Z"]) == (None, "stored")
    assert home.run(retry_failed=True).result.error is None


def test_a_second_active_row_goes_also_when_the_photo_has_failed(home: Organisation) -> None:
    home.replace("P03", face=False)
    home.tomorrow()
    home.run()
    columns = "crew_id, embedding, modelo, imagen_path, active"
    run_sql(
        home.database,
        f"INSERT INTO face_embeddings ({columns}) SELECT {columns} FROM face_embeddings WHERE crew_id = 'P03'",  # noqa: S608
    )
    home.run()
    assert [row[1] for row in run_sql(home.database, ACTIVE)].count("P03") == 1


def test_a_switch_needs_most_of_its_sample(home: Organisation) -> None:
    """The vectors were ready, and then the photo server went away: nothing could be checked."""
    home.settings = home.settings.model_copy(update={"FACE_MODEL": NEW_MODEL})
    before = home.active_rows()
    ran = home.run(migrate=True, stop_after=24)
    assert (ran.result.switched, ran.result.unswitched, home.active_rows()) == (None, True, before)
    home.web.down = True
    again = home.run(migrate=True)
    assert isinstance(again.result.error, NotSwitched)
    assert home.active_rows() == before
    home.web.down = False
    assert home.run(migrate=True).result.switched == 24


def test_the_next_run_says_that_one_died_and_those_under_way_are_blamed_for_it_once(home: Organisation) -> None:
    """Also when that next run is stopped while it takes them one by one."""
    for crew_id in CREW[:3]:
        home.replace(crew_id)
    home.tomorrow()
    home.die("decode", CREW[2])
    stopped = home.run(stop_after=1)
    assert stopped.result.died_before is not None
    assert sorted(stopped.codes.values()).count("interrupted") == 2
    suspects = CrashSuspects(home.database).suspects(living=())
    assert [suspect.deaths for suspect in suspects.values()] == [1, 1]
    last = home.run()
    assert (last.result.died_before, [last.codes[crew_id] for crew_id in CREW[:3]].count("stored")) == (None, 2)
    assert run_sql(home.database, "SELECT * FROM face_attempts") == []
