"""Find the face in a photo and turn the photo until the face is upright.

Which position is the upright one is decided by `orientation.py`, never by the detector's confidence.
Thresholds: measured by `python -m benchmarks.finding`, see docs/quality.md.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from app.faces.deepface_api import Detector, FacialAreaRegion
from app.faces.orientation import OrientationJudge, Verdict
from app.faces.regions import box_of, move_region, overlap, sort_by_size, turn_region_back
from app.records import Image

PLAIN, BORDERED, ENHANCED, ENLARGED, CLOSER = "plain", "bordered", "enhanced", "enlarged", "closer"
POSITION, FACE = "position", "face"  # the two doubts that a search result may carry
ROTATIONS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
TURNS = tuple(range(4))  # quarter turns, anticlockwise
MAX_TILT_DEGREES = 60.0  # of an upright face's eyes
TILTED_DEGREES = 30.0  # with a larger tilt the photo may lie on its side and the head lean
SAME_FACE_OVERLAP = 0.3  # of the smaller box
BORDER_SHARE = 0.25  # of the photo's shorter side, black on all sides: a face that fills the photo has no surroundings
DARKEST, LIGHTEST = 1, 99  # percentiles that the enhanced copy stretches to black and white
CLAHE_CLIP, CLAHE_TILES = 2.0, (8, 8)
ENLARGED_SIDE_PX = 640  # the longer side that small photos are enlarged towards


@dataclass(frozen=True, slots=True, eq=False)
class SearchResult:
    """What one search variant found. `image` holds the photo's own pixels (BGR uint8), turned by `quarter_turns`
    anticlockwise (as `np.rot90` does) so that the face is upright; `regions` are in its pixels. `doubt`: it is not
    clear which way up the largest region lies (POSITION), or that it is a face (FACE); empty, neither."""

    image: Image
    regions: list[FacialAreaRegion]
    variant: str
    quarter_turns: int
    doubt: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """A changed copy of the photo for the detector: enlarged `factor` times, then with `border_px` on each side."""

    name: str
    image: Image
    factor: int = 1
    border_px: int = 0


class FaceSearch:
    """Search photos with one detector and one judge. Safe to use from several threads if the detector is."""

    def __init__(self, detector: Detector, judge: OrientationJudge) -> None:
        self._detector = detector
        self._judge = judge

    def search(self, image: Image) -> SearchResult:
        """Look at the photo as it is; only if no face there plainly stands upright, look at its other positions, and at
        bordered, enhanced and enlarged copies, until one does."""
        plain = SearchResult(image, self._detect(image), PLAIN, 0)
        if not plain.regions:
            turned = self._try(image, _variants(image)) or plain
            return self._add_neighbours(turned) if turned.quarter_turns else turned
        face = sort_by_size(plain.regions)[0]
        if _stands_upright(face) and self._judge.is_plainly_upright(image, box_of(face)):
            return plain
        regions, verdict = self._judge_regions(image, plain.regions)
        plain, face = dataclasses.replace(plain, regions=regions), sort_by_size(regions)[0]
        if _stands_upright(face) and verdict.quarter_turns == 0:
            return plain if _tilt(face) <= TILTED_DEGREES else self._add_neighbours(plain)
        order = sorted(TURNS[1:], key=lambda turns: turns != verdict.quarter_turns)
        found = self._try(image, _variants(image, order))
        if found is not None and not found.doubt:
            return self._add_neighbours(found)
        if verdict.is_face:
            return dataclasses.replace(plain, doubt=POSITION)
        return found or dataclasses.replace(plain, doubt=FACE)

    def search_once(self, image: Image) -> SearchResult:
        """Look at the photo once, as it is; for a detector of smaller faces, after `search` found none."""
        return self._try(image, [(Copy(CLOSER, image), 0)]) or SearchResult(image, [], PLAIN, 0)

    def search_all(self, image: Image) -> SearchResult:
        """Look for every face of a photo, in the position in which `search` finds one."""
        return self._only_faces(self.search(image))

    def search_crowd(self, image: Image) -> SearchResult:
        """Look for every face once, with the photo as it is; for a detector of smaller faces, beside `search_all`."""
        return self._only_faces(SearchResult(image, self._detect(image), CLOSER, 0))

    def _only_faces(self, found: SearchResult) -> SearchResult:
        """Drop the regions that the judge does not take for faces."""
        faces = [region for region in found.regions if self._judge.judge(found.image, box_of(region)).is_face]
        return dataclasses.replace(found, regions=faces)

    def _try(self, image: Image, variants: Iterable[tuple[Copy, int]]) -> SearchResult | None:
        """Return the first variant whose face stands upright; else the first with a face whose position is not clear;
        None without either."""
        uncertain = None
        for copy, turns in variants:
            shown = _turn(copy.image, turns)
            regions = self._detect(shown)
            if not regions:
                continue
            regions, verdict = self._judge_regions(shown, regions)
            is_certain = verdict.quarter_turns == 0 and _stands_upright(sort_by_size(regions)[0])
            if is_certain or (uncertain is None and verdict.is_face and verdict.quarter_turns is None):
                in_photo = [move_region(region, copy.border_px, copy.border_px, copy.factor) for region in regions]
                doubt = "" if is_certain else POSITION
                found = SearchResult(_turn(image, turns), in_photo, _name(copy.name, turns), turns, doubt)
                if is_certain:
                    return found
                uncertain = found
        return uncertain

    def _judge_regions(
        self, image: Image, regions: Sequence[FacialAreaRegion]
    ) -> tuple[list[FacialAreaRegion], Verdict]:
        """Drop the regions larger than the first that the judge takes for a face; return the rest and its verdict.
        Where no region is a face, return all of them and the verdict on the largest."""
        ordered = sort_by_size(regions)
        verdicts = (self._judge.judge(image, box_of(region)) for region in ordered)
        first = next(verdicts)
        for place, verdict in enumerate(itertools.chain([first], verdicts)):
            if verdict.is_face:
                return ordered[place:], verdict
        return list(regions), first

    def _add_neighbours(self, found: SearchResult) -> SearchResult:
        """Add the faces that the detector sees only when the photo lies on one side or the other: on a photo that lies,
        a tilted head may be the only one that seems to stand."""
        regions = list(found.regions)
        for turns in (1, 3):
            turned = _turn(found.image, turns)
            for region in self._detect(turned):
                here = turn_region_back(region, turns, found.image.shape)
                if any(overlap(box_of(here), box_of(known)) > SAME_FACE_OVERLAP for known in regions):
                    continue
                if self._judge.judge(turned, box_of(region)).is_face:
                    regions.append(here)
        return dataclasses.replace(found, regions=regions)

    def _detect(self, image: Image) -> list[FacialAreaRegion]:
        """Return the detector's regions without the empty ones, which some detectors give."""
        return [region for region in self._detector.detect_faces(image) if region.w > 0 and region.h > 0]


def _variants(image: Image, order: Sequence[int] = TURNS[1:]) -> Iterator[tuple[Copy, int]]:
    """Yield each search variant as a copy and its quarter turns. Positions come before changed copies: in enhanced
    copies faces on their head look upright."""
    yield from ((Copy(PLAIN, image), turns) for turns in order)
    yield from ((copy, turns) for copy in _copies(image) for turns in TURNS)


def _name(copy: str, quarter_turns: int) -> str:
    """Name a search variant, such as `enhanced_turned_90`. The names are stored with the photo's record."""
    if not quarter_turns:
        return copy
    turned = f"turned_{quarter_turns * 90}"
    return turned if copy == PLAIN else f"{copy}_{turned}"


def _copies(image: Image) -> Iterator[Copy]:
    """Yield the changed copies, each only once it is needed."""
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
    """Stretch the contrast so that the darkest and lightest pixels become black and white, all channels alike."""
    low, high = np.percentile(image, (DARKEST, LIGHTEST))
    stretched = (np.arange(256) - low) * (255 / max(1.0, high - low))
    return np.asarray(cv2.LUT(image, np.clip(stretched, 0, 255).astype(np.uint8)), np.uint8)


def equalise(image: Image) -> Image:
    """Even out the lightness within neighbourhoods (CLAHE) and keep the colours."""
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    lab[:, :, 0] = cv2.createCLAHE(CLAHE_CLIP, CLAHE_TILES).apply(lab[:, :, 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2BGR), np.uint8)


def _turn(image: Image, quarter_turns: int) -> Image:
    return image if not quarter_turns else np.asarray(cv2.rotate(image, ROTATIONS[quarter_turns]), np.uint8)


def _stands_upright(face: FacialAreaRegion) -> bool:
    """Tell whether the landmarks are those of an upright face: eyes level but for a tilt, each on its own side, and
    above the mouth. Missing landmarks count as upright."""
    if _tilt(face) > MAX_TILT_DEGREES:
        return False
    if None in (face.left_eye, face.right_eye, face.mouth_left, face.mouth_right):
        return True
    return bool(face.mouth_left[1] + face.mouth_right[1] > face.left_eye[1] + face.right_eye[1])


def _tilt(face: FacialAreaRegion) -> float:
    """Return the angle between the line of the eyes and the horizontal, 0 to 180 degrees; 0 without eyes."""
    if face.left_eye is None or face.right_eye is None:
        return 0.0
    across, down = np.subtract(face.left_eye, face.right_eye)  # the person's left is the onlooker's right
    return abs(math.degrees(math.atan2(down, across)))
