"""Make text from a roster, a file or an error safe to print and to encode."""

from __future__ import annotations

import unicodedata

INVISIBLE = "Cf"  # Unicode's category of characters that join, mark or turn round what is beside them


def printable(text: str) -> str:
    """Write every control character as an escape such as `\\x1b`, so that no roster value can forge a line, and every
    invisible one as `<U+200E>`, so that two names that look the same do not, and none is shown backwards."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(char: str) -> str:
    if char.isprintable():
        return char
    return f"<U+{ord(char):04X}>" if unicodedata.category(char) == INVISIBLE else repr(char)[1:-1]


def printable_lines(text: str) -> str:
    """Apply `printable` to each line of a text of several lines."""
    return "\n".join(printable(line) for line in text.split("\n"))


def as_utf8(text: str) -> str:
    """Write what UTF-8 cannot hold as an escape: the name of a folder may have bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode()
