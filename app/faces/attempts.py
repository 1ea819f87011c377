"""Finds the face that is there: a BGR image comes in, the regions and the image turned upright go out.

One pass over the photo as it is; only when its face is missing or doubtful, over other orientations and copies.
Thresholds: measured by `python -m benchmarks.finding`, told in docs/quality.md.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.pixels import reduce
from app.faces.detector import LANDMARKS
from app.faces.engine import Detector, FacialAreaRegion
from app.records import Image

PLAIN, ENHANCED, ENLARGED = "plain", "enhanced", "enlarged"
DEGREES = 90  # of one quarter turn
ROTATIONS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
# MTCNN also finds faces that lie or stand on their head, with made-up landmarks that look upright: less sure, or
# with the eyes too close together. A plain find that is none of this needs no second look.
SURE_CONFIDENCE, SURE_EYE_SHARE, SURE_TILT_DEGREES = 0.96, 0.37, 50.0
# What another copy or orientation shows has to be proved; more so when the pixels are changed and turned as well.
PROOF_CONFIDENCE, TURNED_COPY_CONFIDENCE, PROOF_EYE_SHARE = 0.95, 0.98, 0.33
MAX_TILT_DEGREES = 60.0  # of an upright face's eyes
DARKEST, LIGHTEST = 1, 99  # percentiles that the enhanced copy stretches to black and white
CLAHE_CLIP, CLAHE_TILES = 2.0, (8, 8)
DOUBT_SIDE_PX = 320  # at least so long is the copy on which a doubt is settled
ENLARGED_SIDE_PX = 640  # the longer side that small photos are enlarged towards


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What an attempt saw: `image` holds plain pixels, turned `quarter_turns` anticlockwise (as `np.rot90` does) so
    that the face is upright; `regions` (none: no face) are in its pixels."""

    image: Image
    regions: list[FacialAreaRegion]
    attempt: str
    quarter_turns: int


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """What to show the detector instead of the photo, `factor` times as large."""

    name: str
    image: Image
    factor: int = 1


def look(detector: Detector, image: Image) -> Look:
    """The photo as it is, its other orientations, then an enhanced and an enlarged copy, until a face is found.

    Orientations go before enhanced copies: these make faces on their head pass for upright ones.
    """
    plain = Look(image, _detect(detector, image), PLAIN, 0)
    if _is_sure(plain.regions):
        return plain
    if plain.regions:
        return _settle_doubt(detector, image, plain)
    turned = _surest(_looks(detector, image, Copy(PLAIN, image), (1, 2, 3)))
    if turned:
        return turned
    attempts = (_surest(_looks(detector, image, copy, (0, 1, 2, 3))) for copy in _copies(image))
    return next((found for found in attempts if found), plain)


def _settle_doubt(detector: Detector, image: Image, plain: Look) -> Look:
    """The doubtful find, unless the photo shows a surer face another way up: for that a smaller copy will do."""
    small = reduce(image, max(image.shape[:2]) // DOUBT_SIDE_PX)
    best = _surest([plain, *_looks(detector, small, Copy(PLAIN, small), (1, 2, 3))])
    if best is None or best is plain or small is image:
        return best or plain
    return _surest(_looks(detector, image, Copy(PLAIN, image), (best.quarter_turns,))) or plain


def turn_back(points: NDArray[np.floating], quarter_turns: int, shape: tuple[int, ...]) -> NDArray[np.floating]:
    """Points (n, 2) of an image that was turned anticlockwise, in the unturned one of that shape (h, w, ...)."""
    height, width = shape[:2]
    x, y = points.T
    places = ((x, y), (width - 1 - y, x), (width - 1 - x, height - 1 - y), (y, height - 1 - x))
    return np.stack(places[quarter_turns % 4], axis=1)


def _looks(detector: Detector, image: Image, copy: Copy, turns: Sequence[int]) -> Iterator[Look]:
    for quarter_turns in turns:
        turned = _turn(copy.image, quarter_turns)
        regions = [_shrink(region, copy.factor) for region in _detect(detector, turned)]
        plain = turned if copy.image is image else _turn(image, quarter_turns)
        yield Look(plain, regions, _attempt(copy.name, quarter_turns), quarter_turns)


def _attempt(name: str, quarter_turns: int) -> str:
    if not quarter_turns:
        return name
    turned = f"turned_{quarter_turns * DEGREES}"
    return turned if name == PLAIN else f"{name}_{turned}"


def _surest(looks: Iterable[Look]) -> Look | None:
    """The look at the surest of the well-formed upright faces, if that is sure enough to be one."""
    formed = [seen for seen in looks if seen.regions and _is_well_formed(_main(seen.regions))]
    best = max(formed, key=lambda seen: _confidence(_main(seen.regions)), default=None)
    return best if best and _is_proved(best) else None


def _copies(image: Image) -> Iterator[Copy]:
    stretched = stretch_contrast(image)
    yield Copy(ENHANCED, stretched)
    yield Copy(ENHANCED, equalise(stretched))
    factor = ENLARGED_SIDE_PX // max(image.shape[:2])
    if factor > 1:
        larger = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        yield Copy(ENLARGED, np.asarray(larger, np.uint8), factor)


def stretch_contrast(image: Image) -> Image:
    """The image with its darkest and lightest pixels at black and white, all channels alike."""
    low, high = np.percentile(image, (DARKEST, LIGHTEST))
    stretched = (np.arange(256) - low) * (255 / max(1.0, high - low))
    return np.asarray(cv2.LUT(image, np.clip(stretched, 0, 255).astype(np.uint8)), np.uint8)


def equalise(image: Image) -> Image:
    """The image with the lightness evened out within neighbourhoods (CLAHE), its colours kept."""
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    lab[:, :, 0] = cv2.createCLAHE(CLAHE_CLIP, CLAHE_TILES).apply(lab[:, :, 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2BGR), np.uint8)


def _detect(detector: Detector, image: Image) -> list[FacialAreaRegion]:
    return [region for region in detector.detect_faces(image) if region.w > 0 and region.h > 0]


def _turn(image: Image, quarter_turns: int) -> Image:
    return image if not quarter_turns else np.asarray(cv2.rotate(image, ROTATIONS[quarter_turns]), np.uint8)


def _shrink(region: FacialAreaRegion, factor: int) -> FacialAreaRegion:
    """The region of an enlarged copy in pixels of the photo."""
    if factor == 1:
        return region
    x, y, w, h = (round(side / factor) for side in (region.x, region.y, region.w, region.h))
    points = {name: getattr(region, name) for name in LANDMARKS}
    shrunk = {name: point and (point[0] / factor, point[1] / factor) for name, point in points.items()}
    return dataclasses.replace(region, x=x, y=y, w=w, h=h, **shrunk)


def _main(regions: list[FacialAreaRegion]) -> FacialAreaRegion:
    return max(regions, key=lambda region: region.w * region.h)


def _is_sure(regions: list[FacialAreaRegion]) -> bool:
    """Whether a plain find needs no second look. Without landmarks there is nothing to doubt it by."""
    if not regions:
        return False
    face = _main(regions)
    if not _has_eyes(face):
        return True
    sure = _confidence(face) >= SURE_CONFIDENCE and _eye_share(face) >= SURE_EYE_SHARE
    return sure and _is_upright(face, SURE_TILT_DEGREES)


def _is_proved(seen: Look) -> bool:
    changed_and_turned = seen.quarter_turns and not seen.attempt.startswith("turned")
    needed = TURNED_COPY_CONFIDENCE if changed_and_turned else PROOF_CONFIDENCE
    return _confidence(_main(seen.regions)) >= needed


def _is_well_formed(face: FacialAreaRegion) -> bool:
    """Upright, the eyes not too close together. Without landmarks nothing shows that it is."""
    return _is_upright(face) and _eye_share(face) >= PROOF_EYE_SHARE


def _has_eyes(face: FacialAreaRegion) -> bool:
    return face.left_eye is not None and face.right_eye is not None


def _is_upright(face: FacialAreaRegion, max_tilt_degrees: float = MAX_TILT_DEGREES) -> bool:
    """Eyes level but for that tilt, each on its side, and above the mouth."""
    if not _has_eyes(face):
        return False
    across, down = np.subtract(face.left_eye, face.right_eye)  # the person's left is the onlooker's right
    if abs(math.degrees(math.atan2(down, across))) > max_tilt_degrees:
        return False
    if face.mouth_left is None or face.mouth_right is None:
        return True
    return bool(face.mouth_left[1] + face.mouth_right[1] > face.left_eye[1] + face.right_eye[1])


def _eye_share(face: FacialAreaRegion) -> float:
    """The distance between the eyes as a share of the box's side."""
    across, down = np.subtract(face.left_eye, face.right_eye)
    return float(math.hypot(across, down) / math.sqrt(face.w * face.h))


def _confidence(face: FacialAreaRegion) -> float:
    return float(face.confidence or 0.0)
