"""A photo's file comes in, its portrait goes out. What is not to be trusted is decoded where a crash is survivable."""

from __future__ import annotations

from app.errors import PhotoUnavailable
from app.photos.decoding import DecodeOptions, is_plain, read_pixels
from app.photos.kinds import find_kind
from app.photos.sandbox import Sandbox
from app.records import Image, Photo, PhotoAnalysis, Portrait


def load_portrait(photo: Photo, options: DecodeOptions, sandbox: Sandbox) -> Portrait:
    """Decode the photo's file, upright, as BGR uint8. Raises InvalidImage or DangerousImage with the reason."""
    try:
        content = photo.path.read_bytes()
    except OSError as error:
        raise PhotoUnavailable(f"no se puede leer el archivo: {error.strerror}") from error
    find_kind(content)  # what is no photo at all is nobody's danger
    apart = photo.suspect or not is_plain(content, options)
    pixels = (sandbox.read_pixels if apart else read_pixels)(content, options)
    analysis = PhotoAnalysis(_upright(pixels.size, pixels.image))
    return Portrait(photo, pixels.image, analysis, pixels.reduction)


def _upright(size: tuple[int, int], image: Image) -> tuple[int, int]:
    """The header's (width, height), the other way round when EXIF has laid the image on its side."""
    lies = (size[0] > size[1]) != (image.shape[1] > image.shape[0])
    return size[::-1] if lies else size
