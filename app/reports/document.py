"""Writes documents of `--json`, each complete or not at all."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from app.core.files import mode_of, write_private
from app.core.streams import STDOUT
from app.reports.console import warn_unwritten

AT_ONCE = 500  # items of a list
UNUSUAL = re.compile(r"[^\n -~]")


def _escaped(found: re.Match[str]) -> str:
    """Return the character as JSON, `\\u009b`, if a terminal would obey it (C1 controls, bidi overrides)."""
    if found[0].isprintable():
        return found[0]
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def hand_over(console: Console, document: Mapping[str, Any], target: str) -> None:
    """Write the document of `--json`, or print why it could not be written."""
    try:
        write_document(document, target)
    except OSError as error:
        warn_unwritten(console, target, error)


def write_document(document: Mapping[str, Any], target: str) -> None:
    """Write to stdout (`-`), or to a file, complete or not at all. A new file is its owner's alone, an old one keeps
    its mode. A value of the document may be an iterator, whose items are written one by one. Raises OSError."""
    pieces = itertools.chain(_pieces(document), [b"\n"])
    if target == STDOUT:
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.flush()
        return
    path = Path(target)
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            file.writelines(pieces)  # a pipe or a device, which must not become a file
        return
    write_private(path, pieces, mode_of(path))


def _pieces(value: Any, line: bytes = b"\n") -> Iterator[bytes]:
    """Yield the value as one text, of which only a piece is in memory at a time. `line` begins a line of the value."""
    inner = line + b"  "
    if isinstance(value, Mapping) and value:
        for number, (name, each) in enumerate(value.items()):
            if not isinstance(name, str):
                raise TypeError(name)
            yield (b"," if number else b"{") + inner + _dumps(name, line) + b": "
            yield from _pieces(each, inner)
        yield line + b"}"
    elif isinstance(value, Iterator):
        begin = b"["
        while some := list(itertools.islice(value, AT_ONCE)):
            yield begin + _dumps(some, line).removeprefix(b"[").removesuffix(line + b"]")
            begin = b","
        yield b"[]" if begin == b"[" else line + b"]"
    else:
        yield _dumps(value, line)


def _dumps(value: Any, line: bytes) -> bytes:
    text = UNUSUAL.sub(_escaped, orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
    return text.encode().replace(b"\n", line)
