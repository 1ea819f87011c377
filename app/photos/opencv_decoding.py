"""OpenCV's decoders, by which DeepFace reads photos: a file's bytes come in, BGR pixels go out."""

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

# Decoders that can shrink while decoding: by how much, and OpenCV's word for it.
REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
TOO_MUCH_MEMORY = "para abrirla haría falta demasiada memoria"
STDERR = 2
# What is wrong with a photo we say ourselves, in its member's line: no library shall write beside it.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode(content: bytes, reduction: int = 1) -> Image:
    """Bytes -> BGR uint8 (h, w, 3), upright. OpenCV applies the EXIF orientation, as DeepFace's own reading does."""
    return np.asarray(imdecode(content, REDUCTIONS.get(reduction, cv2.IMREAD_COLOR)), np.uint8)


def imdecode(content: bytes, flags: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """`cv2.imdecode`. Raises InvalidImage when it makes nothing of the file, DangerousImage when memory is short."""
    data: NDArray[np.uint8] = np.frombuffer(content, np.uint8)
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise DangerousImage(TOO_MUCH_MEMORY) from error
        raise InvalidImage(DAMAGED) from error
    if image is None:
        raise InvalidImage(DAMAGED)
    return image  # type: ignore[return-value]  # OpenCV's stubs know no more of it


def shrink(image: Image, factor: int) -> Image:
    """As OpenCV reduces what its decoders cannot."""
    rows, columns = (side // factor for side in image.shape[:2])
    if factor == 1:
        return image
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)


@contextmanager
def no_complaints() -> Iterator[None]:
    """Raises InvalidImage when a native library complains inside: libjpeg and libtiff then go on with a guess.

    Only for the sandbox's process, in which nobody else writes at the time.
    """
    with tempfile.TemporaryFile() as said:
        before = os.dup(STDERR)
        os.dup2(said.fileno(), STDERR)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            yield
        finally:
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
            os.dup2(before, STDERR)
            os.close(before)
        if os.fstat(said.fileno()).st_size:
            raise InvalidImage(DAMAGED)
