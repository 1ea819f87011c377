"""Reads a JPEG's frame, scans and segments (ITU-T T.81, annex B). Nothing is decoded."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidImage
from app.photos.damage import DAMAGED

SOI, EOI, SOS, APP0, APP1, APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
DHT, JPG, DAC, SOF55, DQT = 0xC4, 0xC8, 0xCC, 0xF7, 0xDB
FRAMES = set(range(0xC0, 0xD0)) - {DHT, JPG, DAC} | {SOF55}  # markers of a frame's header, one for each process
SEQUENTIAL = {0xC0, 0xC1, 0xC9}
PROGRESSIVE = {0xC2, 0xCA}
LOSSLESS = {0xC3, 0xCB}
MARK, RESTARTS = 0xFF, range(0xD0, 0xD8)
STANDALONE = {0x01, *RESTARTS}  # markers without a length
FIRST_CHUNK_BYTES, MAX_CHUNK_BYTES = 1 << 9, 1 << 18
MARKS = re.compile(rb"\xff+")
# A photo with metadata, a profile in several segments and a scan for every bit has some hundreds.
MAX_SEGMENTS = 4096
LAST_AC = 63  # the highest frequency of a block's 64


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker with its content, at `start` to `end`. A scan's compressed data lies behind `end`."""

    marker: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Frame:
    """The picture's header: `size` is (width, height); `planes` has each plane's number with its horizontal and
    vertical sampling."""

    marker: int
    bits: int
    size: tuple[int, int]
    planes: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """One pass over some planes: their frequencies `first` to `last`, from bit `high` down to bit `low`."""

    planes: tuple[int, ...]
    first: int
    last: int
    high: int
    low: int


@dataclass(frozen=True)
class JpegParts:
    """A JPEG's segments up to its end mark, if it has one. What lies behind does not belong to the picture."""

    content: bytes
    segments: tuple[Segment, ...]

    @cached_property
    def frame(self) -> Frame:
        for each in self.segments:
            if each.marker in FRAMES:
                return _read_frame(each.marker, self.body(each))
        raise InvalidImage(DAMAGED)

    @cached_property
    def scans(self) -> list[Scan]:
        return [_read_scan(self.body(each)) for each in self.segments if each.marker == SOS]

    def body(self, segment: Segment) -> bytes:
        return self.content[segment.start + 4 : segment.end]

    @property
    def exif(self) -> bytes:  # and XMP
        return b"".join(self.content[each.start : each.end] for each in self.segments if each.marker == APP1)

    @property
    def brightness_step(self) -> int:
        """Return the coarsest step in which any plane stores the mean of a block; 0 without a table."""
        steps = [0]
        for body in (self.body(each) for each in self.segments if each.marker == DQT):
            at = 0
            while at < len(body):  # each table has its kind in one byte, then 64 steps of one or two bytes
                step_bytes = 2 if body[at] >> 4 else 1
                steps.append(int.from_bytes(body[at + 1 : at + 1 + step_bytes], "big"))
                at += 1 + 64 * step_bytes
        return max(steps)

    @property
    def is_one_pass(self) -> bool:
        """Tell whether libjpeg decodes row by row. Of any other JPEG it keeps all coefficients in memory."""
        return self.frame.marker not in PROGRESSIVE and len(self.scans) == 1

    @property
    def is_complete(self) -> bool:
        """Tell whether there are scans for all planes, and in a progressive picture for every bit of every frequency.
        Of a file that ends between two of its scans libjpeg makes up what is missing, without a warning."""
        planes = {number for number, _, _ in self.frame.planes}
        if self.frame.marker not in PROGRESSIVE:
            return planes <= {plane for scan in self.scans for plane in scan.planes}
        finest = {
            (plane, frequency): scan.low
            for scan in self.scans
            for plane in scan.planes
            for frequency in range(scan.first, scan.last + 1)
        }
        return all(finest.get((plane, frequency)) == 0 for plane in planes for frequency in range(LAST_AC + 1))


def read_parts(content: bytes) -> JpegParts:
    """Find the segments. Bytes between two segments are skipped, as libjpeg does. Raises InvalidImage for too many."""
    segments: list[Segment] = []
    place = 2
    while (found := MARKS.search(content, place)) is not None:
        if len(segments) == MAX_SEGMENTS:
            raise InvalidImage(DAMAGED)
        start, place = found.span()
        marker = content[place] if place < len(content) else EOI
        place += 1
        if marker == 0 or marker in STANDALONE:
            continue
        if marker == EOI:
            segments.append(Segment(EOI, start, min(place, len(content))))
            break
        segment = Segment(marker, place - 2, place + int.from_bytes(content[place : place + 2], "big"))
        segments.append(segment)
        place = segment.end
        if marker == SOS:
            place = _find_scan_end(content, segment.end)
    return JpegParts(content, tuple(segments))


def _find_scan_end(content: bytes, start: int) -> int:
    """Return where the next marker behind a scan's data is: 0xFF, but before a zero or as part of a restart marker."""
    length = FIRST_CHUNK_BYTES  # doubled each time, since the next scan may begin soon
    while start < len(content):
        chunk: NDArray[np.uint8] = np.frombuffer(content, np.uint8)[start : start + length]
        marks = np.flatnonzero(chunk[:-1] == MARK)
        behind = chunk[marks + 1]
        ends = marks[(behind != 0) & (behind != MARK) & ((behind < RESTARTS.start) | (behind >= RESTARTS.stop))]
        if len(ends):
            return start + int(ends[0])
        start += length - 1  # the last byte may be the first half of a marker
        length = min(2 * length, MAX_CHUNK_BYTES)
    return len(content)


def _read_frame(marker: int, body: bytes) -> Frame:
    try:
        bits, height, width, count = struct.unpack_from(">BHHB", body)
        planes = [struct.unpack_from(">BBB", body, 6 + 3 * each) for each in range(count)]
    except struct.error as error:
        raise InvalidImage(DAMAGED) from error
    return Frame(marker, bits, (width, height), tuple((number, both >> 4, both & 15) for number, both, _ in planes))


def _read_scan(body: bytes) -> Scan:
    try:
        planes = tuple(body[1 : 1 + 2 * body[0] : 2])
        first, last, bits = body[1 + 2 * body[0] : 4 + 2 * body[0]]
    except (IndexError, ValueError) as error:
        raise InvalidImage(DAMAGED) from error
    return Scan(planes, first, last, bits >> 4, bits & 15)
