"""Decodes with OpenCV, with which DeepFace reads photos."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray

from app.errors import DangerousImage, InvalidImage
from app.photos.damage import DAMAGED
from app.records import Image

# Factors by which OpenCV can shrink while it decodes, the strongest first, and its flag for each.
REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
TOO_MUCH_MEMORY = "para abrirla haría falta demasiada memoria"
STDERR = 2
# The member's line says what is wrong with a photo: OpenCV's own messages would stand beside it on the console.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode(content: bytes, reduction: int = 1) -> Image:
    """Decode to BGR uint8 (h, w, 3), upright by EXIF, as OpenCV does for DeepFace. Raises what `imdecode` does."""
    return np.asarray(imdecode(content, REDUCTIONS.get(reduction, cv2.IMREAD_COLOR)), np.uint8)


def imdecode(content: bytes, flags: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Call `cv2.imdecode`. Raises InvalidImage when it cannot decode, DangerousImage when memory is short."""
    data: NDArray[np.uint8] = np.frombuffer(content, np.uint8)
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise DangerousImage(TOO_MUCH_MEMORY) from error
        raise InvalidImage(DAMAGED) from error
    if image is None:
        raise InvalidImage(DAMAGED)
    return image  # type: ignore[return-value]  # OpenCV's stubs do not say which numbers it holds


@contextmanager
def refusing_complaints() -> Iterator[None]:
    """Raise InvalidImage when a native library writes to stderr inside: libjpeg and libtiff go on with a guess then.
    Only for the sandbox's process, where no other thread writes to stderr."""
    with tempfile.TemporaryFile() as complaints:
        stderr = os.dup(STDERR)
        os.dup2(complaints.fileno(), STDERR)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            yield
        finally:
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
            os.dup2(stderr, STDERR)
            os.close(stderr)
        if os.fstat(complaints.fileno()).st_size:
            raise InvalidImage(DAMAGED)
