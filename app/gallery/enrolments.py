"""Reads what the gallery holds of each member: their rows of `face_embeddings` and what made them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, select

from app.core.database import Database
from app.gallery.own_tables import VECTORS
from app.gallery.photo_records import storable
from app.gallery.reading import read_rows


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A member's rows. What is said of one row is said of the newest active one, or of the newest when none is.

    `known`: we made it, or adopted it; `contract` is its digest, None when nobody knows; `dimensions` only of rows
    that are not known yet. `sha256` is its photo's, as far as it is known.
    """

    row_id: int
    model: str
    url: str
    active_ids: tuple[int, ...] = ()
    all_ids: tuple[int, ...] = ()
    known: bool = False
    contract: str | None = None
    dimensions: int | None = None
    sha256: str = ""

    @property
    def active(self) -> bool:
        return bool(self.active_ids)


def read_enrolments(database: Database, table: Table, crew_id: str | None = None) -> dict[str, Enrolment]:
    """By crew id, of all members or of this one. Rows that `--migrate` has laid aside do not count.

    Raises DatabaseUnavailable.
    """
    rows = table.c
    query = (
        select(rows.id, rows.crew_id, rows.modelo, rows.imagen_path, rows.active, *_provenance())
        .select_from(table.outerjoin(VECTORS, VECTORS.c.embedding_id == rows.id))
        .order_by(rows.id)
    )
    if crew_id is not None:
        query = query.where(rows.crew_id == crew_id)
    rows_read = read_rows(database, query)
    enrolments = _by_member(row for row in rows_read if not row.staged or row.active)
    strangers = [enrolment.row_id for enrolment in enrolments.values() if enrolment.active and not enrolment.known]
    lengths = _dimensions(database, table, strangers)
    return {
        each: replace(enrolment, dimensions=lengths.get(enrolment.row_id)) if lengths else enrolment
        for each, enrolment in enrolments.items()
    }


def _provenance() -> Sequence[ColumnElement[Any]]:
    columns = VECTORS.c
    names = ("embedding_id", "contract", "sha256", "staged")
    return (columns.crew_id.label("made_for"), *(columns[name] for name in names))


def _by_member(rows: Iterable[Any]) -> dict[str, Enrolment]:
    """`rows` by id: a later one of the same standing takes the place of an earlier one."""
    enrolments: dict[str, Enrolment] = {}
    for row in rows:
        crew_id, row_id = str(row.crew_id), int(row.id)
        before = enrolments.get(crew_id)
        if before is None:  # as with nearly everybody of a long gallery
            enrolments[crew_id] = _enrolment(row, (row_id,) if row.active else (), (row_id,))
            continue
        active_ids = (*before.active_ids, row_id) if row.active else before.active_ids
        all_ids = (*before.all_ids, row_id)
        stays = before.active and not row.active
        enrolments[crew_id] = replace(before, all_ids=all_ids) if stays else _enrolment(row, active_ids, all_ids)
    return enrolments


def _enrolment(row: Any, active_ids: tuple[int, ...], all_ids: tuple[int, ...]) -> Enrolment:
    # Made for nobody, or for a row which had this id before? Empty is an id that has no room there.
    known = row.made_for is not None and row.made_for in ("", storable(str(row.crew_id)))
    return Enrolment(
        row_id=int(row.id),
        model=str(row.modelo or ""),
        url=str(row.imagen_path or ""),
        active_ids=active_ids,
        all_ids=all_ids,
        known=known,
        contract=row.contract if known else None,
        sha256=row.sha256 or "" if known else "",
    )


def _dimensions(database: Database, table: Table, row_ids: Sequence[int]) -> dict[int, int]:
    """How many numbers each of these rows holds, counted by its commas."""
    text = table.c.embedding
    commas = func.length(text) - func.length(func.replace(text, ",", ""))
    found: dict[int, int] = {}

    def read(connection: Connection, ids: Sequence[int]) -> None:
        query = select(table.c.id, (commas + 1).label("dimensions")).where(table.c.id.in_(ids))
        found.update((int(row.id), int(row.dimensions)) for row in connection.execute(query))

    database.in_chunks(row_ids, read)
    return found
