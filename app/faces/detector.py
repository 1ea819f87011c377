"""Finds the face: a portrait comes in, the aligned and letterboxed face goes out.

Detectors have DeepFace's interface (`detect_faces`: BGR image -> regions), so that ours and all of DeepFace's
serve alike; alignment and letterbox are DeepFace's own.
"""

from __future__ import annotations

import dataclasses
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
CUBIC_REACH_PX = 3  # interpolation looks two pixels further, and the middle of an odd side is half a pixel off
DECORATION = r"^\W+"  # DeepFace begins some of its messages with emojis
OWN_MTCNN = "mtcnn"
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
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
        if region.left_eye is None or region.right_eye is None:
            with self._one_at_a_time:  # DeepFace's net for eyes is shared by all threads
                region = find_eyes(image, region)
        return align_face(image, region, max(self._input_size))


def find_eyes(image: Image, region: FacialAreaRegion) -> FacialAreaRegion:
    """The region of a detector that gives no eyes, with those that DeepFace finds in it; perhaps there are none."""
    x, y, width, height = (int(side) for side in (region.x, region.y, region.w, region.h))
    eyes = modeling.build_model("face_detector", "opencv").find_eyes(crop_with_black(image, x, y, width, height))
    left, right = (None if eye is None else (eye[0] + x, eye[1] + y) for eye in eyes)
    return dataclasses.replace(region, left_eye=left, right_eye=right)


def choose_face(regions: list[FacialAreaRegion]) -> FacialAreaRegion:
    return max(regions, key=lambda region: region.w * region.h)


def align_face(image: Image, region: FacialAreaRegion, input_side_px: int) -> Image:
    """The face's box with the eyes turned level, as DeepFace's `extract_face` cuts it, black where the photo ends.

    A face more than twice as large as the network's input is reduced first: turning it would only cost more.
    """
    factor = max(1, int(max(region.w, region.h) / input_side_px))
    width, height = round(region.w / factor), round(region.h / factor)
    margin_x, margin_y = turning_margins(width, height, region)
    around = crop_with_black(
        image,
        int(region.x) - margin_x * factor,
        int(region.y) - margin_y * factor,
        (width + 2 * margin_x) * factor,
        (height + 2 * margin_y) * factor,
    )
    turned, _ = detection.align_img_wrt_eyes(reduce(around, factor), region.left_eye, region.right_eye)
    return np.asarray(turned[margin_y : margin_y + height, margin_x : margin_x + width], np.uint8)


def turning_margins(width: int, height: int, region: FacialAreaRegion) -> tuple[int, int]:
    """How far beyond a box, in x and in y, the box reaches when it is turned until the region's eyes are level.

    DeepFace turns twice the box's size instead, always, for the same pixels at three times the cost.
    """
    if region.left_eye is None or region.right_eye is None:
        return 0, 0
    across, down = (abs(side) for side in np.subtract(region.left_eye, region.right_eye))
    cosine, sine = np.array([across, down]) / (math.hypot(across, down) or 1)
    beyond = (width * cosine + height * sine - width, height * cosine + width * sine - height)
    return tuple(
        min(side // 2, math.ceil(max(0, extra) / 2) + CUBIC_REACH_PX)
        for side, extra in zip((width, height), beyond, strict=True)
    )


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


def _move(region: FacialAreaRegion, dx: int, dy: int) -> FacialAreaRegion:
    """The region in another frame."""

    def moved(point: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if point is None else (point[0] + dx, point[1] + dy)

    points = {name: moved(getattr(region, name)) for name in LANDMARKS}
    return dataclasses.replace(region, x=region.x + dx, y=region.y + dy, **points)
