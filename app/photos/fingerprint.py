"""Describes a picture so that the same one is recognised in another size, quality or file."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.image_scaling import reduce
from app.records import Image, Picture

SAMPLED_SIDE_PX, HASHED_SIDE_PX = 256, 64  # at least; the hash reduces further, to 32 x 32
GREY_SIDE = 24
MIN_SPREAD = 4.0  # grey levels: in an empty picture noise must not count as a difference
QUANTILE = 0.98


def describe_picture(image: Image) -> Picture:
    """Describe a picture, BGR uint8 (h, w, 3), by a hash and by grey pixels.

    The hash (OpenCV's pHash, of the DCT's low frequencies) differs in a few bits when a picture is saved again, and
    hardly more between two people in front of the same background. The grey pixels tell those apart.
    """
    step = max(1, min(image.shape[:2]) // SAMPLED_SIDE_PX)
    sampled = np.ascontiguousarray(image[::step, ::step])  # averaging all of a large photo takes milliseconds
    small = reduce(sampled, min(sampled.shape[:2]) // HASHED_SIDE_PX)
    all_grey = cv2.cvtColor(sampled, cv2.COLOR_BGR2GRAY)  # `small` lacks the last rows and columns
    grey = cv2.resize(all_grey, (GREY_SIDE, GREY_SIDE), interpolation=cv2.INTER_AREA)
    return Picture(int.from_bytes(cv2.img_hash.pHash(small).tobytes(), "big"), grey.tobytes())


def grey_distances(picture: Picture, others: Sequence[Picture]) -> NDArray[np.float64]:
    """Return how far each of `others` is from the picture: the difference that 98 % of the grey pixels keep within, in
    standard deviations, after brightness and contrast are evened out."""
    pixels = np.frombuffer(b"".join(each.grey for each in (picture, *others)), np.uint8).astype(np.float64)
    pixels = pixels.reshape(len(others) + 1, -1)
    spread = np.maximum(pixels.std(axis=1, keepdims=True), MIN_SPREAD)
    evened = (pixels - pixels.mean(axis=1, keepdims=True)) / spread
    return np.asarray(np.quantile(np.abs(evened[1:] - evened[0]), QUANTILE, axis=1))
