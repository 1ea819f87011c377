"""Decodes photos with transparent parts on white, as every program shows them.

The colours under a transparent part are still in the file: a person erased from the photo must not be found there.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from app.errors import InvalidImage
from app.photos import opencv_decoding as opencv
from app.photos.damage import DAMAGED
from app.photos.orientation import read_orientation, turn_upright
from app.photos.tiff import ASSOCIATED, Page
from app.records import Image

WHITE = 255
BAND_ROWS = 256  # composed at a time, since 16 bits a value for a whole photo would take much memory


def decode_on_white(content: bytes, kind: str, reduction: int) -> Image:
    """Decode a PNG, WebP or GIF with transparent parts to BGR uint8 (h, w, 3), upright. Raises InvalidImage."""
    with _opened(content, kind) as picture:
        layers = np.asarray(picture.convert("RGBA"), np.uint8)
        exif = picture.info.get("exif", b"")
    image = compose(layers[:, :, 2::-1], layers[:, :, 3])
    return turn_upright(_shrink(image, reduction), read_orientation(exif))


def decode_tiff_on_white(page: Page) -> Image:
    """Decode a TIFF's page with alpha to BGR uint8 (h, w, 3), turned as the decoder does. Raises InvalidImage."""
    is_multiplied = page.alpha == ASSOCIATED
    if page.is_grey:  # OpenCV drops the alpha of grey pages
        with _opened(page.content, "TIFF") as picture:
            grey, alpha = (np.asarray(picture.getchannel(each), np.uint8) for each in (0, 1))
        return compose(np.stack([grey] * 3, axis=2), alpha, is_multiplied=is_multiplied)
    read = opencv.imdecode(page.content, cv2.IMREAD_UNCHANGED)
    layers = (read >> 8 if read.dtype == np.uint16 else read).astype(np.uint8)
    return compose(layers[:, :, :3], layers[:, :, 3], is_multiplied=is_multiplied)


def compose(colours: NDArray[np.uint8], alpha: NDArray[np.uint8], *, is_multiplied: bool = False) -> Image:
    """Put colours (h, w, 3) on white by `alpha` (h, w), by which `is_multiplied` ones are multiplied already."""
    image = np.empty(colours.shape, np.uint8)
    for start in range(0, len(image), BAND_ROWS):
        band = slice(start, start + BAND_ROWS)
        opaque = alpha[band, :, None].astype(np.uint16)
        own = colours[band] if is_multiplied else (colours[band] * opaque + WHITE // 2) // WHITE
        image[band] = np.minimum(own + (WHITE - opaque), WHITE)
    return image


@contextmanager
def _opened(content: bytes, kind: str) -> Iterator[PillowImage.Image]:
    try:
        with PillowImage.open(io.BytesIO(content), formats=(kind,)) as picture:
            yield picture
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise InvalidImage(DAMAGED) from error


def _shrink(image: Image, factor: int) -> Image:  # as OpenCV does after a decoder that cannot
    if factor == 1:
        return image
    rows, columns = (side // factor for side in image.shape[:2])
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)
