"""Decodes a photo's bytes: reads the header first, refuses what is too large, and decodes no more than is needed.

The program's own process and the sandbox's both decode by this module, so it imports little.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import (  # noqa: F401  # each import registers a reader; Pillow's lazy registration is not safe among threads
    BmpImagePlugin,
    GifImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from PIL import Image as PillowImage

from app.errors import InvalidImage
from app.photos import heif
from app.photos import opencv_decoding as opencv
from app.photos.damage import DAMAGED, refuse_gap, refuse_text_transfer
from app.photos.jpeg import decode_jpeg, is_plain_jpeg, refuse_unreadable
from app.photos.jpeg_parts import LOSSLESS, JpegParts, read_parts
from app.photos.kinds import JPEG_START, PNG_START, describe_other_file, find_kind
from app.photos.opencv_decoding import REDUCTIONS
from app.photos.tiff import Page, read_largest_page, refuse_broken_strips
from app.photos.transparency import decode_on_white, decode_tiff_on_white
from app.records import Image

PIXELS_PER_MEGAPIXEL = 1_000_000
MAX_SIDE_PX = 30_000  # longer than any camera's panorama; a longer picture has no face and takes time
ANIMATION = b"acTL"
OF_ANIMATION = {ANIMATION, b"fcTL", b"fdAT"}
COLOUR_TYPE_AT, WITH_ALPHA = 25, (b"\x04", b"\x06")  # in the header
HEAD_BYTES = 1 << 16  # transparency's chunk stands before the pixels
# Chunks that the pixels depend on: the critical ones, whose name begins with a capital, transparency and orientation.
CRITICAL, DECISIVE = range(ord("A"), ord("Z") + 1), {b"tRNS", b"eXIf"}
STILL = {b"VP8 ", b"VP8L"}  # WebP's chunks of a still picture: lossy and lossless
RIFF_HEAD_BYTES, CHUNK_HEAD_BYTES = 12, 8
LEFT_OUT_BYTES = 16  # more than an encoder pads its data with
PillowImage.MAX_IMAGE_PIXELS = None  # `read_pixels` refuses by our own limit before Pillow decodes
# libpng limits colour profiles and texts in a PNG itself; Pillow's one megabyte refuses scanners' photos.
PngImagePlugin.MAX_TEXT_CHUNK = 8_000_000
# The member's line says what is wrong with a photo: Pillow's own warnings would stand beside it on the console.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """The largest photo to decode, and the length (pixels) that a photo's longer side keeps when it is reduced."""

    max_megapixels: float
    min_side_px: int


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A decoded file: BGR uint8 (h, w, 3), upright. `size` is the header's (width, height), not turned; `reduction`
    original pixels, along a side, make one of `image`."""

    size: tuple[int, int]
    image: Image
    reduction: int


@dataclass(frozen=True)
class Header:
    """A file's content and what its header says; `size` is (width, height), not turned."""

    content: bytes
    kind: str
    size: tuple[int, int]
    is_transparent: bool = False
    jpeg: JpegParts | None = None
    tiff: Page | None = None

    def reduction(self, options: DecodeOptions) -> int:
        # OpenCV loses a TIFF's orientation when it reduces. A lossless JPEG has no frequencies to leave out.
        is_whole = self.tiff or (self.jpeg and self.jpeg.frame.marker in LOSSLESS)
        return 1 if is_whole else choose_reduction(self.size, options.min_side_px)

    def decoded_pixels(self, options: DecodeOptions) -> int:
        """Return how many pixels memory holds at once: of a JPEG of one scan only those that it is reduced to."""
        width, height = self.size
        factor = self.reduction(options) if self.jpeg and self.jpeg.is_one_pass else 1
        return -(-width // factor) * -(-height // factor)


def is_plain(content: bytes, options: DecodeOptions) -> bool:
    """Tell whether the file is a JPEG or PNG such as cameras and phones write, whose decoders are the best proven.
    Raises InvalidImage for a JPEG whose headers are cut off."""
    if content.startswith(JPEG_START):
        return is_plain_jpeg(content, options.max_megapixels * PIXELS_PER_MEGAPIXEL)
    is_transparent = content[COLOUR_TYPE_AT : COLOUR_TYPE_AT + 1] in WITH_ALPHA or b"tRNS" in content[:HEAD_BYTES]
    return content.startswith(PNG_START) and ANIMATION not in content and not is_transparent


def read_pixels(content: bytes, options: DecodeOptions) -> Pixels:
    """Read the header, then decode. Raises InvalidImage with the reason, DangerousImage when memory is short."""
    header = read_header(content)
    width, height = header.size
    limit = options.max_megapixels
    if header.decoded_pixels(options) > limit * PIXELS_PER_MEGAPIXEL:
        raise InvalidImage(f"mide {width} x {height} píxeles; el límite son {limit:g} megapíxeles")
    if max(width, height) > MAX_SIDE_PX:
        raise InvalidImage(f"mide {width} x {height} píxeles; el límite son {MAX_SIDE_PX} por lado")
    refuse_text_transfer(content)
    reduction = header.reduction(options)
    image = _decode(header, reduction)
    if not is_as_measured(image, header.size, reduction):
        raise InvalidImage(f"la cabecera dice {width} x {height} píxeles, y los datos dicen otra cosa")
    return Pixels(header.size, image, reduction)


def read_header(content: bytes) -> Header:
    """Read the header. Raises InvalidImage with what the file is when it is no photo, or of no kind that is read."""
    kind = find_kind(content)
    if kind == "JPEG":
        parts = read_parts(content)
        refuse_unreadable(parts)
        return Header(content, kind, parts.frame.size, jpeg=parts)
    if kind == "TIFF":
        page = read_largest_page(content)
        return Header(content, kind, page.size, tiff=page)
    if kind in heif.KINDS:
        return Header(content, kind, heif.read_heif_size(content, kind))
    try:
        with PillowImage.open(io.BytesIO(content), formats=(kind,)) as image:
            return Header(content, kind, image.size, kind != "BMP" and image.has_transparency_data)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InvalidImage(describe_other_file(content)) from error


def choose_reduction(size: tuple[int, int], min_side_px: int) -> int:
    """Return the strongest reduction that leaves the longer side at least `min_side_px` and the shorter half of it."""
    longer, shorter = max(size), min(size)
    enough = (factor for factor in REDUCTIONS if longer // factor >= min_side_px)
    return next((factor for factor in enough if shorter // factor >= max(1, min_side_px // 2)), 1)


def is_as_measured(image: Image, size: tuple[int, int], reduction: int) -> bool:
    """Tell whether the image has the header's size, upright or on its side. Some decoders round up, others down."""

    def fits(got: int, measured: int) -> bool:
        return max(1, measured // reduction) <= got <= -(-measured // reduction)

    (rows, columns), (width, height) = image.shape[:2], size
    return (fits(rows, height) and fits(columns, width)) or (fits(rows, width) and fits(columns, height))


def _decode(header: Header, reduction: int) -> Image:
    if header.jpeg:
        return decode_jpeg(header.jpeg, reduction)
    if header.tiff:
        return _decode_tiff(header.tiff)
    if header.kind in heif.KINDS:
        return heif.decode_heif(header.content, header.kind, reduction)
    content = _read_still_picture(header.content) if header.kind == "PNG" else header.content
    if header.kind == "WEBP":
        _refuse_leftovers(content)
    if header.is_transparent:
        return decode_on_white(content, header.kind, reduction)
    image = opencv.decode(content, reduction)
    if header.kind == "BMP":
        refuse_gap(image[::-1])  # a BMP's last row stands first in the file
    return image


def _decode_tiff(page: Page) -> Image:
    refuse_broken_strips(page)
    with opencv.refusing_complaints():
        image = decode_tiff_on_white(page) if page.alpha else opencv.decode(page.content)
    if not page.is_packed:
        refuse_gap(image)
    return image


def _read_still_picture(content: bytes) -> bytes:
    """Return a PNG without an animation's chunks: in one, OpenCV does not notice damage, and returns memory that it has
    not written to. Raises InvalidImage for a wrong checksum of a chunk that the pixels depend on, or a missing end."""
    pieces, place, name = [PNG_START], len(PNG_START), b""
    while name != b"IEND":
        if place + 12 > len(content):
            raise InvalidImage(DAMAGED)
        length, name = struct.unpack_from(">I4s", content, place)
        end = place + 8 + length
        if name[0] in CRITICAL or name in DECISIVE:
            checksum = int.from_bytes(content[end : end + 4], "big")
            if end + 4 > len(content) or zlib.crc32(content[place + 4 : end]) != checksum:
                raise InvalidImage(DAMAGED)
        if name not in OF_ANIMATION:
            pieces.append(content[place : end + 4])
        place = end + 4
    return b"".join(pieces)


def _refuse_leftovers(content: bytes) -> None:
    """Raise InvalidImage for a WebP whose picture is complete without its last bytes. WebP has no checksums: its
    decoder makes a picture of any bytes, and needs as many as a sound file has only by chance."""
    if any(_decodes_without_end(name, data) for name, data in _webp_chunks(content) if name in STILL):
        raise InvalidImage(DAMAGED)


def _decodes_without_end(name: bytes, data: bytes) -> bool:
    shorter = data[: max(0, len(data) - LEFT_OUT_BYTES)]
    chunk = struct.pack("<4sI", name, len(shorter)) + shorter + b"\0" * (len(shorter) % 2)
    try:
        opencv.decode(b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk)
    except InvalidImage:
        return False
    return True


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = RIFF_HEAD_BYTES
    while place + CHUNK_HEAD_BYTES <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        start = place + CHUNK_HEAD_BYTES
        yield name, content[start : start + size]
        place = start + size + size % 2
