"""A month in the life of an organisation: after each day the gallery is what an oracle computes from the roster and the
photos, and no photo was downloaded and no vector computed that did not have to be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from app.errors import EXIT_NOT_AVAILABLE
from app.planning.decisions import (
    CHANGED,
    DEACTIVATE,
    KNOWN_FAILURE,
    NEW,
    REACTIVATE,
    RENAMED,
    RETRY,
    SET_ASIDE,
    STALE,
    UNCHANGED,
)
from tests.conftest import NEW_MODEL, NewHome
from tests.support.databases import run_sql
from tests.support.organisation import LOGIN_PAGE, Oracle, Organisation

STAGES = ("download", "decode", "detect", "embed", "store")
MANY = tuple(f"P{number:02}" for number in range(26))  # the breaker's probation is 20, a tenth of them two
# What may come of each decision; `!` is the failure of an earlier run.
FOLLOWS = {
    NEW: {"stored", "no_face", "photo_not_found"},
    CHANGED: {"stored", "reencoded", "reactivated", "no_face", "photo_not_found", "same_file"},
    RENAMED: {"renamed", "reactivated"},
    STALE: {"stored", "no_face", "photo_not_found"},
    RETRY: {"stored", "same_file", "reencoded", "renamed", "reactivated", "no_face", "photo_not_found", "no_face!"},
    REACTIVATE: {"reactivated"},
    UNCHANGED: {"current"},
    KNOWN_FAILURE: {"no_face!", "photo_not_found!"},
    SET_ASIDE: {"set_aside!"},
}
Event = Callable[[Organisation], object]


@pytest.fixture(autouse=True)
def _as_with_a_long_roster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything go through files that may wait in one."""
    for name in ("core.spool.AT_ONCE", "planning.settled.PLACES", "runs.outcomes.AT_ONCE"):
        monkeypatch.setattr(f"app.{name}", 1)


def change_model(home: Organisation, model: str = NEW_MODEL) -> None:
    home.settings = home.settings.model_copy(update={"FACE_MODEL": model})


def each(event: str, *crew_ids: str, **options: bool) -> Event:
    """The event, to each of them."""
    return lambda home: [getattr(home, event)(crew_id, **options) for crew_id in crew_ids]


def at_server(**attributes: object) -> Event:
    return lambda home: [setattr(home.web, name, value) for name, value in attributes.items()]


def lose_roster(home: Organisation) -> None:
    home.roster_lost = True


def find_roster(home: Organisation) -> None:
    home.roster_lost = False


# A day is what happened before its run.
MONTH: tuple[tuple[Event, ...], ...] = (
    (lambda home: home.hire(*MANY), each("replace", "P03", face=False), each("lose", "P04")),
    (),
    (each("replace", "P00"), each("rename", "P01"), each("reencode", "P02")),
    (each("hire", "P30", "P31"),),
    (each("dismiss", "P05"), each("dismiss", "P06", deleted=True)),
    (at_server(login_page=LOGIN_PAGE), each("hire", "P32")),
    (at_server(login_page=None),),
    (each("replace", "P03", face=True), each("find", "P04")),
    (lose_roster,),
    (find_roster, each("rehire", "P05"), each("rehire", "P06"), each("replace", "P06")),
    (at_server(down=True),),
    (at_server(down=False), each("replace", "P07", face=False), each("lose", "P08")),
    (),
    (each("reencode", "P08"), each("find", "P08"), each("rename", "P07")),
    (each("dismiss", "P10", "P11", "P12", "P13", "P24"),),
    (each("hire", "P33"), each("rehire", "P13")),
    (each("dismiss", "P14"),),
    (change_model, each("hire", "P34"), each("lose", "P09"), each("rehire", "P10")),
    (),
    (each("find", "P09"), each("rename", "P00", "P30"), each("reencode", "P00"), each("replace", "P07")),
    (each("dismiss", "P15"), each("dismiss", "P16", deleted=True), each("rehire", "P11")),
    (each("rename", "P15"), each("rehire", "P15"), each("rehire", "P16"), each("reencode", "P16")),
    (each("replace", "P17", "P18", "P19", "P20", "P21", face=False), each("lose", "P22", "P23")),
    (each("replace", "P17"), each("find", "P22")),
    (each("dismiss", "P00"), each("replace", "P01"), each("rename", "P02"), each("reencode", "P04")),
)
MASS_CHANGE = {16}  # days on which --allow-mass-change is given


def live_through(home: Organisation, oracle: Oracle, number: int, events: tuple[Event, ...]) -> None:
    """One day: planned, run and run once more."""
    for event in events:
        event(home)
    confirmed = number in MASS_CHANGE
    home.publish()
    before = home.dump()
    planned = home.run(plan_only=True, allow_mass_change=confirmed)
    assert number == 0 or home.dump() == before
    cost = oracle.pass_day(home, allow_mass_change=confirmed)
    day = home.run(allow_mass_change=confirmed)
    oracle.check(home)
    if cost is None:
        assert day.exit_code == EXIT_NOT_AVAILABLE
        assert day.embedded == Counter()
    else:
        assert day.result.error is None
        assert (day.downloads, day.embedded) == cost
        agree(home, planned.kinds, day.kinds, day.codes)
        stays_so(home, confirmed=confirmed)
    home.tomorrow()


def agree(home: Organisation, planned: dict[str, str], done: dict[str, str], codes: dict[str, str]) -> None:
    """What was planned was done, and everybody in the roster came to an outcome."""
    assert planned == done
    assert codes.keys() == home.roster.keys()
    assert {crew_id for crew_id, kind in done.items() if kind == DEACTIVATE} == done.keys() - codes.keys()
    assert [
        (crew_id, done[crew_id], code) for crew_id, code in codes.items() if code not in FOLLOWS[done[crew_id]]
    ] == []


def stays_so(home: Organisation, *, confirmed: bool = False) -> None:
    """A second run, although it asks about everybody, writes nothing and costs nothing."""
    before = home.dump("checked_at")
    again = home.run(recheck_hours=0, allow_mass_change=confirmed)
    after = home.dump("checked_at")
    changed = [(table, row) for table, rows in after.items() for row in rows if row not in before.get(table, ())]
    assert [change for change in changed if change[0] != "face_runs"] == []
    assert {table: len(rows) for table, rows in after.items()} == {
        table: len(rows) + (table == "face_runs") for table, rows in before.items()
    }
    assert (again.downloads, again.embedded) == (Counter(), Counter())


@pytest.mark.parametrize("validators", [True, False], ids=["etag", "size"])
def test_after_each_day_of_a_month_the_gallery_is_what_it_has_to_be_for_the_least_work(
    new_home: NewHome, validators: bool
) -> None:
    home, oracle = new_home(validators=validators), Oracle()
    for number, events in enumerate(MONTH):
        live_through(home, oracle, number, events)
    assert {row[2] for row in home.active_rows()} == {NEW_MODEL}


def test_a_migration_shows_one_model_at_a_time_and_goes_on_where_it_was_interrupted(new_home: NewHome) -> None:
    home, oracle = new_home(), Oracle()
    home.hire(*MANY)
    home.replace("P03", face=False)
    live_through(home, oracle, 0, ())
    before = home.active_rows()
    ids = "SELECT id FROM face_embeddings WHERE active ORDER BY id"
    old_ids = run_sql(home.database, ids)
    change_model(home)
    first = home.run(migrate=True, stop_after=3)
    assert Counter(first.codes.values())["interrupted"] > 0
    assert home.active_rows() == before
    waiting = run_sql(home.database, "SELECT crew_id FROM face_vectors WHERE staged ORDER BY crew_id")
    assert 0 < len(waiting) < 25
    cost = oracle.pass_day(home)
    assert cost is not None
    second = home.run(migrate=True)
    assert second.result.error is None
    probes = Counter(dict.fromkeys(oracle.held, 1))
    ready = Counter(crew_id for (crew_id,) in waiting)
    assert second.embedded == cost[1] - ready + probes
    assert first.embedded + second.embedded - probes == cost[1] + (first.embedded - ready)
    oracle.check(home)
    assert second.result.switched == 25
    assert set(run_sql(home.database, ids)).isdisjoint(old_ids)
    again = home.run(migrate=True)
    assert (again.result.switched, again.downloads, again.embedded) == (None, Counter(), Counter())
    stays_so(home)
    oracle.check(home)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("stage", STAGES)
def test_a_member_who_kills_the_run_twice_is_quarantined_and_all_others_are_done(new_home: NewHome, stage: str) -> None:
    home, oracle = new_home(), Oracle()
    killer = "P02"
    home.hire(*MANY)
    home.die(stage, killer)
    home.die(stage, killer)
    day = home.run()
    assert day.codes == {crew_id: day.codes[crew_id] for crew_id in MANY} | {killer: "set_aside!"}
    assert [code for code in day.codes.values() if code not in ("stored", "current")] == ["set_aside!"]
    assert [row[0] for row in home.active_rows()] == [crew_id for crew_id in MANY if crew_id != killer]
    assert home.run().codes[killer] == "set_aside!"
    retried = home.run(retry_failed=True)
    assert retried.codes == {killer: "stored"}
    oracle.pass_day(home)
    oracle.check(home)
    stays_so(home)


@pytest.mark.parametrize("stage", STAGES)
def test_after_a_run_that_died_the_next_one_gives_what_an_undisturbed_one_gives(new_home: NewHome, stage: str) -> None:
    home, oracle = new_home(), Oracle()
    home.hire(*MANY)
    live_through(home, oracle, 0, ())
    home.hire("P30")
    home.replace("P12")
    home.reencode("P13")
    home.die(stage, "P12" if stage != "store" else "P30")
    oracle.pass_day(home)
    assert home.run().exit_code == 0
    oracle.check(home)
    stays_so(home)
