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
    pieces = _pieces(document)
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


def _pieces(document: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the document as one text, of which only a piece is in memory at a time."""
    yield b"{"
    for number, (name, value) in enumerate(document.items()):
        yield b",\n" if number else b"\n"
        yield from _listed(name, value) if isinstance(value, Iterator) else [_dumps({name: value})[2:-2]]
    yield b"\n}\n"


def _listed(name: str, items: Iterator[Any]) -> Iterator[bytes]:
    begin, end = _dumps({name: []})[2:-3], b"\n  ]"
    yield begin
    first = True
    while some := list(itertools.islice(items, AT_ONCE)):
        yield b"" if first else b","
        yield _dumps({name: some})[2:-2].removeprefix(begin).removesuffix(end)
        first = False
    yield b"]" if first else end


def _dumps(value: Any) -> bytes:
    return UNUSUAL.sub(_escaped, orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()).encode()
