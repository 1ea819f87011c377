"""TIFF: finds the largest page, and refuses cameras' RAW files and damage that libtiff does not notice.

Decoders read the first page, which may be a thumbnail. A RAW file is a TIFF whose readable pages are all thumbnails.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from app.errors import InvalidImage
from app.photos.damage import DAMAGED
from app.photos.kinds import RAW, UNKNOWN

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, STRIP_BYTES = 273, 277, 279
TILE_OFFSETS, TILE_BYTES, SUB_PAGES, EXTRA_SAMPLES, DNG_VERSION = 324, 325, 330, 338, 50706
FORMS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}  # how `struct` reads each type of whole number
# A sensor's pixels: a colour filter's mosaic, or linear light; and how Nikon, Sony, Pentax and Kodak compress them.
RAW_PHOTOMETRICS = {32803, 34892}
RAW_COMPRESSIONS = {34713, 32767, 32769, 65000, 65535}
UNCOMPRESSED = 1  # of COMPRESSION
GREY, SUBSAMPLED = {0, 1}, 6  # of PHOTOMETRIC: SUBSAMPLED has colour planes of half the size
ASSOCIATED, UNASSOCIATED = 1, 2
EIGHT_BITS = 8
DEFLATED = {8, 32946}
CHUNK_BYTES = 1 << 20  # unpacked at a time, however much the rest would expand to
MAX_PAGES = 1000  # a scanner's stack has hundreds
MAX_ENTRIES = 4096  # of one page; cameras write some hundreds
MAX_VALUES = 1_000_000  # of one entry, such as the places of a page's strips


@dataclass(frozen=True, slots=True)
class Directory:
    """A page's entries: by tag, where its values lie in the file, their `struct` form and their number."""

    start: int
    entries: dict[int, tuple[int, str, int]]


@dataclass(frozen=True, slots=True)
class Page:
    """The largest page. `content` is the file with this page first, `size` its (width, height), `deflated` is where its
    deflated strips lie; `alpha` is ASSOCIATED, UNASSOCIATED or 0 for none."""

    content: bytes
    size: tuple[int, int]
    is_grey: bool
    is_packed: bool
    deflated: tuple[tuple[int, int], ...]
    alpha: int


def refuse_broken_strips(page: Page) -> None:
    """Raise InvalidImage when deflated pixels do not match their checksum, which libtiff does not read."""
    for start, end in page.deflated:
        unpacker = zlib.decompressobj()
        rest = page.content[start:end]
        try:
            while rest and not unpacker.eof:
                unpacker.decompress(rest, CHUNK_BYTES)
                rest = unpacker.unconsumed_tail
        except zlib.error as error:
            raise InvalidImage(DAMAGED) from error
        if not unpacker.eof:
            raise InvalidImage(DAMAGED)


class TiffReader:
    """Reads a TIFF's or BigTIFF's directories. Raises struct.error beyond the file's end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._order = "<" if content.startswith(b"II") else ">"
        self._is_big = content[2:4] in (b"+\0", b"\0+")
        self._offset: Final = "Q" if self._is_big else "I"

    def read(self, form: str, place: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + form, self._content, place)

    def directories(self) -> Iterator[Directory]:
        """Yield the pages, and the pages that they name as their parts."""
        seen: set[int] = set()
        waiting = deque(self.read(self._offset, 8 if self._is_big else 4))
        while waiting and len(seen) < MAX_PAGES:
            start = waiting.popleft()
            if start in seen or not start:
                continue
            seen.add(start)
            directory, following = self._directory(start)
            yield directory
            named = (following, *self.values(directory, SUB_PAGES)[:MAX_PAGES])
            waiting.extend(each for each in dict.fromkeys(named) if each and each not in seen)

    def values(self, directory: Directory, tag: int) -> tuple[int, ...]:
        if tag not in directory.entries:
            return ()
        place, form, count = directory.entries[tag]
        return self.read(f"{count}{form}", place)

    def first(self, directory: Directory, tag: int, default: int = 0) -> int:
        return (*self.values(directory, tag), default)[0]

    def beginning_with(self, directory: Directory) -> bytes:
        """Return the file with this page as its first."""
        place = 8 if self._is_big else 4
        start = struct.pack(self._order + self._offset, directory.start)
        return self._content[:place] + start + self._content[place + len(start) :]

    def _directory(self, start: int) -> tuple[Directory, int]:
        (count,) = self.read("Q" if self._is_big else "H", start)
        place = start + (8 if self._is_big else 2)
        entry = f"HH{self._offset}"
        head = struct.calcsize("<" + entry)
        inline = struct.calcsize("<" + self._offset)
        entries = {}
        for _ in range(min(count, MAX_ENTRIES)):
            tag, kind, length = self.read(entry, place)
            if (form := FORMS.get(kind)) and length <= MAX_VALUES:
                fits = struct.calcsize(f"<{length}{form}") <= inline
                where = place + head if fits else self.read(self._offset, place + head)[0]
                entries[tag] = (where, form, length)
            place += head + inline
        try:
            (following,) = self.read(self._offset, place)
        except struct.error:  # behind the last page some programs leave it out
            following = 0
        return Directory(start, entries), following


def read_largest_page(content: bytes) -> Page:
    """Find the page with the most pixels. Raises InvalidImage for RAW files and for pixels beyond the file's end."""
    reader = TiffReader(content)
    try:
        directories = list(reader.directories())
        if any(_is_raw(reader, each) for each in directories):
            raise InvalidImage(RAW)
        largest = max(directories, key=lambda each: reader.first(each, WIDTH) * reader.first(each, HEIGHT))
        spans = _find_pixels(reader, largest, len(content))
        return _describe(reader, largest, spans)
    except (struct.error, ValueError, OverflowError) as error:
        raise InvalidImage(UNKNOWN) from error


def _is_raw(reader: TiffReader, page: Directory) -> bool:
    packed = reader.first(page, COMPRESSION) in RAW_COMPRESSIONS
    return DNG_VERSION in page.entries or packed or reader.first(page, PHOTOMETRIC) in RAW_PHOTOMETRICS


def _find_pixels(reader: TiffReader, page: Directory, file_bytes: int) -> list[tuple[int, int]]:
    """Return where the page's strips or tiles lie. Raises InvalidImage when one is cut off, or when uncompressed ones
    are too short for the page's size."""
    offsets = reader.values(page, STRIP_OFFSETS) or reader.values(page, TILE_OFFSETS)
    lengths = reader.values(page, STRIP_BYTES) or reader.values(page, TILE_BYTES)
    spans = [(offset, offset + length) for offset, length in zip(offsets, lengths, strict=False)]
    if any(end > file_bytes for _, end in spans):
        raise InvalidImage(DAMAGED)
    compressed = reader.first(page, COMPRESSION, UNCOMPRESSED) != UNCOMPRESSED
    if compressed or not lengths or reader.first(page, PHOTOMETRIC) == SUBSAMPLED:
        return spans
    bits = reader.first(page, WIDTH) * reader.first(page, SAMPLES, 1) * reader.first(page, BITS, 1)
    if sum(lengths) < reader.first(page, HEIGHT) * (bits // 8):
        raise InvalidImage(DAMAGED)
    return spans


def _describe(reader: TiffReader, page: Directory, spans: list[tuple[int, int]]) -> Page:
    samples = reader.first(page, SAMPLES, 1)
    compression = reader.first(page, COMPRESSION, UNCOMPRESSED)
    is_grey = reader.first(page, PHOTOMETRIC, 2) in GREY
    extras = reader.values(page, EXTRA_SAMPLES)
    has_alpha = len(extras) == 1 and samples == (2 if is_grey else 4) and extras[0] in (ASSOCIATED, UNASSOCIATED)
    content = reader.beginning_with(page)
    if has_alpha and not is_grey and reader.first(page, BITS, 1) <= EIGHT_BITS:
        # OpenCV would multiply the colours by an unassociated alpha. Any other fourth colour it leaves alone.
        place = page.entries[EXTRA_SAMPLES][0]
        content = content[:place] + b"\0\0" + content[place + 2 :]
    return Page(
        content=content,
        size=(reader.first(page, WIDTH), reader.first(page, HEIGHT)),
        is_grey=is_grey,
        is_packed=compression != UNCOMPRESSED,
        deflated=tuple(spans) if compression in DEFLATED else (),
        alpha=extras[0] if has_alpha else 0,
    )
