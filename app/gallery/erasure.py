"""Erases people from `face_embeddings` and the program's own tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table, bindparam, delete, func, select, update

from app.core.database import Database
from app.core.spanish import suggest
from app.errors import Retry, codes_with
from app.gallery.photo_records import storable
from app.gallery.reading import read_rows
from app.gallery.tables import ATTEMPTS, PHOTOS, VECTORS


def suggest_id(database: Database, table: Table, crew_id: str) -> str:
    """Return `suggest` for the ids that the gallery has. Raises DatabaseUnavailable."""
    return suggest(crew_id, (row.crew_id for row in read_rows(database, select(table.c.crew_id).distinct())))


def erase(database: Database, table: Table, crew_ids: Iterable[str]) -> tuple[int, int]:
    """Delete all rows of these people, staged ones, too. Return how many vectors there were and how many rows are left.

    Raises DatabaseUnavailable.
    """
    found: list[tuple[int, int]] = []
    database.in_chunks(list(crew_ids), lambda connection, ids: found.append(_erase(connection, table, ids)))
    return sum(vectors for vectors, _ in found), sum(left for _, left in found)


def _erase(connection: Connection, table: Table, crew_ids: Sequence[str]) -> tuple[int, int]:
    row_ids = _rows_of(connection, table, crew_ids)
    doomed: list[tuple[Column[Any], Sequence[Any]]] = [(table.c.id, row_ids), (VECTORS.c.embedding_id, row_ids)]
    own = (each.c.crew_id for each in (VECTORS, PHOTOS, ATTEMPTS))
    doomed.extend((column, _exactly(connection, column, crew_ids)) for column in own)
    left = 0
    for column, values in doomed:
        connection.execute(delete(column.table).where(column.in_(values)))
        count = select(func.count()).select_from(column.table).where(column.in_(values))
        left += int(connection.execute(count).scalar_one())
    _unname(connection, crew_ids)
    return len(row_ids), left


def _rows_of(connection: Connection, table: Table, crew_ids: Sequence[str]) -> list[int]:
    """Return the ids of these people's rows only: the database may take `a1` for `A1`, and miss ` A1`."""
    query = select(table.c.id, table.c.crew_id)
    found = connection.execute(query.where(table.c.crew_id.in_(crew_ids))).all()
    if not {row.crew_id for row in found}.issuperset(crew_ids):
        found = connection.execute(query).all()
    return [int(row.id) for row in found if row.crew_id in set(crew_ids)]


def _exactly(connection: Connection, column: Column[str], crew_ids: Sequence[str]) -> list[str]:
    """Return those of the ids that a column of ours holds: to MySQL, `7` and `7 ` are equal."""
    wanted = {storable(crew_id) for crew_id in crew_ids}
    return sorted(wanted.intersection(connection.execute(select(column).where(column.in_(wanted))).scalars()))


def _unname(connection: Connection, crew_ids: Sequence[str]) -> None:
    """Clear the detail of other people's failures that names these people: a shared photo's says who else has it.

    An id that happens to be another word of a detail clears that one, too; the next run that looks at the photo
    writes it anew.
    """
    ids = "|".join(re.escape(storable(crew_id)) for crew_id in crew_ids)
    named = re.compile(rf"(?<![^\s,])(?:{ids})(?![^\s,])")
    columns = PHOTOS.c
    query = select(columns.crew_id, columns.detail).where(
        columns.code.in_(codes_with(Retry.UNSHARED)), columns.detail.is_not(None)
    )
    naming = [{"named_in": row.crew_id} for row in connection.execute(query).all() if named.search(row.detail)]
    if naming:
        cleared = update(PHOTOS).where(columns.crew_id == bindparam("named_in")).values(detail=None)
        connection.execute(cleared, naming)
