"""Decide whether the largest face can be the member's: among several faces, by its size, and by its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.image_scaling import reduce
from app.errors import FaceTooSmall, NotAPortrait, SeveralFaces
from app.faces.deepface_api import FacialAreaRegion
from app.faces.regions import area
from app.records import Image

LARGEST, REJECT = "largest", "reject"
Policy = Literal["dominant", "largest", "reject"]

# Fractions of the photo's shorter side that the longer side of a face's box takes. Portraits and badges: 0.2 or more.
FAR_SHARE, SMALL_SHARE, MODEST_SHARE = 0.024, 0.1, 0.16
MIN_EYES_PX = 25.0  # between the eyes of a small face: InterEyeDistance warns below it (docs/quality.md)
EYES_SHARE = 0.42  # of a box's width, between the eyes: for detectors that give no eyes
# A portrait's face is in the middle, or above it: how far its centre may be to one side, and from the top.
MAX_ASIDE, MAX_DOWN = 0.25, 0.7
# Paper: most of a document is one light colour. A wall has shades, and a person in front of it. Paper that a lamp
# lights unevenly differs from a wall by its writing: strokes in at least 15 % of 16 x 16 places.
PAPER_SIDE_PX, PAPER_LEVEL, PAPER_LEVELS, PAPER_SHARE = 900, 200, 10, 0.6
SHADED_LEVEL, SHADED = 130, 0.88
STROKE_PX, STROKE_LEVELS, PLACES, WRITTEN, WRITTEN_PLACES = 7, 30, 16, (0.005, 0.35), 0.15


def check_dominance(sorted_regions: Sequence[FacialAreaRegion], policy: Policy, max_ratio: float) -> None:
    """Raise SeveralFaces when it is not clear whose photo it is. `sorted_regions`: the largest first. `reject` accepts
    no second face; `dominant` one of at most `max_ratio` of the first one's area (SingleFacePresent, ISO/IEC 29794-5);
    `largest` any number."""
    if len(sorted_regions) == 1 or policy == LARGEST:
        return
    ratio = area(sorted_regions[1]) / area(sorted_regions[0])
    if policy == REJECT or ratio > max_ratio:
        raise SeveralFaces(f"se ven {len(sorted_regions)}; el segundo rostro mide el {ratio:.0%} del primero")


def check_size(region: FacialAreaRegion, image: Image, reduction: int) -> None:
    """Raise FaceTooSmall for a face that takes too little of its photo, or little of it and too few pixels. `image` is
    BGR uint8, reduced from the original by `reduction` in each direction."""
    side = max(region.w, region.h)
    share = side / min(image.shape[:2])
    if share < FAR_SHARE or (share < SMALL_SHARE and reduction * _between_eyes(region) < MIN_EYES_PX):
        height, width = (length * reduction for length in image.shape[:2])
        raise FaceTooSmall(f"mide {side * reduction:.0f} píxeles en una foto de {width} x {height}")


def check_place(region: FacialAreaRegion, image: Image) -> None:
    """Raise NotAPortrait when the face is small and off the middle: it may be a poster's or a passer-by's. On paper it
    may be anywhere, since a form has its photo in a corner."""
    height, width = image.shape[:2]
    share = max(region.w, region.h) / min(height, width)
    aside = abs((region.x + region.w / 2) / width - 0.5)
    down = (region.y + region.h / 2) / height
    if share < MODEST_SHARE and (aside > MAX_ASIDE or down > MAX_DOWN) and not is_paper(image):
        raise NotAPortrait(f"ocupa el {share:.0%} de la foto y está lejos del centro")


def is_paper(image: Image) -> bool:
    """Tell whether a BGR uint8 (h, w, 3) image is a document: mostly of one light colour, or unevenly lit and written
    on."""
    small = reduce(image, max(image.shape[:2]) // PAPER_SIDE_PX)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
    ground = int(np.bincount(grey.ravel(), minlength=256).argmax())
    near = np.abs(grey.astype(np.int16) - ground) <= PAPER_LEVELS
    if ground >= PAPER_LEVEL and float(near.mean()) >= PAPER_SHARE:
        return True
    reach = max(3, max(grey.shape) // 8)
    lit = cv2.blur(cv2.dilate(grey, np.ones((reach, reach), np.uint8)), (reach, reach)).astype(np.float32)
    is_light = float(np.median(lit)) >= SHADED_LEVEL and float((grey >= SHADED * lit).mean()) >= PAPER_SHARE
    return is_light and _is_written(grey)


def _is_written(grey: NDArray[np.uint8]) -> bool:
    """Tell whether thin dark strokes lie in many places of the image and fill none of these places."""
    ground = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((STROKE_PX, STROKE_PX), np.uint8))
    strokes = (ground.astype(np.int16) - grey > STROKE_LEVELS).astype(np.float32)
    places = cv2.resize(strokes, (PLACES, PLACES), interpolation=cv2.INTER_AREA)
    written = (places > WRITTEN[0]) & (places < WRITTEN[1])
    return float(written.mean()) >= WRITTEN_PLACES


def _between_eyes(region: FacialAreaRegion) -> float:
    """Return the distance between the eyes in pixels, estimated from the box where the detector gives no eyes."""
    if region.left_eye is None or region.right_eye is None:
        return EYES_SHARE * float(region.w)
    return float(np.hypot(*np.subtract(region.left_eye, region.right_eye)))
