"""The pictures of `tiny_faces` as files."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tests.support.pictures import encode_picture
from tests.support.tiny_faces import BLOCK_PX, blocks_of

QUALITY = 95


@lru_cache(maxsize=1024)
def draw(number: int, *, face: bool = True, quality: int = QUALITY, padding: int = 0) -> bytes:
    """Draw the picture as a JPEG file; `padding` bytes are added at its end to change its size."""
    grey = np.kron(blocks_of(number), np.ones((BLOCK_PX, BLOCK_PX), np.uint8))
    image = np.stack([grey, *[grey if face else np.zeros_like(grey)] * 2], axis=2)
    return encode_picture(image, quality=quality) + b"." * padding
