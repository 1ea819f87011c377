"""Arithmetic on the face regions that detectors return, a box and up to five landmarks in pixels, and cutting out.

DeepFace names landmarks from the person's side: `left_eye` lies to the right of `right_eye` in an upright photo.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.faces.deepface_api import FacialAreaRegion
from app.records import Image

Box: TypeAlias = tuple[float, float, float, float]  # x, y, width, height
Point: TypeAlias = tuple[float, ...]  # x, y


def area(region: FacialAreaRegion) -> float:
    return float(region.w * region.h)


def sort_by_size(regions: Sequence[FacialAreaRegion]) -> list[FacialAreaRegion]:
    """Sort regions by the area of their boxes, the largest first."""
    return sorted(regions, key=area, reverse=True)


def box_of(region: FacialAreaRegion) -> tuple[int, int, int, int]:
    """Return the box as (x, y, width, height)."""
    return int(region.x), int(region.y), int(region.w), int(region.h)


def landmarks_of(region: FacialAreaRegion) -> NDArray[np.float32] | None:
    """Return the landmarks as (5, 2) in the order of `PhotoAnalysis.landmarks`; None unless the detector gave all."""
    # PhotoAnalysis names both sides as an onlooker sees them, DeepFace as the person does.
    points = (region.right_eye, region.left_eye, region.nose, region.mouth_right, region.mouth_left)
    return None if any(point is None for point in points) else np.array(points, np.float32)


def map_landmarks(region: FacialAreaRegion, place: Callable[[Point], Point]) -> dict[str, Any]:
    """Apply `place` to each landmark; those that the detector did not give stay None."""
    names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    return {name: (point := getattr(region, name)) and place(point) for name in names}


def move_region(region: FacialAreaRegion, left: int, top: int, factor: int = 1) -> FacialAreaRegion:
    """Return the region of a copy, enlarged `factor` times and then padded on the left and on top, in pixels of the
    image that was copied."""
    x, y = round((region.x - left) / factor), round((region.y - top) / factor)
    w, h = round(region.w / factor), round(region.h / factor)
    landmarks = map_landmarks(region, lambda point: ((point[0] - left) / factor, (point[1] - top) / factor))
    return dataclasses.replace(region, x=x, y=y, w=w, h=h, **landmarks)


def overlap(one: Box, other: Box) -> float:
    """Compute the intersection of two boxes (x, y, width, height) as a fraction of the smaller one."""
    (left, top, width, height), (x, y, w, h) = one, other
    across = min(left + width, x + w) - max(left, x)
    down = min(top + height, y + h) - max(top, y)
    return float(max(0, across) * max(0, down) / min(width * height, w * h))


def turn_points_back(points: NDArray[Any], quarter_turns: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """Map points (n, 2) of an image that was turned anticlockwise to the unturned image of that shape (h, w, ...)."""
    height, width = shape[:2]
    x, y = points.T
    places = ((x, y), (width - 1 - y, x), (width - 1 - x, height - 1 - y), (y, height - 1 - x))
    return np.stack(places[quarter_turns % 4], axis=1)


def turn_box_back(region: FacialAreaRegion, quarter_turns: int, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the box (x, y, width, height) that a region of the turned image has in the unturned one."""
    x, y, width, height = box_of(region)
    # By the box's first and last pixel: points are the middles of pixels, a box lies between their edges.
    corners = turn_points_back(np.array([(x, y), (x + width - 1, y + height - 1)]), quarter_turns, shape)
    (left, top), (across, down) = corners.min(axis=0).tolist(), (np.ptp(corners, axis=0) + 1).tolist()
    return left, top, across, down


def turn_region_back(region: FacialAreaRegion, quarter_turns: int, shape: tuple[int, ...]) -> FacialAreaRegion:
    """Return the region of the turned image in pixels of the unturned one."""
    x, y, width, height = turn_box_back(region, quarter_turns, shape)
    landmarks = map_landmarks(region, lambda point: tuple(turn_points_back(np.array([point]), quarter_turns, shape)[0]))
    return dataclasses.replace(region, x=x, y=y, w=width, h=height, **landmarks)


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
