"""One run at a time: a database comes in; while a run holds its lock, the next one is told who does.

In MySQL an advisory lock, which ends with its connection; for SQLite a lock on a file beside the database's, which ends
with its process. Neither outlives its owner. Rows stay right without it, too: it saves work done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout
from sqlalchemy import Connection, func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from app.core.advisory_locks import lock_name
from app.core.database import Database
from app.core.logs import cannot_write
from app.core.pulse import pulsing
from app.errors import AlreadyRunning, RunError, SettingsError
from app.gallery.companions import RUNS
from app.gallery.runs import PastRun, Runs

log = logging.getLogger(__name__)

RUN = "face_embeddings run"
KEEP_EVERY_S = 30
# A machine that lost its power says no farewell: the server gives its lock away after this silence.
SILENCE_S = 180


class Lock(Protocol):
    """`take` and `keep` say whether it is ours now; `keep` takes again what was lost with its connection. `is_held`:
    by anybody. Raise DatabaseUnavailable."""

    def take(self) -> bool: ...

    def keep(self) -> bool: ...

    def release(self) -> None: ...

    def is_held(self) -> bool: ...


class ServerLock:
    """MySQL's GET_LOCK, on a connection of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._name = lock_name(RUN, database.url.database or "")
        self._connection: Connection | None = None

    def take(self) -> bool:
        try:
            return self._take()
        except DBAPIError as error:
            raise self._database.explain(error) from error

    def _take(self) -> bool:
        connection = self._database.connect()
        connection.execute(text(f"SET SESSION wait_timeout = {SILENCE_S}"))
        if connection.execute(select(func.get_lock(self._name, 0))).scalar() != 1:
            connection.invalidate()
            connection.close()
            return False
        self._connection = connection
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
        except (DBAPIError, RunError):  # a database that is away lets nobody else in either
            return True

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # closed, not given back: the lock ends with it
            connection.close()

    def is_held(self) -> bool:
        query = select(func.is_used_lock(self._name))
        return self._database.transaction(lambda each: each.execute(query).scalar(), retry=False) is not None


class FolderLock:
    """A lock on a file of its own beside the database's file."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0, thread_local=False)

    def take(self) -> bool:
        path = Path(self._lock.lock_file)
        if not path.parent.exists():  # filelock would make it; that it is missing is the database's to say
            return True
        try:
            self._lock.acquire()
        except Timeout:
            return False
        except OSError as error:
            raise SettingsError(*cannot_write(path, error, "DB_URL")) from error
        return True

    def keep(self) -> bool:
        return True

    def release(self) -> None:
        self._lock.release()

    def is_held(self) -> bool:
        if not Path(self._lock.lock_file).exists():
            return False
        with suppress(Timeout), self._lock:
            return False
        return True


class NoLock:
    """For a database in memory, which nobody else has."""

    def take(self) -> bool:
        return True

    def keep(self) -> bool:
        return True

    def release(self) -> None: ...

    def is_held(self) -> bool:
        return False


def open_lock(database: Database) -> Lock:
    """The lock of this database's runs, not yet taken."""
    if database.is_mysql:
        return ServerLock(database)
    return FolderLock(database.file) if database.file is not None else NoLock()


Lost = Callable[[RunError], None]


@contextmanager
def holding_run_lock(database: Database, now: datetime, lost: Lost) -> Iterator[None]:
    """While inside, no other run of this gallery begins. `lost` is told when another one has taken the lock meanwhile.

    Raises AlreadyRunning, DatabaseUnavailable.
    """
    lock = open_lock(database)
    if not lock.take():
        raise _explain(run_under_way(database, now), now)

    def keep() -> None:
        if not lock.keep():
            lost(_explain(None, now))

    try:
        with pulsing(KEEP_EVERY_S, keep):
            yield
    finally:
        lock.release()


def run_under_way(database: Database, now: datetime) -> PastRun | None:
    """The run that has begun last and not ended, as far as the history tells. Raises DatabaseUnavailable."""
    known = database.transaction(lambda connection: inspect(connection).has_table(RUNS.name), retry=False)
    living = [run for run in Runs(database).last(1, now) if run.alive] if known else []
    return living[0] if living else None


def _explain(owner: PastRun | None, now: datetime) -> AlreadyRunning:
    who = " desde hace un momento"
    if owner is not None:
        minutes = int((now - owner.started_at).total_seconds() // 60)
        since = f" desde hace {minutes} min" if minutes else who
        who = f": en {owner.host} (proceso {owner.pid}){since}"
    return AlreadyRunning(
        f"Ya hay otra ejecución en marcha{who}",
        "No hace falta nada: cuando termine, la siguiente continúa. Una que ha muerto no bloquea a nadie; "
        "para que ninguna dure demasiado: --max-minutes.",
    )
