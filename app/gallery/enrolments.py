"""Reads the enrolments: each member's rows of `face_embeddings`, and what made them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Row, Table, case, func, select, true

from app.core.database import Database
from app.gallery.photo_records import storable
from app.gallery.reading import read_folded, read_rows_of
from app.gallery.tables import VECTORS
from app.records import Enrolment

Rows = TypeVar("Rows", bound=Sized)


class EnrolmentRow(NamedTuple):
    """A row of `face_embeddings`, and what is known of how it was made: for whom, its spec's digest, its photo's
    SHA-256."""

    id: int
    crew_id: str
    model: str | None
    url: str | None
    active: bool
    made_for: str | None
    contract: str | None
    sha256: str | None


def read_enrolments(database: Database, table: Table, crew_id: str | None = None) -> dict[str, Enrolment]:
    """Return the enrolments of all members, or of one, by crew id. Raises DatabaseUnavailable."""
    return _completed(database, table, fold_rows(database, table, _by_member, crew_id))


def fold_rows(
    database: Database, table: Table, fold: Callable[[Iterator[EnrolmentRow]], Rows], crew_id: str | None = None
) -> Rows:
    """Return what `fold` makes of the rows of all members, or of one, in the order of their ids; without those that
    `--migrate` has staged.

    Raises DatabaseUnavailable.
    """
    rows, made = table.c, VECTORS.c
    staged = case((made.staged, true())).label("staged")  # NULL for nearly all, which costs nothing
    provenance = (made.crew_id.label("made_for"), made.contract, made.sha256, staged)
    query = select(rows.id, rows.crew_id, rows.modelo, rows.imagen_path, rows.active, *provenance).select_from(
        table.outerjoin(VECTORS, made.embedding_id == rows.id)
    )

    def mine(found: Iterator[Row[Any]]) -> Rows:
        those = (row for row in found if crew_id in (None, row.crew_id) and (row.active or not row.staged))
        return fold(EnrolmentRow._make(row[:-1]) for row in those)

    if crew_id is not None:
        only = read_folded(database, query.where(rows.crew_id == crew_id).order_by(rows.id), mine)
        if only:
            return only
    return read_folded(database, query.order_by(rows.id), mine)


def enrolments_of(database: Database, table: Table, rows: Iterable[EnrolmentRow]) -> dict[str, Enrolment]:
    """Return the enrolments by crew id, from all rows of their members in the order of their ids. Raises
    DatabaseUnavailable."""
    return _completed(database, table, _by_member(rows))


def _completed(database: Database, table: Table, enrolments: dict[str, Enrolment]) -> dict[str, Enrolment]:
    unknown = [enrolment.row_id for enrolment in enrolments.values() if enrolment.active and not enrolment.known]
    lengths = _dimensions(database, table, unknown)
    return {
        member: replace(enrolment, dimensions=lengths.get(enrolment.row_id)) if lengths else enrolment
        for member, enrolment in enrolments.items()
    }


def _by_member(rows: Iterable[EnrolmentRow]) -> dict[str, Enrolment]:
    """Group the rows: one replaces an earlier one of its member unless only the earlier is active."""
    enrolments: dict[str, Enrolment] = {}
    for row in rows:
        crew_id, row_id = row.crew_id, int(row.id)
        before = enrolments.get(crew_id)
        if before is None:  # the only row, as most members have
            ids = (row_id,)
            enrolments[crew_id] = _enrolment(row, ids if row.active else (), ids)
            continue
        active_ids = (*before.active_ids, row_id) if row.active else before.active_ids
        all_ids = (*before.all_ids, row_id)
        stays = before.active and not row.active
        enrolments[crew_id] = replace(before, all_ids=all_ids) if stays else _enrolment(row, active_ids, all_ids)
    return enrolments


def _enrolment(row: EnrolmentRow, active_ids: tuple[int, ...], all_ids: tuple[int, ...]) -> Enrolment:
    # Trust the provenance only if it names this member: row ids may be reused. An empty crew id was too long to store.
    known = row.made_for is not None and row.made_for in ("", storable(row.crew_id))
    return Enrolment(
        row_id=all_ids[-1],
        model=sys.intern(row.model or ""),
        url=row.url or "",
        active_ids=active_ids,
        all_ids=all_ids,
        known=known,
        spec_digest=sys.intern(row.contract) if known and row.contract is not None else None,
        sha256=row.sha256 or "" if known else "",
    )


def _dimensions(database: Database, table: Table, row_ids: Sequence[int]) -> dict[int, int]:
    """Count the numbers in the vectors of these rows by their commas."""
    text = table.c.embedding
    commas = func.length(text) - func.length(func.replace(text, ",", ""))
    query = select(table.c.id, (commas + 1).label("dimensions"))
    return {int(row.id): int(row.dimensions) for row in read_rows_of(database, query, table.c.id, row_ids)}
