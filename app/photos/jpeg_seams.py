"""Seams in a JPEG: pixels come in; those whose brightness jumps from one row of blocks to the next are refused.

A block stores how much brighter it is than the one before. Where a few bytes are lost and the data goes on by chance,
all that follows is too bright or too dark by one number, in each colour; and libjpeg has nothing to complain about.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidImage
from app.photos.damage import DAMAGED
from app.records import Image

MIN_BLOCK_ROWS = 4  # of a picture reduced further each row is the next block's
MIN_JUMP = 6  # levels; what is less moves no vector by as much
# How much the jump exceeds what the picture itself does there. Of 60 sound JPEGs the largest is 0.5; of 60 damaged ones
# that libjpeg took for sound three quarters have 2 or more.
MIN_EXCESS = 2.5
# The rows on both sides are the same picture, or it is an edge that belongs there: their spread against that of their
# difference. At first only each so many columns of one colour are looked at.
MIN_LIKENESS, MIN_SPREAD = 4, 12
SAMPLED, GREEN, MIN_STEADINESS = 4, 1, 0.7
# A photo's neighbouring pixels differ nearly everywhere; where most are equal, it is a drawn ground with its own edges.
MIN_GRAIN = 0.5
BANNER_END, BANNER_END_PX = 16, 8  # the part of the width, and at least so much, that is looked at on either side


def refuse_seam(image: Image, block_rows: int) -> None:
    """Raises InvalidImage for a seam along half the width of a picture (BGR, as it lies) of so many rows a block."""
    if block_rows < MIN_BLOCK_ROWS or min(image.shape[:2]) < 2 * block_rows:
        return
    middle = image.shape[1] // 2
    for half in (image[:, :middle], image[:, middle:]):
        above = half[block_rows - 1 : -2 : block_rows, ::SAMPLED, GREEN].astype(np.float32)
        difference = half[block_rows::block_rows, ::SAMPLED, GREEN][: len(above)] - above
        jumps = np.abs(difference.mean(axis=1))
        steady = (jumps >= MIN_JUMP / 2) & (jumps >= MIN_STEADINESS * difference.std(axis=1))
        for row in np.flatnonzero(steady):
            start = (row + 1) * block_rows - 2
            if _has_seam(half[start : start + 4].astype(np.int16)) and not _is_banner(image[start + 1 : start + 3]):
                raise InvalidImage(DAMAGED)


def _is_banner(rows: NDArray[np.uint8]) -> bool:
    """Whether two rows jump alike at both ends. A translucent banner begins on one row from side to side; where bytes
    are lost in the middle of a row of blocks, what lies before that place jumps one row of blocks later."""
    width = rows.shape[1]
    end = max(BANNER_END_PX, width // BANNER_END)
    difference = rows[1].astype(np.int16) - rows[0].astype(np.int16)
    whole, *ends = (np.median(part, axis=0) for part in (difference, difference[:end], difference[-end:]))
    return all(np.abs(each - whole).max() <= np.abs(whole).max() / 2 for each in ends)


def _has_seam(rows: NDArray[np.int16]) -> bool:
    """Whether the second and third of four rows are alike but for one number."""
    difference = rows[2] - rows[1]
    jump = np.median(difference, axis=0)
    unlike = np.median(np.abs(difference - jump), axis=0).max() + 1
    spread = rows[1:3].std(axis=1).max(axis=1).min()
    if np.abs(jump).max() < MIN_JUMP or spread < max(MIN_SPREAD, MIN_LIKENESS * unlike):
        return False
    if (np.diff(rows[1:3], axis=1) != 0).any(axis=2).mean() < MIN_GRAIN:
        return False
    slope = max(np.abs(np.median(rows[lower] - rows[lower - 1], axis=0)).max() for lower in (1, 3))
    return bool(np.abs(jump).max() >= MIN_EXCESS * (unlike + 2 * slope))
