"""HEIC and AVIF, the formats of phones: their size, their pixels, and the damage that their decoders do not notice.

Their `irot` and `imir` boxes say how the picture is turned. EXIF's orientation repeats it and is not applied again.
"""

from __future__ import annotations

import io
import re
import struct
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, ImageOps
from PIL import Image as PillowImage

from app.core.image_scaling import reduce
from app.errors import DangerousImage, InvalidImage
from app.photos.damage import DAMAGED
from app.photos.heif_boxes import find_coded_data
from app.photos.opencv_decoding import TOO_MUCH_MEMORY
from app.photos.transparency import compose
from app.records import Image

if TYPE_CHECKING:
    from pillow_heif import HeifImage

KINDS = ("HEIF", "AVIF")
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the sandbox limits memory, and each thread reserves its own
COLOURS = 3
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, RuntimeError)  # raised by Pillow and libheif
# What a disk or a transfer that lost a block leaves: no codec writes so many zeros in a row.
BLANK = re.compile(rb"\0{128}")


def read_heif_size(content: bytes, kind: str) -> tuple[int, int]:
    """Return (width, height) as the header has it. Raises InvalidImage when there is none."""
    try:
        if kind == "HEIF":
            return _open_heif(content).size
        with PillowImage.open(io.BytesIO(content), formats=(kind,)) as picture:
            return picture.size
    except UNREADABLE as error:
        raise InvalidImage(DAMAGED) from error


def decode_heif(content: bytes, kind: str, reduction: int) -> Image:
    """Decode the primary picture on white: BGR uint8 (h, w, 3), upright. Raises InvalidImage, DangerousImage."""
    _refuse_blanks(content)
    try:
        pixels = _decode_heif(content) if kind == "HEIF" else _decode_avif(content)
    except UNREADABLE as error:
        if "memory" in str(error).lower():
            raise DangerousImage(TOO_MUCH_MEMORY) from error
        raise InvalidImage(DAMAGED) from error
    return reduce(_on_white(pixels), reduction)


def _refuse_blanks(content: bytes) -> None:
    """Raise InvalidImage when compressed data has a run of zeros, or lies beyond the file's end."""
    try:
        spans = find_coded_data(content)
    except (struct.error, IndexError) as error:
        raise InvalidImage(DAMAGED) from error
    if any(end > len(content) or BLANK.search(content, start, end) for start, end in spans):
        raise InvalidImage(DAMAGED)


def _open_heif(content: bytes) -> HeifImage:
    import pillow_heif  # noqa: PLC0415  # loads its native libraries, which only HEIC needs

    pillow_heif.options.DECODE_THREADS = 1
    file = pillow_heif.open_heif(content, convert_hdr_to_8bit=True)
    return file[file.primary_index]


def _decode_heif(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(_open_heif(content), np.uint8)


def _decode_avif(content: bytes) -> NDArray[np.uint8]:
    """Decode with Pillow, which translates the turn to EXIF and does not apply it."""
    with PillowImage.open(io.BytesIO(content), formats=("AVIF",)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture), np.uint8)


def _on_white(pixels: NDArray[np.uint8]) -> Image:
    """Return BGR (h, w, 3) of grey, grey with alpha, RGB or RGBA."""
    layers = pixels.reshape(*pixels.shape[:2], -1)
    planes = layers.shape[2]
    colours = layers[:, :, 2::-1] if planes >= COLOURS else np.repeat(layers[:, :, :1], 3, axis=2)
    return np.ascontiguousarray(colours) if planes % 2 else compose(colours, layers[:, :, -1])
