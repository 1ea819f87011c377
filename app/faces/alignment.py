"""Cut a face out of an image as the recognition network needs it, with DeepFace's alignment and letterbox to the last
bit, so that vectors match those of the recognition service.
"""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
from deepface.modules import preprocessing  # reads no environment, so it need not come through deepface_api
from numpy.typing import NDArray

from app.core.image_scaling import reduce
from app.faces.deepface_api import FacialAreaRegion, modeling
from app.faces.regions import box_of, crop_with_black
from app.records import Image

Point = tuple[float, float]  # x, y in pixels

CUBIC_REACH_PX = 3  # interpolation looks two pixels further, and the middle of an odd side is half a pixel off


def find_eyes(image: Image, region: FacialAreaRegion) -> FacialAreaRegion:
    """Return the region with the eyes that DeepFace's own eye detector finds in it; None for an eye that it does not
    find. For detectors that give no eyes. Not safe to call from several threads at once."""
    x, y, width, height = box_of(region)
    eyes = modeling.build_model("face_detector", "opencv").find_eyes(crop_with_black(image, x, y, width, height))
    left, right = (None if eye is None else (eye[0] + x, eye[1] + y) for eye in eyes)
    return dataclasses.replace(region, left_eye=left, right_eye=right)


def align_face(image: Image, region: FacialAreaRegion, input_side_px: int) -> Image:
    """Turn the face until its eyes are level and cut its box out (BGR uint8), as DeepFace's `extract_face` does; black
    where the photo ends. `input_side_px` is the longer side of the network's input."""
    # Turning a large face at full size costs more and gives the network nothing.
    factor = max(1, int(max(region.w, region.h) / input_side_px))
    width, height = round(region.w / factor), round(region.h / factor)
    margin_x, margin_y = turning_margins(width, height, region)
    left, top = int(region.x) - margin_x * factor, int(region.y) - margin_y * factor
    around_size = (width + 2 * margin_x) * factor, (height + 2 * margin_y) * factor
    around = crop_with_black(image, left, top, *around_size)
    turned = level_eyes(reduce(around, factor), region.left_eye, region.right_eye)
    return np.asarray(turned[margin_y : margin_y + height, margin_x : margin_x + width], np.uint8)


def level_eyes(image: Image, left_eye: Point | None, right_eye: Point | None) -> Image:
    """Turn the image around its middle until the eyes (x, y) are level, as DeepFace's `align_img_wrt_eyes` does. Its
    module is not used for this: importing it brings gdown, BeautifulSoup and a web server."""
    if left_eye is None or right_eye is None or not image.size:
        return image
    across, down = np.subtract(left_eye, right_eye)
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D((width // 2, height // 2), float(np.degrees(np.arctan2(down, across))), 1.0)
    return np.asarray(cv2.warpAffine(image, turn, (width, height), flags=cv2.INTER_CUBIC), np.uint8)


def turning_margins(width: int, height: int, region: FacialAreaRegion) -> tuple[int, int]:
    """Compute how many pixels beyond the box are needed, in x and in y, to turn it until the region's eyes are level.
    DeepFace always turns twice the box's size instead: the same pixels at three times the cost."""
    if region.left_eye is None or region.right_eye is None:
        return 0, 0
    across, down = (abs(side) for side in np.subtract(region.left_eye, region.right_eye))
    cosine, sine = np.array([across, down]) / (math.hypot(across, down) or 1)
    beyond = (width * cosine + height * sine - width, height * cosine + width * sine - height)
    return tuple(
        min(side // 2, math.ceil(max(0, extra) / 2) + CUBIC_REACH_PX)
        for side, extra in zip((width, height), beyond, strict=True)
    )


def letterbox(pixels: Image, input_size: tuple[int, int]) -> NDArray[np.float32]:
    """Scale the face into (height, width) with black around it: float32 in [0, 1], by DeepFace's `resize_image`."""
    return np.asarray(preprocessing.resize_image(pixels.astype(np.float32) / 255, input_size)[0], np.float32)
