"""WebP: the file's bytes come in; one whose picture is not what was compressed into it is refused.

A WebP has no checksums, and its decoder makes some picture of any bytes. But it needs every one of a sound file's, and
only by chance as many of a damaged one's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from app.errors import InvalidImage
from app.photos import opencv_decoding as opencv
from app.photos.damage import DAMAGED

CODED = {b"VP8 ", b"VP8L"}  # chunks of a still picture: with losses and without
RIFF_HEAD_BYTES, CHUNK_HEAD_BYTES = 12, 8
LEFT_OUT_BYTES = 16  # more than an encoder pads its data with


def refuse_leftovers(content: bytes) -> None:
    """Raises InvalidImage when the decoder comes to the picture's end without the last bytes of its data."""
    for name, data in _chunks(content):
        if name in CODED:
            shorter = data[: max(0, len(data) - LEFT_OUT_BYTES)]
            chunk = struct.pack("<4sI", name, len(shorter)) + shorter + b"\0" * (len(shorter) % 2)
            with suppress(InvalidImage):
                opencv.decode(b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk)
                break
    else:
        return
    raise InvalidImage(DAMAGED)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk's name and data."""
    place = RIFF_HEAD_BYTES
    while place + CHUNK_HEAD_BYTES <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        start = place + CHUNK_HEAD_BYTES
        yield name, content[start : start + size]
        place = start + size + size % 2
