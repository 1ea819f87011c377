"""JPEG: the file's bytes come in, BGR pixels go out, upright. What libjpeg would have to guess is refused.

libjpeg decodes damaged files to the end, with grey bars and shifted halves, and calls it a warning. In `simplejpeg`'s
strict mode a warning is an error; the pixels are OpenCV's to the last bit, at every reduction.
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
)
from app.photos.jpeg_seams import refuse_seam
from app.photos.kinds import SAVE_AS_JPG
from app.photos.orientation import read_jpeg_orientation, turn_upright
from app.records import Image

READ = SEQUENTIAL | PROGRESSIVE | LOSSLESS
BITS, BLOCK_PX = 8, 8
# Of a block's brightness, eight to a level. Saved at a quality of 24 or less, neighbouring blocks differ by so much
# that sound pictures have seams.
MAX_BRIGHTNESS_STEP = 32
GREY, COLOUR, INK = 1, 3, 4  # by the number of planes
JPEG_LS = f"es una foto JPEG-LS, que no se lee; {SAVE_AS_JPG}"
HIERARCHICAL = f"es una foto JPEG de un tipo que no se lee; {SAVE_AS_JPG}"
MORE_BITS = "es una foto JPEG de {bits} bits por color, que no se lee; {advice}"
APPLICATIONS, COMMENT = range(0xE0, 0xF0), 0xFE
JFIF, JFIF_MAJOR, JFIF_VERSION = b"JFIF", 5, 1  # the version's place in its segment, and the only one there is
ADOBE, ADOBE_TRANSFORM = b"Adobe", 11
TRANSFORMS = {COLOUR: (0, 1), INK: (0, 2)}  # of which libjpeg takes any other for the last
PADDING = re.compile(rb"(?<!\xff)\0+\Z")
UNUSUAL = "subsampling"  # simplejpeg's word for planes of sizes that it does not know


def refuse_unreadable(parts: JpegParts) -> None:
    """Raises InvalidImage with the name of a JPEG that none of our decoders reads, or that is not all there."""
    frame = parts.frame
    if frame.marker == SOF55:
        raise InvalidImage(JPEG_LS)
    if frame.marker not in READ:
        raise InvalidImage(HIERARCHICAL)
    if frame.bits != BITS:
        raise InvalidImage(MORE_BITS.format(bits=frame.bits, advice=SAVE_AS_JPG))
    if not all(frame.size) or not parts.is_complete:
        raise InvalidImage(DAMAGED)


def has_usual_planes(content: bytes) -> bool:
    """Whether simplejpeg knows the sizes of its planes, as it does of all but a few scanners' and cameras' photos."""
    try:
        simplejpeg.decode_jpeg_header(content, strict=False)
    except ValueError as error:
        return UNUSUAL not in str(error)
    except KeyError:  # its word for a header that ends too early
        pass
    return True


def decode_jpeg(parts: JpegParts, reduction: int) -> Image:
    """BGR uint8 (h, w, 3), upright; a lossless one must not be reduced. Raises InvalidImage when it is damaged."""
    if not has_usual_planes(parts.content):
        with opencv.no_complaints():
            return opencv.decode(parts.content, reduction)
    for content in _mended(parts):
        try:
            pixels = _decode_strictly(content, parts, reduction)
        except ValueError:
            continue
        if parts.is_one_pass and parts.brightness_step <= MAX_BRIGHTNESS_STEP:
            refuse_seam(pixels, BLOCK_PX * max(rows for _, _, rows in parts.frame.planes) // reduction)
        return turn_upright(pixels, read_jpeg_orientation(parts.exif))
    raise InvalidImage(DAMAGED)


def _decode_strictly(content: bytes, parts: JpegParts, reduction: int) -> Image:
    """BGR, as it lies. Raises ValueError for whatever libjpeg finds odd."""
    width, height = parts.frame.size
    limits = {"min_width": -(-width // reduction), "min_height": -(-height // reduction), "min_factor": reduction}
    planes = len(parts.frame.planes)
    colours = {GREY: "GRAY", INK: "CMYK"}.get(planes, "BGR")
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(content, colours, **(limits if reduction > 1 else {}))
    if planes == GREY:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    return _from_ink(pixels) if planes == INK else pixels


def _from_ink(pixels: NDArray[np.uint8]) -> Image:
    """BGR of CMYK as Adobe stores it (255 is no ink), as OpenCV computes it."""
    ink = pixels.astype(np.uint16)
    black = ink[:, :, 3:]
    return np.ascontiguousarray((black - ((255 - ink[:, :, 2::-1]) * black >> 8)).astype(np.uint8))


def _mended(parts: JpegParts) -> Iterator[bytes]:
    """The file, and the same without what sound files are known to have that libjpeg warns of: each in turn is to be
    decoded without a warning, so that none hides another."""
    yield parts.content
    mended = _mend(parts)
    yield mended
    if (bare := _mend(parts, padded=False)) != mended:
        yield bare


def _mend(parts: JpegParts, *, padded: bool = True) -> bytes:
    """What a decoder needs of the file, its end mark and nothing else: no metadata, nothing between segments, and on
    demand no zeros that fill up a scan's data."""
    kept = [each for each in parts.segments if each.marker not in (EOI, COMMENT)]
    ends = [each.start for each in parts.segments[1:]] + [len(parts.content)]
    behind = dict(zip(parts.segments, ends, strict=True))
    pieces = [parts.content[:2]]
    for each in kept:
        if each.marker in APPLICATIONS and each.marker not in (APP0, APP14):
            continue
        pieces.append(_mend_segment(each, parts))
        if each.marker == SOS:
            data = parts.content[each.end : behind[each]]
            pieces.append(data if padded else PADDING.sub(b"", data))
    return b"".join([*pieces, b"\xff\xd9"])


def _mend_segment(segment: Segment, parts: JpegParts) -> bytes:
    """The segment with the values that libjpeg takes a wrong one for. Samsung's cameras write nonsense into the scans
    of sequential pictures."""
    whole = bytearray(parts.content[segment.start : segment.end])
    body = whole[4:]
    if segment.marker == SOS and parts.frame.marker in SEQUENTIAL:
        whole[-3:] = bytes([0, LAST_AC, 0])
    elif segment.marker == APP0 and body.startswith(JFIF) and len(body) > JFIF_MAJOR:
        whole[4 + JFIF_MAJOR] = JFIF_VERSION
    elif segment.marker == APP14 and body.startswith(ADOBE) and len(body) > ADOBE_TRANSFORM:
        known = TRANSFORMS.get(len(parts.frame.planes), ())
        if known and body[ADOBE_TRANSFORM] not in known:
            whole[4 + ADOBE_TRANSFORM] = known[-1]
    return bytes(whole)
