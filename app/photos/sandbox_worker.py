"""The sandbox's process: reads untrusted photo files from stdin, decodes them and writes the pixels to stdout.

`python -m app.photos.sandbox_worker` ends when stdin does. Replies are plain bytes without pickle: an attacker who
controls this process gains no control over the process that started it.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import cv2

from app.errors import DangerousImage, ItemError
from app.photos.decoding import PIXELS_PER_MEGAPIXEL, DecodeOptions, Pixels, read_header, read_pixels
from app.photos.opencv_decoding import TOO_MUCH_MEMORY

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

READY = b"ready"
# The length of the content, which follows; `max_megapixels`, `min_side_px`; megapixels beyond which to answer LARGE.
REQUEST = struct.Struct("<Qdid")
REPLY = struct.Struct("<cQ")  # the kind of reply, and how many bytes of it follow
PIXELS, REFUSED, LARGE = b"P", b"R", b"L"  # REFUSED carries the code of an ItemError, a line feed and its detail
SHAPE = struct.Struct("<5I")  # before the pixels: width, height, `reduction`, rows, columns
# The decoder of animated WebP takes most: 21 bytes (measured). The rest is for the file and the libraries.
BYTES_PER_PIXEL, SPARE_BYTES = 24, 256 * 1024 * 1024
Read = Callable[[bytes, DecodeOptions], Pixels]
STATM = Path("/proc/self/statm")  # Linux: this process's address space, in pages
ALARM_S = 120  # the parent kills after 30 s: this only ends a process whose parent died


def main(read: Read = read_pixels) -> None:
    """Answer requests until stdin ends. Tests pass another `read`."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # for a library that prints
    cv2.setNumThreads(1)
    for number in (signal.SIGINT, signal.SIGTERM):  # they reach the whole process group: the parent ends this process
        signal.signal(number, signal.SIG_IGN)
    replies.write(READY)
    replies.flush()
    requests = sys.stdin.buffer
    while len(request := requests.read(REQUEST.size)) == REQUEST.size:
        length, max_megapixels, min_side_px, usual_megapixels = REQUEST.unpack(request)
        _limit_memory(max_megapixels)
        _set_alarm(ALARM_S)
        options = DecodeOptions(max_megapixels, min_side_px)
        _reply(replies, *_answer(read, requests.read(length), options, usual_megapixels))
        _set_alarm(0)


def _answer(
    read: Read, content: bytes, options: DecodeOptions, usual_megapixels: float
) -> tuple[bytes, Sequence[bytes | memoryview]]:
    try:
        if read_header(content).decoded_pixels(options) > usual_megapixels * PIXELS_PER_MEGAPIXEL:
            return LARGE, ()
        _limit_memory(min(options.max_megapixels, usual_megapixels))
        pixels = read(content, options)
    except (ItemError, MemoryError) as error:
        refusal = error if isinstance(error, ItemError) else DangerousImage(TOO_MUCH_MEMORY)
        return REFUSED, [f"{refusal.code}\n{refusal.detail}".encode()]
    shape = SHAPE.pack(*pixels.size, pixels.reduction, *pixels.image.shape[:2])
    return PIXELS, [shape, pixels.image.data.cast("B")]


def _reply(replies: IO[bytes], kind: bytes, parts: Sequence[bytes | memoryview]) -> None:
    replies.write(REPLY.pack(kind, sum(map(len, parts))))
    for part in parts:
        replies.write(part)
    replies.flush()


def _set_alarm(seconds: int) -> None:
    """End this process after `seconds`; 0 cancels that. Windows has no alarm."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _limit_memory(max_megapixels: float) -> None:
    """Limit memory, on Linux, to what this process has now and a photo of that size needs. Forbid core dumps, which
    would hold the photo."""
    if resource is None or not STATM.exists():
        return
    pages = int(STATM.read_text(encoding="ascii").split()[0])
    needed = int(max_megapixels * PIXELS_PER_MEGAPIXEL) * BYTES_PER_PIXEL + SPARE_BYTES
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = pages * resource.getpagesize() + needed
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
