"""Changes rows of `face_embeddings` without a new vector: the photo's URL, deactivation, reactivation, deletion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, update

from app.core.database import Database
from app.gallery.enrolments import Enrolment
from app.gallery.erasure import erase
from app.gallery.photo_records import NewPhotoRecord, PhotoRecords
from app.gallery.provenance import Provenance
from app.records import Photo


@dataclass(frozen=True, slots=True)
class KeptVector:
    """An enrolment that needs no new vector although its photo was fetched, and that photo."""

    enrolment: Enrolment
    photo: Photo


class RowStatus:
    """Changes existing rows. All methods raise DatabaseUnavailable."""

    def __init__(self, database: Database, table: Table, provenance: Provenance, photo_records: PhotoRecords) -> None:
        self._database = database
        self._table = table
        self._provenance = provenance
        self._photo_records = photo_records

    def keep(self, vectors: Iterable[KeptVector]) -> None:
        """Update URL and file of rows whose vector stays. Leaves `active` alone: the recognition service, or another
        run, may have changed it meanwhile."""
        self._database.in_chunks(list(vectors), self._keep)

    def _keep(self, connection: Connection, vectors: Sequence[KeptVector]) -> None:
        for kept in vectors:
            photo, row_id = kept.photo, kept.enrolment.row_id
            if self._has_room(photo.url):
                mine = update(self._table).where(self._table.c.id == row_id)
                connection.execute(mine.values(imagen_path=photo.url))
            self._provenance.update_file(connection, row_id, photo)
            self._photo_records.move(connection, [NewPhotoRecord(photo.member.crew_id, photo.url, photo, None)])

    def _has_room(self, url: str) -> bool:
        length = getattr(self._table.c.imagen_path.type, "length", None)
        return length is None or len(url) <= length

    def reactivate(self, row_ids: Sequence[int]) -> None:
        """Set rows active again."""
        self._set_active(row_ids, active=True)

    def deactivate(self, row_ids: Sequence[int]) -> None:
        """Set rows inactive."""
        self._set_active(row_ids, active=False)

    def _set_active(self, row_ids: Sequence[int], *, active: bool) -> None:
        change = update(self._table).values(active=active)
        self._database.in_chunks(
            row_ids, lambda connection, ids: connection.execute(change.where(self._table.c.id.in_(ids)))
        )

    def purge(self, crew_ids: Iterable[str]) -> int:
        """Delete all rows of these members from all tables; return how many are left, which should be none."""
        return erase(self._database, self._table, crew_ids)[1]
