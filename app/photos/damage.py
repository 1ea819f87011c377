"""Whether a file came as it was sent: its bytes come in; what is cut, has gaps or was taken for text is refused.

This is about damage that a format's decoder does not mind. Its own complaints are heard where it is called.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from app.errors import InvalidImage
from app.photos.heif_boxes import Span, find_coded_data
from app.photos.kinds import AS_TEXT, PNG_START
from app.records import Image

DAMAGED = "los datos están dañados o incompletos; suba otra vez el archivo original"
# So many line ends, each with a carriage return: in a photo one in 256 has one by chance.
MANY_LINE_ENDS, TEXT_BYTES = 16, 1 << 16
# What a disk or a transfer that lost a block leaves: no codec's output has so many zeros in a row.
BLANK = re.compile(rb"\0{128}")
# Chunks without which a PNG's pixels would be others: those whose name begins with a capital, and two more.
PNG_CRITICAL, PNG_LOOKED_AT = range(ord("A"), ord("Z") + 1), {b"tRNS", b"eXIf"}
BLANK_ROWS = 1  # so many rows' lengths a gap in an uncompressed photo must have to be seen
# A gap has a corner that is as bright as no shadow's edge is, and most of what lies along it is no shadow either.
BRIGHT, NOT_BLACK, MOSTLY = 32, 16, 0.6


def refuse_damaged(content: bytes, kind: str) -> None:
    """Raises InvalidImage for damage that the format's decoder does not mind."""
    beginning = content[:TEXT_BYTES]
    line_ends = beginning.count(b"\n")
    if line_ends >= MANY_LINE_ENDS and beginning.count(b"\r\n") == line_ends:
        raise InvalidImage(AS_TEXT)
    try:
        if kind == "PNG":
            _refuse_wrong_checksums(content)
        elif kind in ("HEIF", "AVIF"):
            _refuse_blanks(content, find_coded_data(content))
    except (struct.error, IndexError) as error:
        raise InvalidImage(DAMAGED) from error


def refuse_gap(image: Image) -> None:
    """Raises InvalidImage when an uncompressed photo, in the order of its file, has a gap of zeros: black that begins
    or ends amid a row, and is bright all along. A black bar begins where a row does; a dark background has no edge."""
    columns = image.shape[1]
    values = image.max(axis=2).ravel()
    edges = np.flatnonzero(np.diff(values == 0, prepend=False, append=False))
    for start, end in edges.reshape(-1, 2):
        if end - start < BLANK_ROWS * columns:
            continue
        before, behind = values[max(0, start - columns) : start], values[end : end + columns]
        amid = [side[place] for side, place, edge in ((before, -1, start), (behind, 0, end)) if edge % columns]
        lit = np.concatenate([before, behind]) >= NOT_BLACK
        if amid and max(amid) >= BRIGHT and lit.mean() >= MOSTLY:
            raise InvalidImage(DAMAGED)


def _refuse_blanks(content: bytes, spans: list[Span]) -> None:
    if any(end > len(content) or BLANK.search(content, start, end) for start, end in spans):
        raise InvalidImage(DAMAGED)


def _refuse_wrong_checksums(content: bytes) -> None:
    """Raises InvalidImage when a chunk that the pixels depend on is not as it was written, or the end is missing."""
    names = set()
    for name, (start, end) in _png_chunks(content):
        names.add(name)
        counts = name[0] in PNG_CRITICAL or name in PNG_LOOKED_AT
        if counts and zlib.crc32(content[start - 4 : end]) != struct.unpack_from(">I", content, end)[0]:
            raise InvalidImage(DAMAGED)
    if b"IEND" not in names:
        raise InvalidImage(DAMAGED)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, Span]]:
    place = len(PNG_START)
    while place + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        yield name, (place + 8, place + 8 + length)
        if name == b"IEND":
            return
        place += 12 + length
