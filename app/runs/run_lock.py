"""Let one run at a time work on a database. The next one is refused, with the host and process of the first.

For MySQL it is an advisory lock, which ends with its connection; for SQLite a lock on a file beside the database's,
which ends with its process. Rows stay right without it, too: it saves work done twice.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from app.core.database import Database, lock_name
from app.core.files import OWNER_ONLY_FILE, cannot_write
from app.core.spanish import say_age
from app.core.worker_threads import periodic_task
from app.errors import AlreadyRunning, RunError, SettingsError
from app.gallery.run_history import PastRun, RunHistory

log = logging.getLogger(__name__)

RUN = "face_embeddings run"
KEEP_EVERY_S = 30
# A machine that loses power does not close its connection: the server frees its lock after this silence.
SILENCE_S = 180
# A server takes a moment to see that a process was killed or a connection cut, longer on a loaded machine.
NOTICED_WITHIN_S, ASK_EVERY_S = 5, 0.5
TAKE_WITHIN_S = 1  # `is_held` of another process holds the file for a moment
OwnerLives = Callable[[], bool]


def _unknown() -> bool:
    return False


class Lock:
    """The lock of a database in memory, which no other process has. Other locks may raise DatabaseUnavailable."""

    def take(self, owner_lives: OwnerLives = _unknown) -> bool:
        """Take the lock, within a few seconds if its owner may have died; return whether this process has it now."""
        return True

    def keep(self) -> bool:
        """Take the lock again if it was lost with its connection; return whether this process has it now."""
        return True

    def release(self) -> None:
        """Let other runs take the lock."""

    def is_held(self) -> bool:
        """Tell whether any process is known to have the lock."""
        return False


class ServerLock(Lock):
    """Holds MySQL's GET_LOCK on a connection of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._name = lock_name(RUN, database.url.database or "")
        self._connection: Connection | None = None

    def take(self, owner_lives: OwnerLives = _unknown) -> bool:
        return self._database.reach(lambda: self._take(owner_lives))

    def _take(self, owner_lives: OwnerLives = _unknown) -> bool:
        connection = self._connection = self._database.connect()
        try:
            connection.execute(text(f"SET SESSION wait_timeout = {SILENCE_S}"))
            ours = self._wait_for_lock(connection, owner_lives)
        except DBAPIError:
            self.release()
            raise
        if not ours:
            self.release()
        return ours

    def _wait_for_lock(self, connection: Connection, owner_lives: OwnerLives) -> bool:
        # Asks again instead of letting the server wait: DB_ANSWER_TIMEOUT_S may be shorter.
        deadline = time.monotonic() + NOTICED_WITHIN_S
        while connection.execute(select(func.get_lock(self._name, 0))).scalar() != 1:
            if time.monotonic() >= deadline or owner_lives():
                return False
            time.sleep(ASK_EVERY_S)
        return True

    def keep(self) -> bool:
        try:
            if self._connection is not None:
                ours = select(func.is_used_lock(self._name) == func.connection_id())
                if self._connection.execute(ours).scalar():
                    return True
        except DBAPIError:
            log.warning("Se perdió el bloqueo de la ejecución con su conexión: se toma de nuevo")
        self.release()
        try:
            return self._take()
        except (DBAPIError, RunError):  # no other run can begin while the database is away
            return True

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not connection.invalidated:  # by name: a server takes a moment to see that a connection is gone
            with suppress(DBAPIError):
                connection.execute(select(func.release_lock(self._name)))
        connection.invalidate()  # closed, not given back
        connection.close()

    def is_held(self) -> bool:
        query = select(func.is_used_lock(self._name))
        return self._database.transaction(lambda each: each.execute(query).scalar(), retry=False) is not None


class FolderLock(Lock):
    """Holds a lock on a file of its own beside the database's file."""

    def __init__(self, path: Path) -> None:
        path = path.resolve()  # one lock for all paths that lead to the file
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), mode=OWNER_ONLY_FILE, thread_local=False)

    def take(self, owner_lives: OwnerLives = _unknown) -> bool:
        path = Path(self._lock.lock_file)
        if not path.parent.exists():  # filelock would create it; opening the database reports that it is missing
            return True
        try:
            self._lock.acquire(timeout=TAKE_WITHIN_S, poll_interval=0.05)
        except Timeout:
            return False
        except OSError as error:
            raise SettingsError(*cannot_write(path, error, "DB_URL")) from error
        return True

    def release(self) -> None:
        self._lock.release()

    def is_held(self) -> bool:
        if not Path(self._lock.lock_file).exists():
            return False
        try:
            with self._lock.acquire(timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # this user may not open the file: no run of this user could begin anyhow
            return False


def open_lock(database: Database) -> Lock:
    """Return the lock of this database's runs, not yet taken."""
    if database.is_mysql:
        return ServerLock(database)
    return FolderLock(database.file) if database.file is not None else Lock()


@contextmanager
def holding_run_lock(database: Database, now: datetime, lost: Callable[[RunError], None]) -> Iterator[None]:
    """Keep other runs of this database out. Calls `lost` with the error when another run has taken the lock meanwhile.

    Raises AlreadyRunning, DatabaseUnavailable.
    """
    lock, history = open_lock(database), RunHistory(database)
    if not lock.take(lambda: history.lives_here(now)):
        raise _explain(history.under_way(now), now)

    def keep() -> None:
        if not lock.keep():
            lost(_explain(None, now))

    try:
        with periodic_task(KEEP_EVERY_S, keep):
            yield
    finally:
        lock.release()


def _explain(owner: PastRun | None, now: datetime) -> AlreadyRunning:
    if owner is None:
        return AlreadyRunning("Ya hay otra ejecución en marcha, que aún no anotó su comienzo")
    age = now - owner.started_at
    where = f"en {owner.host} (proceso {owner.pid}) desde hace {say_age(age)}"
    return AlreadyRunning(f"Ya hay otra ejecución en marcha: {where}", age)
