"""From a file to pixels: the bytes decide what it is; upright by EXIF, and decoded no larger than needed."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import (  # noqa: F401  # each registers its reader; at first use that would not be safe among threads
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from PIL import Image as PillowImage

from app.errors import InvalidImage, PhotoUnavailable
from app.photos.fingerprint import describe_picture
from app.records import Image, Photo, Portrait, Sighting

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
# Decoders that can shrink while decoding: by how much, and OpenCV's word for it.
REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
PIXELS_PER_MEGAPIXEL = 1_000_000
PillowImage.MAX_IMAGE_PIXELS = None  # it only reads headers here; our own limit decides
# What is wrong with a photo we say ourselves, in its member's line: neither library shall write beside it.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"heis")
HTML_STARTS = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """The largest photo to accept, and the longer side (pixels) below which a photo is not reduced."""

    max_megapixels: float
    min_side_px: int


def load_portrait(photo: Photo, options: DecodeOptions) -> Portrait:
    """Decode the photo's file, upright, as BGR uint8. Raises InvalidImage with the reason."""
    try:
        content = photo.path.read_bytes()
    except OSError as error:
        raise PhotoUnavailable(f"no se puede leer el archivo: {error.strerror}") from error
    width, height, kind = read_header(content)
    if width * height > options.max_megapixels * PIXELS_PER_MEGAPIXEL:
        limit = options.max_megapixels
        raise InvalidImage(f"mide {width} x {height} píxeles; el límite son {limit:g} megapíxeles")
    # OpenCV forgets a TIFF's orientation when it reduces.
    reduction = 1 if kind == "TIFF" else choose_reduction(max(width, height), options.min_side_px)
    image = decode(content, reduction)
    sighting = Sighting(_upright((width, height), image), describe_picture(image))
    return Portrait(photo, image, sighting, reduction)


def read_header(content: bytes) -> tuple[int, int, str]:
    """(width, height, format) out of the header, before anything is decoded. Raises InvalidImage when it is none."""
    try:
        with PillowImage.open(io.BytesIO(content), formats=FORMATS) as image:
            return (*image.size, str(image.format))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InvalidImage(_what_it_is(content)) from error


def _upright(size: tuple[int, int], image: Image) -> tuple[int, int]:
    """The header's (width, height), the other way round when EXIF has laid the image on its side."""
    lies = (size[0] > size[1]) != (image.shape[1] > image.shape[0])
    return size[::-1] if lies else size


def choose_reduction(side_px: int, min_side_px: int) -> int:
    """The strongest reduction that leaves the longer side at `min_side_px` or more."""
    return next((factor for factor in REDUCTIONS if side_px // factor >= min_side_px), 1)


def decode(content: bytes, reduction: int = 1) -> Image:
    """Bytes -> BGR uint8 (h, w, 3), upright. OpenCV applies the EXIF orientation, as DeepFace's own reading does."""
    data: NDArray[np.uint8] = np.frombuffer(content, np.uint8)
    try:
        image = cv2.imdecode(data, REDUCTIONS.get(reduction, cv2.IMREAD_COLOR))
    except cv2.error as error:
        raise InvalidImage("los datos están dañados") from error
    if image is None:
        raise InvalidImage("los datos están dañados o incompletos")
    return np.asarray(image, np.uint8)


def _what_it_is(content: bytes) -> str:
    if not content:
        return "el archivo está vacío"
    if content[4:8] == b"ftyp" and content[8:12] in HEIC_BRANDS:
        return "es una foto HEIC de teléfono; guárdela como JPG"
    if content.lstrip()[:9].lower().startswith(HTML_STARTS):
        return "el servidor entregó una página web en lugar de una foto"
    if content.startswith(b"%PDF"):
        return "es un documento PDF"
    return "no se reconoce como foto (JPG, PNG, WebP, BMP, GIF o TIFF)"
