"""The table `face_runs`: one row for each run, written when it begins and completed when it ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from app.core.database import Database
from app.core.text import as_utf8
from app.gallery.reading import read_rows
from app.gallery.tables import RUNS

# A run on another host cannot be looked up, and its process number may be reused: after this time it counts as dead.
PRESUMED_DEAD_AFTER = timedelta(hours=12)
MIN_PROCESSED = 5  # members; fewer would measure the start of the program
KEPT = timedelta(days=400)  # an hourly run leaves nine thousand rows a year; proof of what was deleted stays for good


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended. `processed`: members that went through the stages; `counts`: by outcome, by code and by what was
    planned; `stages_ms`: the mean of each stage; `rows_left`: of deleted people, None when none were deleted."""

    exit_code: int
    seconds: float
    processed: int = 0
    counts: Mapping[str, Any] = field(default_factory=dict)
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    rows_left: int | None = None


@dataclass(frozen=True, slots=True)
class PastRun:
    """A row of the history. Times in UTC; `ended_at` and `exit_code` are None while the run is under way, or when it
    was killed."""

    run_id: int
    started_at: datetime
    ended_at: datetime | None
    host: str
    pid: int
    alive: bool
    options: Mapping[str, Any]
    spec_digest: str
    counts: Mapping[str, Any]
    seconds: float | None
    exit_code: int | None
    error: str
    rows_left: int | None


class RunHistory:
    """Reads and writes the history. All methods raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, started_at: datetime, options: Mapping[str, Any], spec_digest: str) -> int:
        """Record that a run has begun, and delete rows of long ago. Return the run's id."""
        given = {name: as_utf8(value) if isinstance(value, str) else value for name, value in options.items()}
        row = {
            "started_at": started_at,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "options": orjson.dumps(given).decode(),
            "contract": spec_digest,
        }
        old = delete(RUNS).where(RUNS.c.started_at < started_at - KEPT, RUNS.c.rows_left.is_(None))

        def write(connection: Connection) -> int:
            connection.execute(old)
            return int(connection.execute(insert(RUNS).values(row)).lastrowid)

        return self._database.transaction(write)

    def end(self, run_id: int, ended_at: datetime, end: RunEnd) -> None:
        """Complete the row of a run that ended in good order."""
        row = {
            "ended_at": ended_at,
            "counts": orjson.dumps(end.counts).decode(),
            "stages_ms": orjson.dumps(end.stages_ms).decode(),
            "processed": end.processed,
            "seconds": round(end.seconds, 3),
            "exit_code": end.exit_code,
            "error": as_utf8(end.error) or None,
            "rows_left": end.rows_left,
        }
        statement = update(RUNS).where(RUNS.c.id == run_id).values(row)
        self._database.transaction(lambda connection: connection.execute(statement))

    def last(self, number: int, now: datetime) -> list[PastRun]:
        """Return the last runs, the latest first. Fails at once: it may be the first contact with the database."""
        return self._newest(number, now, retry=False)

    def died_before(self, run_id: int, now: datetime) -> PastRun | None:
        """Return the run before this one if it died: it has not ended, and its process is gone."""
        before = self._newest(1, now, RUNS.c.id < run_id)
        return next((run for run in before if run.ended_at is None and not run.alive), None)

    def under_way(self, now: datetime) -> PastRun | None:
        """Return the run that holds the run lock, for a caller that found it held: the last one that began, unless it
        has ended or its process is gone."""
        holds = (run for run in self._newest(1, now) if run.ended_at is None)
        return next((run for run in holds if not _is_here(run.host) or _process_exists(run.pid)), None)

    def lives_here(self, now: datetime) -> bool:
        """Tell whether a run under way is certainly alive: its process is on this host, and not this one, which in a
        container may have the number of a dead one."""
        run = self.under_way(now)
        return run is not None and _is_here(run.host) and run.pid != os.getpid()

    def _newest(
        self, number: int, now: datetime, *conditions: ColumnElement[bool], retry: bool = True
    ) -> list[PastRun]:
        query = select(RUNS).where(*conditions).order_by(RUNS.c.id.desc()).limit(number)
        return [_past_run(row, now) for row in read_rows(self._database, query, retry=retry)]

    def living(self, now: datetime) -> set[int]:
        """Return the ids of the runs that are under way."""
        query = select(RUNS).where(RUNS.c.ended_at.is_(None))
        return {int(row.id) for row in read_rows(self._database, query) if _is_alive(row, now)}

    def seconds_each(self) -> float | None:
        """Return the seconds for each member in the last run with MIN_PROCESSED members; None when there was none."""
        measured = (RUNS.c.processed >= MIN_PROCESSED, RUNS.c.seconds.is_not(None))
        query = select(RUNS.c.seconds, RUNS.c.processed).where(*measured).order_by(RUNS.c.id.desc()).limit(1)
        return next((float(row.seconds) / int(row.processed) for row in read_rows(self._database, query)), None)


def _past_run(row: Any, now: datetime) -> PastRun:
    return PastRun(
        run_id=int(row.id),
        started_at=row.started_at,
        ended_at=row.ended_at,
        host=str(row.host or ""),
        pid=int(row.pid or 0),
        alive=_is_alive(row, now),
        options=orjson.loads(row.options or "{}"),
        spec_digest=str(row.contract or ""),
        counts=orjson.loads(row.counts or "{}"),
        seconds=None if row.seconds is None else float(row.seconds),
        exit_code=row.exit_code,
        error=str(row.error or ""),
        rows_left=row.rows_left,
    )


def _is_alive(row: Any, now: datetime) -> bool:
    if row.ended_at is not None or now - row.started_at >= PRESUMED_DEAD_AFTER:
        return False
    if _is_here(row.host):
        # A row with our own process number is of an earlier run: in a container, numbers start anew.
        return int(row.pid) != os.getpid() and _process_exists(int(row.pid))
    return True


def _is_here(host: str) -> bool:
    """Say whether processes of the host can be looked up."""
    return host == socket.gethostname() and os.name == "posix"


def _process_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process
        return True
    return True
