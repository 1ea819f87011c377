"""Measure each of `quality.COMPONENTS` of a face, from the photo, the face's box and five landmarks.

The measures are those of ISO/IEC 29794-5:2025. Where the standard needs a model, a proxy stands in and says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.image_scaling import reduce
from app.faces.quality import COMPONENTS, Values
from app.faces.regions import crop_inside
from app.records import Image

Floats = NDArray[np.float32]

# An average head, seen from the front; docs/quality.md names the source of each number.
CHIN_TO_MOUTH = 1.79  # from the eyes to the chin, in distances from the eyes to the mouth
NOSE_PROTRUSION = 0.4  # of the tip of the nose from the plane of eyes and mouth, in distances between the eyes
NOSE_HEIGHT = 0.6  # of the tip of the nose, on the way from the eyes to the mouth
# Of `stretch_signs`, for the logarithm of the stretch; `benchmarks.fit_stretch` fits them.
STRETCH_WEIGHTS = np.array([-0.437, 0.392, 1.306, 0.899, -1.84, -0.166, 1.621])
MAX_LEAN = 0.13  # a head that is turned and bent leans in the picture, too: that alone must not refuse it

WORKING_SIDE_PX = 160  # of the face when light and sharpness are measured: about what the networks see
CHEEK_SIDE = 0.3  # of the squares on the cheeks, in distances between the eyes
LEVELS = 256  # of linear luminance
DARK_LEVELS, LIGHT_LEVELS = slice(0, 26), slice(247, 256)
SRGB = np.arange(LEVELS) / 255
# IEC 61966-2-1's curve.
LINEAR = np.where(SRGB <= 0.04045, SRGB / 12.92, ((SRGB + 0.055) / 1.055) ** 2.4).astype(np.float32) * 255  # noqa: PLR2004
LUMINANCE_OF_BGR = np.array([[0.0722, 0.7152, 0.2126]], np.float32)
REBLUR_PX = 9
# An enlarged picture has many pixels and the detail of the smaller one. If it was enlarged smoothly, it hardly changes
# when it is reduced to DETAIL_PX between the eyes and enlarged again: at 20 pixels, photos lose 0.149 or more of their
# contrast, enlarged faces of 20 pixels at most 0.134. If its pixels were repeated, few of the steps between columns or
# rows hold all differences: they fill 0.6 or more of a photo's steps, at most 0.4 of such a face's.
DETAIL_PX, DETAIL_LOSS, FILLED = (13.0, 20.0), 0.14, 0.5
MIN_CONTRAST = 2.0  # grey levels: with less there is no detail to count
INNER = 8  # sharpness leaves out an eighth on each side, which is background


@dataclass(frozen=True, slots=True, eq=False)
class FaceView:
    """A face in its photo. `image`: BGR uint8 with the face upright, reduced from the original by `reduction` in each
    direction; `box` (x, y, width, height) and `landmarks` (5, 2) in its pixels, landmarks in the order of
    `PhotoAnalysis`, None when the detector gives none; `areas` of all detected faces, the chosen one first."""

    image: Image
    box: tuple[int, int, int, int]
    landmarks: Floats | None = None
    reduction: int = 1
    areas: tuple[float, ...] = (1.0,)


def measure(view: FaceView) -> Values:
    """Measure every component; NaN where the photo or the detector does not allow it."""
    rival = math.sqrt(min(1.0, max(view.areas[1:], default=0.0) / max(view.areas[0], 1.0)))
    values, detail_px = {"SingleFacePresent": rival}, math.inf  # the largest other face's side, of the chosen one's
    x, y, width, height = view.box
    face = crop_inside(view.image, x, y, width, height)
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


def measure_geometry(view: FaceView, landmarks: Floats) -> dict[str, float]:
    """Measure pose (degrees), sizes and margins. Yaw, pitch (both by the tip of the nose) and the chin are proxies."""
    axes = _Axes(landmarks)
    nose_height = float((landmarks[2] - axes.eyes) @ axes.down)
    pitch = math.atan2(NOSE_HEIGHT * axes.eye_mouth - nose_height, NOSE_PROTRUSION * axes.eye_mouth)
    height, width = view.image.shape[:2]
    chin = CHIN_TO_MOUTH * axes.eye_mouth
    return {
        "InterEyeDistance": view.reduction * axes.inter_eye / math.cos(axes.yaw),
        "HeadPoseRoll": math.degrees(math.atan2(axes.across[1], axes.across[0])),
        "HeadPoseYaw": math.degrees(axes.yaw),
        "HeadPosePitch": math.degrees(pitch),
        "PixelAspectRatio": _stretch(landmarks, view),
        "HeadSize": chin / height,
        "LeftwardCropOfTheFaceImage": float(landmarks[0, 0]) / axes.inter_eye,
        "RightwardCropOfTheFaceImage": (width - float(landmarks[1, 0])) / axes.inter_eye,
        "MarginAboveOfTheFaceImage": float(axes.eyes[1]) / chin,
        "MarginBelowOfTheFaceImage": (height - float(axes.eyes[1])) / chin,
    }


def _stretch(landmarks: Floats, view: FaceView) -> float:
    """Estimate how many times higher than wide the photo's pixels are, a proxy: 1 for an average face in an unchanged
    photo. NaN for a face that the border cuts."""
    x, y, w, h = view.box
    height, width = view.image.shape[:2]
    if x < 0 or y < 0 or x + w > width or y + h > height:
        return math.nan
    return math.exp(stretch_signs(landmarks, w, h) @ STRETCH_WEIGHTS)


def stretch_signs(landmarks: Floats, width: int, height: int) -> NDArray[np.float64]:
    """Measure where a stretch shows: in the proportions of a face and of MTCNN's box around it, `width` and `height`
    pixels large, and in a tilted head, since it turns the line from the eyes to the mouth out of its right angle: the
    lean. Tilt and turn change the proportions, too. Return (7,): 1, the logarithms of both proportions, sin^2 of the
    roll alone and times the box's, sin^2 of the yaw, and the lean."""
    axes = _Axes(landmarks)
    cosine, sine = map(float, axes.across)
    proportions, box = math.log(axes.eye_mouth / axes.inter_eye), math.log(max(1, height) / max(1, width))
    lean = 2 * sine * cosine * float((landmarks[3:].mean(axis=0) - axes.eyes) @ axes.across) / axes.eye_mouth
    lean = min(max(lean, -MAX_LEAN), MAX_LEAN)
    return np.array([1.0, proportions, box, sine**2, box * sine**2, math.sin(axes.yaw) ** 2, lean])


def measure_detail(face: Image, landmarks: Floats) -> float:
    """Return the distance between the eyes (pixels) at which the picture would still have all its detail; infinite
    where it was not enlarged. `face` is BGR uint8 (h, w, 3), landmarks in its pixels."""
    grey = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY).astype(np.float32)
    inter_eye = _Axes(landmarks).inter_eye
    if float(grey.std()) < MIN_CONTRAST:
        return math.inf
    filled = min(_filled(grey, axis) for axis in (0, 1))
    if filled < FILLED:
        return filled * inter_eye
    return next((px for px in DETAIL_PX if px < inter_eye and _loss(grey, px / inter_eye) < DETAIL_LOSS), math.inf)


def _filled(grey: Floats, axis: int) -> float:
    """Return over which fraction of the steps between rows (axis 0) or columns (axis 1) the differences are spread."""
    steps = np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis, dtype=np.float64)
    return float(steps.sum() ** 2 / max(1e-9, (steps**2).sum()) / max(1, len(steps)))


def _loss(grey: Floats, scale: float) -> float:
    """Return which fraction of the contrast is lost when the face is reduced by that scale and enlarged again."""
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    again = cv2.resize(small, grey.shape[::-1], interpolation=cv2.INTER_CUBIC)
    inner = tuple(slice(side // INNER, side - side // INNER) for side in grey.shape)
    return float((grey - again)[inner].std() / max(MIN_CONTRAST, float(grey[inner].std())))


class _Axes:
    """The face's own directions (unit vectors), distances (pixels) and yaw (radians, by the tip of the nose); `eyes` is
    the middle between the eyes."""

    def __init__(self, landmarks: Floats) -> None:
        between = landmarks[1] - landmarks[0]
        self.eyes = landmarks[:2].mean(axis=0)
        self.inter_eye = max(1.0, float(np.hypot(*between)))
        self.across = between / self.inter_eye
        self.down = np.array([-self.across[1], self.across[0]], np.float32)
        self.eye_mouth = max(1.0, float((landmarks[3:].mean(axis=0) - self.eyes) @ self.down))
        aside = float((landmarks[2] - self.eyes) @ self.across)
        self.yaw = math.atan2(aside, NOSE_PROTRUSION * self.inter_eye)


def linear_luminance(face: Image) -> NDArray[np.uint8]:
    """Compute the luminance (h, w) of sRGB pixels in 256 levels, linear in light."""
    return np.rint(cv2.transform(cv2.LUT(face, LINEAR), LUMINANCE_OF_BGR)).astype(np.uint8)


def measure_light(luminance: NDArray[np.uint8]) -> dict[str, float]:
    """Measure exposure and contrast by the histogram within the box's ellipse, a proxy for the face's outline."""
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
    """Return how far the two cheeks' histograms of luminance coincide, 0 to 1; NaN when a cheek is not in the photo."""
    axes = _Axes(landmarks)
    side = max(1, int(CHEEK_SIDE * axes.inter_eye))
    below = axes.down * (axes.eye_mouth + side) / 2
    outward = axes.across * side / 2
    cheeks = []
    for centre in (landmarks[0] + below - outward, landmarks[1] + below + outward):
        x, y = (round(float(middle) - side / 2) for middle in centre)
        cheeks.append(crop_inside(luminance, x, y, side, side))
    if not all(cheek.size for cheek in cheeks):
        return math.nan
    one, other = (_histogram(cheek, None) for cheek in cheeks)
    return float(np.minimum(one, other).sum())


def _histogram(image: NDArray[np.uint8], mask: NDArray[np.uint8] | None) -> NDArray[np.float64]:
    """Compute the fraction (256,) of the pixels at each level, within the mask."""
    counts = cv2.calcHist([image], [0], mask, [LEVELS], [0, LEVELS]).ravel().astype(np.float64)
    return np.asarray(counts / max(1.0, counts.sum()))


def measure_sharpness(face: Image) -> float:
    """Return which fraction of the face's detail one more blur takes away, 0 to 1: a proxy, after Crete et al., "The
    blur effect" (2007). Contrast and brightness cancel out."""
    grey = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
    scale = WORKING_SIDE_PX / max(grey.shape)
    sized = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    rows, columns = (slice(side // INNER, side - side // INNER) for side in sized.shape)
    inner = cv2.GaussianBlur(sized[rows, columns], (3, 3), 0).astype(np.float32)  # noise must not count as detail
    blurred = np.asarray(cv2.blur(inner, (REBLUR_PX, REBLUR_PX)), np.float32)
    return 1 - _detail(blurred) / max(_detail(inner), 1e-6)


def _detail(grey: Floats) -> float:
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())
