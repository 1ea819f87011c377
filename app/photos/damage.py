"""Refuses damage that no decoder complains of and that several formats can have: text-mode transfers, gaps of zeros."""

from __future__ import annotations

import numpy as np

from app.errors import InvalidImage
from app.photos.kinds import AS_TEXT
from app.records import Image

DAMAGED = "los datos están dañados o incompletos; suba otra vez el archivo original"
# A program that copies a file as text writes a carriage return before each line feed. In compressed data one line feed
# in 256 has one by chance. Metadata can have thousands, so the pixels behind it are counted, too.
MIN_LINE_FEEDS, BEGINNING_BYTES = 16, 1 << 16
# At the corner of a gap its neighbour is brighter than the edge of any shadow, and most pixels along it are not black.
BRIGHT, NOT_BLACK, MOST = 32, 16, 0.6


def refuse_text_transfer(content: bytes) -> None:
    """Raise InvalidImage for a file whose every line feed has a carriage return before it."""
    # The beginning alone is hardly ever like that in a sound file.
    if _has_dos_line_ends(content[:BEGINNING_BYTES]) and _has_dos_line_ends(content):
        raise InvalidImage(AS_TEXT)


def _has_dos_line_ends(content: bytes) -> bool:
    line_feeds = content.count(b"\n")
    return line_feeds >= MIN_LINE_FEEDS and content.count(b"\r\n") == line_feeds


def refuse_gap(image: Image) -> None:
    """Raise InvalidImage when an uncompressed photo, its rows in the order of the file, has a gap of zeros.

    A gap begins or ends within a row and has bright neighbours. A black bar begins at a row's start, and a dark
    background has dark neighbours.
    """
    columns = image.shape[1]
    values = image.max(axis=2).ravel()
    edges = np.flatnonzero(np.diff(values == 0, prepend=False, append=False))
    for start, end in edges.reshape(-1, 2):
        if end - start < columns:  # less than the pixels of a row
            continue
        before, behind = values[max(0, start - columns) : start], values[end : end + columns]
        sides = ((before, -1, start), (behind, 0, end))
        corners = [side[neighbour] for side, neighbour, edge in sides if edge % columns]
        lit = np.concatenate([before, behind]) >= NOT_BLACK
        if corners and max(corners) >= BRIGHT and lit.mean() >= MOST:
            raise InvalidImage(DAMAGED)
