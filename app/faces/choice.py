"""Whose face it is: which of several is the member's, and whether an only one can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.image_scaling import reduce
from app.errors import FaceTooSmall, NotAPortrait, SeveralFaces
from app.faces.deepface_api import FacialAreaRegion
from app.records import Image

DOMINANT, LARGEST, REJECT = "dominant", "largest", "reject"
Policy = Literal["dominant", "largest", "reject"]

# Shares of the photo's shorter side that the longer side of a face's box takes. Portraits and badges: 0.2 and more.
FAR_SHARE, SMALL_SHARE, MODEST_SHARE = 0.024, 0.1, 0.16
MIN_EYES_PX = 25.0  # between the eyes of a small face: what InterEyeDistance warns of (docs/quality.md)
EYES_SHARE = 0.42  # of a box, between the eyes: for detectors that give none
# A portrait's face is in the middle, or above it: how far its centre may be to one side, and from the top.
MAX_ASIDE, MAX_DOWN = 0.25, 0.7
# Paper: most of a document is one light colour. A wall has shades, and somebody in front of it. Paper that a lamp
# lights unevenly is told from a wall by what is written on it: strokes in a good part of 16 x 16 places.
PAPER_SIDE_PX, PAPER_LEVEL, PAPER_LEVELS, PAPER_SHARE = 900, 200, 10, 0.6
SHADED_LEVEL, SHADED = 130, 0.88
STROKE_PX, STROKE_LEVELS, PLACES, WRITTEN, WRITTEN_PLACES = 7, 30, 16, (0.005, 0.35), 0.15


def by_size(regions: Sequence[FacialAreaRegion]) -> list[FacialAreaRegion]:
    """The largest first."""
    return sorted(regions, key=area, reverse=True)


def area(region: FacialAreaRegion) -> float:
    return float(region.w * region.h)


def check_dominance(sorted_regions: Sequence[FacialAreaRegion], policy: Policy, max_ratio: float) -> None:
    """Raises SeveralFaces when it is not clear whose photo it is: any second face with `reject`, with `dominant`
    one of more than `max_ratio` of the first one's area (SingleFacePresent, ISO/IEC 29794-5). Never with `largest`."""
    if len(sorted_regions) == 1 or policy == LARGEST:
        return
    ratio = area(sorted_regions[1]) / area(sorted_regions[0])
    if policy == REJECT or ratio > max_ratio:
        raise SeveralFaces(f"se ven {len(sorted_regions)}; el segundo rostro mide el {ratio:.0%} del primero")


def check_size(region: FacialAreaRegion, image: Image, reduction: int) -> None:
    """Raises FaceTooSmall for a face that is small in its photo (BGR uint8, `reduction` original pixels make one of
    it) and far away, or has too few pixels."""
    side = max(region.w, region.h)
    share = side / min(image.shape[:2])
    if share < FAR_SHARE or (share < SMALL_SHARE and reduction * _between_eyes(region) < MIN_EYES_PX):
        height, width = (length * reduction for length in image.shape[:2])
        raise FaceTooSmall(f"mide {side * reduction:.0f} píxeles en una foto de {width} x {height}")


def check_place(region: FacialAreaRegion, image: Image) -> None:
    """Raises NotAPortrait when the face is small and off the middle: a poster's, or a passer-by's. On paper it may be
    anywhere: a form has its photo in a corner."""
    height, width = image.shape[:2]
    share = max(region.w, region.h) / min(height, width)
    aside = abs((region.x + region.w / 2) / width - 0.5)
    down = (region.y + region.h / 2) / height
    if share < MODEST_SHARE and (aside > MAX_ASIDE or down > MAX_DOWN) and not is_paper(image):
        raise NotAPortrait(f"ocupa el {share:.0%} de la foto y está lejos del centro")


def is_paper(image: Image) -> bool:
    """Whether a BGR uint8 (h, w, 3) image is a document: of one light colour in the main, or unevenly lit and written
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
    """Whether thin dark strokes lie in many places of the image and fill few of them."""
    ground = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((STROKE_PX, STROKE_PX), np.uint8))
    strokes = (ground.astype(np.int16) - grey > STROKE_LEVELS).astype(np.float32)
    places = cv2.resize(strokes, (PLACES, PLACES), interpolation=cv2.INTER_AREA)
    written = (places > WRITTEN[0]) & (places < WRITTEN[1])
    return float(written.mean()) >= WRITTEN_PLACES


def _between_eyes(region: FacialAreaRegion) -> float:
    if region.left_eye is None or region.right_eye is None:
        return EYES_SHARE * float(region.w)
    return float(np.hypot(*np.subtract(region.left_eye, region.right_eye)))
