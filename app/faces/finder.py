"""From a portrait to the face to enrol: found, chosen, judged and cut out as the network wants it."""

from __future__ import annotations

import dataclasses
import logging
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import ItemError, LowQuality, NoFace, NotAPhoto, UnclearOrientation
from app.faces.alignment import align_face, find_eyes, letterbox
from app.faces.choice import Policy, area, by_size, check_dominance, check_place, check_size
from app.faces.deepface_api import Detector, FacialAreaRegion
from app.faces.detector import BoundedMtcnn, DetectionOptions
from app.faces.drawing import is_drawing
from app.faces.face_search import FACE, PLAIN, POSITION, SearchResult, look, look_closer, turn_back
from app.faces.mtcnn import Mtcnn
from app.faces.orientation import OrientationJudge
from app.faces.quality import REJECT, Limits, Values, grade, note_quality, worst
from app.faces.quality_measures import FaceView, measure
from app.records import Face, Image, PhotoAnalysis, Portrait

log = logging.getLogger(__name__)

# For small faces in large photos: 40 of 6000 original pixels.
CLOSER = DetectionOptions(max_side_px=3000, min_face_ratio=0.005, min_face_px=14)

Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FindOptions:
    """What to do with several faces, and with a face of too low a quality (`limits`: scores, see quality.py)."""

    multiple_faces: Policy
    max_second_face: float
    limits: Limits
    accept_low_quality: bool = False


class FaceFinder:
    """Finds a portrait's face and cuts it out as the network wants it, `input_size` (height, width). `nets` tell which
    way up a face is, whatever the detector, and look closer."""

    def __init__(self, detector: Detector, nets: Mtcnn, input_size: tuple[int, int], options: FindOptions) -> None:
        self._detector = detector
        self._closer = BoundedMtcnn(CLOSER, nets)
        self._judge = OrientationJudge(nets)
        self._input_size = input_size
        self._options = options
        self._eyes_lock = threading.Lock()

    def find(self, portrait: Portrait) -> Face:
        """The member's face. Raises NoFace, SeveralFaces, NotAPhoto, FaceTooSmall, NotAPortrait, UnclearOrientation,
        LowQuality, each with what was seen."""
        return self._choose(portrait, look(self._detector, self._judge, portrait.image))

    def find_small(self, portrait: Portrait) -> Face:
        """The same of a photo in which `find` saw no face, by looking for smaller ones."""
        return self._choose(portrait, look_closer(self._closer, self._judge, portrait.image))

    def find_anyhow(self, portrait: Portrait) -> Face:
        """The largest face, whatever its quality; the whole picture where the detector sees none."""
        regions = by_size(self._detector.detect_faces(portrait.image))
        pixels = self._align(portrait.image, regions[0]) if regions else portrait.image
        return Face(portrait.photo, letterbox(pixels, self._input_size), portrait.analysis)

    def _choose(self, portrait: Portrait, found: SearchResult) -> Face:
        regions = by_size(found.regions)
        if not regions:
            raise NoFace(analysis=dataclasses.replace(portrait.analysis, faces_seen=0))
        quality = self._measure(portrait, found, regions)
        analysis = dataclasses.replace(
            _describe(portrait, found, regions),
            quality=quality,
            quality_note=note_quality(quality, self._options.limits),
        )
        if found.attempt != PLAIN:
            log.info("%s: rostro hallado con otro intento: %s", portrait.member.crew_id, found.attempt)
        try:
            self._check(portrait, found, regions, quality)
        except ItemError as error:
            error.analysis = analysis
            raise
        pixels = self._align(found.image, regions[0])
        if not pixels.size:
            raise NoFace("el rostro queda fuera de la foto", analysis)
        return Face(portrait.photo, letterbox(pixels, self._input_size), analysis)

    def _check(self, portrait: Portrait, found: SearchResult, regions: list[FacialAreaRegion], quality: Values) -> None:
        """Raises the first reason not to enrol the face."""
        if found.doubt == FACE:
            self._check_quality(quality)  # says more of a blurred face than that there is none
            raise NoFace
        check_dominance(regions, self._options.multiple_faces, self._options.max_second_face)
        if is_drawing(found.image, (regions[0].x, regions[0].y, regions[0].w, regions[0].h)):
            raise NotAPhoto
        check_size(regions[0], found.image, portrait.reduction)
        check_place(regions[0], found.image)
        if found.doubt == POSITION:
            raise UnclearOrientation
        self._check_quality(quality)

    def _measure(self, portrait: Portrait, found: SearchResult, regions: list[FacialAreaRegion]) -> Values:
        first = regions[0]
        box = (int(first.x), int(first.y), int(first.w), int(first.h))
        areas = tuple(area(region) for region in regions)
        return measure(FaceView(found.image, box, landmarks_of(first), portrait.reduction, areas))

    def _check_quality(self, quality: Values) -> None:
        lowest = worst(grade(quality, self._options.limits))
        if lowest.verdict == REJECT and not self._options.accept_low_quality:
            component = lowest.component
            raise LowQuality(f"{component.defect} ({component.name}: {lowest.score} de 100). {component.advice}")

    def _align(self, image: Image, region: FacialAreaRegion) -> Image:
        if region.left_eye is None or region.right_eye is None:
            with self._eyes_lock:  # DeepFace's net for eyes is shared by all threads
                region = find_eyes(image, region)
        return align_face(image, region, max(self._input_size))


def landmarks_of(region: FacialAreaRegion) -> Points | None:
    """(5, 2) in the order of `PhotoAnalysis.landmarks`; None unless all are known."""
    # DeepFace names both sides from the person's point of view.
    points = (region.right_eye, region.left_eye, region.nose, region.mouth_right, region.mouth_left)
    return None if any(point is None for point in points) else np.array(points, np.float32)


def _in_photo(points: Points, found: SearchResult, portrait: Portrait) -> Points:
    """Points of the image that was looked at, in pixels of the upright original."""
    back = turn_back(points, found.quarter_turns, portrait.image.shape[:2])
    return np.asarray(back * portrait.reduction, np.float32)


def _box_in_photo(region: FacialAreaRegion, found: SearchResult, portrait: Portrait) -> tuple[int, int, int, int]:
    # By its first and last pixel: points are the middles of pixels, a box lies between their edges.
    corners = np.array([[region.x, region.y], [region.x + region.w - 1, region.y + region.h - 1]], np.float32)
    back = turn_back(corners, found.quarter_turns, portrait.image.shape[:2])
    first, size = back.min(axis=0), np.ptp(back, axis=0) + 1
    x, y, width, height = (int(side) * portrait.reduction for side in (*first.round(), *size.round()))
    return x, y, width, height


def _describe(portrait: Portrait, found: SearchResult, regions: list[FacialAreaRegion]) -> PhotoAnalysis:
    landmarks = landmarks_of(regions[0])
    return dataclasses.replace(
        portrait.analysis,
        faces_seen=len(regions),
        box=_box_in_photo(regions[0], found, portrait),
        landmarks=None if landmarks is None else _in_photo(landmarks, found, portrait),
        confidence=min(1.0, max(0.0, float(regions[0].confidence or 0.0))),
        attempt=found.attempt,
    )
