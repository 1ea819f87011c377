"""The table `face_attempts`: the members under way, marked before they are processed and removed when they are done.

A mark that is left after its run died makes the member a crash suspect.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from app.core.database import Database
from app.gallery.photo_records import has_room, storable
from app.gallery.reading import change_rows_of, read_rows
from app.gallery.tables import ATTEMPTS
from app.records import QUARANTINED_AFTER, CrashSuspect


class CrashSuspects:
    """Reads and writes the marks. All methods raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def suspects(self, living: Collection[int]) -> dict[str, CrashSuspect]:
        """Return the suspects by crew id. `living`: ids of the runs under way; the run of any other mark has died."""
        found = {}
        for row in read_rows(self._database, select(ATTEMPTS)):
            died = row.run_id is not None and row.run_id not in living
            found[str(row.crew_id)] = CrashSuspect(row.url or "", int(row.deaths or 0) + died)
        return {crew_id: suspect for crew_id, suspect in found.items() if suspect.deaths}

    def begin(self, urls: Mapping[str, str], suspects: Mapping[str, CrashSuspect], run_id: int) -> None:
        """Mark members (crew id -> URL of the photo) as under way. An id that is too long for the table has no mark.

        A mark of another run counts as a crash even if that run may live, as in a container of its own.
        """
        rows: dict[str, dict[str, Any]] = {}
        for crew_id, url in urls.items():
            if has_room(crew_id):
                suspect, stored_id = suspects.get(crew_id), storable(crew_id)
                deaths = suspect.deaths if suspect is not None and suspect.url == url else 0  # 0: another photo
                rows[stored_id] = {"crew_id": stored_id, "url": url, "run_id": run_id, "deaths": deaths}

        def write(connection: Connection) -> None:
            marked = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.crew_id.in_(list(rows))).with_for_update())
            for mark in marked:
                row = rows[str(mark.crew_id)]
                if mark.run_id not in (None, run_id) and mark.url == row["url"]:
                    row["deaths"] = max(row["deaths"], int(mark.deaths or 0) + 1)
            connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.crew_id.in_(list(rows))))
            connection.execute(insert(ATTEMPTS), list(rows.values()))

        if rows:
            self._database.transaction(write)

    def done(self, crew_ids: Sequence[str]) -> None:
        """Remove the marks of members that have an outcome: they did not end the process."""
        done = [storable(crew_id) for crew_id in crew_ids]
        change_rows_of(self._database, delete(ATTEMPTS), ATTEMPTS.c.crew_id, done)

    def set_aside(self, crew_ids: Sequence[str]) -> None:
        """Make these members' marks those of a photo that is not tried again, although this run goes on."""
        change = update(ATTEMPTS).values(deaths=QUARANTINED_AFTER, run_id=None)
        change_rows_of(self._database, change, ATTEMPTS.c.crew_id, [storable(crew_id) for crew_id in crew_ids])

    def end(self, run_id: int) -> None:
        """Remove the run's marks, since it ends in good order. Earlier crash counts stay."""
        mine = ATTEMPTS.c.run_id == run_id

        def write(connection: Connection) -> None:
            connection.execute(delete(ATTEMPTS).where(mine, ATTEMPTS.c.deaths == 0))
            connection.execute(update(ATTEMPTS).where(mine).values(run_id=None))

        self._database.transaction(write)
