"""Photos that kill their process, nodes and workers that vanish or freeze, a driver that is killed: what each costs."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from app.core.database import Database
from app.errors import WorkersLost
from tests.conftest import Figure, FoundOrganisation, OpenDatabase
from tests.scale.conftest import NODES, NewCustomer, ignore
from tests.scale.hooks import Crash, KillEveryWorker, KillWorker, Witness
from tests.support.chaos_options import rounds
from tests.support.clusters import NODE
from tests.support.organisation import Organisation, Ran
from tests.support.webserver import PhotoServer

pytestmark = pytest.mark.chaos
UNDER_WAY = 64  # of a worker, at most
PATIENCE_S = 90.0


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "came.txt"


def wait_until(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Tell whether the process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Run `act` beside the block; its error fails the test."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    assert errors == []


@pytest.fixture
def undisturbed(found_organisation: FoundOrganisation, open_database: OpenDatabase, tmp_path: Path) -> NewCustomer:
    """Found a twin with the same people, and run it on threads."""

    def make(home: Organisation) -> Organisation:
        twin = found_organisation(open_database(DB_URL=f"sqlite:///{tmp_path / 'gemela.db'}"))
        twin.people = home.people
        assert twin.run().result.error is None
        return twin

    return make


def downloads_twice(ran: Ran) -> int:
    return sum(count - 1 for count in ran.downloads.values())


def test_photos_that_kill_their_process_are_set_aside_and_no_neighbour_with_them(
    new_customer: NewCustomer, sqlite_database: Database, journal: Path, figure: Figure
) -> None:
    members = rounds(quick=100, full=2000)
    poisons = {"P0040", "P0041"} | ({"P0500", "P1500"} if members > 100 else set())
    hook = Crash(journal, crew_ids=frozenset(poisons))
    home = new_customer(sqlite_database, hook)
    home.hire(*(f"P{number:04}" for number in range(members)))
    ran = home.run()
    deaths = {crew_id: sum(come.crew_id == crew_id for come in hook.seen()) for crew_id in poisons}
    assert ran.result.error is None
    assert ran.codes == {each: "set_aside" if each in poisons else "stored" for each in home.people}
    assert max(deaths.values()) <= 3
    home.tomorrow()
    assert {home.run().codes[each] for each in poisons} == {"set_aside!"}
    figure("cluster: photos that kill their process, of members, most deaths of one", (len(poisons), members, deaths))


def test_nodes_that_are_killed_cost_nobody(
    new_customer: NewCustomer,
    undisturbed: Callable[[Organisation], Organisation],
    cluster: Cluster,
    sqlite_database: Database,
    journal: Path,
    figure: Figure,
) -> None:
    """The table is that of an undisturbed run; each member has one outcome; few photos are downloaded twice."""
    total, twice = rounds(quick=1, full=20), []
    chance = random.Random(6)  # noqa: S311  # not a secret
    hook = Witness(journal, wait_s=0.02)
    home = new_customer(sqlite_database, hook)
    home.hire(*(f"P{number:03}" for number in range(200)))
    twin = undisturbed(home)
    for _ in range(total):
        journal.unlink(missing_ok=True)
        node = cluster.add_node(**NODE)
        after = chance.randrange(1, 150)

        def kill(node: object = node, after: int = after) -> None:
            wait_until(lambda: len(hook.seen()) >= after)
            cluster.remove_node(node, allow_graceful=False)

        with meanwhile(kill):
            ran = home.run(force=True)
        assert ran.result.error is None
        assert set(ran.codes.values()) == {"stored"}
        assert home.active_rows() == twin.active_rows()
        twice.append(downloads_twice(ran))
        assert twice[-1] <= (NODES + 1) * UNDER_WAY
    figure("cluster: nodes killed, most photos downloaded twice for one", (total, max(twice)))


def test_a_worker_that_dies_or_whose_process_is_killed_is_replaced(
    new_customer: NewCustomer,
    sqlite_database: Database,
    journal: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says so; Ray's own words are not between our lines."""
    hook = KillWorker(journal, wait_s=0.02, crew_id="P020")
    home = new_customer(sqlite_database, hook)
    home.hire(*(f"P{number:03}" for number in range(80)))

    def kill_child() -> None:
        wait_until(lambda: len({come.worker for come in hook.seen()}) > 1)
        os.kill(hook.seen()[-1].child, signal.SIGKILL)

    with meanwhile(kill_child):
        ran = home.run()
    assert ran.result.error is None
    assert set(ran.codes.values()) == {"stored"}
    assert "El proceso de un trabajador se cerró (código -9)" in caplog.text
    assert "raylet" not in "".join(capsys.readouterr())


def test_a_run_whose_workers_all_die_ends_and_the_next_one_goes_on(
    new_customer: NewCustomer, sqlite_database: Database, journal: Path
) -> None:
    home = new_customer(sqlite_database, KillEveryWorker(journal))
    home.hire(*(f"P{number:03}" for number in range(200)))
    ran = home.run()
    assert isinstance(ran.result.error, WorkersLost)
    assert (ran.exit_code, len(ran.codes)) == (WorkersLost.exit_code, 200)
    assert "stored" not in ran.codes.values()
    home.loader = dataclasses.replace(home.loader, hook=ignore)
    home.tomorrow()
    again = home.run()
    assert (again.result.error, set(again.codes.values())) == (None, {"stored"})


def test_a_suspect_of_a_run_that_died_and_the_rest_of_one_that_was_stopped_are_done(
    new_customer: NewCustomer, sqlite_database: Database, journal: Path
) -> None:
    """The one died on this machine's threads, the other is stopped in its middle on the cluster."""
    home = new_customer(sqlite_database, Witness(journal, wait_s=0.02))
    home.hire(*(f"P{number:03}" for number in range(60)))
    home.die("decode", "P030")
    ran = home.run(stop_after=20)
    stored = [crew_id for crew_id, code in ran.codes.items() if code == "stored"]
    assert 0 < len(stored) < 60
    assert set(ran.codes.values()) <= {"stored", "current", "interrupted"}
    assert [row[0] for row in home.active_rows()] == sorted(
        crew_id for crew_id, code in ran.codes.items() if code in ("stored", "current")
    )
    again = home.run()
    assert (again.result.error, set(again.codes.values())) == (None, {"stored", "current"})
    assert len(home.active_rows()) == 60


def test_a_killed_driver_leaves_no_worker_and_the_next_run_goes_on(
    new_customer: NewCustomer, cluster: Cluster, sqlite_database: Database, journal: Path
) -> None:
    home = new_customer(sqlite_database)
    home.hire(*(f"P{number:03}" for number in range(150)))
    home.publish()
    values = home.settings.model_dump(mode="json") | {"DB_URL": home.settings.DB_URL.get_secret_value()}
    given = {"settings": values, "now": home.now.isoformat(), "journal": str(journal), "wait_s": 0.1}
    command = [sys.executable, "-m", "tests.scale.driver"]
    witness = Witness(journal)
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL) as driver:
        assert driver.stdin is not None
        driver.stdin.write(json.dumps(given | {"address": cluster.address}))
        driver.stdin.close()
        wait_until(lambda: len(witness.seen()) >= 60 and len(home.active_rows()) > 0)
        driver.kill()
    pids = {pid for come in witness.seen() for pid in (come.child, come.worker)}
    wait_until(lambda: all(map(is_gone, pids)))
    rows, seen = home.active_rows(), len(witness.seen())
    time.sleep(2)
    assert (home.active_rows(), len(witness.seen())) == (rows, seen)
    ran = home.run()
    assert ran.result.error is None
    assert len(home.active_rows()) == 150
    assert sum(code == "current" for code in ran.codes.values()) == len(rows)


def test_while_the_database_waits_nobody_else_is_begun(
    new_customer: NewCustomer, sqlite_database: Database, journal: Path, web: PhotoServer
) -> None:
    """Another program holds the table: at most what the workers had is begun beyond what is stored."""
    hook = Witness(journal)
    home = new_customer(sqlite_database, hook)
    home.hire(*(f"P{number:03}" for number in range(600)))
    home.settings = home.settings.model_copy(update={"DB_ANSWER_TIMEOUT_S": 60, "DB_RETRY_TOTAL_S": 120.0})
    begun: list[int] = []

    def hold() -> None:
        wait_until(lambda: len(hook.seen()) >= 30)
        with closing(sqlite3.connect(sqlite_database.engine.url.database or "", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            ((stored,),) = other.execute("SELECT COUNT(*) FROM face_embeddings WHERE active").fetchall()
            time.sleep(rounds(quick=5, full=15))
            begun.append(len(hook.seen()) - stored)
            other.execute("ROLLBACK")

    with meanwhile(hold):
        ran = home.run()
    assert ran.result.error is None
    assert begun[0] <= NODES * UNDER_WAY
    assert len(home.active_rows()) == 600
