"""Finds the face: a portrait comes in, the aligned and letterboxed face goes out.

Detectors have DeepFace's interface (`detect_faces`: BGR image -> regions), so that ours and all of DeepFace's
serve alike; alignment and letterbox are DeepFace's own.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.errors import NoFace, UnknownModel, WeightsUnavailable
from app.faces.engine import Detector, FacialAreaRegion, UnimplementedError, detection, modeling, preprocessing
from app.faces.mtcnn import PYRAMID_FACTOR, Detection, Mtcnn
from app.faces.sessions import SessionOptions
from app.records import Face, Image, Portrait

log = logging.getLogger(__name__)

LIBRARY_MIN_FACE_PX = 20.0  # the `mtcnn` package's default, at which DeepFace uses it
DEEPFACE_BORDER = 0.5  # DeepFace pads the photo by this much of its size on each side before detection
DECORATION = r"^\W+"  # DeepFace begins some of its messages with emojis
OWN_MTCNN = "mtcnn"
LIBRARY_MTCNN = "mtcnn-tensorflow"  # the reference: DeepFace's own way of calling the package


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """Which detector; the longer side (pixels) of the copy it looks at; the smallest face, as a fraction of the
    photo's shorter side."""

    detector: str = OWN_MTCNN
    max_side_px: int = 640
    min_face_ratio: float = 0.1


class BoundedMtcnn(Detector):  # type: ignore[misc]  # deepface has no type information
    """MTCNN on a copy of bounded size, its pyramid on the levels that it would have on the whole image."""

    def __init__(self, options: DetectionOptions, sessions: SessionOptions) -> None:
        self._options = options
        self._nets = Mtcnn(sessions)

    def detect_faces(self, img: Image) -> list[FacialAreaRegion]:
        factor = math.ceil(max(img.shape[:2]) / self._options.max_side_px)
        copy = reduce(img, factor)
        wanted = min(copy.shape[:2]) * self._options.min_face_ratio
        return [_region(face, factor) for face in self._nets.detect(copy, smallest_face(wanted, 1 / factor))]


def reduce(image: Image, factor: int) -> Image:
    """The image with each `factor` x `factor` pixels averaged to one (what does not fill a last one is left out).

    Whole factors are exact, and ten times as fast as others.
    """
    if factor <= 1:
        return image
    rows, columns = (max(1, side // factor) for side in image.shape[:2])
    whole = image[: rows * factor, : columns * factor]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def smallest_face(wanted_px: float, scale: float) -> float:
    """The pyramid's smallest face near `wanted_px`, from the levels that the unscaled image would have.

    On the same levels P-Net sees the same pixels as DeepFace's run at full size does, and proposes the same boxes.
    """
    base = LIBRARY_MIN_FACE_PX * scale
    levels = math.ceil(math.log(max(wanted_px, LIBRARY_MIN_FACE_PX) / base) / -math.log(PYRAMID_FACTOR))
    return float(base / PYRAMID_FACTOR ** max(0, levels))


def _region(face: Detection, scale: float) -> FacialAreaRegion:
    x1, y1, x2, y2 = (round(float(value)) for value in face.box * scale)
    # DeepFace names the eyes from the person's side, MTCNN from the onlooker's.
    right, left, nose, mouth_right, mouth_left = (tuple(map(float, point)) for point in face.landmarks * scale)
    return FacialAreaRegion(
        x=x1,
        y=y1,
        w=x2 - x1,
        h=y2 - y1,
        left_eye=left,
        right_eye=right,
        nose=nose,
        mouth_right=mouth_right,
        mouth_left=mouth_left,
        confidence=face.confidence,
    )


class DeepFaceDetector(Detector):  # type: ignore[misc]
    """One of DeepFace's detectors, on the photo padded as DeepFace pads it."""

    def __init__(self, name: str) -> None:
        # Some keep the photo of the moment in the net itself: two at once would get each other's boxes.
        self._one_at_a_time = threading.Lock()
        registered = "mtcnn" if name == LIBRARY_MTCNN else name
        try:
            self._client = modeling.build_model("face_detector", registered)
        except UnimplementedError as error:
            names = sorted([*modeling.AVAILABLE_MODELS["face_detector"], LIBRARY_MTCNN])
            raise UnknownModel(f"Detector desconocido: {name}", f"Use uno de: {', '.join(names)}.") from error
        except (ValueError, ImportError, OSError) as error:
            raise WeightsUnavailable(
                f"No se pudo preparar el detector {name}: {re.sub(DECORATION, '', str(error))}",
                "Instale lo que falta, o use el detector mtcnn, que no descarga nada.",
            ) from error

    def detect_faces(self, img: Image) -> list[FacialAreaRegion]:
        with self._one_at_a_time:
            return self._detect(img)

    def _detect(self, img: Image) -> list[FacialAreaRegion]:
        top, left = int(DEEPFACE_BORDER * img.shape[0]), int(DEEPFACE_BORDER * img.shape[1])
        padded = cv2.copyMakeBorder(img, top, top, left, left, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        return [_move(region, -left, -top) for region in self._client.detect_faces(padded)]


def build_detector(options: DetectionOptions, sessions: SessionOptions) -> Detector:
    """The detector of that name. Raises UnknownModel, WeightsUnavailable."""
    if options.detector == OWN_MTCNN:
        return BoundedMtcnn(options, sessions)
    return DeepFaceDetector(options.detector)


class FaceFinder:
    """Chooses a portrait's face and cuts it out as the network wants it, `input_size` (height, width)."""

    def __init__(self, detector: Detector, input_size: tuple[int, int]) -> None:
        self._detector = detector
        self._input_size = input_size
        self._one_at_a_time = threading.Lock()

    def find(self, portrait: Portrait) -> Face:
        """The largest face. Raises NoFace."""
        regions = [region for region in self._detector.detect_faces(portrait.image) if region.w > 0 and region.h > 0]
        if not regions:
            raise NoFace()
        region = choose_face(regions)
        if len(regions) > 1:
            log.info("%s: %d rostros, se toma el mayor", portrait.member.crew_id, len(regions))
        pixels = self._align(portrait.image, region)
        if not pixels.size:
            raise NoFace("el rostro queda fuera de la foto")
        x, y, width, height = (int(side) * portrait.reduction for side in (region.x, region.y, region.w, region.h))
        confidence = min(1.0, max(0.0, float(region.confidence or 0.0)))
        letterboxed = letterbox(pixels, self._input_size)
        return Face(portrait.photo, letterboxed, (x, y, width, height), confidence, len(regions))

    def _align(self, image: Image, region: FacialAreaRegion) -> Image:
        side = max(self._input_size)
        if region.left_eye is not None and region.right_eye is not None:
            return align_face(image, region, side)
        with self._one_at_a_time:  # DeepFace then looks for the eyes with a net that all threads share
            return align_face(image, region, side)


def choose_face(regions: list[FacialAreaRegion]) -> FacialAreaRegion:
    return max(regions, key=lambda region: region.w * region.h)


def align_face(image: Image, region: FacialAreaRegion, input_side_px: int) -> Image:
    """The face's box with the eyes turned level (DeepFace's `extract_face`), black where the photo ends.

    A face more than twice as large as the network's input is reduced first: turning it would only cost more.
    """
    factor = max(1, int(max(region.w, region.h) / input_side_px))
    # Alignment turns a neighbourhood twice the box's size: only that is padded, not the whole photo.
    margin_x, margin_y = int(region.w), int(region.h)
    around = crop_with_black(image, int(region.x) - margin_x, int(region.y) - margin_y, margin_x * 3, margin_y * 3)
    local = _move(region, margin_x - int(region.x), margin_y - int(region.y), 1 / factor)
    found = detection.extract_face(
        facial_area=local,
        img=reduce(around, factor),
        align=True,
        expand_percentage=0,
        width_border=0,
        height_border=0,
        detector_backend="",  # any name but "opencv": missing eyes are then looked for
    )
    return np.asarray(found.img, np.uint8)


def crop_with_black(image: Image, x: int, y: int, width: int, height: int) -> Image:
    """The rectangle, also where it reaches beyond the image."""
    inside = image[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
    top, left = min(max(0, -y), height), min(max(0, -x), width)
    bottom, right = height - top - inside.shape[0], width - left - inside.shape[1]
    if (top, left, bottom, right) == (0, 0, 0, 0):
        return inside
    canvas = np.zeros((height, width, image.shape[2]), np.uint8)
    canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return canvas


def letterbox(pixels: Image, input_size: tuple[int, int]) -> NDArray[np.float32]:
    """The face scaled into (height, width), black around it, float32 in [0, 1] (DeepFace's `resize_image`)."""
    return np.asarray(preprocessing.resize_image(pixels.astype(np.float32) / 255, input_size)[0], np.float32)


def _move(region: FacialAreaRegion, dx: int, dy: int, scale: float = 1.0) -> FacialAreaRegion:
    """The region in another frame: shifted, then scaled."""

    def moved(point: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if point is None else ((point[0] + dx) * scale, (point[1] + dy) * scale)

    x, y, w, h = (round(side * scale) for side in (region.x + dx, region.y + dy, region.w, region.h))
    return FacialAreaRegion(
        x=x,
        y=y,
        w=w,
        h=h,
        left_eye=moved(region.left_eye),
        right_eye=moved(region.right_eye),
        nose=moved(region.nose),
        mouth_right=moved(region.mouth_right),
        mouth_left=moved(region.mouth_left),
        confidence=region.confidence,
    )
