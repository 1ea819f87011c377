"""Rows of cells as lines of plain text in columns. Where the last one does not fit it is folded, or goes beneath."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console

GAP, BENEATH = "  ", "      "
WIDEST = 30  # characters of a column; a longer cell is cut on a terminal, and shifts its own row on a pipe
ROOM = 40  # characters below which the last column is not worth folding


def fitting_width(console: Console) -> int | None:
    """What lines are to fit into; None on a pipe, where each row stays on its line for whoever searches it."""
    return console.width if console.is_terminal else None


def in_columns(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """The headings and the rows, `width` characters wide at most as far as the first columns allow."""
    leading = list(zip(*(row[:-1] for row in (headings, *rows)), strict=True))
    widths = [min(WIDEST, max(map(cell_len, column))) for column in leading]
    left = sum(widths) + len(GAP) * len(widths)
    if width is not None and width - left < ROOM:
        left = 0  # the last column goes beneath
    return [line for row in (headings, *rows) for line in _lines(row, widths, left, width)]


def fold(text: str, width: int | None, indent: str = "") -> list[str]:
    """The text in lines, of which all but the first are indented."""
    if width is None:
        return [text]
    return textwrap.wrap(text, max(width, ROOM), subsequent_indent=indent, break_on_hyphens=False) or [""]


def _lines(row: Sequence[str], widths: Sequence[int], left: int, width: int | None) -> Iterator[str]:
    start = "".join(
        _sized(cell, room, cut=width is not None) + GAP for cell, room in zip(row[:-1], widths, strict=True)
    )
    if width is None:
        yield (start + row[-1]).rstrip()
    elif left:
        first, *more = fold(row[-1], width - left)
        yield (start + first).rstrip()
        yield from (" " * left + line for line in more)
    else:
        yield start.rstrip()
        yield from (BENEATH + line for line in fold(row[-1], width - len(BENEATH)) if line)


def _sized(cell: str, width: int, *, cut: bool) -> str:
    if cell_len(cell) <= width:
        return set_cell_size(cell, width)
    return set_cell_size(cell, width - 1) + "…" if cut else cell
