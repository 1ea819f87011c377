"""Small copies for the report: an image comes in, a few kilobytes of JPEG go out."""

from __future__ import annotations

import cv2

from app.core.image_scaling import reduce
from app.records import Image

SIDE_PX = 128  # the longer one
JPEG_QUALITY = 70


def make_thumbnail(image: Image) -> bytes:
    """The whole image, JPEG, at most SIDE_PX long."""
    reduced = reduce(image, max(image.shape[:2]) // (2 * SIDE_PX))  # whole factors are fast; the rest is little
    scale = min(1.0, SIDE_PX / max(reduced.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in reduced.shape[1::-1])
    small = cv2.resize(reduced, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
