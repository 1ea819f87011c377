"""The gallery's rows as the roster moves on: kept under another address, laid to rest, woken, and deleted."""

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
    """A vector that is as good as ever although its photo was fetched: the same file, under another address, or of
    somebody who came back."""

    enrolment: Enrolment
    photo: Photo


class RowStatus:
    """Everything that is done to rows without a new vector. Raises DatabaseUnavailable."""

    def __init__(self, database: Database, table: Table, vectors: Provenance, photo_records: PhotoRecords) -> None:
        self._database = database
        self._table = table
        self._vectors = vectors
        self._photo_records = photo_records

    def keep(self, members: Iterable[KeptVector]) -> None:
        """The rows stay as they are, under the photos' present addresses. Whether they are active is not touched: the
        service, or another run, may have decided that meanwhile."""
        self._database.in_chunks(list(members), self._keep)

    def _keep(self, connection: Connection, members: Sequence[KeptVector]) -> None:
        for kept in members:
            photo = kept.photo
            mine = update(self._table).where(self._table.c.id == kept.enrolment.row_id)
            address = self._address(photo.url)
            if address:
                connection.execute(mine.values(address))
            self._vectors.same_picture(connection, kept.enrolment.row_id, photo)
            self._photo_records.moved(connection, [NewPhotoRecord(photo.member.crew_id, photo.url, photo, None)])

    def reactivate(self, row_ids: Sequence[int]) -> None:
        """Rows of those who came back are active again."""
        self._database.in_chunks(row_ids, lambda connection, ids: self._activate(connection, ids, active=True))

    def deactivate(self, row_ids: Sequence[int]) -> None:
        """Rows of those who left are active no more."""
        self._database.in_chunks(row_ids, lambda connection, ids: self._activate(connection, ids, active=False))

    def mark_left(self, crew_ids: Sequence[str]) -> None:
        """They are not in the roster: from now on their time runs."""
        self._database.in_chunks(crew_ids, self._photo_records.left)

    def mark_returned(self, crew_ids: Sequence[str]) -> None:
        """They are in the roster again."""
        self._database.in_chunks(crew_ids, self._photo_records.returned)

    def clear_failures(self, crew_ids: Sequence[str]) -> None:
        """Whoever failed before is up to date now."""
        self._database.in_chunks(crew_ids, self._photo_records.clear_failures)

    def purge(self, crew_ids: Iterable[str]) -> int:
        """Delete all that is known of these people; how many rows of theirs are left: none."""
        return erase(self._database, self._table, crew_ids)[1]

    def _address(self, url: str) -> dict[str, str]:
        """What a row says of its photo's address, unless it is too long: then it says what it said."""
        length = getattr(self._table.c.imagen_path.type, "length", None)
        return {"imagen_path": url} if length is None or len(url) <= length else {}

    def _activate(self, connection: Connection, row_ids: Sequence[int], *, active: bool) -> None:
        connection.execute(update(self._table).where(self._table.c.id.in_(row_ids)).values(active=active))
