"""Makes the small copies of photos that HR's report shows."""

from __future__ import annotations

import cv2

from app.core.image_scaling import reduce
from app.records import Image

SIDE_PX = 128  # of the longer side
JPEG_QUALITY = 70


def make_thumbnail(image: Image) -> bytes:
    """Encode the whole image, BGR uint8 (h, w, 3), as a JPEG whose longer side has at most SIDE_PX."""
    reduced = reduce(image, max(image.shape[:2]) // (2 * SIDE_PX))  # a whole factor is fast, and leaves little to do
    scale = min(1.0, SIDE_PX / max(reduced.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in reduced.shape[1::-1])
    small = cv2.resize(reduced, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
