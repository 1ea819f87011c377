"""Reads the enrolments: each member's rows of `face_embeddings`, and what made them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Table, case, func, select, true

from app.core.database import Database
from app.gallery.photo_records import storable
from app.gallery.reading import read_folded, read_rows_of
from app.gallery.tables import VECTORS


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A member's rows. All fields but the ids describe the newest active row, or the newest when none is active.

    `known`: this program made or adopted it. `spec_digest`: of its embedding spec, None when unknown.
    `dimensions`: only of active rows that are not known. `sha256`: of its photo, empty when unknown.
    """

    row_id: int
    model: str
    url: str
    active_ids: tuple[int, ...] = ()
    all_ids: tuple[int, ...] = ()
    known: bool = False
    spec_digest: str | None = None
    dimensions: int | None = None
    sha256: str = ""

    @property
    def active(self) -> bool:
        return bool(self.active_ids)


def read_enrolments(database: Database, table: Table, crew_id: str | None = None) -> dict[str, Enrolment]:
    """Return the enrolments of all members, or of one, by crew id, without the rows that `--migrate` has staged.

    Raises DatabaseUnavailable.
    """
    rows, made = table.c, VECTORS.c
    staged = case((made.staged, true())).label("staged")  # NULL for nearly all, which costs nothing
    provenance = (made.crew_id.label("made_for"), made.contract, made.sha256, staged)
    query = select(rows.id, rows.crew_id, rows.modelo, rows.imagen_path, rows.active, *provenance).select_from(
        table.outerjoin(VECTORS, made.embedding_id == rows.id)
    )

    def fold(found: Iterable[Any]) -> dict[str, Enrolment]:
        mine = (row for row in found if crew_id in (None, row.crew_id))
        return _by_member(row for row in mine if not row.staged or row.active)

    enrolments: dict[str, Enrolment] = {}
    if crew_id is not None:
        enrolments = read_folded(database, query.where(rows.crew_id == crew_id), rows.id, fold)
    if not enrolments:
        enrolments = read_folded(database, query, rows.id, fold)
    unknown = [enrolment.row_id for enrolment in enrolments.values() if enrolment.active and not enrolment.known]
    lengths = _dimensions(database, table, unknown)
    return {
        member: replace(enrolment, dimensions=lengths.get(enrolment.row_id)) if lengths else enrolment
        for member, enrolment in enrolments.items()
    }


def _by_member(rows: Iterable[Any]) -> dict[str, Enrolment]:
    """Group rows, ordered by id, by crew id: a row replaces an earlier one unless only the earlier is active."""
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


def _enrolment(row: Any, active_ids: tuple[int, ...], all_ids: tuple[int, ...]) -> Enrolment:
    # Trust the provenance only if it names this member: row ids may be reused. An empty crew id was too long to store.
    known = row.made_for is not None and row.made_for in ("", storable(row.crew_id))
    return Enrolment(
        row_id=all_ids[-1],
        model=sys.intern(row.modelo or ""),
        url=row.imagen_path or "",
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
