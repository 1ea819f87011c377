"""The boxes of a HEIC or AVIF file (ISO/IEC 14496-12 and 23008-12): where its compressed pictures lie."""

from __future__ import annotations

import struct
from collections.abc import Iterator

Span = tuple[int, int]  # positions of the first byte and of the one behind the last
CODED = {b"hvc1", b"av01"}  # items that hold a codec's data; others describe a picture or the tiles that make it up
FULL_BOX_BYTES = 4  # version and flags
LONG_ID_VERSION = 2  # from this version of `iloc` on, an item's number has four bytes
CONSTRUCTION_METHOD = 0x0F  # mask: 0 means that an item's data lies in the file itself


def find_coded_data(content: bytes) -> list[Span]:
    """Return where the compressed pictures lie, thumbnails included; none where the file does not say.

    Raises struct.error or IndexError when a box is cut off.
    """
    meta = dict(_boxes(content, (0, len(content)))).get(b"meta")
    if meta is None:
        return []
    inner = dict(_boxes(content, (meta[0] + FULL_BOX_BYTES, meta[1])))
    if not {b"iinf", b"iloc"} <= inner.keys():
        return []
    kinds = _item_kinds(content, inner[b"iinf"])
    return [span for number, span in _item_spans(content, inner[b"iloc"]) if kinds.get(number) in CODED]


def _boxes(content: bytes, span: Span) -> Iterator[tuple[bytes, Span]]:
    """Yield the name and the inside of each box in a span."""
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
    """Read each item's kind, by its number, out of the box `iinf`."""
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
    """Read each item's number and the bytes that it has in the file out of the box `iloc`."""
    reader = _NumberReader(content, span[0])
    version = reader.next(1)
    reader.next(3)  # flags
    sizes, more = reader.next(1), reader.next(1)
    offset_bytes, length_bytes, base_bytes = sizes >> 4, sizes & 15, more >> 4
    index_bytes = more & 15 if version else 0
    for _ in range(reader.next(4 if version >= LONG_ID_VERSION else 2)):
        number = reader.next(4 if version >= LONG_ID_VERSION else 2)
        method = reader.next(2) & CONSTRUCTION_METHOD if version else 0
        reader.next(2)  # the number of the file that holds the data
        base, extents = reader.next(base_bytes), reader.next(2)
        if extents and not offset_bytes + length_bytes:
            raise struct.error("extents without a place")
        for _ in range(extents):
            reader.next(index_bytes)
            offset, length = base + reader.next(offset_bytes), reader.next(length_bytes)
            if method == 0:
                yield number, (offset, offset + length)


class _NumberReader:
    """Reads big-endian whole numbers one after the other."""

    def __init__(self, content: bytes, place: int) -> None:
        self._content, self._place = content, place

    def next(self, size: int) -> int:
        """Return the number in the next `size` bytes. Raises struct.error beyond the file's end."""
        start, self._place = self._place, self._place + size
        if self._place > len(self._content):
            raise struct.error("cut off")
        return int.from_bytes(self._content[start : self._place], "big")
