"""Writes documents of `--json`, each complete or not at all."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from app.core.files import mode_of, write_private
from app.core.streams import STDOUT
from app.reports.console import warn_unwritten

UNUSUAL = re.compile(r"[^\n -~]")


def _escaped(found: re.Match[str]) -> str:
    """Return the character as JSON, `\\u009b`, if a terminal would obey it (C1 controls, bidi overrides)."""
    if found[0].isprintable():
        return found[0]
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def hand_over(console: Console, document: Any, target: str) -> None:
    """Write the document of `--json`, or print why it could not be written."""
    try:
        write_document(document, target)
    except OSError as error:
        warn_unwritten(console, target, error)


def write_document(document: Any, target: str) -> None:
    """Write to stdout (`-`), or to a file, complete or not at all. A new file is its owner's alone, an old one keeps
    its mode. Raises OSError."""
    content = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    content = UNUSUAL.sub(_escaped, content.decode()).encode()
    if target == STDOUT:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    path = Path(target)
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # a pipe or a device, which must not become a file
        return
    write_private(path, content, mode_of(path))
