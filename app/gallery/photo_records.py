"""What is remembered of each member's photo beside the vector: photos, embeddings and failures come in, rows of
`face_photos` go out, and at the next run what they say (see remembered.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, delete, insert, select, update

from app.core.database import Database
from app.gallery.own_tables import MAX_ID_CHARACTERS, PHOTOS
from app.gallery.remembered import (
    NO_VERSION,
    REMEMBERED,
    PhotoRecord,
    read_illustration,
    read_photo_record,
    read_picture,
    read_version,
)
from app.records import Failed, Photo, PhotoAnalysis, Picture, Version

HASH_DIGITS = 16


@dataclass(frozen=True, slots=True)
class NewPhotoRecord:
    """What is to be remembered of one photo: the file as far as it was fetched, what was seen of it, and the failure it
    ended in, if any."""

    crew_id: str
    url: str
    photo: Photo | None
    analysis: PhotoAnalysis | None
    failure: Failed | None = None
    failures: int = 0


class PhotoRecords:
    """The table `face_photos`, at the time of this run. Raises DatabaseUnavailable."""

    def __init__(self, database: Database, judged_by: str, now: datetime) -> None:
        self._database = database
        self._judged_by = judged_by
        self._now = now

    def remembered(self) -> dict[str, PhotoRecord]:
        """By crew id."""
        query = select(*(PHOTOS.c[name] for name in REMEMBERED))
        rows = self._database.transaction(lambda connection: connection.execute(query).all())
        return {str(row.crew_id): read_photo_record(row) for row in rows}

    def rejected_pictures(self, codes: Collection[str]) -> dict[str, Picture]:
        """By crew id, the last seen picture of whoever failed with one of these codes."""
        columns = PHOTOS.c
        query = select(columns.crew_id, columns.perceptual_hash, columns.grey).where(
            columns.code.in_(codes), columns.grey.is_not(None)
        )
        rows = self._database.transaction(lambda connection: connection.execute(query).all())
        return {str(row.crew_id): read_picture(row.perceptual_hash, row.grey) for row in rows}

    def illustrations(self, crew_ids: Collection[str]) -> dict[str, PhotoAnalysis]:
        """What the report shows of photos that were not looked at in this run, by crew id."""
        columns = PHOTOS.c
        wanted = (columns.crew_id, columns.width, columns.height, columns.box, columns.thumbnail)
        found: dict[str, PhotoAnalysis] = {}

        def read(connection: Connection, chunk: Sequence[str]) -> None:
            query = select(*wanted).where(columns.crew_id.in_(chunk), columns.width.is_not(None))
            rows = connection.execute(query).all()
            found.update((str(row.crew_id), read_illustration(row)) for row in rows)

        self._database.in_chunks(sorted(crew_ids), read)
        return found

    def record(self, connection: Connection, entries: Sequence[NewPhotoRecord]) -> None:
        """In the transaction that writes what became of them. An id too long for the ledger is not remembered."""
        rows = {storable(entry.crew_id): self._row(entry) for entry in entries if has_room(entry.crew_id)}
        if rows:
            connection.execute(delete(PHOTOS).where(PHOTOS.c.crew_id.in_(list(rows))))
            connection.execute(insert(PHOTOS), list(rows.values()))

    def moved(self, connection: Connection, entries: Sequence[NewPhotoRecord]) -> None:
        """The photos are in other files, or under other addresses: what was seen of them still holds, and the failure
        too where there is one."""
        for entry in entries:
            if has_room(entry.crew_id):
                self._move(connection, entry)

    def _move(self, connection: Connection, entry: NewPhotoRecord) -> None:
        values = {name: value for name, value in self._row(entry).items() if value is not None}
        if entry.photo is not None:  # what its server no longer says, it is not to be asked about
            values |= _version_columns(entry.photo.version)
        if entry.failure is None:
            values |= dict.fromkeys(("code", "detail", "judged_by", "failures", "left_at"))
        mine = PHOTOS.c.crew_id == values["crew_id"]
        found = connection.execute(select(PHOTOS.c.crew_id).where(mine).with_for_update()).first()
        statement = insert(PHOTOS) if found is None else update(PHOTOS).where(mine)
        connection.execute(statement.values(values))

    def checked(self, versions: Mapping[str, Version]) -> None:
        """Their server was asked, and says this of the photos as they are remembered."""
        self._database.in_chunks(list(versions), lambda connection, ids: self._touch(connection, ids, versions))

    def _touch(self, connection: Connection, crew_ids: Sequence[str], versions: Mapping[str, Version]) -> None:
        """One statement for all whose version has not changed, as with most."""
        columns = PHOTOS.c
        connection.execute(update(PHOTOS).where(columns.crew_id.in_(crew_ids)).values(checked_at=self._now))
        query = select(columns.crew_id, columns.etag, columns.last_modified, columns.size_bytes)
        strangers = {crew_id: versions[crew_id] for crew_id in crew_ids if has_room(crew_id)}
        for row in connection.execute(query.where(columns.crew_id.in_(crew_ids))).all():
            told = strangers.pop(str(row.crew_id))
            if told not in (read_version(row), NO_VERSION):
                changed = update(PHOTOS).where(columns.crew_id == row.crew_id)
                connection.execute(changed.values(**_version_columns(told)))
        if strangers:  # of rows that another program made: from now on a change will be noticed
            told_first = [
                {"crew_id": storable(each), "checked_at": self._now} | _version_columns(version)
                for each, version in strangers.items()
            ]
            connection.execute(insert(PHOTOS), told_first)

    def left(self, connection: Connection, crew_ids: Sequence[str]) -> None:
        """They are no longer in the roster. Whoever was missing before keeps that date."""
        columns = PHOTOS.c
        mine = select(columns.crew_id).where(columns.crew_id.in_(crew_ids)).with_for_update()
        known = set(connection.execute(mine).scalars())
        missing = update(PHOTOS).where(columns.crew_id.in_(crew_ids), columns.left_at.is_(None))
        connection.execute(missing.values(left_at=self._now))
        strangers = [crew_id for crew_id in crew_ids if crew_id not in known and has_room(crew_id)]
        if strangers:
            connection.execute(insert(PHOTOS), [{"crew_id": each, "left_at": self._now} for each in strangers])

    def returned(self, connection: Connection, crew_ids: Sequence[str]) -> None:
        """They are in the roster again."""
        back = update(PHOTOS).where(PHOTOS.c.crew_id.in_(crew_ids), PHOTOS.c.left_at.is_not(None))
        connection.execute(back.values(left_at=None))

    def clear_failures(self, connection: Connection, crew_ids: Sequence[str]) -> None:
        """Whoever failed in an earlier run, and is up to date all the same, has nothing to be corrected."""
        up_to_date = update(PHOTOS).where(PHOTOS.c.crew_id.in_(crew_ids), PHOTOS.c.code.is_not(None))
        connection.execute(up_to_date.values(code=None, detail=None, failures=None, judged_by=None))

    def forget(self, connection: Connection, crew_ids: Sequence[str]) -> None:
        """As if the photos had never been seen."""
        connection.execute(delete(PHOTOS).where(PHOTOS.c.crew_id.in_(crew_ids)))

    def _row(self, entry: NewPhotoRecord) -> dict[str, Any]:
        photo, analysis, failure = entry.photo, entry.analysis, entry.failure
        row: dict[str, Any] = {column.name: None for column in PHOTOS.columns}
        row |= {"crew_id": storable(entry.crew_id), "url": entry.url}
        row |= {"tried_at": self._now, "checked_at": self._now}
        if photo is not None:
            row |= {"sha256": photo.sha256} | _version_columns(photo.version)
        if analysis is not None:
            row |= self._seen(analysis)
        if failure is not None:
            row |= {"code": failure.code, "detail": storable(failure.detail)}
            row |= {"judged_by": self._judged_by, "failures": entry.failures}
        return row

    def _seen(self, analysis: PhotoAnalysis) -> dict[str, Any]:
        note = analysis.quality_note
        return picture_columns(analysis) | {
            "faces_seen": analysis.faces_seen,
            "box": analysis.box and orjson.dumps(analysis.box).decode(),
            "attempt": analysis.attempt or None,
            "confidence": round(analysis.confidence, 3) if analysis.box else None,
            "quality": note and orjson.dumps(note.components).decode(),
            "quality_verdict": note and note.verdict,
            "quality_component": note and note.component,
            "thumbnail": analysis.thumbnail or None,
        }


def picture_columns(analysis: PhotoAnalysis) -> dict[str, Any]:
    """What tells the picture of a photo, and its size in pixels."""
    picture = analysis.picture
    return {
        "perceptual_hash": picture and f"{picture.perceptual_hash:0{HASH_DIGITS}x}",
        "grey": picture and picture.grey.hex(),
        "width": analysis.size[0],
        "height": analysis.size[1],
    }


def has_room(crew_id: str) -> bool:
    """Whether our tables can hold the id. Whoever's is too long is not remembered."""
    return len(crew_id) <= MAX_ID_CHARACTERS


def storable(text: str) -> str:
    """A folder's name may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode()


def _version_columns(version: Version) -> dict[str, Any]:
    return {
        "etag": version.etag or None,
        "last_modified": version.last_modified or None,
        "size_bytes": version.size_bytes,
    }
