"""A decoder that certain file endings crash, hang or fill with memory, as unknown files may do to a real decoder.

`python -m tests.support.fragile_decoder` runs `app.photos.sandbox_worker` with it.
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
    """Return the pixels, or do what the end of the file asks for."""
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
