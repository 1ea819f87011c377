"""The console, and text for it: rows of cells in columns, long lines folded, errors with what to do."""

from __future__ import annotations

import logging
import sys
import textwrap
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from app.core.files import why
from app.core.streams import SteadyStream
from app.core.text import printable_lines
from app.errors import AlreadyRunning, RunError

GAP, BENEATH = "  ", "      "
WIDEST = 30  # characters of a column; a longer cell is cut on a terminal, and shifts its own row on a pipe
NARROWEST = 6  # to which a column is cut where there is no room
ROOM = 40  # characters below which the last column is not worth folding
USUAL_RUN = timedelta(hours=12)

log = logging.getLogger(__name__)


def open_console(*, to_stderr: bool = False, quiet: bool = False) -> Console:
    """Return a console that writes plain text on a pipe, and takes nothing in a text for markup.
    A stream that can no longer be written to ends nothing. `quiet` lasts until `console.quiet` is set to False."""
    stream = sys.stderr if to_stderr else sys.stdout
    file: Any = SteadyStream(stream) if stream is not None else None  # closed by the caller's shell: `>&-`
    return Console(file=file, quiet=quiet or file is None, markup=False, highlight=False, emoji=False, soft_wrap=True)


def complain(console: Console, error: RunError) -> int:
    """Print what ended the run, or kept it from starting, and what to do; return its exit code. A quiet console does
    not show that another run is under way, unless that one should long be over."""
    console.quiet = console.quiet and isinstance(error, AlreadyRunning) and (error.age or timedelta(0)) < USUAL_RUN
    console.print(printable_lines(f"❌ {error}"))
    if error.advice:
        console.print(printable_lines(f"   Qué hacer: {error.advice}"))
    return error.exit_code


def warn_unwritten(console: Console, target: str, error: OSError) -> None:
    """Print, also on a quiet console, that a file asked for could not be written: that does not undo the run."""
    log.error("No se pudo escribir %s", target, exc_info=True)
    console.quiet = False
    console.print(printable_lines(f"⚠️  No se pudo escribir {target}: {why(error)}"))


def fitting_width(console: Console) -> int | None:
    """Return the width for lines; None on a pipe, where each row stays on one line so that it can be searched."""
    return console.width if console.is_terminal else None


def in_columns(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int | None, *, cut_to_fit: bool = False
) -> list[str]:
    """Return the headings and the rows as lines, at most `width` characters wide as far as the first columns allow;
    with `cut_to_fit` the widest of them are cut. The last column is folded under itself, or goes beneath the others
    where it has no room."""
    *leading, last = zip(*(headings, *rows), strict=True)
    widths = [min(WIDEST, max(map(cell_len, column))) for column in leading]
    while cut_to_fit and width is not None and _left_of_last(widths) > width + len(GAP) and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    left = _left_of_last(widths)
    if width is not None and width - left < min(ROOM, max(map(cell_len, last))):
        left = 0  # the last column goes beneath
    return [line for row in (headings, *rows) for line in _lines(row, widths, left, width)]


def _left_of_last(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * len(widths)


def fold(text: str, width: int | None, indent: str = "") -> list[str]:
    """Return the text as lines; all but the first are indented."""
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
