"""Face detectors: MTCNN on a reduced copy of the photo, and DeepFace's own detectors.

All have DeepFace's interface, `detect_faces`: BGR uint8 (h, w, 3) -> regions in its pixels.
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass

import cv2

from app.core.config import Settings
from app.core.image_scaling import reduce
from app.errors import UnknownModel, WeightsUnavailable
from app.faces.deepface_api import Detector, FacialAreaRegion, exceptions, missing_package, modeling
from app.faces.embedding_spec import OWN_MTCNN
from app.faces.mtcnn import PYRAMID_FACTOR, Detection, Mtcnn
from app.faces.regions import move_region
from app.records import Image

LIBRARY_MIN_FACE_PX = 20.0  # the `mtcnn` package's default, which DeepFace keeps
STRIP_SHARE = 0.375  # of `max_side_px`: the least that the shorter side of a long photo's copy has
DEEPFACE_BORDER = 0.5  # DeepFace pads the photo by this much of its size on each side before detection
LIBRARY_MTCNN = "mtcnn-tensorflow"  # the reference: DeepFace's own way of calling the package


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """How to detect. `max_side_px`: the longer side of the copy that MTCNN looks at; `min_face_ratio`: the smallest
    face as a fraction of the photo's shorter side, but never less than `min_face_px` pixels of the copy."""

    detector: str = OWN_MTCNN
    max_side_px: int = 640
    min_face_ratio: float = 0.1
    min_face_px: float = LIBRARY_MIN_FACE_PX

    @classmethod
    def of(cls, settings: Settings) -> DetectionOptions:
        return cls(settings.FACE_DETECTOR, settings.DETECTION_MAX_SIDE, settings.MIN_FACE_RATIO)


class BoundedMtcnn(Detector):  # type: ignore[misc]  # deepface has no type information
    """MTCNN on a copy of bounded size, with a pyramid of the levels that it would have on the whole image."""

    def __init__(self, options: DetectionOptions, nets: Mtcnn) -> None:
        self._options = options
        self._nets = nets

    def detect_faces(self, img: Image) -> list[FacialAreaRegion]:
        options = self._options
        factor = choose_reduction(img.shape, options.max_side_px)
        copy = reduce(img, factor)
        wanted = max(min(copy.shape[:2]) * options.min_face_ratio, options.min_face_px)
        return [_region(face, factor) for face in self._nets.detect(copy, smallest_face(wanted, 1 / factor))]


def choose_reduction(shape: tuple[int, ...], max_side_px: int) -> int:
    """Return by which whole factor to reduce an image (h, w, ...) in each direction for the nets; at least 1."""
    shorter, longer = sorted(shape[:2])
    return max(1, min(math.ceil(longer / max_side_px), int(shorter / (STRIP_SHARE * max_side_px))))


def smallest_face(wanted_px: float, scale: float) -> float:
    """Choose the pyramid's smallest face (pixels): the first level of the unscaled image's pyramid that is at least
    `wanted_px` in a copy scaled by `scale`. There P-Net proposes the same boxes as in DeepFace's run at full size."""
    base = LIBRARY_MIN_FACE_PX * scale
    levels = math.ceil(math.log(wanted_px / base) / -math.log(PYRAMID_FACTOR))
    return float(base / PYRAMID_FACTOR ** max(0, levels))


def _region(face: Detection, scale: float) -> FacialAreaRegion:
    x1, y1, x2, y2 = (round(float(value)) for value in face.box * scale)
    # DeepFace names eyes and mouth from the person's side, MTCNN from the onlooker's.
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
    """One of DeepFace's detectors, on the photo padded as DeepFace pads it. Raises UnknownModel, MissingDependency,
    WeightsUnavailable."""

    def __init__(self, name: str) -> None:
        # Some detectors keep the current photo in the net itself: two threads would get each other's boxes.
        self._one_at_a_time = threading.Lock()
        registered = "mtcnn" if name == LIBRARY_MTCNN else name
        try:
            self._client = modeling.build_model("face_detector", registered)
        except exceptions.UnimplementedError as error:
            names = sorted([*modeling.AVAILABLE_MODELS["face_detector"], LIBRARY_MTCNN])
            raise UnknownModel(f"Detector desconocido: {name}", f"Use uno de: {', '.join(names)}.") from error
        except (ValueError, ImportError, OSError) as error:
            if missing := missing_package(f"el detector {name}", error, "el detector mtcnn"):
                raise missing from error
            reason = re.sub(r"^\W+", "", str(error))  # DeepFace begins some messages with emojis
            raise WeightsUnavailable(
                f"No se pudo preparar el detector {name}: {reason}",
                "Instale lo que falta, o use el detector mtcnn, que no descarga nada.",
            ) from error

    def detect_faces(self, img: Image) -> list[FacialAreaRegion]:
        top, left = int(DEEPFACE_BORDER * img.shape[0]), int(DEEPFACE_BORDER * img.shape[1])
        padded = cv2.copyMakeBorder(img, top, top, left, left, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        with self._one_at_a_time:
            regions = self._client.detect_faces(padded)
        return [move_region(region, left, top) for region in regions]


def build_detector(options: DetectionOptions, nets: Mtcnn) -> Detector:
    """Build the detector that the options name; ours uses these nets. Raises UnknownModel, WeightsUnavailable."""
    if options.detector == OWN_MTCNN:
        return BoundedMtcnn(options, nets)
    return DeepFaceDetector(options.detector)
