"""Finds the face that is there and turns it upright.

One pass over the photo as it is. Only when its face is missing, or does not plainly stand upright, other positions and
copies of the photo follow. Which position is the upright one is decided by `orientation.py`, never by the detector's
confidence. Thresholds: measured by `python -m benchmarks.finding`, see docs/quality.md.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.faces.choice import area, by_size
from app.faces.deepface_api import Detector, FacialAreaRegion
from app.faces.detector import LANDMARKS
from app.faces.orientation import Box, OrientationJudge, Verdict
from app.records import Image

PLAIN, BORDERED, ENHANCED, ENLARGED, CLOSER = "plain", "bordered", "enhanced", "enlarged", "closer"
POSITION, FACE = "position", "face"  # what may be in doubt of a find
DEGREES = 90  # of one quarter turn
ROTATIONS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
TURNS = tuple(range(4))  # quarter turns, anticlockwise
MAX_TILT_DEGREES = 60.0  # of an upright face's eyes
TILTED_DEGREES = 30.0  # beyond, a face may as well lie on a photo that lies
SAME_FACE_OVERLAP = 0.3  # of the smaller box
BORDER_SHARE = 0.25  # of the photo's shorter side, black on all sides: a face that fills the photo has no surroundings
DARKEST, LIGHTEST = 1, 99  # percentiles that the enhanced copy stretches to black and white
CLAHE_CLIP, CLAHE_TILES = 2.0, (8, 8)
ENLARGED_SIDE_PX = 640  # the longer side that small photos are enlarged towards


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """What an attempt saw: `image` holds plain pixels, turned `quarter_turns` anticlockwise (as `np.rot90` does) so
    that the face is upright; `regions` (none: no face) are in its pixels. `doubt` is what cannot be told of the
    largest: POSITION, which way up it lies; FACE, whether it is one."""

    image: Image
    regions: list[FacialAreaRegion]
    attempt: str
    quarter_turns: int
    doubt: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """What to show the detector instead of the photo: `factor` times as large, then with `border_px` on each side."""

    name: str
    image: Image
    factor: int = 1
    border_px: int = 0


def look(detector: Detector, judge: OrientationJudge, image: Image) -> SearchResult:
    """The photo as it is; then its other positions, and bordered, enhanced and enlarged copies, until a face is found
    that stands upright."""
    plain = SearchResult(image, _detect(detector, image), PLAIN, 0)
    if not plain.regions:
        turned = _search(detector, judge, image, _attempts(image)) or plain
        return _with_neighbours(detector, judge, turned) if turned.quarter_turns else turned
    face = main_region(plain.regions)
    if _stands(face) and judge.is_plainly_upright(image, _box(face)):
        return plain
    regions, verdict = _rated(judge, image, plain.regions)
    plain, face = dataclasses.replace(plain, regions=regions), main_region(regions)
    if _stands(face) and verdict.quarter_turns == 0:
        return plain if _tilt(face) <= TILTED_DEGREES else _with_neighbours(detector, judge, plain)
    order = sorted(TURNS[1:], key=lambda turns: turns != verdict.quarter_turns)
    found = _search(detector, judge, image, _attempts(image, order))
    if found is not None and not found.doubt:
        return _with_neighbours(detector, judge, found)
    if verdict.is_face:
        return dataclasses.replace(plain, doubt=POSITION)
    return found or dataclasses.replace(plain, doubt=FACE)


def look_closer(detector: Detector, judge: OrientationJudge, image: Image) -> SearchResult:
    """The photo once more, as it lies, by a detector of smaller faces."""
    return _search(detector, judge, image, [(Copy(CLOSER, image), 0)]) or _nothing(image)


def main_region(regions: Sequence[FacialAreaRegion]) -> FacialAreaRegion:
    """The largest."""
    return max(regions, key=area)


def _nothing(image: Image) -> SearchResult:
    return SearchResult(image, [], PLAIN, 0)


def _attempts(image: Image, order: Sequence[int] = TURNS[1:]) -> Iterator[tuple[Copy, int]]:
    """Positions go before copies: enhanced copies make faces on their head look upright."""
    yield from ((Copy(PLAIN, image), turns) for turns in order)
    yield from ((copy, turns) for copy in _copies(image) for turns in TURNS)


def _search(
    detector: Detector, judge: OrientationJudge, image: Image, attempts: Iterable[tuple[Copy, int]]
) -> SearchResult | None:
    """The first face that stands upright; else the first one of which that cannot be told."""
    uncertain = None
    for copy, turns in attempts:
        shown = _turn(copy.image, turns)
        regions = _detect(detector, shown)
        if not regions:
            continue
        regions, verdict = _rated(judge, shown, regions)
        is_certain = verdict.quarter_turns == 0 and _stands(main_region(regions))
        if is_certain or (uncertain is None and verdict.is_face and verdict.quarter_turns is None):
            in_photo = [_in_photo(region, copy) for region in regions]
            doubt = "" if is_certain else POSITION
            found = SearchResult(_turn(image, turns), in_photo, _attempt(copy.name, turns), turns, doubt)
            if is_certain:
                return found
            uncertain = found
    return uncertain


def _rated(
    judge: OrientationJudge, image: Image, regions: Sequence[FacialAreaRegion]
) -> tuple[list[FacialAreaRegion], Verdict]:
    """The verdict on the largest region that is a face, and the regions without larger ones that are none; all of them,
    and the verdict on the largest, where there is no face."""
    ordered = by_size(regions)
    verdicts = (judge.judge(image, _box(region)) for region in ordered)
    first = next(verdicts)
    for place, verdict in enumerate(itertools.chain([first], verdicts)):
        if verdict.is_face:
            return ordered[place:], verdict
    return list(regions), first


def _with_neighbours(detector: Detector, judge: OrientationJudge, found: SearchResult) -> SearchResult:
    """The same, with the faces that show only when the photo lies on one side or the other: a tilted head on a photo
    that lies may be the only one that seems to stand."""
    regions = list(found.regions)
    for turns in (1, 3):
        turned = _turn(found.image, turns)
        for region in _detect(detector, turned):
            here = _turned_back(region, turns, found.image.shape)
            if not any(_overlap(here, known) > SAME_FACE_OVERLAP for known in regions):
                regions += [here] if judge.judge(turned, _box(region)).is_face else []
    return dataclasses.replace(found, regions=regions)


def _turned_back(region: FacialAreaRegion, turns: int, shape: tuple[int, ...]) -> FacialAreaRegion:
    """The region of an image that was turned, in pixels of the unturned one."""

    def back(points: Sequence[tuple[float, float]]) -> NDArray[np.floating]:
        return turn_back(np.array(points, np.float64), turns, shape)

    x, y, w, h = _box(region)
    corners = back([(x, y), (x + w - 1, y + h - 1)])
    (left, top), (wide, high) = corners.min(axis=0).round(), np.ptp(corners, axis=0).round() + 1
    marks = {name: getattr(region, name) for name in LANDMARKS}
    placed = {name: mark and tuple(back([mark])[0].tolist()) for name, mark in marks.items()}
    return dataclasses.replace(region, x=int(left), y=int(top), w=int(wide), h=int(high), **placed)


def _overlap(one: FacialAreaRegion, other: FacialAreaRegion) -> float:
    """Intersection over the smaller of the two boxes."""
    width = min(one.x + one.w, other.x + other.w) - max(one.x, other.x)
    height = min(one.y + one.h, other.y + other.h) - max(one.y, other.y)
    return float(max(0, width) * max(0, height) / min(one.w * one.h, other.w * other.h))


def turn_back(points: NDArray[np.floating], quarter_turns: int, shape: tuple[int, ...]) -> NDArray[np.floating]:
    """Points (n, 2) of an image that was turned anticlockwise, in the unturned one of that shape (h, w, ...)."""
    height, width = shape[:2]
    x, y = points.T
    places = ((x, y), (width - 1 - y, x), (width - 1 - x, height - 1 - y), (y, height - 1 - x))
    return np.stack(places[quarter_turns % 4], axis=1)


def _attempt(name: str, quarter_turns: int) -> str:
    if not quarter_turns:
        return name
    turned = f"turned_{quarter_turns * DEGREES}"
    return turned if name == PLAIN else f"{name}_{turned}"


def _copies(image: Image) -> Iterator[Copy]:
    border = round(min(image.shape[:2]) * BORDER_SHARE)
    framed = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    yield Copy(BORDERED, np.asarray(framed, np.uint8), border_px=border)
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


def _in_photo(region: FacialAreaRegion, copy: Copy) -> FacialAreaRegion:
    """The region of a copy in pixels of the photo."""
    border, factor = copy.border_px, copy.factor
    if (border, factor) == (0, 1):
        return region
    x, y = round((region.x - border) / factor), round((region.y - border) / factor)
    w, h = round(region.w / factor), round(region.h / factor)
    points = {name: getattr(region, name) for name in LANDMARKS}
    placed = {
        name: point and ((point[0] - border) / factor, (point[1] - border) / factor) for name, point in points.items()
    }
    return dataclasses.replace(region, x=x, y=y, w=w, h=h, **placed)


def _box(face: FacialAreaRegion) -> Box:
    return face.x, face.y, face.w, face.h


def _stands(face: FacialAreaRegion) -> bool:
    """Whether the eyes are level but for a tilt, each on its side, and above the mouth. Without landmarks nothing
    speaks against it."""
    if _tilt(face) > MAX_TILT_DEGREES:
        return False
    if None in (face.left_eye, face.right_eye, face.mouth_left, face.mouth_right):
        return True
    return bool(face.mouth_left[1] + face.mouth_right[1] > face.left_eye[1] + face.right_eye[1])


def _tilt(face: FacialAreaRegion) -> float:
    """Degrees between the line of the eyes and the level; 0 without eyes."""
    if face.left_eye is None or face.right_eye is None:
        return 0.0
    across, down = np.subtract(face.left_eye, face.right_eye)  # the person's left is the onlooker's right
    return abs(math.degrees(math.atan2(down, across)))
