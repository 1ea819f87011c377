"""The table `face_photos`: what each member's photo was when it was last seen, and the failure it ended in, if any."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection, case, delete, insert, or_, select, update

from app.core.database import Database
from app.gallery.reading import change_rows_of, read_folded, read_rows_of
from app.gallery.tables import MAX_ID_CHARACTERS, PHOTOS
from app.records import NO_VERSION, Failed, Photo, PhotoAnalysis, PhotoRecord, Picture, Version

Rows = TypeVar("Rows")

HASH_DIGITS = 16
# What a decision needs. Pictures and thumbnails are read for the members that are processed or reported.
DECISIVE = (
    *("crew_id", "url", "etag", "last_modified", "size_bytes", "sha256"),
    *("code", "stage", "detail", "judged_by", "failures", "tried_at", "checked_at", "left_at", "quality_component"),
)
FAILURE = ("code", "stage", "detail", "judged_by", "failures")
# What only a failure, or a question about the photo, needs.
SPARED = ("url", "etag", "last_modified", "size_bytes", "tried_at")


@dataclass(frozen=True, slots=True)
class NewPhotoRecord:
    """What a run records of a member's photo: the file, None when it was not fetched; its analysis; the failure, if
    any, and how many there are in a row."""

    crew_id: str
    url: str
    photo: Photo | None
    analysis: PhotoAnalysis | None
    failure: Failed | None = None
    failures: int = 0


class PhotoRecords:
    """Reads and writes the records, at the time of one run. `rules_digest` stands for the rules it rejects photos by.

    An id that is too long for the table has no record. All methods raise DatabaseUnavailable.
    """

    def __init__(self, database: Database, rules_digest: str, now: datetime) -> None:
        self._database = database
        self._rules_digest = rules_digest
        self._now = now

    def fold_rows(self, fold: Callable[[Iterator[Sequence[Any]]], Rows], settled_since: datetime | None = None) -> Rows:
        """Return what `fold` makes of all rows, for `records_of`, in the order of the crew ids, which they begin with.
        Those of a photo in the gallery that was checked later than `settled_since` hold only what is needed without
        asking about it again: no URL, no version, no `tried_at`."""
        columns = PHOTOS.c
        spared = {}
        if settled_since is not None:  # of a long roster these texts take a third of the time
            needed = or_(columns.code.is_not(None), columns.checked_at.is_(None), columns.checked_at <= settled_since)
            spared = {name: case((needed, columns[name])).label(name) for name in SPARED}
        query = select(*(spared.get(name, columns[name]) for name in DECISIVE)).order_by(columns.crew_id)
        return read_folded(self._database, query, lambda rows: fold(map(tuple, rows)))

    def rejected_pictures(self, codes: Collection[str]) -> dict[str, Picture]:
        """Return the last seen pictures of the members that failed with one of these codes, by crew id."""
        columns = PHOTOS.c
        pictures = select(columns.crew_id, columns.perceptual_hash, columns.grey)
        rejected = pictures.where(columns.code.in_(codes), columns.grey.is_not(None))
        return read_folded(self._database, rejected, read_pictures)

    def illustrations(self, crew_ids: Collection[str]) -> dict[str, PhotoAnalysis]:
        """Return, by crew id, what the report shows of photos that this run did not look at: size, box, thumbnail."""
        columns = PHOTOS.c
        wanted = (columns.crew_id, columns.width, columns.height, columns.box, columns.thumbnail)
        query = select(*wanted).where(columns.width.is_not(None))
        rows = read_rows_of(self._database, query, columns.crew_id, sorted(crew_ids))
        return {str(row.crew_id): _illustration(row) for row in rows}

    def record(self, connection: Connection, entries: Sequence[NewPhotoRecord]) -> None:
        """Replace the members' records, in the transaction that writes their vectors."""
        rows = {storable(entry.crew_id): self._row(entry) for entry in entries if has_room(entry.crew_id)}
        if rows:
            self.delete(connection, list(rows))
            connection.execute(insert(PHOTOS), list(rows.values()))

    def move(self, connection: Connection, entries: Sequence[NewPhotoRecord]) -> None:
        """Update the members' records to another file or URL with the same picture.

        The analysis stays, and the failure, too, when the entry has one.
        """
        for entry in (entry for entry in entries if has_room(entry.crew_id)):
            values = {name: value for name, value in self._row(entry).items() if value is not None}
            if entry.photo is not None:  # a validator that the server no longer sends must not be asked for
                values |= _version_columns(entry.photo.version)
            if entry.failure is None:
                values |= dict.fromkeys((*FAILURE, "left_at"))
            mine = PHOTOS.c.crew_id == values["crew_id"]
            found = connection.execute(select(PHOTOS.c.crew_id).where(mine).with_for_update()).first()
            statement = insert(PHOTOS) if found is None else update(PHOTOS).where(mine)
            connection.execute(statement.values(values))

    def mark_checked(self, versions: Iterable[tuple[str, Version]]) -> None:
        """Record what the photo server answered now about unchanged photos: crew ids and versions."""
        self._database.in_chunks(versions, self._mark_checked)

    def _mark_checked(self, connection: Connection, versions: Sequence[tuple[str, Version]]) -> None:
        columns = PHOTOS.c
        mine = columns.crew_id.in_([crew_id for crew_id, _ in versions])
        connection.execute(update(PHOTOS).where(mine).values(checked_at=self._now))
        query = select(columns.crew_id, columns.etag, columns.last_modified, columns.size_bytes)
        unrecorded = {crew_id: version for crew_id, version in versions if has_room(crew_id)}
        for row in connection.execute(query.where(mine)).all():  # most versions are the recorded ones
            version = unrecorded.pop(str(row.crew_id))
            if version not in (_version(row), NO_VERSION):
                changed = update(PHOTOS).where(columns.crew_id == row.crew_id)
                connection.execute(changed.values(**_version_columns(version)))
        if unrecorded:  # rows of another program: from now on a change of their photo will be noticed
            new = [
                {"crew_id": storable(crew_id), "checked_at": self._now} | _version_columns(version)
                for crew_id, version in unrecorded.items()
            ]
            connection.execute(insert(PHOTOS), new)

    def mark_departed(self, crew_ids: Sequence[str]) -> None:
        """Record that these members are not in the roster. A date that was recorded before stays."""
        self._database.in_chunks(crew_ids, self._mark_departed)

    def _mark_departed(self, connection: Connection, crew_ids: Sequence[str]) -> None:
        columns = PHOTOS.c
        mine = select(columns.crew_id).where(columns.crew_id.in_(crew_ids)).with_for_update()
        recorded = set(connection.execute(mine).scalars())
        missing = update(PHOTOS).where(columns.crew_id.in_(crew_ids), columns.left_at.is_(None))
        connection.execute(missing.values(left_at=self._now))
        unrecorded = [crew_id for crew_id in crew_ids if crew_id not in recorded and has_room(crew_id)]
        if unrecorded:
            connection.execute(insert(PHOTOS), [{"crew_id": each, "left_at": self._now} for each in unrecorded])

    def mark_returned(self, crew_ids: Sequence[str]) -> None:
        """Record that these members are in the roster again."""
        back = update(PHOTOS).where(PHOTOS.c.left_at.is_not(None)).values(left_at=None)
        change_rows_of(self._database, back, PHOTOS.c.crew_id, crew_ids)

    def clear_failures(self, crew_ids: Sequence[str]) -> None:
        """Remove the recorded failure of members whose stored vector is current."""
        current = update(PHOTOS).where(PHOTOS.c.code.is_not(None)).values(dict.fromkeys(FAILURE))
        change_rows_of(self._database, current, PHOTOS.c.crew_id, crew_ids)

    def delete(self, connection: Connection, crew_ids: Sequence[str]) -> None:
        """Delete the members' records."""
        connection.execute(delete(PHOTOS).where(PHOTOS.c.crew_id.in_(crew_ids)))

    def _row(self, entry: NewPhotoRecord) -> dict[str, Any]:
        photo, analysis, failure = entry.photo, entry.analysis, entry.failure
        row: dict[str, Any] = dict.fromkeys(PHOTOS.columns.keys())
        row |= {"crew_id": storable(entry.crew_id), "url": entry.url, "tried_at": self._now, "checked_at": self._now}
        if photo is not None:
            row |= {"sha256": photo.sha256} | _version_columns(photo.version)
        if analysis is not None:
            row |= _analysis_columns(analysis)
        if failure is not None:
            row |= {"code": failure.code, "stage": failure.stage, "detail": storable(failure.detail)}
            row |= {"judged_by": self._rules_digest, "failures": entry.failures}
        return row


def has_room(crew_id: str) -> bool:
    """Say whether our tables can hold the id."""
    return len(crew_id) <= MAX_ID_CHARACTERS


def storable(text: str) -> str:
    """Return the text as UTF-8 can hold it: a folder's name may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode()


def picture_columns(picture: Picture | None) -> dict[str, Any]:
    """Return the columns, both hexadecimal, that hold a picture; `read_picture` reads them back."""
    return {
        "perceptual_hash": picture and f"{picture.perceptual_hash:0{HASH_DIGITS}x}",
        "grey": picture and picture.grey.hex(),
    }


def read_picture(perceptual_hash: str, grey: str) -> Picture:
    return Picture(int(perceptual_hash, 16), bytes.fromhex(grey))


def read_pictures(rows: Iterable[Sequence[Any]]) -> dict[str, Picture]:
    """Return the pictures by crew id, from rows of crew id and both columns."""
    return {crew_id: read_picture(perceptual_hash, grey) for crew_id, perceptual_hash, grey in rows}


def _analysis_columns(analysis: PhotoAnalysis) -> dict[str, Any]:
    note = analysis.quality_note
    return picture_columns(analysis.picture) | {
        "width": analysis.size[0],
        "height": analysis.size[1],
        "faces_seen": analysis.faces_seen,
        "box": analysis.box and orjson.dumps(analysis.box).decode(),
        "attempt": analysis.attempt or None,
        "confidence": round(analysis.confidence, 3) if analysis.box else None,
        "quality": note and orjson.dumps(note.components).decode(),
        "quality_verdict": note and note.verdict,
        "quality_component": note and note.component,
        "thumbnail": analysis.thumbnail or None,
    }


def records_of(rows: Iterable[Sequence[Any]]) -> dict[str, PhotoRecord]:
    """Return the records by crew id, from rows of DECISIVE."""
    return {row[0]: _photo_record(row) for row in rows}


def _photo_record(row: Sequence[Any]) -> PhotoRecord:
    (
        _,
        url,
        etag,
        modified,
        size,
        sha256,
        code,
        stage,
        detail,
        judged_by,
        failures,
        tried_at,
        checked_at,
        left_at,
        flaw,
    ) = row
    version = Version(etag or "", modified or "", size) if etag or modified or size is not None else NO_VERSION
    return PhotoRecord(
        url or "",
        version,
        sha256 or "",
        code or "",
        stage or "",
        detail or "",
        judged_by or "",
        failures or 0,
        tried_at,
        checked_at,
        left_at,
        improvable="" if code else flaw or "",
    )


def _illustration(row: Any) -> PhotoAnalysis:
    box = tuple(orjson.loads(row.box)) if row.box else None
    return PhotoAnalysis((row.width, row.height), box=box, thumbnail=bytes(row.thumbnail or b""))


def _version(row: Any) -> Version:
    return Version(row.etag or "", row.last_modified or "", row.size_bytes)


def _version_columns(version: Version) -> dict[str, Any]:
    return {
        "etag": version.etag or None,
        "last_modified": version.last_modified or None,
        "size_bytes": version.size_bytes,
    }
