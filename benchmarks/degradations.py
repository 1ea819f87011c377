"""Spoils a photo step by step, each time in one way: a photo and its face come in, the worse photo goes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from app.faces.quality_measures import CHIN_TO_MOUTH, LINEAR, NOSE_HEIGHT, FaceView
from app.records import Image

Floats = NDArray[np.float32]
Spoil = Callable[[FaceView, float], Image]
HEAD_WIDTH, HEAD_DEPTH = 1.2, 1.0  # half axes of the ellipsoid that stands for a head, in distances between the eyes
NOSE_RADIUS, NOSE_BUMP = 0.25, 0.3
CENTRE_BELOW_EYES = 0.2  # of the head, where it turns


@dataclass(frozen=True, slots=True)
class Degradation:
    """`strengths` from mild to severe, in `unit`; `components` are those that should notice."""

    spoil: Spoil
    unit: str
    strengths: tuple[float, ...]
    components: tuple[str, ...]


def blur(view: FaceView, percent: float) -> Image:
    """Out of focus by a Gaussian, its deviation in percent of the face's width."""
    return _image(cv2.GaussianBlur(view.image, (0, 0), view.box[2] * percent / 100))


def shrink(view: FaceView, inter_eye_px: float) -> Image:
    scale = inter_eye_px / np.hypot(*(_points(view)[1] - _points(view)[0]))
    return (
        _image(cv2.resize(view.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        if scale < 1
        else view.image
    )


def expose(view: FaceView, times: float) -> Image:
    """That many times the light; what is too much or too little for 256 levels is lost."""
    return _image(cv2.LUT(view.image, _encode(LINEAR / 255 * times)))


def flatten(view: FaceView, times: float) -> Image:
    """The contrast, around mid-grey."""
    return _image(np.rint(128 + (view.image.astype(np.float32) - 128) * times))


def shade(view: FaceView, times: float) -> Image:
    """One half of the face gets that many times the light, with a soft border."""
    middle, width = _points(view)[:2, 0].mean(), view.box[2]
    side = 1 / (1 + np.exp(-(np.arange(view.image.shape[1]) - middle) / (0.08 * width)))
    light = cv2.LUT(view.image, LINEAR) / 255 * (1 - (1 - times) * side)[None, :, None]
    return _encode(light)


def roll(view: FaceView, degrees: float) -> Image:
    height, width = view.image.shape[:2]
    x, y, w, h = view.box
    turn = cv2.getRotationMatrix2D((x + w / 2, y + h / 2), degrees, 1.0)
    return _image(cv2.warpAffine(view.image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE))


def turn(view: FaceView, degrees: float, axis: int) -> Image:
    """The head turned as an ellipsoid with a nose would be (axis 0: yaw, 1: pitch); what turns away is hidden."""
    eyes, inter_eye = _points(view)[:2].mean(axis=0), float(np.hypot(*(_points(view)[1] - _points(view)[0])))
    height, width = view.image.shape[:2]
    centre = eyes + np.float32([0, CENTRE_BELOW_EYES * inter_eye])
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
    place = (grid - centre) / inter_eye
    angle = np.radians(degrees)
    reached = (place[..., axis] * np.cos(angle) + _depth(place) * np.sin(angle)) * inter_eye + centre[axis]
    # Where the surface folds back, what lies behind is not seen.
    along = 1 - axis
    if degrees > 0:
        reached = np.maximum.accumulate(reached, axis=along)
    else:
        reached = np.flip(np.minimum.accumulate(np.flip(reached, along), axis=along), along)
    lines = reached if axis == 0 else reached.T
    wanted = np.arange(lines.shape[1])
    source = np.array([np.interp(wanted, line, wanted) for line in lines], np.float32)
    grid[..., axis] = source if axis == 0 else source.T
    return _image(cv2.remap(view.image, grid, None, cv2.INTER_LINEAR))


def crop_left(view: FaceView, inter_eyes: float) -> Image:
    """The photo ends that many distances between the eyes to the left of the left eye."""
    left, right = _points(view)[:2, 0]
    return view.image[:, max(0, int(left - inter_eyes * (right - left))) :]


def crop_above(view: FaceView, heads: float) -> Image:
    """The photo ends that many distances from the eyes to the chin above the eyes."""
    eyes, chin = _eyes_and_chin(view)
    return view.image[max(0, int(eyes - heads * chin)) :]


def crop_below(view: FaceView, heads: float) -> Image:
    eyes, chin = _eyes_and_chin(view)
    return view.image[: int(eyes + heads * chin)]


def add_noise(view: FaceView, levels: float) -> Image:
    noise = np.random.default_rng(0).normal(0, levels, view.image.shape)
    return _image(np.rint(view.image + noise))


def compress(view: FaceView, quality: float) -> Image:
    encoded = cv2.imencode(".jpg", view.image, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return _image(cv2.imdecode(encoded, cv2.IMREAD_COLOR))


LIGHT = ("LuminanceMean", "LuminanceVariance", "DynamicRange")
DEGRADATIONS: Mapping[str, Degradation] = {
    "blur": Degradation(blur, "% of the face", (1, 2, 3, 4, 5, 6, 8), ("Sharpness",)),
    "small": Degradation(
        shrink, "px between the eyes", (60, 40, 30, 20, 15, 12, 10), ("InterEyeDistance", "Sharpness")
    ),
    "dark": Degradation(
        expose, "times the light", (0.5, 0.25, 0.12, 0.06, 0.03, 0.015), ("UnderExposurePrevention", *LIGHT)
    ),
    "light": Degradation(expose, "times the light", (1.5, 2, 3, 4, 6, 10), ("OverExposurePrevention", *LIGHT)),
    "flat": Degradation(flatten, "times the contrast", (0.6, 0.4, 0.2, 0.1, 0.05, 0.03), LIGHT),
    "uneven": Degradation(
        shade, "times the light", (0.5, 0.25, 0.1, 0.05, 0.02, 0.01), ("IlluminationUniformity", "LuminanceVariance")
    ),
    "roll": Degradation(roll, "degrees", (15, 30, 45, 60, 75, 90), ("HeadPoseRoll",)),
    "yaw": Degradation(partial(turn, axis=0), "degrees", (10, 20, 30, 40, 50), ("HeadPoseYaw",)),
    "pitch up": Degradation(partial(turn, axis=1), "degrees", (-10, -20, -30, -40, -50), ("HeadPosePitch",)),
    "pitch down": Degradation(partial(turn, axis=1), "degrees", (10, 20, 30, 40, 50), ("HeadPosePitch",)),
    "crop left": Degradation(
        crop_left, "distances between the eyes", (0.8, 0.6, 0.4, 0.2, 0, -0.2), ("LeftwardCropOfTheFaceImage",)
    ),
    "crop above": Degradation(
        crop_above, "eyes to chin", (0.7, 0.5, 0.4, 0.3, 0.2, 0.1, 0), ("MarginAboveOfTheFaceImage",)
    ),
    "crop below": Degradation(
        crop_below, "eyes to chin", (1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4), ("MarginBelowOfTheFaceImage", "HeadSize")
    ),
    "noise": Degradation(add_noise, "levels", (10, 20, 40, 60, 80), ("Sharpness", "DynamicRange")),
    "JPEG": Degradation(compress, "quality", (50, 30, 20, 10, 5), ("Sharpness",)),
}


def _depth(place: Floats) -> Floats:
    """How far before the plane of turning the surface of the head is, at a place counted from its centre."""
    across, down = place[..., 0] / HEAD_WIDTH, place[..., 1] / CHIN_TO_MOUTH
    head = HEAD_DEPTH * np.sqrt(np.maximum(0, 1 - across**2 - down**2))
    to_nose = place - np.float32([0, NOSE_HEIGHT - CENTRE_BELOW_EYES])
    nose = np.exp(-(to_nose**2).sum(axis=-1) / (2 * NOSE_RADIUS**2))
    return np.asarray(head + NOSE_BUMP * nose, np.float32)


def _eyes_and_chin(view: FaceView) -> tuple[float, float]:
    points = _points(view)
    eyes, mouth = points[:2, 1].mean(), points[3:, 1].mean()
    return float(eyes), float(CHIN_TO_MOUTH * (mouth - eyes))


def _points(view: FaceView) -> Floats:
    assert view.landmarks is not None
    return view.landmarks


def _encode(light: NDArray[np.floating]) -> Image:
    """Linear light, 0 to 1, as sRGB levels."""
    bounded = np.clip(light, 0, 1)
    curve = np.where(bounded <= 0.0031308, 12.92 * bounded, 1.055 * bounded ** (1 / 2.4) - 0.055)
    return _image(np.rint(255 * curve))


def _image(pixels: NDArray[np.generic]) -> Image:
    return np.clip(pixels, 0, 255).astype(np.uint8)
