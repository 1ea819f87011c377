from __future__ import annotations

from app.core.text import as_utf8, printable, printable_lines


def test_control_characters_are_shown_and_all_else_stays() -> None:
    assert printable("Ñandú ✅ «a»\t\x00") == "Ñandú ✅ «a»\\t\\x00"
    assert printable_lines("uno\x1b\ndos") == "uno\\x1b\ndos"


def test_invisible_characters_are_shown_so_that_one_sees_them() -> None:
    assert printable("\u200efoto\u202egpj.exe\ufeff") == "<U+200E>foto<U+202E>gpj.exe<U+FEFF>"
    assert printable("a\u200cb\u200dc\u00ad\u2060\U000e0041") == "a<U+200C>b<U+200D>c<U+00AD><U+2060><U+E0041>"
    assert printable("a\u2028\ud800\xa0") == "a\\u2028\\ud800\\xa0"


def test_what_is_no_text_is_escaped_and_all_else_stays() -> None:
    assert as_utf8("Ñandú ✅\x1b") == "Ñandú ✅\x1b"
    assert as_utf8("a\udcff") == "a\\udcff"
