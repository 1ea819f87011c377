"""HEIC and AVIF, the phones' formats: the file's bytes come in, its size or its pixels go out, upright.

Their pictures are turned by the file's own `irot` and `imir`; EXIF's orientation repeats it, and is not applied again.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, ImageOps
from PIL import Image as PillowImage

from app.core.image_scaling import reduce
from app.errors import DangerousImage, InvalidImage
from app.photos.damage import DAMAGED
from app.photos.opencv_decoding import TOO_MUCH_MEMORY
from app.photos.transparency import compose
from app.records import Image

if TYPE_CHECKING:
    from pillow_heif import HeifImage

KINDS = ("HEIF", "AVIF")
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # each thread's stack and heap count as memory, which is limited here
COLOURS = 3
NOT_READ = (OSError, ValueError, SyntaxError, EOFError, RuntimeError)  # by Pillow and libheif


def measure_phone_photo(content: bytes, kind: str) -> tuple[int, int]:
    """(width, height) out of the header. Raises InvalidImage when it is none."""
    try:
        if kind == "HEIF":
            return _open_heif(content).size
        with PillowImage.open(io.BytesIO(content), formats=(kind,)) as picture:
            return picture.size
    except NOT_READ as error:
        raise InvalidImage(DAMAGED) from error


def decode_phone_photo(content: bytes, kind: str, reduction: int) -> Image:
    """BGR uint8 (h, w, 3), of several pictures the primary one. Raises InvalidImage when it is damaged."""
    try:
        pixels = _decode_heif(content) if kind == "HEIF" else _decode_avif(content)
    except NOT_READ as error:
        if "memory" in str(error).lower():
            raise DangerousImage(TOO_MUCH_MEMORY) from error
        raise InvalidImage(DAMAGED) from error
    return reduce(_on_white(pixels), reduction)


def _open_heif(content: bytes) -> HeifImage:
    import pillow_heif  # noqa: PLC0415  # with its libraries only where a HEIC photo comes along

    pillow_heif.options.DECODE_THREADS = 1
    file = pillow_heif.open_heif(content, convert_hdr_to_8bit=True)
    return file[file.primary_index]


def _decode_heif(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(_open_heif(content), np.uint8)


def _decode_avif(content: bytes) -> NDArray[np.uint8]:
    """Pillow leaves the turning to its caller."""
    with PillowImage.open(io.BytesIO(content), formats=("AVIF",)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture), np.uint8)


def _on_white(pixels: NDArray[np.uint8]) -> Image:
    """BGR of grey, grey and alpha, RGB or RGBA."""
    layers = pixels.reshape(*pixels.shape[:2], -1)
    planes = layers.shape[2]
    colours = layers[:, :, 2::-1] if planes >= COLOURS else np.repeat(layers[:, :, :1], 3, axis=2)
    return np.ascontiguousarray(colours) if planes % 2 else compose(colours, layers[:, :, -1])
