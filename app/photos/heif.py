"""HEIC and AVIF, the formats of phones: their size, their pixels, and the damage that their decoders do not notice.

Their `irot` and `imir` boxes say how the picture is turned. EXIF's orientation repeats it and is not applied again.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from functools import partial
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
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the sandbox limits memory, and each thread reserves its own
COLOURS = 3
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, RuntimeError)  # raised by Pillow and libheif
# What a disk or a transfer that lost a block leaves: no codec writes so many zeros in a row.
BLANK = re.compile(rb"\0{128}")
Span = tuple[int, int]  # positions of the first byte and of the one behind the last
CODED = {b"hvc1", b"av01"}  # items that hold a codec's data; others describe a picture or the tiles that make it up
FULL_BOX_BYTES = 4  # version and flags
LONG_ID_VERSION = 2  # from this version of `iloc` on, an item's number has four bytes
CONSTRUCTION_METHOD = 0x0F  # mask: 0 means that an item's data lies in the file itself


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
        pixels = np.asarray(_open_heif(content), np.uint8) if kind == "HEIF" else _decode_avif(content)
    except UNREADABLE as error:
        if "memory" in str(error).lower():
            raise DangerousImage(TOO_MUCH_MEMORY) from error
        raise InvalidImage(DAMAGED) from error
    return reduce(_on_white(pixels), reduction)


def _refuse_blanks(content: bytes) -> None:
    try:
        spans = _find_coded_data(content)
    except (struct.error, IndexError) as error:
        raise InvalidImage(DAMAGED) from error
    if any(end > len(content) or BLANK.search(content, start, end) for start, end in spans):
        raise InvalidImage(DAMAGED)


def _open_heif(content: bytes) -> HeifImage:
    import pillow_heif  # noqa: PLC0415  # loads its native libraries, which only HEIC needs

    pillow_heif.options.DECODE_THREADS = 1
    file = pillow_heif.open_heif(content, convert_hdr_to_8bit=True)
    return file[file.primary_index]


def _decode_avif(content: bytes) -> NDArray[np.uint8]:
    """Decode with Pillow, which translates the turn to EXIF and does not apply it."""
    with PillowImage.open(io.BytesIO(content), formats=("AVIF",)) as picture:
        return np.asarray(ImageOps.exif_transpose(picture), np.uint8)


def _on_white(pixels: NDArray[np.uint8]) -> Image:  # of grey, grey with alpha, RGB or RGBA
    layers = pixels.reshape(*pixels.shape[:2], -1)
    planes = layers.shape[2]
    colours = layers[:, :, 2::-1] if planes >= COLOURS else np.repeat(layers[:, :, :1], 3, axis=2)
    return np.ascontiguousarray(colours) if planes % 2 else compose(colours, layers[:, :, -1])


def _find_coded_data(content: bytes) -> list[Span]:
    """Return where the compressed pictures lie, thumbnails included; none where the file's boxes (ISO/IEC 14496-12 and
    23008-12) do not say. Raises struct.error or IndexError when a box is cut off."""
    meta = dict(_boxes(content, (0, len(content)))).get(b"meta")
    if meta is None:
        return []
    inner = dict(_boxes(content, (meta[0] + FULL_BOX_BYTES, meta[1])))
    if not {b"iinf", b"iloc"} <= inner.keys():
        return []
    kinds = _item_kinds(content, inner[b"iinf"])
    return [span for number, span in _item_spans(content, inner[b"iloc"]) if kinds.get(number) in CODED]


def _boxes(content: bytes, span: Span) -> Iterator[tuple[bytes, Span]]:
    place, end = span
    while place + 8 <= end:
        length, name = struct.unpack_from(">I4s", content, place)
        start = place + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", content, start)
            start += 8
        last = place + length if length else end
        if last < start:
            return
        yield name, (start, min(last, end))
        place = last


def _item_kinds(content: bytes, span: Span) -> dict[int, bytes]:
    start, end = span
    wide = content[start] > 0
    kinds = {}
    for name, (inside, _) in _boxes(content, (start + FULL_BOX_BYTES + (4 if wide else 2), end)):
        if name == b"infe":
            form = ">IH4s" if content[inside] > LONG_ID_VERSION else ">HH4s"
            number, _, kind = struct.unpack_from(form, content, inside + FULL_BOX_BYTES)
            kinds[number] = kind
    return kinds


def _item_spans(content: bytes, span: Span) -> Iterator[tuple[int, Span]]:
    file = io.BytesIO(content)
    file.seek(span[0])
    following = partial(_read_number, file)
    version = following(1)
    following(3)  # flags
    sizes, more = following(1), following(1)
    offset_bytes, length_bytes, base_bytes = sizes >> 4, sizes & 15, more >> 4
    index_bytes = more & 15 if version else 0
    for _ in range(following(4 if version >= LONG_ID_VERSION else 2)):
        number = following(4 if version >= LONG_ID_VERSION else 2)
        method = following(2) & CONSTRUCTION_METHOD if version else 0
        following(2)  # the number of the file that holds the data
        base, extents = following(base_bytes), following(2)
        if extents and not offset_bytes + length_bytes:
            raise struct.error("extents without a place")
        for _ in range(extents):
            following(index_bytes)
            offset, length = base + following(offset_bytes), following(length_bytes)
            if method == 0:
                yield number, (offset, offset + length)


def _read_number(file: io.BytesIO, size: int) -> int:
    number = file.read(size)
    if len(number) < size:
        raise struct.error("cut off")
    return int.from_bytes(number, "big")
