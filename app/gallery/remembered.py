"""What earlier runs saw: rows of `face_photos` come in, what is remembered of each photo goes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.records import PhotoAnalysis, Picture, Version

NO_VERSION = Version()
# What deciding needs; pictures and thumbnails are read when something is to be processed.
REMEMBERED = (
    *("crew_id", "url", "etag", "last_modified", "size_bytes", "sha256"),
    *("code", "detail", "judged_by", "failures", "tried_at", "checked_at", "left_at", "quality_component"),
)


@dataclass(frozen=True, slots=True)
class PhotoRecord:
    """What an earlier run saw of a member's photo. `code` and `detail` of its failure, empty when it is in the gallery;
    `failures` in a row; the component of quality that could be better, empty when none was warned of; `judged_by` the
    rules it failed by. Times in UTC."""

    url: str
    version: Version = NO_VERSION
    sha256: str = ""
    code: str = ""
    detail: str = ""
    judged_by: str = ""
    failures: int = 0
    tried_at: datetime | None = None
    checked_at: datetime | None = None
    left_at: datetime | None = None
    improvable: str = ""


def read_photo_record(row: Any) -> PhotoRecord:
    """Of a row with the columns REMEMBERED."""
    return PhotoRecord(
        url=row.url or "",
        version=read_version(row),
        sha256=row.sha256 or "",
        code=row.code or "",
        detail=row.detail or "",
        judged_by=row.judged_by or "",
        failures=row.failures or 0,
        tried_at=row.tried_at,
        checked_at=row.checked_at,
        left_at=row.left_at,
        improvable="" if row.code else row.quality_component or "",
    )


def read_version(row: Any) -> Version:
    return Version(row.etag or "", row.last_modified or "", row.size_bytes)


def read_picture(perceptual_hash: str, grey: str) -> Picture:
    return Picture(int(perceptual_hash, 16), bytes.fromhex(grey))


def read_illustration(row: Any) -> PhotoAnalysis:
    """What the report shows of a photo: its size, the face's box and the thumbnail."""
    box = tuple(orjson.loads(row.box)) if row.box else None
    return PhotoAnalysis((row.width, row.height), box=box, thumbnail=bytes(row.thumbnail or b""))
