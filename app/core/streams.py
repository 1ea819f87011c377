"""Standard output and error: they take everything, whoever has stopped listening, and only what is ours goes there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

STDERR = 2
STDOUT = "-"  # the name by which an option asks for standard output instead of a file


class SteadyStream:
    """A stream that fails once and is silent from then on: a run does not end because `| head` has read enough, the
    terminal's window was closed, or the disk that the output goes to is full."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._broken = False

    def write(self, text: str) -> int:
        if not self._broken:
            try:
                return self._stream.write(text)
            except (OSError, ValueError):
                self._give_up()
        return len(text)

    def flush(self) -> None:
        if not self._broken:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._give_up()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _give_up(self) -> None:
        self._broken = True
        with suppress(OSError, ValueError):  # what Python still holds of it goes nowhere, instead of failing at the end
            _send_nowhere(self._stream.fileno())


@contextmanager
def without_native_chatter() -> Iterator[None]:
    """While inside, only Python writes to standard error: libjpeg and libpng print a line for each damaged photo, and a
    quiet run's mail is not about what HR's page says."""
    try:
        ours = os.dup(STDERR)
    except OSError:  # closed by whoever called: no file of ours must come to be what native libraries write to
        _send_nowhere(STDERR)
        yield
        return
    before = sys.stderr
    is_ours = before is not None and before is sys.__stderr__  # not so when a test replaced it
    if is_ours:
        before.flush()
        sys.stderr = _open_steady(ours)
    _send_nowhere(STDERR)
    try:
        yield
    finally:
        if is_ours:
            sys.stderr.flush()
            sys.stderr = before
        os.dup2(ours, STDERR)
        os.close(ours)


def _open_steady(descriptor: int) -> Any:
    return SteadyStream(os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False))


def _send_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:  # the lowest that is free, which may be the one
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
