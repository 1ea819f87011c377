"""A file's bytes come in, its pixels go out: the header decides whether it is decoded, and no larger than needed.

Both this process and the one for files that nobody trusts (`sandboxed.py`) decode by it: it imports little.
"""

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

from app.errors import DangerousImage, InvalidImage
from app.records import Image

JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# How a file of each kind begins: what both Pillow, which measures, and OpenCV, which decodes, go by.
STARTS = {
    "JPEG": (JPEG_START,),
    "PNG": (PNG_START,),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "WEBP": (b"RIFF",),
}
# A usual progressive JPEG has ten scans, one from mozjpeg up to fifteen; those of its thumbnail count here, too. Each
# goes over all pixels again, however few bytes it has: libjpeg sets no limit, and 25 MB of them would take hours.
USUAL_SCANS = 30
JPEG_SCAN = b"\xff\xda"
PNG_ANIMATION = b"acTL"
# Decoders that can shrink while decoding: by how much, and OpenCV's word for it.
REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
PIXELS_PER_MEGAPIXEL = 1_000_000
MAX_SIDE_PX = 30_000  # longer than any camera's panorama; what is drawn out further has no face, only costs
PillowImage.MAX_IMAGE_PIXELS = None  # it only reads headers here; our own limit decides
# A colour profile or text in a PNG may be as large as libpng lets it be; Pillow's megabyte refuses scanners' photos.
PngImagePlugin.MAX_TEXT_CHUNK = 8_000_000
# What is wrong with a photo we say ourselves, in its member's line: neither library shall write beside it.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
TOO_MUCH_MEMORY = "para abrirla haría falta demasiada memoria"
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"heim", b"heis")
HTML_STARTS = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """The largest photo to accept, and the longer side (pixels) below which a photo is not reduced."""

    max_megapixels: float
    min_side_px: int


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A decoded file: BGR uint8 (h, w, 3), upright; `size` is the header's (width, height), as the file lies;
    `reduction` original pixels make one of `image`."""

    size: tuple[int, int]
    image: Image
    reduction: int


def find_kind(content: bytes) -> str:
    """The file's format, by its first bytes. Raises InvalidImage, with what it is, when it is none of ours."""
    for kind, starts in STARTS.items():
        if content.startswith(starts) and (kind != "WEBP" or content[8:12] == b"WEBP"):
            return kind
    raise InvalidImage(_what_it_is(content))


def is_plain(content: bytes) -> bool:
    """Whether it is a JPEG or PNG such as cameras and phones make, whose decoders are the best proven ones."""
    if content.startswith(JPEG_START):
        return content.count(JPEG_SCAN) <= USUAL_SCANS
    return content.startswith(PNG_START) and PNG_ANIMATION not in content


def read_pixels(content: bytes, options: DecodeOptions) -> Pixels:
    """Measure, then decode. Raises InvalidImage with the reason, DangerousImage when there is no memory for it."""
    width, height, kind = read_header(content)
    if width * height > options.max_megapixels * PIXELS_PER_MEGAPIXEL:
        limit = options.max_megapixels
        raise InvalidImage(f"mide {width} x {height} píxeles; el límite son {limit:g} megapíxeles")
    if max(width, height) > MAX_SIDE_PX:
        raise InvalidImage(f"mide {width} x {height} píxeles; el límite son {MAX_SIDE_PX} por lado")
    # OpenCV forgets a TIFF's orientation when it reduces, and makes nothing at all of a side that it reduces to none.
    whole = kind == "TIFF" or min(width, height) < max(REDUCTIONS)
    reduction = 1 if whole else choose_reduction(max(width, height), options.min_side_px)
    image = decode(content, reduction)
    if not is_as_measured(image, (width, height), reduction):
        raise InvalidImage(f"la cabecera dice {width} x {height} píxeles, y los datos dicen otra cosa")
    return Pixels((width, height), image, reduction)


def read_header(content: bytes) -> tuple[int, int, str]:
    """(width, height, format) out of the header, before anything is decoded. Raises InvalidImage when it is none."""
    kind = find_kind(content)
    try:
        with PillowImage.open(io.BytesIO(content), formats=(kind,)) as image:
            return (*image.size, kind)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InvalidImage(_what_it_is(content)) from error


def choose_reduction(side_px: int, min_side_px: int) -> int:
    """The strongest reduction that leaves the longer side at `min_side_px` or more."""
    return next((factor for factor in REDUCTIONS if side_px // factor >= min_side_px), 1)


def decode(content: bytes, reduction: int = 1) -> Image:
    """Bytes -> BGR uint8 (h, w, 3), upright. OpenCV applies the EXIF orientation, as DeepFace's own reading does."""
    data: NDArray[np.uint8] = np.frombuffer(content, np.uint8)
    try:
        image = cv2.imdecode(data, REDUCTIONS.get(reduction, cv2.IMREAD_COLOR))
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise DangerousImage(TOO_MUCH_MEMORY) from error
        raise InvalidImage("los datos están dañados") from error
    if image is None:
        raise InvalidImage("los datos están dañados o incompletos")
    return np.asarray(image, np.uint8)


def is_as_measured(image: Image, size: tuple[int, int], reduction: int) -> bool:
    """Whether the pixels are those of the header, upright or on their side. Some decoders round up, others down."""

    def fits(got: int, measured: int) -> bool:
        return max(1, measured // reduction) <= got <= -(-measured // reduction)

    (rows, columns), (width, height) = image.shape[:2], size
    return (fits(rows, height) and fits(columns, width)) or (fits(rows, width) and fits(columns, height))


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
