"""Reads EXIF's orientation as OpenCV does, and turns pixels upright by it."""

from __future__ import annotations

import struct

import cv2
import numpy as np

from app.records import Image

UPRIGHT = 1
# For each of EXIF's orientations the turn that undoes it, and whether the turned picture is then mirrored sideways.
UNDOING: dict[int, tuple[int | None, bool]] = {
    UPRIGHT: (None, False),
    2: (None, True),
    3: (cv2.ROTATE_180, False),
    4: (cv2.ROTATE_180, True),
    5: (cv2.ROTATE_90_CLOCKWISE, True),
    6: (cv2.ROTATE_90_CLOCKWISE, False),
    7: (cv2.ROTATE_90_COUNTERCLOCKWISE, True),
    8: (cv2.ROTATE_90_COUNTERCLOCKWISE, False),
}
EXIF_MARK = b"Exif\0\0"
APP1 = b"\xff\xe1"
MAX_SEGMENT_BYTES = 0xFFFF - 2


def turn_upright(image: Image, orientation: int) -> Image:
    """Undo EXIF's orientation (1 to 8): return the pixels as they are meant to be seen."""
    turn, mirrored = UNDOING[orientation]
    turned = image if turn is None else np.asarray(cv2.rotate(image, turn), np.uint8)
    return np.asarray(cv2.flip(turned, 1), np.uint8) if mirrored else turned


def read_orientation(exif: bytes) -> int:
    """Read the orientation (1 to 8) out of an EXIF block, as a PNG or WebP holds it; 1 when it names none."""
    block = EXIF_MARK + exif.removeprefix(EXIF_MARK)
    if len(block) > MAX_SEGMENT_BYTES:
        return UPRIGHT
    return read_jpeg_orientation(APP1 + struct.pack(">H", len(block) + 2) + block)


def read_jpeg_orientation(segments: bytes) -> int:
    """Read the orientation (1 to 8) out of a JPEG's APP1 segments, markers included; 1 when they name none. OpenCV
    decodes a tiny JPEG with them, and its turn tells: only OpenCV reads damaged EXIF as OpenCV does. 0.03 ms."""
    if EXIF_MARK not in segments:
        return UPRIGHT
    probe = cv2.imdecode(np.frombuffer(_PROBE[:2] + segments + _PROBE[2:], np.uint8), cv2.IMREAD_COLOR)
    if probe is None:
        return UPRIGHT
    return next(orientation for orientation, turned in _TURNED.items() if np.array_equal(turned, probe))


_PIXELS = np.zeros((8, 16, 3), np.uint8)  # all turns and mirrors of a white corner differ
_PIXELS[:4, :8] = 255
_PROBE = cv2.imencode(".jpg", _PIXELS)[1].tobytes()
_UNTURNED = np.asarray(cv2.imdecode(np.frombuffer(_PROBE, np.uint8), cv2.IMREAD_COLOR), np.uint8)
_TURNED = {orientation: turn_upright(_UNTURNED, orientation) for orientation in UNDOING}
