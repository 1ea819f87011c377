"""`face_runs`: what a run records, how the last ones are read, and which count as under way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.core.database import Database
from app.gallery.run_history import KEPT, PRESUMED_DEAD_AFTER, PastRun, RunEnd, RunHistory
from app.gallery.tables import open_own_tables
from tests.support.databases import run_sql

NOW = datetime(2026, 3, 1, 2)
END = RunEnd(1, 61.2349, 20, {"stored": 19, "codes": {"no_face": 1}}, {"embed": 7.5}, "qué pasó", 0)
OPTIONS = {"all": True, "purge_after": 30, "crew_id": None}


@pytest.fixture
def runs(database: Database) -> RunHistory:
    open_own_tables(database)
    return RunHistory(database)


@pytest.fixture
def other_process() -> Iterator[int]:
    """Return the number of another, living process of this machine."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def dead_process() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def past_run(run_id: int, **values: Any) -> PastRun:
    """Return a run that has begun and not ended, as it is read."""
    defaults: dict[str, Any] = {
        **{"started_at": NOW, "ended_at": None, "host": socket.gethostname(), "pid": os.getpid()},
        **{"alive": False, "options": OPTIONS},
        **{"spec_digest": "digest", "counts": {}, "seconds": None, "exit_code": None, "error": "", "rows_left": None},
    }
    return PastRun(run_id, **(defaults | values))


def change(database: Database, run_id: int, **values: object) -> None:
    """Write columns of a run as another process or host would have."""
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    sql = f"UPDATE face_runs SET {assignments} WHERE id = :run_id"  # noqa: S608  # names are ours
    run_sql(database, sql, {"run_id": run_id, **values})


def test_a_run_that_began_and_ended_reads_as_it_was_written(database: Database, runs: RunHistory) -> None:
    run_id = runs.begin(NOW, OPTIONS, "digest")
    assert runs.last(5, NOW) == [past_run(run_id)]
    runs.end(run_id, NOW + timedelta(seconds=61), END)
    ended = {"ended_at": NOW + timedelta(seconds=61), "counts": END.counts, "seconds": 61.235, "exit_code": 1}
    assert runs.last(5, NOW) == [past_run(run_id, **ended, error="qué pasó", rows_left=0)]
    columns = "pid, stages_ms, processed"
    assert run_sql(database, f"SELECT {columns} FROM face_runs") == [(os.getpid(), '{"embed":7.5}', 20)]  # noqa: S608


def test_the_last_runs_come_with_the_latest_first(runs: RunHistory) -> None:
    ids = [runs.begin(NOW + timedelta(days=day), OPTIONS, "digest") for day in range(4)]
    assert [(run.run_id, run.started_at) for run in runs.last(2, NOW)] == [
        (ids[3], NOW + timedelta(days=3)),
        (ids[2], NOW + timedelta(days=2)),
    ]
    assert len(set(ids)) == 4


def test_of_no_run_there_is_nothing_to_read(runs: RunHistory) -> None:
    assert (runs.last(5, NOW), runs.living(NOW), runs.seconds_each()) == ([], set(), None)


def test_a_run_s_end_is_its_own(runs: RunHistory) -> None:
    first, second = runs.begin(NOW, OPTIONS, "digest"), runs.begin(NOW, OPTIONS, "digest")
    runs.end(second, NOW, RunEnd(0, 1.0))
    assert runs.last(5, NOW)[1] == past_run(first)


def test_on_this_host_a_run_lives_as_long_as_its_process(
    database: Database, runs: RunHistory, other_process: int, dead_process: int
) -> None:
    living, dead, ended, own = (runs.begin(NOW, OPTIONS, "digest") for _ in range(4))
    change(database, living, pid=other_process)
    change(database, dead, pid=dead_process)
    change(database, ended, pid=other_process)
    runs.end(ended, NOW, RunEnd(0, 1.0))
    later = NOW + PRESUMED_DEAD_AFTER / 2
    assert runs.living(later) == {living}
    assert runs.living(NOW + PRESUMED_DEAD_AFTER) == set()  # the number may be another process's by now
    assert {run.run_id: run.alive for run in runs.last(5, later)} == {
        **{living: True, dead: False, ended: False},
        own: False,  # its number is ours, and we have only just begun
    }


def test_on_another_host_a_run_lives_until_it_is_presumed_dead(database: Database, runs: RunHistory) -> None:
    far, ended = runs.begin(NOW, OPTIONS, "digest"), runs.begin(NOW, OPTIONS, "digest")
    for run_id in (far, ended):
        change(database, run_id, host="otro-equipo")
    runs.end(ended, NOW, RunEnd(0, 1.0))
    almost = NOW + PRESUMED_DEAD_AFTER - timedelta(seconds=1)
    assert runs.living(almost) == {far}
    assert runs.living(NOW + PRESUMED_DEAD_AFTER) == set()
    assert [(run.run_id, run.host, run.alive) for run in runs.last(5, almost)] == [
        (ended, "otro-equipo", False),
        (far, "otro-equipo", True),
    ]


def test_the_speed_is_that_of_the_last_run_that_processed_enough_to_tell(runs: RunHistory) -> None:
    for seconds, processed in ((30.0, 4), (10.0, 20), (8.0, 5), (60.0, 4), (2.0, 0)):
        runs.end(runs.begin(NOW, OPTIONS, "digest"), NOW, RunEnd(0, seconds, processed))
    runs.begin(NOW, OPTIONS, "digest")
    assert runs.seconds_each() == 1.6


def test_without_a_run_that_processed_enough_there_is_no_speed(runs: RunHistory) -> None:
    runs.end(runs.begin(NOW, OPTIONS, "digest"), NOW, RunEnd(0, 60.0, 4))
    assert runs.seconds_each() is None


def test_runs_of_long_ago_go_but_for_the_proof_of_what_was_deleted(runs: RunHistory) -> None:
    old, proof = runs.begin(NOW - KEPT, {}, ""), runs.begin(NOW - KEPT, {}, "")
    runs.end(old, NOW, RunEnd(0, 1))
    runs.end(proof, NOW, RunEnd(0, 1, rows_left=0))
    young = runs.begin(NOW, {}, "")
    assert {run.run_id for run in runs.last(9, NOW)} == {old, proof, young}
    latest = runs.begin(NOW + timedelta(seconds=1), {}, "")
    assert {run.run_id for run in runs.last(9, NOW)} == {proof, young, latest}
