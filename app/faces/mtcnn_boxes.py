"""Box arithmetic of MTCNN, without a model.

A candidate is a float64 row (x1, y1, x2, y2, score) in pixels; arrays of candidates are (n, 5). Every rule is that of
the `mtcnn` library 1.0.0, the odd ones too: the `+ 1` in sizes, and suppression by a box that was itself suppressed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SCORE = 4
PNET_CELL_PX = 12  # the side of the square that one P-Net output looks at
PNET_STRIDE_PX = 2
NO_CANDIDATES: Floats = np.empty((0, 5))


def pyramid_scales(short_side_px: int, min_face_px: float, factor: float) -> list[float]:
    """Return the scales of the pyramid's levels: from faces of `min_face_px` up to faces as large as the image."""
    first = PNET_CELL_PX / min_face_px
    count = round(-(np.log(short_side_px / PNET_CELL_PX) / np.log(factor) + 1))
    scales = [float(first * factor**level) for level in range(count)]
    return [scale for scale in scales if int(short_side_px * scale) >= PNET_CELL_PX]


def candidates_from_map(offsets: NDArray[np.float32], score: NDArray[np.float32], threshold: float) -> Floats:
    """Convert P-Net's maps (4, h, w) and (h, w) to the candidates above the threshold, row by row."""
    rows, columns = np.nonzero(score > threshold)
    corner = np.stack([columns, rows], axis=1).astype(np.float64) * PNET_STRIDE_PX + 1
    shift = offsets[:, rows, columns].T
    side = PNET_CELL_PX - 1
    first, second = corner + shift[:, :2] * side, corner + side + shift[:, 2:] * side
    return np.column_stack([first, second, score[rows, columns]])


def overlaps(boxes: Floats, *, of_smaller: bool = False) -> Floats:
    """Compute the pairwise overlap (n, n): intersection over union, or over the smaller of the two boxes."""
    x1, y1, x2, y2 = boxes[:, :4].T
    area = (x2 - x1) * (y2 - y1)
    width = np.minimum.outer(x2, x2) - np.maximum.outer(x1, x1)
    height = np.minimum.outer(y2, y2) - np.maximum.outer(y1, y1)
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    whole = np.minimum.outer(area, area) if of_smaller else np.add.outer(area, area) - shared
    return np.asarray(shared / whole)


def suppress(boxes: Floats, threshold: float, *, of_smaller: bool = False) -> Floats:
    """Drop each box that overlaps a stronger one by more than `threshold`; strongest first."""
    # P-Net's scores saturate at 1.0, so ties are common: this very sort breaks them as the library does.
    ordered = boxes[np.argsort(boxes[:, SCORE])[::-1]]
    beaten = np.triu(overlaps(ordered, of_smaller=of_smaller) > threshold, k=1).any(axis=0)
    return ordered[~beaten]


def to_square(boxes: Floats) -> Floats:
    """Widen each box's shorter side around its centre until it is a square."""
    squared = boxes.copy()
    size = boxes[:, 2:4] - boxes[:, :2]
    largest = size.max(axis=1, keepdims=True, initial=0)
    squared[:, :2] += size * 0.5 - largest * 0.5
    squared[:, 2:4] = squared[:, :2] + largest
    return squared


def move(boxes: Floats, offsets: NDArray[np.float32]) -> Floats:
    """Shift the corners by a net's offsets (n, 4), which are fractions of the box's size."""
    moved = boxes.copy()
    size = boxes[:, 2:4] - boxes[:, :2] + 1
    moved[:, :4] += offsets * np.tile(size, 2)
    return moved


def place_landmarks(boxes: Floats, landmarks: NDArray[np.float32]) -> Floats:
    """Convert O-Net's landmarks (n, 10), fractions x1..x5, y1..y5 of the box, to points (n, 5, 2) in the image."""
    size = boxes[:, None, 2:4] - boxes[:, None, :2] + 1
    points = np.stack([landmarks[:, :5], landmarks[:, 5:]], axis=2)
    return points * size + boxes[:, None, :2] - 1


def sampling_regions(
    boxes: Floats, shape: tuple[int, int], side: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Express TensorFlow's crop_and_resize of `side` x `side` patches in the terms of ONNX's RoiAlign.

    Returns regions (n, 4) whose bins have the sample points as their centres, and a mask (n, 1, side, side): 1 where a
    sample lies inside the image (h, w), else 0.
    """
    extent = np.array([shape[1], shape[0]], np.float64)
    start, end = (corner * (extent - 1) / extent for corner in (boxes[:, :2], boxes[:, 2:4]))
    step = (end - start) / (side - 1)
    samples = start[:, None] + step[:, None] * np.arange(side)[None, :, None]
    valid = (samples >= 0) & (samples <= extent - 1)
    inside = valid[:, None, :, None, 1] & valid[:, None, None, :, 0]
    regions = np.concatenate([start - step / 2, end + step / 2], axis=1)
    return regions.astype(np.float32), inside.astype(np.float32)
