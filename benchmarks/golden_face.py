"""Draw `app/faces/golden.jpg`, an invented face; a run embeds it to check that vectors still come out the same.

`python -m benchmarks.golden_face FILE`. The program's file must not be drawn again: galleries hold the vector of its
bytes.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX, OVERSAMPLING = 160, 4
TILT_DEGREES = 6  # so that there is something to align
BACKGROUND, SKIN, SHADE, HAIR = (120, 110, 100), (135, 165, 210), (105, 135, 180), (25, 30, 40)
WHITE, IRIS, LIPS, MOUTH, SHIRT = (228, 230, 235), (40, 50, 70), (110, 110, 185), (50, 50, 100), (90, 60, 40)
QUALITY = 92


@dataclass
class Canvas:
    """A picture of soft ellipses. Units are pixels of the finished picture, colours BGR."""

    pixels: NDArray[np.float32] = field(
        default_factory=lambda: np.full((SIDE_PX * OVERSAMPLING,) * 2 + (3,), BACKGROUND, np.float32)
    )

    def ellipse(
        self, centre: tuple[float, float], axes: tuple[float, float], colour: tuple[int, ...], blur: float = 2.0
    ) -> None:
        mask = np.zeros(self.pixels.shape[:2], np.float32)
        middle, radii = ([round(value * OVERSAMPLING) for value in pair] for pair in (centre, axes))
        cv2.ellipse(mask, middle, radii, 0, 0, 360, 1, -1)
        mask = cv2.GaussianBlur(mask, (0, 0), blur * OVERSAMPLING)[..., None]
        self.pixels = self.pixels * (1 - mask) + np.array(colour, np.float32) * mask


def draw() -> NDArray[np.uint8]:
    """Draw the face: BGR uint8 (160, 160, 3)."""
    canvas = Canvas()
    canvas.ellipse((80, 170), (70, 40), SHIRT)
    canvas.ellipse((80, 128), (20, 26), SHADE)
    canvas.ellipse((80, 66), (48, 56), HAIR)
    canvas.ellipse((80, 84), (38, 50), SKIN)
    for side in (-1, 1):
        _eye(canvas, 80 + side * 16)
        canvas.ellipse((80 + side * 6.5, 94), (3, 10), SHADE, 3)
        canvas.ellipse((80 + side * 4.5, 103), (2.4, 1.5), (60, 75, 110), 0.8)
    canvas.ellipse((80, 90), (4, 14), (150, 180, 222), 3)
    canvas.ellipse((80, 117), (14, 5), LIPS, 1.2)
    canvas.ellipse((80, 116.5), (13, 1.1), MOUTH, 0.6)
    turn = cv2.getRotationMatrix2D((SIDE_PX * OVERSAMPLING / 2,) * 2, TILT_DEGREES, 1)
    turned = cv2.warpAffine(canvas.pixels, turn, canvas.pixels.shape[:2], borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(turned, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.clip(small, 0, 255).astype(np.uint8)


def _eye(canvas: Canvas, x: float) -> None:
    canvas.ellipse((x, 77), (11, 7), (100, 125, 165), 3)
    canvas.ellipse((x, 78), (7.5, 3.6), WHITE, 0.6)
    canvas.ellipse((x, 78), (3.3, 3.4), IRIS, 0.5)
    canvas.ellipse((x, 74.6), (8.5, 1.6), IRIS, 0.7)
    canvas.ellipse((x, 67), (10, 2.2), HAIR, 1)


if __name__ == "__main__":
    cv2.imwrite(sys.argv[1], draw(), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
