"""What makes two photos the same picture: content and pixels come in, a checksum and a perceptual hash go out."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.image_scaling import reduce
from app.records import Image, Picture

SAMPLED_SIDE_PX, HASHED_SIDE_PX = 256, 64  # the hash itself looks at 32 x 32
GREY_SIDE = 24
MIN_SPREAD = 4.0  # grey levels: an empty picture has none, and noise is no difference
WITHIN = 0.98


def describe_picture(image: Image) -> Picture:
    """The picture, whatever its size and quality.

    The hash (OpenCV's pHash, of the DCT's low frequencies) differs in a few bits when a picture was saved anew, but
    hardly more between two people before the same background: the grey pixels tell those apart.
    """
    step = max(1, min(image.shape[:2]) // SAMPLED_SIDE_PX)
    sampled = np.ascontiguousarray(image[::step, ::step])  # averaging all of a large photo would take milliseconds
    small = reduce(sampled, min(sampled.shape[:2]) // HASHED_SIDE_PX)
    all_grey = cv2.cvtColor(sampled, cv2.COLOR_BGR2GRAY)  # all of it: `small` leaves out what fills no whole square
    grey = cv2.resize(all_grey, (GREY_SIDE, GREY_SIDE), interpolation=cv2.INTER_AREA)
    return Picture(int.from_bytes(cv2.img_hash.pHash(small).tobytes(), "big"), grey.tobytes())


def grey_distances(picture: Picture, others: Sequence[Picture]) -> NDArray[np.float64]:
    """How far each of the others is from the picture, in the grey pixels' standard deviations, brightness and contrast
    evened out: what all but the worst two of a hundred pixels keep within."""
    pixels = np.frombuffer(b"".join(each.grey for each in (picture, *others)), np.uint8).astype(np.float64)
    pixels = pixels.reshape(len(others) + 1, -1)
    spread = np.maximum(pixels.std(axis=1, keepdims=True), MIN_SPREAD)
    evened = (pixels - pixels.mean(axis=1, keepdims=True)) / spread
    return np.asarray(np.quantile(np.abs(evened[1:] - evened[0]), WITHIN, axis=1))
