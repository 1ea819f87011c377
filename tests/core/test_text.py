from __future__ import annotations

from app.core.text import as_utf8, printable, printable_lines


def test_control_characters_are_shown_and_all_else_stays() -> None:
    assert printable("Ñandú ✅ «a»\t\x00") == "Ñandú ✅ «a»\\t\\x00"
    assert printable_lines("uno\x1b\ndos") == "uno\\x1b\ndos"


def test_what_is_no_text_is_escaped_and_all_else_stays() -> None:
    assert as_utf8("Ñandú ✅\x1b") == "Ñandú ✅\x1b"
    assert as_utf8("a\udcff") == "a\\udcff"
