"""A file's bytes come in, its pixels go out: the header decides whether it is decoded, and no larger than needed.

Both this process and the one for files that nobody trusts (`sandboxed.py`) decode by it: it imports little.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

from PIL import (  # noqa: F401  # each registers its reader; at first use that would not be safe among threads
    BmpImagePlugin,
    GifImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from PIL import Image as PillowImage

from app.errors import InvalidImage
from app.photos import heif as phones
from app.photos import opencv_decoding as opencv
from app.photos.damage import refuse_damaged, refuse_gap
from app.photos.jpeg import decode_jpeg, has_usual_planes, refuse_unreadable
from app.photos.jpeg_parts import LOSSLESS, JpegParts, read_parts
from app.photos.kinds import JPEG_START, PNG_START, find_kind, what_it_is
from app.photos.opencv_decoding import REDUCTIONS
from app.photos.tiff import Page, read_largest_page, refuse_broken_strips
from app.photos.transparency import decode_on_white, decode_tiff_on_white
from app.photos.webp import refuse_leftovers
from app.records import Image

# A usual progressive JPEG has ten scans, one from mozjpeg up to fifteen. Each goes over all pixels again, however few
# bytes it has: libjpeg sets no limit, and 25 MB of them would take hours.
USUAL_SCANS = 30
USUAL_FRAMES = {0xC0, 0xC1, 0xC2}  # Huffman's code, in one pass or several; others are the decoder's least proven parts
PNG_ANIMATION = b"acTL"
PNG_COLOUR_TYPE, PNG_ALPHA, PNG_HEAD_BYTES = 25, (b"\x04", b"\x06"), 1 << 16  # its chunks stand before the pixels
PIXELS_PER_MEGAPIXEL = 1_000_000
MAX_SIDE_PX = 30_000  # longer than any camera's panorama; what is drawn out further has no face, only costs
PillowImage.MAX_IMAGE_PIXELS = None  # our own limit decides, before it decodes
# A colour profile or text in a PNG may be as large as libpng lets it be; Pillow's megabyte refuses scanners' photos.
PngImagePlugin.MAX_TEXT_CHUNK = 8_000_000
# What is wrong with a photo we say ourselves, in its member's line: Pillow shall not write beside it.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """The largest photo to decode, and the longer side (pixels) below which a photo is not reduced."""

    max_megapixels: float
    min_side_px: int


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A decoded file: BGR uint8 (h, w, 3), upright; `size` is the header's (width, height), as the file lies;
    `reduction` original pixels make one of `image`."""

    size: tuple[int, int]
    image: Image
    reduction: int


@dataclass(frozen=True)
class Header:
    """What is known of a file before anything is decoded; `size` is (width, height) as the file lies."""

    content: bytes
    kind: str
    size: tuple[int, int]
    is_transparent: bool = False
    jpeg: JpegParts | None = None
    tiff: Page | None = None

    def reduction(self, options: DecodeOptions) -> int:
        """By how much it is reduced; what cannot be is left whole."""
        # OpenCV forgets a TIFF's orientation when it reduces; a lossless JPEG has nothing that could be left out.
        whole = self.tiff or (self.jpeg and self.jpeg.frame.marker in LOSSLESS)
        return 1 if whole else choose_reduction(self.size, options.min_side_px)

    def decoded_pixels(self, options: DecodeOptions) -> int:
        """How many pixels are held in memory at once: of a JPEG of one pass only those that it is reduced to."""
        width, height = self.size
        factor = self.reduction(options) if self.jpeg and self.jpeg.is_one_pass else 1
        return -(-width // factor) * -(-height // factor)


def is_plain(content: bytes, options: DecodeOptions) -> bool:
    """Whether it is a JPEG or PNG such as cameras and phones make, whose decoders are the best proven ones."""
    if content.startswith(JPEG_START):
        parts = read_parts(content)
        width, height = parts.frame.size
        usual = parts.frame.marker in USUAL_FRAMES and width * height <= options.max_megapixels * PIXELS_PER_MEGAPIXEL
        return usual and len(parts.scans) <= USUAL_SCANS and has_usual_planes(content)
    return content.startswith(PNG_START) and PNG_ANIMATION not in content and not has_alpha(content)


def has_alpha(content: bytes) -> bool:
    """Whether a PNG has transparent pixels, by the colour type in its header or a chunk that names them."""
    return content[PNG_COLOUR_TYPE : PNG_COLOUR_TYPE + 1] in PNG_ALPHA or b"tRNS" in content[:PNG_HEAD_BYTES]


def read_pixels(content: bytes, options: DecodeOptions) -> Pixels:
    """Measure, then decode. Raises InvalidImage with the reason, DangerousImage when there is no memory for it."""
    header = inspect(content)
    width, height = header.size
    limit = options.max_megapixels
    if header.decoded_pixels(options) > limit * PIXELS_PER_MEGAPIXEL:
        raise InvalidImage(f"mide {width} x {height} píxeles; el límite son {limit:g} megapíxeles")
    if max(width, height) > MAX_SIDE_PX:
        raise InvalidImage(f"mide {width} x {height} píxeles; el límite son {MAX_SIDE_PX} por lado")
    refuse_damaged(content, header.kind)
    reduction = header.reduction(options)
    image = _decode(header, reduction)
    if not is_as_measured(image, header.size, reduction):
        raise InvalidImage(f"la cabecera dice {width} x {height} píxeles, y los datos dicen otra cosa")
    return Pixels(header.size, image, reduction)


def read_header(content: bytes) -> tuple[int, int, str]:
    """(width, height, format), before anything is decoded. Raises InvalidImage with what it is when it is no photo."""
    header = inspect(content)
    return (*header.size, header.kind)


def inspect(content: bytes) -> Header:
    """What the header says. Raises InvalidImage with what the file is when it is no photo, or none that is read."""
    kind = find_kind(content)
    if kind == "JPEG":
        parts = read_parts(content)
        refuse_unreadable(parts)
        return Header(content, kind, parts.frame.size, jpeg=parts)
    if kind == "TIFF":
        page = read_largest_page(content)
        return Header(content, kind, page.size, bool(page.alpha), tiff=page)
    if kind in phones.KINDS:
        return Header(content, kind, phones.measure_phone_photo(content, kind))
    try:
        with PillowImage.open(io.BytesIO(content), formats=(kind,)) as image:
            return Header(content, kind, image.size, kind != "BMP" and image.has_transparency_data)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InvalidImage(what_it_is(content)) from error


def choose_reduction(size: tuple[int, int], min_side_px: int) -> int:
    """The strongest reduction that leaves the longer side at `min_side_px` or more and the shorter at half of it."""
    longer, shorter = max(size), min(size)
    enough = (factor for factor in REDUCTIONS if longer // factor >= min_side_px)
    return next((factor for factor in enough if shorter // factor >= max(1, min_side_px // 2)), 1)


def is_as_measured(image: Image, size: tuple[int, int], reduction: int) -> bool:
    """Whether the pixels are those of the header, upright or on their side. Some decoders round up, others down."""

    def fits(got: int, measured: int) -> bool:
        return max(1, measured // reduction) <= got <= -(-measured // reduction)

    (rows, columns), (width, height) = image.shape[:2], size
    return (fits(rows, height) and fits(columns, width)) or (fits(rows, width) and fits(columns, height))


def _decode(header: Header, reduction: int) -> Image:
    if header.jpeg:
        return decode_jpeg(header.jpeg, reduction)
    if header.tiff:
        return _decode_tiff(header.tiff)
    if header.kind in phones.KINDS:
        return phones.decode_phone_photo(header.content, header.kind, reduction)
    if header.kind == "WEBP":
        refuse_leftovers(header.content)
    if header.is_transparent:
        return decode_on_white(header.content, header.kind, reduction)
    image = opencv.decode(header.content, reduction)
    if header.kind == "BMP":
        refuse_gap(image[::-1])  # its last row stands first
    return image


def _decode_tiff(page: Page) -> Image:
    refuse_broken_strips(page)
    with opencv.no_complaints():
        image = decode_tiff_on_white(page) if page.alpha else opencv.decode(page.content)
    if not page.is_packed:
        refuse_gap(image)
    return image
