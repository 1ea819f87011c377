"""Describe a face's texture by what P-Net's convolutions make of it: how strongly each channel responds and how evenly.

The same statistics of a trained net's first layers that style transfer takes for a picture's style.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.faces.mtcnn import Mtcnn
from app.records import Image

CHANNELS = (10, 16, 32)  # of P-Net's three convolutions
NAMES = tuple(
    f"layer {layer} {what} {channel}"
    for layer, channels in enumerate(CHANNELS, start=1)
    for what in ("spread", "evenness")
    for channel in range(channels)
)
FAINT = 1e-4  # of a channel's variance: keeps logarithms and quotients finite


class Texture:
    """Measures texture with P-Net's convolutions. Safe to use from several threads."""

    def __init__(self, nets: Mtcnn) -> None:
        self._nets = nets

    def measure(self, face: Image) -> NDArray[np.float64]:
        """Return NAMES' numbers of a face as `drawing.prepare_face` returns it (BGR uint8): of each channel the
        logarithm of its variance, and its mean in standard deviations."""
        # Half the size: JPEG leaves it alone, and it takes a quarter of the time.
        half = np.asarray(cv2.resize(face, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
        parts = []
        for mean, variance in self._nets.respond(half):
            sure = variance.astype(np.float64) + FAINT
            parts += [np.log(sure), mean.astype(np.float64) / np.sqrt(sure)]
        return np.concatenate(parts)
