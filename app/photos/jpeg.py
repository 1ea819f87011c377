"""Decodes JPEG, and refuses files of which libjpeg would have to guess a part.

libjpeg decodes damaged files to the end, with grey bars and shifted halves, and only warns. In `simplejpeg`'s strict
mode a warning is an error. Its pixels equal those of OpenCV, which DeepFace reads photos with, at every reduction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from app.errors import InvalidImage
from app.photos import opencv_decoding as opencv
from app.photos.damage import DAMAGED
from app.photos.jpeg_parts import (
    APP0,
    APP14,
    EOI,
    LAST_AC,
    LOSSLESS,
    PROGRESSIVE,
    SEQUENTIAL,
    SOF55,
    SOS,
    JpegParts,
    Segment,
    read_parts,
)
from app.photos.kinds import SAVE_AS_JPG
from app.photos.orientation import read_jpeg_orientation, turn_upright
from app.records import Image

READABLE = SEQUENTIAL | PROGRESSIVE | LOSSLESS
# Usual progressive JPEGs have ten scans, those of mozjpeg up to fifteen. A scan of a few bytes goes over all pixels
# again, and libjpeg sets no limit: 25 MB of them would take hours.
USUAL_SCANS = 30
USUAL_FRAMES = {0xC0, 0xC1, 0xC2}  # Huffman coding, sequential or progressive; the decoders of others are less proven
BITS, BLOCK_PX = 8, 8
# Eight steps are one level of brightness. At a coarser step (a quality of 24 or less) the blocks of sound pictures
# differ by so much that they have seams.
MAX_BRIGHTNESS_STEP = 32
GREY, COLOUR, CMYK = 1, 3, 4  # numbers of planes
JPEG_LS = f"es una foto JPEG-LS, que no se lee; {SAVE_AS_JPG}"
HIERARCHICAL = f"es una foto JPEG de un tipo que no se lee; {SAVE_AS_JPG}"
MORE_BITS = "es una foto JPEG de {bits} bits por color, que no se lee; {advice}"
APPLICATIONS, COMMENT = range(0xE0, 0xF0), 0xFE
JFIF, JFIF_MAJOR_AT, JFIF_MAJOR = b"JFIF", 5, 1  # where the version stands, and the only one that exists
ADOBE, ADOBE_TRANSFORM_AT = b"Adobe", 11
TRANSFORMS = {COLOUR: (0, 1), CMYK: (0, 2)}  # libjpeg warns of any other and reads it as the last
PADDING = re.compile(rb"(?<!\xff)\0+\Z")
MIN_BLOCK_ROWS = 4  # in a picture that is reduced further each pixel row belongs to another row of blocks
MIN_JUMP = 6  # levels; a smaller jump hardly changes the vector
# The jump divided by the picture's own change there. The largest of 60 sound JPEGs has 0.5; of 60 damaged ones without
# a warning from libjpeg, three quarters have 2 or more.
MIN_EXCESS = 2.5
# The rows on both sides of a seam are alike but for the jump; at an edge of the picture they are not: the spread of the
# rows divided by the spread of their difference. The first look takes every fourth column of one colour.
MIN_LIKENESS, MIN_SPREAD = 4, 12
SAMPLED, GREEN, MIN_STEADINESS = 4, 1, 0.7
# In a photo neighbouring pixels differ nearly everywhere. Where most are equal, it is a drawing with edges of its own.
MIN_GRAIN = 0.5
BANNER_END, BANNER_END_PX = 16, 8  # of the width one part in so many is compared at either end, at least so many pixels
UNUSUAL = "subsampling"  # in simplejpeg's message for planes of sizes that it does not know


def is_plain_jpeg(content: bytes, max_pixels: float) -> bool:
    """Tell whether the file is such as cameras and phones write. Raises InvalidImage when a header is cut off."""
    parts = read_parts(content)
    width, height = parts.frame.size
    is_usual = parts.frame.marker in USUAL_FRAMES and width * height <= max_pixels
    return is_usual and len(parts.scans) <= USUAL_SCANS and has_usual_planes(content)


def refuse_unreadable(parts: JpegParts) -> None:
    """Raise InvalidImage for an incomplete JPEG, and with its name for a kind that no decoder of ours reads."""
    frame = parts.frame
    if frame.marker == SOF55:
        raise InvalidImage(JPEG_LS)
    if frame.marker not in READABLE:
        raise InvalidImage(HIERARCHICAL)
    if frame.bits != BITS:
        raise InvalidImage(MORE_BITS.format(bits=frame.bits, advice=SAVE_AS_JPG))
    if not all(frame.size) or not parts.is_complete:
        raise InvalidImage(DAMAGED)


def has_usual_planes(content: bytes) -> bool:
    """Tell whether simplejpeg knows the sizes of the planes: of all photos but those of a few scanners and cameras."""
    try:
        simplejpeg.decode_jpeg_header(content, strict=False)
    except ValueError as error:
        return UNUSUAL not in str(error)
    except KeyError:  # raised for a header that ends too early
        pass
    return True


def decode_jpeg(parts: JpegParts, reduction: int) -> Image:
    """Decode to BGR uint8 (h, w, 3), upright. A lossless JPEG must not be reduced. Raises InvalidImage for damage."""
    if not has_usual_planes(parts.content):
        with opencv.refusing_complaints():
            return opencv.decode(parts.content, reduction)
    for content in _variants(parts):
        try:
            pixels = _decode_strictly(content, parts, reduction)
        except ValueError:
            continue
        if parts.is_one_pass and parts.brightness_step <= MAX_BRIGHTNESS_STEP:
            _refuse_seam(pixels, BLOCK_PX * max(rows for _, _, rows in parts.frame.planes) // reduction)
        return turn_upright(pixels, read_jpeg_orientation(parts.exif))
    raise InvalidImage(DAMAGED)


def _decode_strictly(content: bytes, parts: JpegParts, reduction: int) -> Image:
    width, height = parts.frame.size
    limits = {"min_width": -(-width // reduction), "min_height": -(-height // reduction), "min_factor": reduction}
    planes = len(parts.frame.planes)
    colours = {GREY: "GRAY", CMYK: "CMYK"}.get(planes, "BGR")
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(content, colours, **(limits if reduction > 1 else {}))
    if planes == GREY:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    return _from_cmyk(pixels) if planes == CMYK else pixels


def _from_cmyk(pixels: NDArray[np.uint8]) -> Image:
    """Convert CMYK as Adobe stores it (255 is no ink) to BGR, as OpenCV does."""
    ink = pixels.astype(np.uint16)
    black = ink[:, :, 3:]
    return np.ascontiguousarray((black - ((255 - ink[:, :, 2::-1]) * black >> 8)).astype(np.uint8))


def _variants(parts: JpegParts) -> Iterator[bytes]:
    """Yield the file, then the file without the oddities of sound files, then also without zeros behind its data: they
    are padding in some files and data in others. A variant that decodes without a warning shows that an oddity hid no
    damage."""
    yield parts.content
    mended = _mend(parts)
    yield mended
    if (unpadded := _mend(parts, padded=False)) != mended:
        yield unpadded


def _mend(parts: JpegParts, *, padded: bool = True) -> bytes:
    """Return what a decoder needs: no metadata, nothing between segments, an end mark; without `padded` no zeros at
    the end of a scan's data."""
    pieces = [parts.content[:2]]
    ends = [each.start for each in parts.segments[1:]] + [len(parts.content)]
    for each, end in zip(parts.segments, ends, strict=True):
        is_metadata = each.marker in APPLICATIONS and each.marker not in (APP0, APP14)
        if is_metadata or each.marker in (EOI, COMMENT):
            continue
        pieces.append(_mend_segment(each, parts))
        if each.marker == SOS:
            data = parts.content[each.end : end]
            pieces.append(data if padded else PADDING.sub(b"", data))
    return b"".join([*pieces, b"\xff\xd9"])


def _mend_segment(segment: Segment, parts: JpegParts) -> bytes:
    """Return the segment with the values that libjpeg assumes where it warns of the file's own: in the version of
    JFIF, in Adobe's transform, and in a sequential scan's frequencies, where Samsung's cameras write nonsense."""
    whole = bytearray(parts.content[segment.start : segment.end])
    body = whole[4:]
    if segment.marker == SOS and parts.frame.marker in SEQUENTIAL:
        whole[-3:] = bytes([0, LAST_AC, 0])
    elif segment.marker == APP0 and body.startswith(JFIF) and len(body) > JFIF_MAJOR_AT:
        whole[4 + JFIF_MAJOR_AT] = JFIF_MAJOR
    elif segment.marker == APP14 and body.startswith(ADOBE) and len(body) > ADOBE_TRANSFORM_AT:
        known = TRANSFORMS.get(len(parts.frame.planes), ())
        if known and body[ADOBE_TRANSFORM_AT] not in known:
            whole[4 + ADOBE_TRANSFORM_AT] = known[-1]
    return bytes(whole)


def _refuse_seam(image: Image, block_rows: int) -> None:
    """Raise InvalidImage when the brightness jumps, along half the width, from one row of blocks to the next.

    A block stores how much brighter it is than the one before. Where a few bytes are lost and the data still decodes,
    all that follows is too bright or too dark by one number in each colour, and libjpeg does not warn.
    """
    if block_rows < MIN_BLOCK_ROWS or min(image.shape[:2]) < 2 * block_rows:
        return
    middle = image.shape[1] // 2
    for half in (image[:, :middle], image[:, middle:]):
        above = half[block_rows - 1 : -2 : block_rows, ::SAMPLED, GREEN].astype(np.float32)
        difference = half[block_rows::block_rows, ::SAMPLED, GREEN][: len(above)] - above
        jumps = np.abs(difference.mean(axis=1))
        steady = (jumps >= MIN_JUMP / 2) & (jumps >= MIN_STEADINESS * difference.std(axis=1))
        for row in np.flatnonzero(steady):
            start = (row + 1) * block_rows - 2
            if _has_seam(half[start : start + 4].astype(np.int16)) and not _is_banner(image[start + 1 : start + 3]):
                raise InvalidImage(DAMAGED)


def _is_banner(rows: NDArray[np.uint8]) -> bool:
    """Tell whether two rows jump alike at both ends: at the edge of a translucent banner from side to side. Bytes are
    lost somewhere within a row of blocks, and the blocks before that place jump one row of blocks later."""
    width = rows.shape[1]
    end = max(BANNER_END_PX, width // BANNER_END)
    difference = rows[1].astype(np.int16) - rows[0].astype(np.int16)
    whole, *ends = (np.median(part, axis=0) for part in (difference, difference[:end], difference[-end:]))
    return all(np.abs(each - whole).max() <= np.abs(whole).max() / 2 for each in ends)


def _has_seam(rows: NDArray[np.int16]) -> bool:
    """Tell whether the second and the third of four rows are alike but for one number in each colour."""
    difference = rows[2] - rows[1]
    jump = np.median(difference, axis=0)
    unlike = np.median(np.abs(difference - jump), axis=0).max() + 1
    spread = rows[1:3].std(axis=1).max(axis=1).min()
    if np.abs(jump).max() < MIN_JUMP or spread < max(MIN_SPREAD, MIN_LIKENESS * unlike):
        return False
    if (np.diff(rows[1:3], axis=1) != 0).any(axis=2).mean() < MIN_GRAIN:
        return False
    slope = max(np.abs(np.median(rows[lower] - rows[lower - 1], axis=0)).max() for lower in (1, 3))
    return bool(np.abs(jump).max() >= MIN_EXCESS * (unlike + 2 * slope))
