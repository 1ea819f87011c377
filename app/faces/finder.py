"""Find the face to enrol in a portrait, check that it may be enrolled, and cut it out for the network."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.config import Settings
from app.core.image_scaling import reduce
from app.errors import (
    FaceTooSmall,
    ItemError,
    LowQuality,
    NoFace,
    NotAPhoto,
    NotAPortrait,
    SeveralFaces,
    UnclearOrientation,
)
from app.faces.alignment import align_face, find_eyes, letterbox
from app.faces.deepface_api import Detector, FacialAreaRegion
from app.faces.detector import BoundedMtcnn, DetectionOptions
from app.faces.drawing import DrawingJudge
from app.faces.face_search import FACE, PLAIN, POSITION, SAME_FACE_OVERLAP, FaceSearch, SearchResult
from app.faces.mtcnn import Mtcnn
from app.faces.orientation import OrientationJudge
from app.faces.quality import REJECT, Grade, Limits, grade, note_quality, worst
from app.faces.quality_measures import FaceView, measure
from app.faces.regions import (
    Box,
    area,
    box_of,
    landmarks_of,
    overlap,
    sort_by_size,
    turn_box_back,
    turn_points_back,
)
from app.records import Face, Image, PhotoAnalysis, Portrait

log = logging.getLogger(__name__)

Policy = Literal["dominant", "largest", "reject"]

# Fractions of the photo's shorter side that the longer side of a face's box takes. Portraits and badges: 0.2 or more.
FAR_SHARE, SMALL_SHARE, MODEST_SHARE = 0.024, 0.1, 0.16
DETAIL = "InterEyeDistance"  # the component that tells how many pixels of a face are worth something
MIN_EYES_PX = 25.0  # between the eyes of a small face: InterEyeDistance warns below it (docs/quality.md)
EYES_SHARE = 0.42  # of a box's width, between the eyes: for detectors that give no eyes
# A portrait's face is in the middle, or above it: how far its centre may be to one side, and from the top.
MAX_ASIDE, MAX_DOWN = 0.25, 0.7
# Paper: most of a document is one light colour. A wall has shades, and a person in front of it. Paper that a lamp
# lights unevenly differs from a wall by its writing: strokes in at least 15 % of 16 x 16 places.
PAPER_SIDE_PX, PAPER_LEVEL, PAPER_LEVELS, PAPER_SHARE = 900, 200, 10, 0.6
SHADED_LEVEL, SHADED = 130, 0.88
STROKE_PX, STROKE_LEVELS, PLACES, WRITTEN, WRITTEN_PLACES = 7, 30, 16, (0.005, 0.35), 0.15
# For small faces in large photos: down to 40 of 6000 original pixels.
CLOSER = DetectionOptions(max_side_px=3000, min_face_ratio=0.005, min_face_px=14)


@dataclass(frozen=True, slots=True)
class FindOptions:
    """Which faces to accept. `max_second_face`: the second face's area as a fraction of the first one's, for the policy
    `dominant`; `limits`: quality scores, see quality.py."""

    multiple_faces: Policy
    max_second_face: float
    limits: Limits
    accept_low_quality: bool = False

    @classmethod
    def of(cls, settings: Settings, *, accept_low_quality: bool) -> FindOptions:
        return cls(settings.MULTIPLE_FACES, settings.MAX_SECOND_FACE, settings.quality_limits(), accept_low_quality)


class FaceFinder:
    """Find a portrait's face and cut it out for a network of `input_size` (height, width). `nets` decide which way up
    a face is, whatever the detector, and look for small faces. Safe to use from several threads."""

    def __init__(self, detector: Detector, nets: Mtcnn, input_size: tuple[int, int], options: FindOptions) -> None:
        self._detector = detector
        judge = OrientationJudge(nets)
        self._search = FaceSearch(detector, judge)
        self._closer_search = FaceSearch(BoundedMtcnn(CLOSER, nets), judge)
        self._input_size = input_size
        self._options = options
        self._drawings = DrawingJudge(nets)
        self._eyes_lock = threading.Lock()

    def find(self, portrait: Portrait) -> Face:
        """Return the member's face. Raises NoFace, SeveralFaces, NotAPhoto, FaceTooSmall, NotAPortrait,
        UnclearOrientation or LowQuality, each with the analysis of the photo."""
        return self._accept(portrait, self._search.search(portrait.image))

    def find_small(self, portrait: Portrait) -> Face:
        """Return a face too small for `find`, in a photo in which `find` found none. Raises what `find` does."""
        return self._accept(portrait, self._closer_search.search_once(portrait.image))

    def find_all(self, portrait: Portrait, larger: Portrait) -> list[Face]:
        """Return every face of a photo, the largest first, without asking whether it may be enrolled; an empty list for
        none. `larger` is the same photo decoded to more pixels, in which the small faces of a crowd are looked for."""
        found = dict(self._cut_all(portrait, self._search.search_all(portrait.image)))
        for box, face in self._cut_all(larger, self._closer_search.search_crowd(larger.image)):
            if not any(overlap(box, known) > SAME_FACE_OVERLAP for known in found):
                found[box] = face
        return [found[box] for box in sorted(found, key=lambda box: (-box[2] * box[3], box))]

    def _cut_all(self, portrait: Portrait, found: SearchResult) -> Iterator[tuple[Box, Face]]:
        """Yield each face with its box in pixels of the upright original."""
        for region in found.regions:
            pixels, analysis = self._align(found.image, region), _describe(portrait, found, [region])
            if pixels.size and analysis.box is not None:
                yield analysis.box, Face(portrait.photo, letterbox(pixels, self._input_size), analysis)

    def find_unchecked(self, portrait: Portrait) -> Face:
        """Return the largest face without any check; the whole picture where the detector finds none."""
        regions = sort_by_size(self._detector.detect_faces(portrait.image))
        pixels = self._align(portrait.image, regions[0]) if regions else portrait.image
        return Face(portrait.photo, letterbox(pixels, self._input_size), portrait.analysis)

    def _accept(self, portrait: Portrait, found: SearchResult) -> Face:
        regions = sort_by_size(found.regions)
        if not regions:
            raise NoFace(analysis=dataclasses.replace(portrait.analysis, faces_seen=0))
        areas = tuple(area(region) for region in regions)
        landmarks = landmarks_of(regions[0])
        quality = measure(FaceView(found.image, box_of(regions[0]), landmarks, portrait.reduction, areas))
        grades = grade(quality, self._options.limits)
        note = note_quality(grades)
        analysis = dataclasses.replace(_describe(portrait, found, regions), quality=quality, quality_note=note)
        if found.variant != PLAIN:
            log.info("%s: rostro hallado con otro intento: %s", portrait.member.crew_id, found.variant)
        try:
            self._check(portrait, found, regions, grades)
        except ItemError as error:
            error.analysis = analysis
            raise
        pixels = self._align(found.image, regions[0])
        if not pixels.size:
            raise NoFace("el rostro queda fuera de la foto", analysis)
        return Face(portrait.photo, letterbox(pixels, self._input_size), analysis)

    def _check(
        self, portrait: Portrait, found: SearchResult, regions: list[FacialAreaRegion], grades: Sequence[Grade]
    ) -> None:
        lowest = worst(grades)
        if found.doubt == FACE:
            self._check_quality(lowest)  # of a blurred face, low quality says more than no face
            raise NoFace
        check_dominance(regions, self._options.multiple_faces, self._options.max_second_face)
        if self._drawings.is_drawing(found.image, box_of(regions[0])):
            # A few pixels that were enlarged to squares look drawn.
            self._check_quality(next(each for each in grades if each.component.name == DETAIL))
            raise NotAPhoto
        check_size(regions[0], found.image, portrait.reduction)
        check_place(regions[0], found.image)
        if found.doubt == POSITION:
            raise UnclearOrientation
        self._check_quality(lowest)

    def _check_quality(self, judged: Grade) -> None:
        """Raise LowQuality if this component rejects the photo, with what to do about it."""
        if judged.verdict == REJECT and not self._options.accept_low_quality:
            component = judged.component
            raise LowQuality(f"{component.defect} ({component.name}: {judged.score} de 100). {component.advice}")

    def _align(self, image: Image, region: FacialAreaRegion) -> Image:
        if region.left_eye is None or region.right_eye is None:
            with self._eyes_lock:  # DeepFace's net for eyes is shared by all threads
                region = find_eyes(image, region)
        return align_face(image, region, max(self._input_size))


def _describe(portrait: Portrait, found: SearchResult, regions: list[FacialAreaRegion]) -> PhotoAnalysis:
    landmarks, shape = landmarks_of(regions[0]), portrait.image.shape
    x, y, width, height = (side * portrait.reduction for side in turn_box_back(regions[0], found.quarter_turns, shape))
    if landmarks is not None:
        turned_back = turn_points_back(landmarks, found.quarter_turns, shape)
        landmarks = np.asarray(turned_back * portrait.reduction, np.float32)
    return dataclasses.replace(
        portrait.analysis,
        faces_seen=len(regions),
        box=(x, y, width, height),
        landmarks=landmarks,
        confidence=min(1.0, max(0.0, float(regions[0].confidence or 0.0))),
        attempt=found.variant,
    )


def check_dominance(sorted_regions: Sequence[FacialAreaRegion], policy: Policy, max_ratio: float) -> None:
    """Raise SeveralFaces when it is not clear whose photo it is. `sorted_regions`: the largest first. `reject` accepts
    no second face; `dominant` one of at most `max_ratio` of the first one's area; `largest` any number."""
    if len(sorted_regions) == 1 or policy == "largest":
        return
    ratio = area(sorted_regions[1]) / area(sorted_regions[0])
    if policy == "reject" or ratio > max_ratio:
        raise SeveralFaces(f"se ven {len(sorted_regions)}; el segundo rostro mide el {ratio:.0%} del primero")


def check_size(region: FacialAreaRegion, image: Image, reduction: int) -> None:
    """Raise FaceTooSmall for a face that takes too little of its photo, or little of it and too few pixels. `image` is
    BGR uint8, reduced from the original by `reduction` in each direction."""
    side = max(region.w, region.h)
    share = side / min(image.shape[:2])
    eyes = (region.left_eye, region.right_eye)
    between_eyes = EYES_SHARE * region.w if None in eyes else float(np.hypot(*np.subtract(*eyes)))
    if share < FAR_SHARE or (share < SMALL_SHARE and reduction * between_eyes < MIN_EYES_PX):
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
    """Tell whether a BGR uint8 image is a document: mostly of one light colour, or unevenly lit and written on."""
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
