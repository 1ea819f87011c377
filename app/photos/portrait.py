"""Loads a member's photo: plain files are decoded in this process, all others in the sandbox."""

from __future__ import annotations

from app.core.files import why
from app.errors import PhotoUnavailable
from app.photos.decoding import DecodeOptions, is_plain, read_pixels
from app.photos.kinds import find_kind
from app.photos.sandbox import Sandbox
from app.records import Image, Photo, PhotoAnalysis, Portrait


def load_portrait(photo: Photo, options: DecodeOptions, sandbox: Sandbox) -> Portrait:
    """Decode the photo's file to BGR uint8 (h, w, 3), upright. Raises InvalidImage and DangerousImage with the reason,
    PhotoUnavailable when the file cannot be read."""
    try:
        content = photo.path.read_bytes()
    except OSError as error:
        raise PhotoUnavailable(f"no se puede leer el archivo: {why(error)}") from error
    find_kind(content)  # a file that is no photo is refused here, without a process for it
    is_trusted = not photo.suspect and is_plain(content, options)
    pixels = (read_pixels if is_trusted else sandbox.read_pixels)(content, options)
    analysis = PhotoAnalysis(_upright(pixels.size, pixels.image))
    return Portrait(photo, pixels.image, analysis, pixels.reduction)


def _upright(size: tuple[int, int], image: Image) -> tuple[int, int]:
    """Return the header's (width, height), swapped when EXIF has turned the image by a quarter."""
    is_turned = (size[0] > size[1]) != (image.shape[1] > image.shape[0])
    return size[::-1] if is_turned else size
