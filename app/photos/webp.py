"""Refuses a WebP whose picture is complete before its data ends.

WebP has no checksums, and its decoder makes a picture of any bytes. It needs all bytes of a sound file, and as many of
a damaged one only by chance.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from app.errors import InvalidImage
from app.photos import opencv_decoding as opencv
from app.photos.damage import DAMAGED

CODED = {b"VP8 ", b"VP8L"}  # chunks of a still picture: lossy and lossless
RIFF_HEAD_BYTES, CHUNK_HEAD_BYTES = 12, 8
LEFT_OUT_BYTES = 16  # more than an encoder pads its data with


def refuse_leftovers(content: bytes) -> None:
    """Raise InvalidImage when the decoder reaches the picture's end without the last bytes of its data."""
    if any(_decodes_without_end(name, data) for name, data in _chunks(content) if name in CODED):
        raise InvalidImage(DAMAGED)


def _decodes_without_end(name: bytes, data: bytes) -> bool:
    shorter = data[: max(0, len(data) - LEFT_OUT_BYTES)]
    chunk = struct.pack("<4sI", name, len(shorter)) + shorter + b"\0" * (len(shorter) % 2)
    try:
        opencv.decode(b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk)
    except InvalidImage:
        return False
    return True


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each chunk's name and data."""
    place = RIFF_HEAD_BYTES
    while place + CHUNK_HEAD_BYTES <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        start = place + CHUNK_HEAD_BYTES
        yield name, content[start : start + size]
        place = start + size + size % 2
