"""Tell a drawn face from a photographed one.

Three linear scores over the same traits (drawing_traits.py, weights in drawing_table.py) recognise flat drawings,
sketches and cartoons. docs/quality.md has the figures.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from app.core.image_scaling import reduce
from app.faces.cropping import crop_inside
from app.faces.drawing_table import BIASES, TABLE
from app.faces.drawing_traits import measure_contrast, measure_traits
from app.records import Image

FACE_PX = 160  # wider faces are reduced to this width: finer grain does not survive JPEG either
SAMPLE_PX = 2000  # pixels among which colours are counted, about
WEIGHTS = np.array(list(TABLE.values()))  # of each trait: mean, deviation, and its weight in each likeness
FURTHEST = 4.0  # standard deviations: traits are clipped to this distance from their mean

# Below these, a face is never called a drawing: a photograph may look the same.
FEWEST_COLOURS = 17  # a palette of 16 (GIF, PNG) turns skin into even patches; the soft edges of a drawing hold more
LEAST_CONTRAST = 40  # levels between the 3 % darkest and lightest pixels: with less, steps of 1 level are large
FULL_FACE_PX = 100  # wide: in a narrower face strokes run into each other, in photographs too
LEAST_FACE_PX = 60  # wide


class Likeness(NamedTuple):
    """Scores of a face as a flat drawing, a pencil sketch and a cartoon with outlines; no fixed range."""

    flat: float
    sketch: float
    cartoon: float


# Limits: 0.7 above the highest score of any photograph whose source was left out of the fit.
LINES = Likeness(flat=1.8, sketch=3.9, cartoon=5.9)
SMALL_FLAT_LINE = 3.1  # for a face narrower than FULL_FACE_PX, whose other scores do not count


def is_drawing(image: Image, box: tuple[int, int, int, int]) -> bool:
    """Tell whether the face in `box` (x, y, width, height; pixels of `image`, BGR uint8, upright) is surely drawn.

    False in every case of doubt. Only the face counts: a photo may have a drawn background or frame.
    """
    face = crop_inside(image, *box)
    if face.shape[1] < LEAST_FACE_PX or _count_colours(face) < FEWEST_COLOURS:
        return False
    small, grey = prepare_face(face)
    if measure_contrast(grey) < LEAST_CONTRAST:
        return False
    likeness = score_drawing(small, grey)
    if face.shape[1] < FULL_FACE_PX:
        return bool(likeness.flat > SMALL_FLAT_LINE)
    return any(score > line for score, line in zip(likeness, LINES, strict=True))


def score_drawing(small: Image, grey: Image) -> Likeness:
    """Score a face as `prepare_face` returns it: its pixels and its grey levels."""
    traits = measure_traits(small, grey)
    places = (np.array([traits[name] for name in TABLE]) - WEIGHTS[:, 0]) / WEIGHTS[:, 1]
    return Likeness(*(np.clip(places, -FURTHEST, FURTHEST) @ WEIGHTS[:, 2:] + BIASES))


def prepare_face(face: Image) -> tuple[Image, Image]:
    """Reduce a face (BGR uint8) to at most FACE_PX wide; return it and its grey levels (h, w)."""
    small = reduce(face, face.shape[1] // FACE_PX)  # a whole factor first: it takes a tenth of the time
    height, width = small.shape[:2]
    if width > FACE_PX:
        size = (FACE_PX, max(1, round(height * FACE_PX / width)))
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def _count_colours(face: Image) -> int:
    """Count the different colours in an even sample of about SAMPLE_PX pixels."""
    step = max(1, int((face.shape[0] * face.shape[1] / SAMPLE_PX) ** 0.5))
    blue, green, red = np.moveaxis(face[::step, ::step].astype(np.int32), -1, 0)
    return len(np.unique(blue << 16 | green << 8 | red))
