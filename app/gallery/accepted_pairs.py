"""The table `face_accepted_pairs`: pairs of members who are near to each other and whom a person found to be two."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from app.core.database import Database
from app.gallery.photo_records import storable
from app.gallery.reading import advising_the_denied, read_rows
from app.gallery.tables import ACCEPTED, open_own_tables
from app.gallery.templates import Templates

WRITING_ADVICE = (
    "Para aceptar hace falta escribir en face_accepted_pairs. Use la cuenta de las ejecuciones, o pida para esta "
    "SELECT, INSERT y DELETE sobre esa tabla."
)


def read_accepted(database: Database, templates: Templates) -> Iterator[tuple[int, int]]:
    """Yield the accepted pairs (places in the templates, ascending) of members who both have the photo that they had
    when they were accepted. Raises DatabaseUnavailable."""
    place_of = {storable(crew_id): place for place, crew_id in enumerate(templates.crew_ids)}
    for row in read_rows(database, select(ACCEPTED)):
        places = place_of.get(str(row.crew_id)), place_of.get(str(row.other_id))
        if places[0] is None or places[1] is None:
            continue
        if (_photo_of(templates, places[0]), _photo_of(templates, places[1])) == (row.photo, row.other_photo):
            yield places[0], places[1]


def accept(database: Database, templates: Templates, places: tuple[int, int], now: datetime) -> None:
    """Record that a person has looked at two members and found them right. Raises DatabaseUnavailable, also where this
    account may only read."""
    one, other = sorted(places)
    row = {
        "crew_id": storable(templates.crew_ids[one]),
        "other_id": storable(templates.crew_ids[other]),
        "photo": _photo_of(templates, one),
        "other_photo": _photo_of(templates, other),
        "accepted_at": now,
    }
    mine = (ACCEPTED.c.crew_id == row["crew_id"]) & (ACCEPTED.c.other_id == row["other_id"])

    def write(connection: Connection) -> None:
        connection.execute(delete(ACCEPTED).where(mine))
        connection.execute(insert(ACCEPTED), row)

    with advising_the_denied(WRITING_ADVICE):
        open_own_tables(database)
        database.transaction(write)


def _photo_of(templates: Templates, place: int) -> str:
    """Return what changes with the member's photo."""
    return templates.sha256s[place] or hashlib.sha256(templates.vectors[place].tobytes()).hexdigest()
