"""Cuts a face out as the network wants it: an image and a region come in, aligned and letterboxed pixels go out.

Alignment and letterbox are DeepFace's own.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from app.core.image_scaling import reduce
from app.faces.deepface_api import FacialAreaRegion, detection, modeling, preprocessing
from app.records import Image

CUBIC_REACH_PX = 3  # interpolation looks two pixels further, and the middle of an odd side is half a pixel off


def find_eyes(image: Image, region: FacialAreaRegion) -> FacialAreaRegion:
    """The region of a detector that gives no eyes, with those that DeepFace finds in it; perhaps there are none."""
    x, y, width, height = (int(side) for side in (region.x, region.y, region.w, region.h))
    eyes = modeling.build_model("face_detector", "opencv").find_eyes(crop_with_black(image, x, y, width, height))
    left, right = (None if eye is None else (eye[0] + x, eye[1] + y) for eye in eyes)
    return dataclasses.replace(region, left_eye=left, right_eye=right)


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
