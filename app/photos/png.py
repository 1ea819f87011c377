"""PNG: whether it is a plain picture, and whether its chunks match their checksums."""

from __future__ import annotations

import struct
import zlib

from app.errors import InvalidImage
from app.photos.damage import DAMAGED
from app.photos.kinds import PNG_START

ANIMATION = b"acTL"
OF_ANIMATION = {ANIMATION, b"fcTL", b"fdAT"}
COLOUR_TYPE_AT, WITH_ALPHA = 25, (b"\x04", b"\x06")  # in the header
HEAD_BYTES = 1 << 16  # transparency's chunk stands before the pixels
# Chunks that the pixels depend on: the critical ones, whose name begins with a capital, transparency and orientation.
CRITICAL, DECISIVE = range(ord("A"), ord("Z") + 1), {b"tRNS", b"eXIf"}


def is_plain_png(content: bytes) -> bool:
    """Tell whether the picture neither moves nor has transparent pixels, by the names of its chunks and its header."""
    has_alpha = content[COLOUR_TYPE_AT : COLOUR_TYPE_AT + 1] in WITH_ALPHA or b"tRNS" in content[:HEAD_BYTES]
    return ANIMATION not in content and not has_alpha


def read_still_picture(content: bytes) -> bytes:
    """Return the file without the chunks of an animation.

    OpenCV does not notice damage in an animation's first picture, and returns memory that it has not written to.
    Raises InvalidImage when a chunk that the pixels depend on does not match its checksum, or the end is missing.
    """
    pieces, place, name = [PNG_START], len(PNG_START), b""
    while name != b"IEND":
        if place + 12 > len(content):
            raise InvalidImage(DAMAGED)
        length, name = struct.unpack_from(">I4s", content, place)
        end = place + 8 + length
        if name[0] in CRITICAL or name in DECISIVE:
            checksum = int.from_bytes(content[end : end + 4], "big")
            if end + 4 > len(content) or zlib.crc32(content[place + 4 : end]) != checksum:
                raise InvalidImage(DAMAGED)
        if name not in OF_ANIMATION:
            pieces.append(content[place : end + 4])
        place = end + 4
    return b"".join(pieces)
