"""Keep standard output and error usable when their reader is gone, and free of the messages of native libraries."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

STANDARD = (0, 1, 2)
STDERR = 2
STDOUT = "-"  # the name by which an option asks for standard output instead of a file


def prepare_streams() -> None:
    """Make standard output and error UTF-8, whatever the locale; what cannot be encoded becomes a question mark. Those
    that the caller's shell closed (`>&-`) stay None, and their descriptors lead nowhere: the next file opened, such as
    the database, would take their number, and what a library prints would go into it."""
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            _send_nowhere(descriptor)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not so when a test replaced it, or there is none
            stream.reconfigure(encoding="utf-8", errors="replace")


class SteadyStream:
    """A stream that swallows everything after its first error, so that a run goes on when `| head` has read enough, the
    terminal was closed, or the disk for the output is full."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._broken = False

    def write(self, text: str) -> int:
        """Write the text, or swallow it. Never raises an error of the stream."""
        self._attempt(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream. Never raises an error of the stream."""
        self._attempt(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _attempt(self, call: Callable[[], object]) -> None:
        if self._broken:
            return
        try:
            call()
        except (OSError, ValueError):
            self._broken = True
            with suppress(OSError, ValueError):  # what Python still buffers would fail when the process ends
                _send_nowhere(self._stream.fileno())


@contextmanager
def without_native_chatter() -> Iterator[None]:
    """Let only Python write to standard error until the block ends: cron would mail the lines that libjpeg and libpng
    print for each damaged photo, which HR's page lists already. `prepare_streams` comes first."""
    ours = os.dup(STDERR)
    before = sys.stderr
    is_ours = before is not None and before is sys.__stderr__  # a test may have replaced it
    if is_ours:
        before.flush()
        file = os.fdopen(ours, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)
        sys.stderr = cast(Any, SteadyStream(file))
    _send_nowhere(STDERR)
    try:
        yield
    finally:
        if is_ours:
            sys.stderr.flush()
            sys.stderr = before
        os.dup2(ours, STDERR)
        os.close(ours)


def _send_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:  # os.open takes the lowest free number, which may be this one
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
