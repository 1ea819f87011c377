"""Measures a face's quality: a photo, the face's box and five landmarks come in, one number for each of
`quality.COMPONENTS` goes out.

Measures are those of ISO/IEC 29794-5:2025 where they need no more than this; where they need a model, a proxy stands in
and says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.image_scaling import reduce
from app.faces.quality import COMPONENTS, Values
from app.records import Image

Floats = NDArray[np.float32]

# An average head, seen from the front; docs/quality.md says where each comes from.
CHIN_TO_MOUTH = 1.79  # from the eyes to the chin, in distances from the eyes to the mouth
NOSE_PROTRUSION = 0.4  # of the nose's tip before the plane of eyes and mouth, in distances between the eyes
NOSE_HEIGHT = 0.6  # the nose's tip on the way from the eyes to the mouth
# ln(eyes to mouth / between the eyes) + 1.5 ln(height / width of MTCNN's box): median of the photos, which keep within
# 0.24 of it. The box follows the proportions more steadily than the landmarks, so it counts for more.
BOX_WEIGHT, AVERAGE_FACE = 1.5, 0.53
MAX_ROLL_DEGREES = 15.0
STRETCH_SEEN = 0.73  # turns it into the factor by which the photos were stretched (0.6 to 1.7 times as wide)

WORKING_SIDE_PX = 160  # light and sharpness are measured about as large as the networks see the face
CHEEK_SIDE = 0.3  # of the squares on the cheeks, in distances between the eyes
LEVELS = 256  # of linear luminance
DARK_LEVELS, LIGHT_LEVELS = slice(0, 26), slice(247, 256)
SRGB = np.arange(LEVELS) / 255
# IEC 61966-2-1's curve.
LINEAR = np.where(SRGB <= 0.04045, SRGB / 12.92, ((SRGB + 0.055) / 1.055) ** 2.4).astype(np.float32) * 255  # noqa: PLR2004
LUMINANCE_OF_BGR = np.array([[0.0722, 0.7152, 0.2126]], np.float32)
REBLUR_PX = 9
# A picture that was enlarged has the pixels of its size and the detail of the smaller one. Smoothly enlarged, it hardly
# changes when it is reduced to that many pixels between the eyes and enlarged again: photos lose 0.149 and more of
# their contrast at 20 pixels, faces of 20 pixels that were enlarged 0.134 at most. Enlarged by repeating pixels, few
# steps between its columns or rows hold all differences: they fill 0.6 and more of a photo, 0.4 at most of such a face.
DETAIL_PX, DETAIL_LOSS, FILLED = (13.0, 20.0), 0.14, 0.5
MIN_CONTRAST = 2.0  # grey levels: with less there is no detail to count
INNER = 8  # sharpness leaves out one part in so many on each side: background


@dataclass(frozen=True, slots=True, eq=False)
class FaceView:
    """A face in its photo: `image` BGR uint8 with the face upright; `box` (x, y, width, height) and `landmarks` (5, 2)
    in its pixels, in the order of `PhotoAnalysis`, None when the detector gives none; `reduction` original pixels
    make one of `image`; `areas` of all faces seen, the chosen one first."""

    image: Image
    box: tuple[int, int, int, int]
    landmarks: Floats | None = None
    reduction: int = 1
    areas: tuple[float, ...] = (1.0,)


def measure(view: FaceView) -> Values:
    """Every component's value, NaN where there is nothing to measure it by."""
    values, detail_px = {"SingleFacePresent": _rivalry(view.areas)}, math.inf
    x, y, width, height = view.box
    face = view.image[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]
    factor = max(1, max(width, height) // WORKING_SIDE_PX)
    if min(face.shape[:2]) >= INNER * factor:
        face = reduce(face, factor)
        luminance = linear_luminance(face)
        values |= measure_light(luminance) | {"Sharpness": measure_sharpness(face)}
        if view.landmarks is not None:
            corner = np.array([max(0, x), max(0, y)], np.float32)
            marks = np.asarray((view.landmarks - corner) / factor, np.float32)
            values["IlluminationUniformity"] = compare_cheeks(luminance, marks)
            detail_px = measure_detail(face, marks)
    if view.landmarks is not None:
        values |= measure_geometry(view, view.landmarks)
        values["InterEyeDistance"] = min(values["InterEyeDistance"], detail_px)
    return np.array([values.get(component.name, math.nan) for component in COMPONENTS], np.float32)


def _rivalry(areas: tuple[float, ...]) -> float:
    """The largest other face's side over the chosen one's, at most 1."""
    return math.sqrt(min(1.0, max(areas[1:], default=0.0) / max(areas[0], 1.0)))


def measure_geometry(view: FaceView, landmarks: Floats) -> dict[str, float]:
    """Pose in degrees, sizes and margins. Yaw and pitch are proxies, from where the nose's tip is; so is the chin."""
    axes = _Axes.of(landmarks)
    nose = landmarks[2] - axes.eyes
    yaw = math.atan2(nose @ axes.across, NOSE_PROTRUSION * axes.inter_eye)
    pitch = math.atan2(NOSE_HEIGHT * axes.eye_mouth - nose @ axes.down, NOSE_PROTRUSION * axes.eye_mouth)
    height, width = view.image.shape[:2]
    chin = CHIN_TO_MOUTH * axes.eye_mouth
    return {
        "InterEyeDistance": view.reduction * axes.inter_eye / math.cos(yaw),
        "HeadPoseRoll": math.degrees(math.atan2(axes.across[1], axes.across[0])),
        "HeadPoseYaw": math.degrees(yaw),
        "HeadPosePitch": math.degrees(pitch),
        "PixelAspectRatio": _stretch(axes, view),
        "HeadSize": chin / height,
        "LeftwardCropOfTheFaceImage": float(landmarks[0, 0]) / axes.inter_eye,
        "RightwardCropOfTheFaceImage": (width - float(landmarks[1, 0])) / axes.inter_eye,
        "MarginAboveOfTheFaceImage": float(axes.eyes[1]) / chin,
        "MarginBelowOfTheFaceImage": (height - float(axes.eyes[1])) / chin,
    }


def _stretch(axes: _Axes, view: FaceView) -> float:
    """How many times higher than wide the face's pixels must have become: 1 for an average face as it is. A proxy, by
    the landmarks and by the box, which both follow the picture's proportions; NaN for a tilted head, whose box does
    not, and for one that the border cuts."""
    box, (height, width) = view.box, view.image.shape[:2]
    if abs(axes.across[1]) > math.sin(math.radians(MAX_ROLL_DEGREES)):
        return math.nan
    if box[0] < 0 or box[1] < 0 or box[0] + box[2] > width or box[1] + box[3] > height:
        return math.nan
    seen = math.log(axes.eye_mouth / axes.inter_eye) + BOX_WEIGHT * math.log(max(1, box[3]) / max(1, box[2]))
    return math.exp((seen - AVERAGE_FACE) * STRETCH_SEEN)


def measure_detail(face: Image, landmarks: Floats) -> float:
    """The distance between the eyes, in pixels, that the picture's detail is worth; infinite where it is worth all of
    its pixels. BGR uint8 (h, w, 3), landmarks in its pixels."""
    grey = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY).astype(np.float32)
    between_eyes = _Axes.of(landmarks).inter_eye
    if float(grey.std()) < MIN_CONTRAST:
        return math.inf
    filled = min(_filled(grey, axis) for axis in (0, 1))
    if filled < FILLED:
        return filled * between_eyes
    return next(
        (px for px in DETAIL_PX if px < between_eyes and _loss(grey, px / between_eyes) < DETAIL_LOSS), math.inf
    )


def _filled(grey: Floats, axis: int) -> float:
    """The share of the steps from row to row (axis 0) or column to column that the differences are spread over."""
    steps = np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis, dtype=np.float64)
    return float(steps.sum() ** 2 / max(1e-9, (steps**2).sum()) / max(1, len(steps)))


def _loss(grey: Floats, scale: float) -> float:
    """What is lost of the contrast when the face is reduced by that scale and enlarged again."""
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    again = cv2.resize(small, grey.shape[::-1], interpolation=cv2.INTER_CUBIC)
    inner = tuple(slice(side // INNER, side - side // INNER) for side in grey.shape)
    return float((grey - again)[inner].std() / max(MIN_CONTRAST, float(grey[inner].std())))


@dataclass(frozen=True, slots=True, eq=False)
class _Axes:
    """The face's own directions (unit vectors) and distances in pixels, from the middle of the eyes."""

    eyes: Floats
    across: Floats
    down: Floats
    inter_eye: float
    eye_mouth: float

    @classmethod
    def of(cls, landmarks: Floats) -> _Axes:
        eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
        between = landmarks[1] - landmarks[0]
        inter_eye = max(1.0, float(np.hypot(*between)))
        across = between / inter_eye
        down = np.array([-across[1], across[0]], np.float32)
        return cls(eyes, across, down, inter_eye, max(1.0, float((mouth - eyes) @ down)))


def linear_luminance(face: Image) -> NDArray[np.uint8]:
    """Luminance (h, w) in 256 levels, linear in light, of sRGB pixels."""
    return np.rint(cv2.transform(cv2.LUT(face, LINEAR), LUMINANCE_OF_BGR)).astype(np.uint8)


def measure_light(luminance: NDArray[np.uint8]) -> dict[str, float]:
    """By the histogram within the ellipse that fills the box (a proxy for the face's outline)."""
    height, width = luminance.shape
    mask = np.zeros_like(luminance)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, 255, cv2.FILLED)
    shares = _histogram(luminance, mask)
    levels = np.arange(LEVELS) / (LEVELS - 1)
    mean = float(shares @ levels)
    filled = shares[shares > 0]
    return {
        "UnderExposurePrevention": float(shares[DARK_LEVELS].sum()),
        "OverExposurePrevention": float(shares[LIGHT_LEVELS].sum()),
        "LuminanceMean": mean,
        "LuminanceVariance": float(shares @ (levels - mean) ** 2),
        "DynamicRange": float(-(filled * np.log2(filled)).sum()),
    }


def compare_cheeks(luminance: NDArray[np.uint8], landmarks: Floats) -> float:
    """How much of the two cheeks' histograms of luminance coincides, 0 to 1; NaN when a cheek is not in the photo."""
    axes = _Axes.of(landmarks)
    side = max(1, int(CHEEK_SIDE * axes.inter_eye))
    below = axes.down * (axes.eye_mouth + side) / 2
    outward = axes.across * side / 2
    cheeks = [
        _square(luminance, centre, side) for centre in (landmarks[0] + below - outward, landmarks[1] + below + outward)
    ]
    if not all(cheek.size for cheek in cheeks):
        return math.nan
    one, other = (_histogram(cheek, None) for cheek in cheeks)
    return float(np.minimum(one, other).sum())


def _square(image: NDArray[np.uint8], centre: Floats, side: int) -> NDArray[np.uint8]:
    x, y = (round(float(middle) - side / 2) for middle in centre)
    return image[max(0, y) : max(0, y + side), max(0, x) : max(0, x + side)]


def _histogram(image: NDArray[np.uint8], mask: NDArray[np.uint8] | None) -> NDArray[np.float64]:
    """Shares (256,) that add up to 1."""
    counts = cv2.calcHist([image], [0], mask, [LEVELS], [0, LEVELS]).ravel().astype(np.float64)
    return np.asarray(counts / max(1.0, counts.sum()))


def measure_sharpness(face: Image) -> float:
    """How much of the face's detail one more blur takes away, 0 to 1: a proxy for the standard's random forest.

    After Crete et al., "The blur effect" (2007), on the face as large as the networks see it; contrast and brightness
    cancel out.
    """
    grey = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
    scale = WORKING_SIDE_PX / max(grey.shape)
    sized = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    rows, columns = (slice(side // INNER, side - side // INNER) for side in sized.shape)
    inner = cv2.GaussianBlur(sized[rows, columns], (3, 3), 0).astype(np.float32)  # noise is no detail
    blurred = np.asarray(cv2.blur(inner, (REBLUR_PX, REBLUR_PX)), np.float32)
    return 1 - _detail(blurred) / max(_detail(inner), 1e-6)


def _detail(grey: Floats) -> float:
    """The mean step between neighbouring pixels."""
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())
