"""Make text from a roster, a file or an error safe to print and to encode."""

from __future__ import annotations


def printable(text: str) -> str:
    """Write every control character as an escape such as `\\x1b`, so that no roster value can forge a line."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def printable_lines(text: str) -> str:
    """Apply `printable` to each line of a text of several lines."""
    return "\n".join(printable(line) for line in text.split("\n"))


def as_utf8(text: str) -> str:
    """Write what UTF-8 cannot hold as an escape: the name of a folder may have bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode()
