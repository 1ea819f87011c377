"""Tells a drawing from a photograph: a photo and the box of its face come in, yes or no goes out.

Skin in a photograph has shade and grain nearly everywhere. A drawn face is even almost everywhere, and what changes in
it changes at a few hard edges. docs/quality.md has the figures.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.pixels import reduce
from app.records import Image

Floats = NDArray[np.float32]

FACE_PX = 160  # a wider face is looked at in this width: grain finer than that does not survive JPEG either
SAMPLE_PX = 2000  # pixels in which colours are counted

# Where nothing is said, because a photograph may look like this as well.
FEWEST_COLOURS = 17  # a palette of 16 (GIF, PNG) turns skin into even patches; a drawing's soft edges alone hold more
LEAST_CONTRAST = 40  # levels between the face's 3 % darkest and lightest: in a darker photo steps of 1 level are large
LEAST_INSIDE = 0.35  # of the face neither black nor white: what is over-exposed is even, too
INSIDE = (9, 246)  # grey levels

CONTRAST_RANGE = (0.03, 0.97)
NEIGHBOURHOOD = np.ones((9, 9), np.uint8)  # at FACE_PX: a quarter of an eye
QUIET = 0.08  # of the face's contrast: a neighbourhood whose lightest and darkest pixel differ by no more is even
CALMEST = 0.1  # of the neighbourhoods
HARDEST = 0.1  # of the pixels: those with the strongest edges

# A logistic regression on 73 faces of 57 photographs, each in up to 72 variants, against avatars and shaded portraits;
# a photograph weighs ten times. Cross-validated by source the highest score of a photograph was 1.5 (16 colours, then
# JPEG), and below 0.5 of all that no palette had been at: hence the line.
QUIET_WEIGHT, EDGES_WEIGHT, CALMEST_WEIGHT, BIAS = 10.4, 10.05, -1.286, -17.55
LINE = 1.8


def is_drawing(image: Image, box: tuple[int, int, int, int]) -> bool:
    """Whether the face in `box` (x, y, width, height; pixels of `image`, BGR uint8, upright) is surely drawn.

    False where it cannot be told. Only the face is looked at: a photo may well have a drawn background or frame.
    """
    x, y, width, height = box
    face = image[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
    return _count_colours(face) >= FEWEST_COLOURS and score_drawing(face) > LINE


def score_drawing(face: Image) -> float:
    """How much a face (BGR uint8) looks drawn; minus infinity where its light does not allow to tell."""
    grey = _narrow(np.asarray(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), np.uint8))
    lowest, highest = (_quantile(_histogram(grey), part) for part in CONTRAST_RANGE)
    contrast = highest - lowest
    inside = np.asarray(cv2.inRange(grey, *INSIDE), np.uint8)
    spreads = _histogram(np.asarray(cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, NEIGHBOURHOOD), np.uint8), inside)
    if contrast < LEAST_CONTRAST or spreads.sum() < LEAST_INSIDE * grey.size:
        return -np.inf
    quiet = float(spreads[: int(QUIET * contrast) + 1].sum() / spreads.sum())
    calmest = float(np.log((_quantile(spreads, CALMEST) + 0.5) / contrast))
    return QUIET_WEIGHT * quiet + EDGES_WEIGHT * _concentration(grey) + CALMEST_WEIGHT * calmest + BIAS


def _concentration(grey: Image) -> float:
    """The hardest edges' share of the energy of all gradients."""
    dx, dy = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    energy = (dx * dx + dy * dy).ravel()
    hardest = int(energy.size * HARDEST)
    return float(np.partition(energy, -hardest)[-hardest:].sum() / energy.sum())


def _count_colours(face: Image) -> int:
    """How many different colours some thousand pixels have."""
    step = max(1, int((face.shape[0] * face.shape[1] / SAMPLE_PX) ** 0.5))
    blue, green, red = np.moveaxis(face[::step, ::step].astype(np.int32), -1, 0)
    return len(np.unique(blue << 16 | green << 8 | red))


def _narrow(grey: Image) -> Image:
    """At most FACE_PX wide: by a whole factor first, which costs a fraction of the rest."""
    grey = reduce(grey, grey.shape[1] // FACE_PX)
    height, width = grey.shape
    if width <= FACE_PX:
        return grey
    size = (FACE_PX, max(1, round(height * FACE_PX / width)))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _histogram(values: Image, mask: Image | None = None) -> Floats:
    return np.asarray(cv2.calcHist([values], [0], mask, [256], [0, 256]), np.float32).ravel()


def _quantile(histogram: Floats, part: float) -> int:
    """The smallest level that this part of the counts does not exceed."""
    counts = np.cumsum(histogram)
    return int(np.searchsorted(counts, part * counts[-1]))
