"""Shrink images by whole factors."""

from __future__ import annotations

import cv2
import numpy as np

from app.records import Image


def reduce(image: Image, factor: int) -> Image:
    """Average each square of `factor` x `factor` pixels to one; an incomplete last row or column is cut off. Whole
    factors are exact, and ten times as fast as others."""
    if factor <= 1:
        return image
    rows, columns = (max(1, side // factor) for side in image.shape[:2])
    whole = image[: rows * factor, : columns * factor]
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
