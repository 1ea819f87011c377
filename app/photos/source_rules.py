"""What both photo sources go by: whether a photo is still the remembered version, and when it is too large."""

from __future__ import annotations

from app.core.config import BYTES_PER_MB
from app.errors import OversizedPhoto
from app.records import ANSWER_CHANGED, ANSWER_SAME, ANSWER_UNKNOWN, Version

WEAK = "W/"  # before an ETag: the same content, though perhaps not byte by byte (RFC 9110, 8.8.1)


def compare_versions(current: Version, remembered: Version) -> str:
    """Return ANSWER_SAME or ANSWER_CHANGED by the surest thing that both versions know: the ETag, then the date with
    the size, then the size. Return ANSWER_UNKNOWN where they have nothing in common."""
    sizes_known = None not in (current.size_bytes, remembered.size_bytes)
    resized = sizes_known and current.size_bytes != remembered.size_bytes
    if current.etag and remembered.etag:
        changed = current.etag.removeprefix(WEAK) != remembered.etag.removeprefix(WEAK)
    elif current.last_modified and remembered.last_modified:
        changed = current.last_modified != remembered.last_modified or resized
    elif sizes_known:
        changed = resized
    else:
        return ANSWER_UNKNOWN
    return ANSWER_CHANGED if changed else ANSWER_SAME


def refuse_oversized(size_bytes: int, limit_mb: float) -> None:
    """Raise OversizedPhoto for a photo that is larger than the limit."""
    limit_bytes = int(limit_mb * BYTES_PER_MB)
    if size_bytes > limit_bytes:
        raise OversizedPhoto(f"pesa más de {limit_bytes / BYTES_PER_MB:g} MB")
