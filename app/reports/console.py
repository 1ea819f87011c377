"""The console: plain text on a pipe, colours on a terminal; and it takes everything, whoever has stopped listening."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console

from app.core.streams import SteadyStream


def open_console(*, to_stderr: bool = False, quiet: bool = False) -> Console:
    """Plain text on a pipe, whatever the locale; nothing in the text is markup. `quiet`: until somebody sets
    `console.quiet` to False."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not so when a test replaced it
            stream.reconfigure(encoding="utf-8", errors="replace")
    stream = sys.stderr if to_stderr else sys.stdout
    file: Any = SteadyStream(stream) if stream is not None else None  # closed by whoever called: `>&-`
    return Console(file=file, quiet=quiet or file is None, markup=False, highlight=False, emoji=False, soft_wrap=True)
