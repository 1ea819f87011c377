"""Tells a drawing from a photograph: a photo and the box of its face come in, yes or no goes out.

Three lines through the same traits (app/faces/drawing_traits.py) know flat drawings, sketches and cartoons.
docs/quality.md has the figures.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from app.core.image_scaling import reduce
from app.faces.drawing_table import BIASES, TABLE
from app.faces.drawing_traits import measure_contrast, measure_traits
from app.records import Image

FACE_PX = 160  # a wider face is looked at in this width: grain finer than that does not survive JPEG either
SAMPLE_PX = 2000  # pixels in which colours are counted
WEIGHTS = np.array(list(TABLE.values()))  # a trait's mean and deviation, then what it counts for each likeness
FURTHEST = 4.0  # standard deviations: a trait that lies farther away counts no more

# Where nothing is said, because a photograph may look like this as well.
FEWEST_COLOURS = 17  # a palette of 16 (GIF, PNG) turns skin into even patches; a drawing's soft edges alone hold more
LEAST_CONTRAST = 40  # levels between the face's 3 % darkest and lightest: in a darker photo steps of 1 level are large
FULL_FACE_PX = 100  # in a narrower face strokes run into each other, and photographs look so, too
LEAST_FACE_PX = 60


class Likeness(NamedTuple):
    """How much a face looks like a flat drawing, a pencil sketch, a cartoon with outlines."""

    flat: float
    sketch: float
    cartoon: float


# What no photograph got where its source was left out, and 0.7 more.
LINES = Likeness(flat=1.8, sketch=3.9, cartoon=5.9)
SMALL_FLAT_LINE = 3.1  # of a face narrower than FULL_FACE_PX, in which nothing else is told


def is_drawing(image: Image, box: tuple[int, int, int, int]) -> bool:
    """Whether the face in `box` (x, y, width, height; pixels of `image`, BGR uint8, upright) is surely drawn.

    False where it cannot be told. Only the face is looked at: a photo may well have a drawn background or frame.
    """
    x, y, width, height = box
    face = image[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
    if face.shape[1] < LEAST_FACE_PX or _count_colours(face) < FEWEST_COLOURS:
        return False
    small, grey = look_at(face)
    if measure_contrast(grey) < LEAST_CONTRAST:
        return False
    likeness = score_drawing(small, grey)
    if face.shape[1] < FULL_FACE_PX:
        return bool(likeness.flat > SMALL_FLAT_LINE)
    return any(score > line for score, line in zip(likeness, LINES, strict=True))


def score_drawing(small: Image, grey: Image) -> Likeness:
    """The likenesses of a face as `look_at` shows it."""
    traits = measure_traits(small, grey)
    places = (np.array([traits[name] for name in TABLE]) - WEIGHTS[:, 0]) / WEIGHTS[:, 1]
    return Likeness(*(np.clip(places, -FURTHEST, FURTHEST) @ WEIGHTS[:, 2:] + BIASES))


def look_at(face: Image) -> tuple[Image, Image]:
    """A face (BGR uint8) at most FACE_PX wide, and its grey levels."""
    small = _narrow(face)
    return small, np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def _narrow(face: Image) -> Image:
    """At most FACE_PX wide: by a whole factor first, which costs a fraction of the rest."""
    face = reduce(face, face.shape[1] // FACE_PX)
    height, width = face.shape[:2]
    if width <= FACE_PX:
        return face
    size = (FACE_PX, max(1, round(height * FACE_PX / width)))
    return np.asarray(cv2.resize(face, size, interpolation=cv2.INTER_AREA), np.uint8)


def _count_colours(face: Image) -> int:
    """How many different colours some thousand pixels have."""
    step = max(1, int((face.shape[0] * face.shape[1] / SAMPLE_PX) ** 0.5))
    blue, green, red = np.moveaxis(face[::step, ::step].astype(np.int32), -1, 0)
    return len(np.unique(blue << 16 | green << 8 | red))
