"""Find the face to enrol in a portrait, check that it may be enrolled, and cut it out for the network."""

from __future__ import annotations

import dataclasses
import logging
import threading
from dataclasses import dataclass

import numpy as np

from app.errors import ItemError, LowQuality, NoFace, NotAPhoto, UnclearOrientation
from app.faces.alignment import align_face, find_eyes, letterbox
from app.faces.choice import Policy, check_dominance, check_place, check_size
from app.faces.deepface_api import Detector, FacialAreaRegion
from app.faces.detector import BoundedMtcnn, DetectionOptions
from app.faces.drawing import is_drawing
from app.faces.face_search import FACE, PLAIN, POSITION, FaceSearch, SearchResult
from app.faces.mtcnn import Mtcnn
from app.faces.orientation import OrientationJudge
from app.faces.quality import REJECT, Limits, Values, grade, note_quality, worst
from app.faces.quality_measures import FaceView, measure
from app.faces.regions import area, box_of, landmarks_of, sort_by_size, turn_box_back, turn_points_back
from app.records import Face, Image, PhotoAnalysis, Portrait

log = logging.getLogger(__name__)

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
        self._eyes_lock = threading.Lock()

    def find(self, portrait: Portrait) -> Face:
        """Return the member's face. Raises NoFace, SeveralFaces, NotAPhoto, FaceTooSmall, NotAPortrait,
        UnclearOrientation or LowQuality, each with the analysis of the photo."""
        return self._accept(portrait, self._search.search(portrait.image))

    def find_small(self, portrait: Portrait) -> Face:
        """Return a face too small for `find`, in a photo in which `find` found none. Raises what `find` does."""
        return self._accept(portrait, self._closer_search.search_once(portrait.image))

    def find_unchecked(self, portrait: Portrait) -> Face:
        """Return the largest face without any check; the whole picture where the detector finds none."""
        regions = sort_by_size(self._detector.detect_faces(portrait.image))
        pixels = self._align(portrait.image, regions[0]) if regions else portrait.image
        return Face(portrait.photo, letterbox(pixels, self._input_size), portrait.analysis)

    def _accept(self, portrait: Portrait, found: SearchResult) -> Face:
        """Cut the largest face out if it may be enrolled; raises what `find` does."""
        regions = sort_by_size(found.regions)
        if not regions:
            raise NoFace(analysis=dataclasses.replace(portrait.analysis, faces_seen=0))
        quality = self._measure(portrait, found, regions)
        note = note_quality(quality, self._options.limits)
        analysis = dataclasses.replace(_describe(portrait, found, regions), quality=quality, quality_note=note)
        if found.variant != PLAIN:
            log.info("%s: rostro hallado con otro intento: %s", portrait.member.crew_id, found.variant)
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
        """Raise the first reason not to enrol the largest face."""
        if found.doubt == FACE:
            self._check_quality(quality)  # of a blurred face, low quality says more than no face
            raise NoFace
        check_dominance(regions, self._options.multiple_faces, self._options.max_second_face)
        if is_drawing(found.image, box_of(regions[0])):
            raise NotAPhoto
        check_size(regions[0], found.image, portrait.reduction)
        check_place(regions[0], found.image)
        if found.doubt == POSITION:
            raise UnclearOrientation
        self._check_quality(quality)

    def _measure(self, portrait: Portrait, found: SearchResult, regions: list[FacialAreaRegion]) -> Values:
        """Measure the quality of the largest face."""
        areas = tuple(area(region) for region in regions)
        landmarks = landmarks_of(regions[0])
        return measure(FaceView(found.image, box_of(regions[0]), landmarks, portrait.reduction, areas))

    def _check_quality(self, quality: Values) -> None:
        """Raise LowQuality, with the worst component and what to do about it."""
        lowest = worst(grade(quality, self._options.limits))
        if lowest.verdict == REJECT and not self._options.accept_low_quality:
            component = lowest.component
            raise LowQuality(f"{component.defect} ({component.name}: {lowest.score} de 100). {component.advice}")

    def _align(self, image: Image, region: FacialAreaRegion) -> Image:
        """Cut the face out with its eyes level, BGR uint8."""
        if region.left_eye is None or region.right_eye is None:
            with self._eyes_lock:  # DeepFace's net for eyes is shared by all threads
                region = find_eyes(image, region)
        return align_face(image, region, max(self._input_size))


def _describe(portrait: Portrait, found: SearchResult, regions: list[FacialAreaRegion]) -> PhotoAnalysis:
    """Complete the photo's analysis; box and landmarks in pixels of the upright original."""
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
