"""Refuses a JPEG whose brightness jumps from one row of blocks to the next: a seam.

A block stores how much brighter it is than the block before. Where a few bytes are lost and the data still decodes, all
that follows is too bright or too dark by one number in each colour, and libjpeg does not warn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidImage
from app.photos.damage import DAMAGED
from app.records import Image

MIN_BLOCK_ROWS = 4  # in a picture that is reduced further each pixel row belongs to another row of blocks
MIN_JUMP = 6  # levels; a smaller jump hardly changes the vector
# The jump divided by the picture's own change there. The largest of 60 sound JPEGs has 0.5; of 60 damaged ones without
# a warning from libjpeg, three quarters have 2 or more.
MIN_EXCESS = 2.5
# The rows on both sides of a seam are alike but for the jump; at an edge of the picture they are not: the spread of the
# rows divided by the spread of their difference. The first look takes every fourth column of one colour.
MIN_LIKENESS, MIN_SPREAD = 4, 12
SAMPLED, GREEN, MIN_STEADINESS = 4, 1, 0.7
# In a photo neighbouring pixels differ nearly everywhere. Where most are equal, it is a drawing with edges of its own.
MIN_GRAIN = 0.5
BANNER_END, BANNER_END_PX = 16, 8  # of the width one part in so many is compared at either end, at least so many pixels


def refuse_seam(image: Image, block_rows: int) -> None:
    """Raise InvalidImage for a seam along half the picture's width.

    `image` is BGR uint8 (h, w, 3), not turned; a block of it has `block_rows` rows.
    """
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
    """Tell whether two rows jump alike at both ends: at the edge of a translucent banner from side to side.

    Bytes are lost somewhere within a row of blocks. The blocks before that place jump one row of blocks later.
    """
    width = rows.shape[1]
    end = max(BANNER_END_PX, width // BANNER_END)
    difference = rows[1].astype(np.int16) - rows[0].astype(np.int16)
    whole, *ends = (np.median(part, axis=0) for part in (difference, difference[:end], difference[-end:]))
    return all(np.abs(each - whole).max() <= np.abs(whole).max() / 2 for each in ends)


def _has_seam(rows: NDArray[np.int16]) -> bool:
    """Tell whether the second and the third of four rows are alike but for one number in each colour."""
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
