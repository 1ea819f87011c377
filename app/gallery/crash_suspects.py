"""Whose processing kills the process: members about to be processed come in before they are, and go when they are done.
Whoever is still there after the run has died is under suspicion.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from app.core.database import Database
from app.gallery.own_tables import ATTEMPTS
from app.gallery.photo_records import has_room, storable
from app.gallery.reading import read_rows

QUARANTINED_AFTER = 2  # deaths


@dataclass(frozen=True, slots=True)
class CrashSuspect:
    """A member who was under way when runs died, and with which photo."""

    url: str
    deaths: int

    @property
    def is_quarantined(self) -> bool:
        return self.deaths >= QUARANTINED_AFTER


class CrashSuspects:
    """The table `face_attempts`. Raises DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def suspects(self, living: Collection[int]) -> dict[str, CrashSuspect]:
        """By crew id. `living`: the runs that are still under way; any other that left somebody here has died."""
        rows = read_rows(self._database, select(ATTEMPTS))
        found = {}
        for row in rows:
            died = row.run_id is not None and row.run_id not in living
            found[str(row.crew_id)] = CrashSuspect(row.url or "", int(row.deaths or 0) + died)
        return {crew_id: suspect for crew_id, suspect in found.items() if suspect.deaths}

    def begin(self, urls: Mapping[str, str], suspects: Mapping[str, CrashSuspect], run_id: int) -> None:
        """They are about to be processed (crew id -> URL of the photo). An id too long is not watched.

        A mark that another run has left counts, although nobody could tell whether it lives: in a container, perhaps.
        """
        rows: dict[str, dict[str, Any]] = {
            storable(crew_id): {"crew_id": storable(crew_id), "url": url, "run_id": run_id, "deaths": deaths}
            for crew_id, url in urls.items()
            if has_room(crew_id)
            for deaths in (_deaths(suspects.get(crew_id), url),)
        }

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
        """They have an outcome: whatever it is, they killed nothing."""
        self._database.in_chunks(
            [storable(crew_id) for crew_id in crew_ids],
            lambda connection, ids: connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.crew_id.in_(ids))),
        )

    def end(self, run_id: int) -> None:
        """The run ends in good order: whoever it did not come to is under no new suspicion."""
        mine = ATTEMPTS.c.run_id == run_id

        def write(connection: Connection) -> None:
            connection.execute(delete(ATTEMPTS).where(mine, ATTEMPTS.c.deaths == 0))
            connection.execute(update(ATTEMPTS).where(mine).values(run_id=None))

        self._database.transaction(write)


def _deaths(suspect: CrashSuspect | None, url: str) -> int:
    """Another photo is under no suspicion."""
    return suspect.deaths if suspect is not None and suspect.url == url else 0
