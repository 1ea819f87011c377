"""The console: plain text on a pipe, colours on a terminal; and it takes everything, whoever has stopped listening."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import IO, Any

from rich.console import Console


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
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def open_console(*, to_stderr: bool = False, quiet: bool = False) -> Console:
    """Plain text on a pipe, whatever the locale; nothing in the text is markup. `quiet`: until somebody sets
    `console.quiet` to False."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not so when a test replaced it
            stream.reconfigure(encoding="utf-8", errors="replace")
    stream = sys.stderr if to_stderr else sys.stdout
    file: Any = SteadyStream(stream) if stream is not None else None  # closed by whoever called: `>&-`
    return Console(file=file, quiet=quiet or file is None, markup=False, highlight=False, emoji=False, soft_wrap=True)
