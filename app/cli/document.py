"""The document of `--json`: each command hands over one, its own or what ended it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from app.core.text import as_utf8
from app.reports.document import hand_over


def answer(options: argparse.Namespace, console: Console, document: Mapping[str, Any]) -> None:
    """Write the document, or print why it could not be written. What ends the command later writes no other."""
    target, options.json = options.json, None
    hand_over(console, document, target)


def answer_ending(options: argparse.Namespace, console: Console, sentence: str, exit_code: int) -> None:
    """Write what ended the command, if `--json` was asked for and nothing was handed over yet: the document of an
    earlier one would pass for this one's."""
    if options.json:
        answer(options, console, {"error": as_utf8(sentence), "exit_code": exit_code})
