"""One run at a time: which process holds the lock, what the next run reports, and that dead processes hold none."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from app.core.database import Database
from app.errors import AlreadyRunning, DatabaseUnavailable, RunError
from app.gallery.run_history import RunHistory
from app.gallery.tables import open_own_tables
from app.runs.run_lock import Lock, ServerLock, holding_run_lock, open_lock
from tests.conftest import OpenDatabase
from tests.support.rights import obeying_permissions

NOW = datetime(2026, 3, 1, 2)
HOLDER = """
import sys
from datetime import datetime
from app.core.config import load_settings
from app.core.database import Database
from app.runs.run_lock import holding_run_lock
from app.gallery.run_history import RunHistory

database = Database(load_settings(None, DB_URL=sys.argv[1], IMAGE_BASE_URL="http://127.0.0.1:9"))
with holding_run_lock(database, datetime.fromisoformat(sys.argv[2]), print):
    RunHistory(database).begin(datetime.fromisoformat(sys.argv[2]), {}, "")
    print("held", flush=True)
    sys.stdin.read()
"""


def forbid(error: RunError) -> None:
    raise AssertionError(error)


@contextmanager
def another_process(database: Database, now: datetime = NOW) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until its standard input is closed."""
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", HOLDER, url, now.isoformat()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize(("minutes", "said"), [(0, "menos de un minuto"), (12, "12 min"), (13 * 60 + 5, "13 h")])
def test_a_second_run_reports_which_process_holds_the_lock_and_for_how_long(
    database: Database, minutes: int, said: str
) -> None:
    open_own_tables(database)
    later = NOW + timedelta(minutes=minutes)
    with (
        another_process(database) as holder,
        pytest.raises(AlreadyRunning) as caught,
        holding_run_lock(database, later, forbid),
    ):
        pass
    where = f"en {socket.gethostname()} (proceso {holder.pid}) desde hace {said}"
    assert str(caught.value) == f"Ya hay otra ejecución en marcha: {where}"
    assert caught.value.exit_code == 4


def test_the_lock_is_free_again_after_its_run(database: Database) -> None:
    for _ in range(2):
        with holding_run_lock(database, NOW, forbid):
            assert open_lock(database).is_held()
        assert not open_lock(database).is_held()


def test_a_lock_that_this_user_may_not_open_ends_no_check(sqlite_database: Database) -> None:
    with holding_run_lock(sqlite_database, NOW, forbid):
        pass
    assert sqlite_database.file is not None
    lock = sqlite_database.file.with_name(f".{sqlite_database.file.name}.lock")
    lock.touch()
    lock.chmod(0)
    with obeying_permissions():
        assert not open_lock(sqlite_database).is_held()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_owner_blocks_no_run(database: Database, how: int) -> None:
    open_own_tables(database)
    with another_process(database) as holder:
        os.kill(holder.pid, how)
        holder.wait()
        with holding_run_lock(database, NOW, forbid):
            pass


def test_a_lock_is_waited_for_while_the_server_does_not_see_that_its_owner_died(mariadb_database: Database) -> None:
    lock, dying = ServerLock(mariadb_database), ServerLock(mariadb_database)
    assert dying.take()
    seen = threading.Timer(1, dying.release)
    seen.start()
    assert lock.take()
    seen.join()
    lock.release()


def test_beside_a_run_that_is_certainly_alive_none_waits(mariadb_database: Database) -> None:
    lock, other = ServerLock(mariadb_database), ServerLock(mariadb_database)
    asked: list[bool] = []

    def owner_lives() -> bool:
        asked.append(True)
        return True

    assert lock.take()
    assert not other.take(owner_lives)
    assert asked == [True]
    lock.release()


def test_only_a_process_of_this_host_is_certainly_alive(database: Database) -> None:
    open_own_tables(database)
    history = RunHistory(database)
    with another_process(database) as holder:
        assert history.lives_here(NOW)
        database.transaction(lambda each: each.exec_driver_sql("UPDATE face_runs SET host = 'otro'"))
        assert not history.lives_here(NOW)
        database.transaction(
            lambda each: each.exec_driver_sql(f"UPDATE face_runs SET host = '{socket.gethostname()}'")  # noqa: S608
        )
        holder.kill()
        holder.wait()
        assert not history.lives_here(NOW)
    database.transaction(lambda each: each.exec_driver_sql(f"UPDATE face_runs SET pid = {os.getpid()}"))  # noqa: S608
    assert not history.lives_here(NOW)


def test_a_run_that_is_just_beginning_has_no_name_yet(database: Database) -> None:
    with (
        holding_run_lock(database, NOW, forbid),
        pytest.raises(AlreadyRunning, match="en marcha, que aún no anotó su comienzo"),
        holding_run_lock(database, NOW, forbid),
    ):
        pass


def test_two_galleries_of_one_server_do_not_wait_for_each_other(
    mariadb_database: Database, open_database: OpenDatabase
) -> None:
    mariadb_database.transaction(lambda each: each.exec_driver_sql("CREATE DATABASE IF NOT EXISTS otra_base"))
    other = open_database(DB_URL=mariadb_database.url.set(database="otra_base").render_as_string(hide_password=False))
    with holding_run_lock(mariadb_database, NOW, forbid), holding_run_lock(other, NOW, forbid):
        pass


def kill_connections(database: Database) -> None:
    """All but the one that does it."""
    rows = database.transaction(
        lambda each: each.exec_driver_sql(
            "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        ).all()
    )
    for row in rows:
        database.transaction(lambda each, number=row[0]: each.exec_driver_sql(f"KILL {number}"))


def test_a_lock_that_went_with_its_connection_is_taken_again(mariadb_database: Database) -> None:
    lock = ServerLock(mariadb_database)
    assert lock.take()
    kill_connections(mariadb_database)
    assert lock.keep()
    assert ServerLock(mariadb_database).take() is False
    lock.release()


def test_a_run_learns_that_another_one_has_taken_its_lock_meanwhile(mariadb_database: Database) -> None:
    lock, other = ServerLock(mariadb_database), ServerLock(mariadb_database)
    assert lock.take()
    kill_connections(mariadb_database)
    assert other.take()
    assert not lock.keep()
    other.release()


def test_a_server_that_is_away_counts_as_lock_kept(open_database: OpenDatabase) -> None:
    lock = ServerLock(open_database(DB_URL="mysql://nadie@127.0.0.1:9/base"))
    assert lock.keep()
    with pytest.raises(DatabaseUnavailable):
        lock.take()


def test_a_database_in_memory_needs_none(open_database: OpenDatabase) -> None:
    assert type(open_lock(open_database(DB_URL="sqlite://"))) is Lock


def test_who_is_said_is_no_run_that_has_died(database: Database) -> None:
    open_own_tables(database)
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    RunHistory(database).begin(NOW, {}, "")
    database.transaction(lambda each: each.exec_driver_sql(f"UPDATE face_runs SET pid = {dead.pid}"))  # noqa: S608
    with (
        holding_run_lock(database, NOW, forbid),
        pytest.raises(AlreadyRunning, match="que aún no anotó su comienzo"),
        holding_run_lock(database, NOW, forbid),
    ):
        pass
