"""Cut rectangles out of images; a rectangle may reach beyond the image."""

from __future__ import annotations

import numpy as np

from app.records import Image


def crop_inside(image: Image, x: int, y: int, width: int, height: int) -> Image:
    """Return a view of the part of the rectangle that lies inside the image; its sides may be 0."""
    return image[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]


def crop_with_black(image: Image, x: int, y: int, width: int, height: int) -> Image:
    """Return the whole rectangle (height, width, 3), black where it reaches beyond the image."""
    inside = crop_inside(image, x, y, width, height)
    top, left = min(max(0, -y), height), min(max(0, -x), width)
    bottom, right = height - top - inside.shape[0], width - left - inside.shape[1]
    if (top, left, bottom, right) == (0, 0, 0, 0):
        return inside
    canvas = np.zeros((height, width, image.shape[2]), np.uint8)
    canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return canvas
