"""Disturb the database: stop it, cut connections, lock rows, refuse large packets.

No row may be lost or stored twice, or the run must end with exit code 3 and say why.
"""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from app.errors import EXIT_NOT_AVAILABLE
from app.gallery.embeddings_table import find_table
from tests.chaos.conftest import OpenScene
from tests.chaos.scene import Ended, Scene
from tests.conftest import Figure, OpenDatabase
from tests.support.chaos_options import rounds
from tests.support.databases import run_sql
from tests.support.mariadb import Daemon, MariaDb, running_daemon

SURVIVES_KILL = "--innodb-flush-log-at-trx-commit=2"  # commits survive a kill of the server's process
TOUCH = text("UPDATE face_embeddings SET updated_at = CURRENT_TIMESTAMP WHERE crew_id = :a AND active")
WRITERS = 3
TOO_SMALL = {"max_allowed_packet": 4096, "net_buffer_length": 1024}  # a vector is larger than that
UNENDED = "SELECT COUNT(*) FROM face_runs WHERE ended_at IS NULL"


@pytest.fixture
def daemon(mariadb: MariaDb) -> Iterator[Daemon]:
    """Start a server that the test may stop. The fixture `mariadb` skips the test if none is installed."""
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    try:
        with running_daemon(folder, SURVIVES_KILL) as daemon:
            daemon.server.execute("CREATE DATABASE prueba CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
            yield daemon
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def stoppable(daemon: Daemon, open_scene: OpenScene, open_database: OpenDatabase) -> Scene:
    return open_scene(open_database(DB_URL=daemon.server.url("prueba").render_as_string(hide_password=False)))


def in_good_order(ended: Ended, why: str = "Conexión a base de datos") -> None:
    assert "Traceback" not in ended.printed, ended.printed
    assert ended.exit_code in (0, 1, EXIT_NOT_AVAILABLE), ended.printed
    assert (ended.exit_code == EXIT_NOT_AVAILABLE) == (why in ended.printed), ended.printed


def next_day(scene: Scene, number: int, fresh_every: int = 4) -> None:
    if number % fresh_every == 0:
        scene.forget_everything()
    else:
        scene.live_on()
    scene.undisturbed()


def the_next_run_makes_up_for_it(scene: Scene) -> None:
    if find_table(scene.home.database) is not None:  # else the disturbed run ended before it made one
        scene.one_active_row_each()
    second = scene.run()
    assert second.exit_code in (0, 1), second.printed
    scene.galleries_are_equal()
    scene.nothing_is_left_lying()


@pytest.mark.parametrize("patience_s", [0, 60], ids=["impatient", "patient"])
def test_a_server_that_stops_and_starts_costs_no_row(
    stoppable: Scene, daemon: Daemon, patience_s: int, figure: Figure
) -> None:
    scene, ends = stoppable, []
    scene.use(DB_RETRY_TOTAL_S=patience_s)
    total = rounds(quick=1, full=20)
    for number in range(total):
        next_day(scene, number)
        program = scene.start()
        scene.wait(scene.random.uniform(0, scene.whole_s * 0.8))
        daemon.stop(scene.random.choice([signal.SIGTERM, signal.SIGKILL]))
        scene.wait(scene.random.uniform(0, 1))
        daemon.start()
        ended = program.end()
        in_good_order(ended)
        assert ended.exit_code != EXIT_NOT_AVAILABLE or not patience_s, ended.printed
        ends.append(ended.exit_code)
        the_next_run_makes_up_for_it(scene)
    name = f"MariaDB stopped and started, DB_RETRY_TOTAL_S={patience_s}"
    figure(f"{name}: rounds, of them ended with 3, galleries equal", (total, ends.count(3), total))


def test_a_server_that_is_away_when_a_run_begins_is_waited_for(stoppable: Scene, daemon: Daemon) -> None:
    scene = stoppable
    scene.undisturbed()
    scene.home.publish()
    daemon.stop()
    program = scene.start_another()
    scene.wait(1)
    daemon.start()
    ended = program.end()
    assert ended.exit_code == 1, ended.printed
    scene.galleries_are_equal()


def test_connections_that_are_killed_cost_no_row(
    scene: Scene, mariadb: MariaDb, mariadb_name: str, figure: Figure
) -> None:
    killed, ends, total = 0, [], rounds(quick=1, full=20)
    for number in range(total):
        next_day(scene, number)
        program = scene.start()
        while program.is_running:
            scene.wait(scene.random.uniform(0.05, 0.4))
            killed += mariadb.kill_connections("db", mariadb_name)
        ended = program.end()
        in_good_order(ended)
        assert ended.exit_code != EXIT_NOT_AVAILABLE, ended.printed
        ends.append(ended.exit_code)
        assert run_sql(scene.home.database, UNENDED) == [(0,)]
        the_next_run_makes_up_for_it(scene)
    figure("connections killed: rounds, connections, galleries equal", (total, killed, total))


def test_writers_on_the_same_rows_costs_no_row(
    scene: Scene, mariadb: MariaDb, mariadb_name: str, figure: Figure
) -> None:
    before, writes = lock_counters(mariadb), Counter[str]()
    total = rounds(quick=1, full=20)
    scene.use(DB_RETRY_TOTAL_S=60)  # as by default: rows may be locked several times in a row
    with server_variables(mariadb, {"innodb_lock_wait_timeout": 1}):
        scene.run()
        scene.undisturbed()
        for number in range(total):
            next_day(scene, number + 1, fresh_every=total + 2)
            with other_writers(mariadb, mariadb_name, scene.random) as counts:
                ended = scene.run("--force")
            writes += counts
            in_good_order(ended)
            assert ended.exit_code != EXIT_NOT_AVAILABLE, ended.printed
            scene.twin.run(force=True)
            the_next_run_makes_up_for_it(scene)
    figure("other writers: rounds, their transactions, galleries equal", (total, dict(writes), total))
    figure("other writers: what the server counted", dict(lock_counters(mariadb) - before))


def lock_counters(server: MariaDb) -> Counter[str]:
    found = server.execute("SHOW GLOBAL STATUS WHERE variable_name IN ('Innodb_deadlocks', 'Innodb_row_lock_waits')")
    return Counter({name: int(number) for name, number in found})


@contextmanager
def other_writers(server: MariaDb, name: str, chance: random.Random) -> Iterator[Counter[str]]:
    """Write like a slow recognition service: lock rows in any order, some for longer than other writers wait."""
    stop, counts = threading.Event(), Counter[str]()
    engine = create_engine(server.url(name), connect_args={"use_pure": True, "collation": "utf8mb4_general_ci"})

    def write(seed: float) -> None:
        chance = random.Random(seed)  # noqa: S311  # not a secret
        crew_ids = sorted({row[0] for row in server.execute("SELECT crew_id FROM face_embeddings", name)})
        while not stop.is_set():
            chosen = chance.sample(crew_ids, 10)
            try:
                with engine.begin() as connection:
                    for crew_id in chosen:
                        connection.execute(TOUCH, {"a": crew_id})
                        stop.wait(chance.uniform(0, 0.03))
                    stop.wait(1.5 if chance.random() < 0.1 else 0)
                counts["done"] += 1
            except DBAPIError:
                counts["refused"] += 1
            stop.wait(0.02)

    threads = [threading.Thread(target=write, args=(chance.random(),)) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        engine.dispose()


def test_a_packet_limit_that_is_too_small_ends_the_run_and_says_so(scene: Scene, mariadb: MariaDb) -> None:
    scene.undisturbed()
    with server_variables(mariadb, TOO_SMALL):
        ended = scene.run(DB_RETRY_TOTAL_S=60)
    in_good_order(ended)
    assert (ended.exit_code, "max_allowed_packet" in ended.printed) == (EXIT_NOT_AVAILABLE, True), ended.printed
    assert ended.seconds < 30  # no retry would help
    assert scene.run().exit_code == 1
    scene.galleries_are_equal()


@contextmanager
def server_variables(server: MariaDb, values: dict[str, int]) -> Iterator[None]:
    """Set variables for the connections that are opened inside the block."""
    before = {name: server.execute(f"SELECT @@GLOBAL.{name}")[0][0] for name in values}
    try:
        for name, value in values.items():
            server.execute(f"SET GLOBAL {name} = {value}")
        yield
    finally:
        for name, value in before.items():
            server.execute(f"SET GLOBAL {name} = {value}")
