"""A decoder that the end of a file can crash, hang or make hungry: what real ones do of files that nobody has yet.

`python -m tests.support.fragile_decoder` is `app.photos.sandbox_worker` with it.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from app.photos.decoding import DecodeOptions, Pixels, read_pixels
from app.photos.sandbox_worker import main

COMMAND = (sys.executable, "-m", "tests.support.fragile_decoder")
CRASHING = b"." * 5000
HANGING, HUNGRY, LINGERING = b"(hang)", b"(eat)", b"(linger)"
MEAL_BYTES = 1 << 30
LINGER_S = 0.6


def read(content: bytes, options: DecodeOptions) -> Pixels:
    """The pixels, or an accident."""
    if content.endswith(CRASHING):
        os.kill(os.getpid(), signal.SIGSEGV)
    if content.endswith(HANGING):
        time.sleep(600)
    if content.endswith(HUNGRY):
        bytearray(MEAL_BYTES)
    if content.endswith(LINGERING):
        time.sleep(LINGER_S)
    return read_pixels(content, options)


if __name__ == "__main__":
    main(read)
