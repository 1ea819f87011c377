"""Check what a run leaves behind that ends early, and how members beside a troublesome one fare."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
from sqlalchemy import Engine, event

from app.errors import Stuck, TookTooLong
from app.pipeline.thread_pipeline import BATCH_WAIT_S
from app.planning.rules import Request
from app.runs.run import run_batch
from tests.conftest import NewHome
from tests.support.tiny_faces import Silent

MANY = [f"P{number:02}" for number in range(1, 26)]
HANGS, LAST_STRAW = "P02", "P24"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_photos_that_hung_until_the_run_gave_up_are_not_where_the_next_one_begins(new_home: NewHome) -> None:
    """A few uploaded photos must not keep all others out for good."""
    home = new_home()
    home.hire(*MANY)

    def hang(stage: str, crew_id: str) -> None:
        if (stage, crew_id) == ("decode", HANGS):
            raise TookTooLong("más de 300 segundos")
        if (stage, crew_id) == ("detect", LAST_STRAW):
            raise Stuck("El programa se quedó colgado con 6 fotos")

    home.loader.hook = hang
    stuck = home.run()
    assert (type(stuck.result.error), stuck.exit_code, stuck.codes[HANGS]) == (Stuck, 3, "took_too_long")
    assert stuck.codes[LAST_STRAW] == "interrupted"
    home.loader.hook = lambda stage, crew_id: None
    after = home.run()
    assert {crew_id for crew_id, code in after.codes.items() if code not in ("stored", "current")} == {HANGS}
    assert after.codes[HANGS] == "took_too_long!"
    assert [row[0] for row in home.active_rows()] == [crew_id for crew_id in MANY if crew_id != HANGS]
    assert home.run(retry_failed=True).codes == {HANGS: "stored"}


CREW = [f"P{number:02}" for number in range(1, 7)]
KILLER = "P06"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_members_beside_a_crash_suspect_are_stored_before_the_suspect_is_tried(new_home: NewHome) -> None:
    """Fewer photos than the guard wants to see: what is held must not wait for the one that kills the run."""
    home = new_home()
    home.hire(*CREW)
    assert set(home.run().codes.values()) == {"stored"}
    home.tomorrow()
    for crew_id in CREW:
        home.replace(crew_id)
    for _ in range(2):
        home.die("detect", KILLER)
        home.tomorrow()
    codes = home.run().codes
    assert codes == {crew_id: "set_aside!" if crew_id == KILLER else "current" for crew_id in CREW}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_member_whose_photo_is_found_shared_while_the_run_is_stopped_is_withdrawn(new_home: NewHome) -> None:
    home, stop = new_home(), threading.Event()
    home.hire("A", *MANY, "Z")
    home.people["Z"].picture = home.people["A"].picture

    def stop_during(stage: str, crew_id: str) -> None:
        if (stage, crew_id) == ("embed", "Z"):
            stop.set()
            time.sleep(6 * BATCH_WAIT_S)  # the pipeline sees the stop before the vector

    home.loader.hook = stop_during
    home.publish()
    result = run_batch(home.settings, Request(now=home.now), Silent(stop, 0), stop, home.loader)
    codes = {each.member.crew_id: getattr(each, "code", "stored") for each in result.outcomes}
    assert (codes["A"], codes["Z"]) == ("shared_photo", "interrupted")
    assert {row[0] for row in home.active_rows()}.isdisjoint("AZ")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_log_says_of_a_shared_photo_that_it_is_one(new_home: NewHome, caplog: pytest.LogCaptureFixture) -> None:
    home = new_home()
    home.hire("A1", "A2", "A3", "A4")
    home.people["A4"].picture = home.people["A1"].picture
    with caplog.at_level(logging.INFO):
        assert home.run().codes["A4"] == "shared_photo"
    said = [each.getMessage() for each in caplog.records if ": shared_photo" in each.getMessage()]
    assert {line.split()[0] for line in said} & {"A1", "A4"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_night_without_a_change_looks_at_no_vector_for_rows_of_another_model(new_home: NewHome) -> None:
    home = new_home()
    home.hire(*CREW)
    home.run()
    home.tomorrow()
    asked: list[str] = []

    def note(*call: Any) -> None:
        asked.append(call[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert set(home.run().codes.values()) == {"current"}
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert asked
    assert [each for each in asked if "coalesce(face_embeddings.modelo" in each] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_run_with_nothing_to_process_removes_what_a_dead_one_left(new_home: NewHome) -> None:
    """As one leaves that dies after its last vector was written: photos of people."""
    home = new_home()
    home.hire(*CREW)
    home.run()
    left = [home.settings.TEMP_DIR / name for name in ("crew_P01_0123abcd_1.jpg", ".run_0123abcd.lock")]
    for path in left:
        path.write_bytes(b"x")
    assert set(home.run(plan_only=True).result.plan.counts) == {"unchanged"}
    assert all(path.exists() for path in left), "a plan changes nothing"
    assert set(home.run().codes.values()) == {"current"}
    assert list(home.settings.TEMP_DIR.iterdir()) == []
