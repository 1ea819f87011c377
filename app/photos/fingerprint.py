"""What makes two photos the same picture: content and pixels come in, a checksum and a perceptual hash go out."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from app.core.pixels import reduce
from app.records import Image

SAMPLED_SIDE_PX, HASHED_SIDE_PX = 256, 64  # the hash itself looks at 32 x 32


def checksum(content: bytes) -> str:
    """SHA-256, hexadecimal: the same file."""
    return hashlib.sha256(content).hexdigest()


def perceptual_hash(image: Image) -> int:
    """64 bits of the picture's coarse structure (OpenCV's pHash, of the DCT's low frequencies): a picture saved
    anew, at another size or quality, differs in a few bits; another one in about half of them."""
    step = max(1, min(image.shape[:2]) // SAMPLED_SIDE_PX)
    sampled = np.ascontiguousarray(image[::step, ::step])  # averaging all of a large photo would take milliseconds
    small = reduce(sampled, min(sampled.shape[:2]) // HASHED_SIDE_PX)
    return int.from_bytes(cv2.img_hash.pHash(small).tobytes(), "big")
