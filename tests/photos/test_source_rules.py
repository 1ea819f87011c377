"""Whether a photo is still the remembered version."""

from __future__ import annotations

import pytest

from app.photos.source_rules import compare_versions
from app.records import ANSWER_CHANGED, ANSWER_GONE, ANSWER_SAME, ANSWER_UNKNOWN, ANSWER_UNREACHABLE, Answer, Version

MONDAY, TUESDAY = "Mon, 05 Jan 2026 10:00:00 GMT", "Tue, 06 Jan 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("current", "remembered", "kind"),
    [
        (Version('"a"'), Version('"a"'), ANSWER_SAME),
        (Version('"a"'), Version('"b"'), ANSWER_CHANGED),
        (Version('W/"a"'), Version('"a"'), ANSWER_SAME),
        (Version('"a"'), Version('W/"a"'), ANSWER_SAME),
        (Version('W/"a"'), Version('W/"b"'), ANSWER_CHANGED),
        (Version('"a"', TUESDAY, 8), Version('"a"', MONDAY, 7), ANSWER_SAME),
        (Version('"a"', MONDAY, 7), Version('"b"', MONDAY, 7), ANSWER_CHANGED),
        (Version("", MONDAY), Version("", MONDAY), ANSWER_SAME),
        (Version("", MONDAY), Version("", TUESDAY), ANSWER_CHANGED),
        (Version('"a"', MONDAY), Version("", MONDAY), ANSWER_SAME),
        (Version("", MONDAY), Version('"a"', TUESDAY), ANSWER_CHANGED),
        (Version("", MONDAY, 7), Version("", MONDAY, 7), ANSWER_SAME),
        (Version("", MONDAY, 7), Version("", MONDAY, 8), ANSWER_CHANGED),
        (Version("", MONDAY, 7), Version("", MONDAY), ANSWER_SAME),
        (Version("", MONDAY), Version("", MONDAY, 7), ANSWER_SAME),
        (Version("", TUESDAY, 7), Version("", MONDAY, 7), ANSWER_CHANGED),
        (Version("", "", 7), Version("", "", 7), ANSWER_SAME),
        (Version("", "", 0), Version("", "", 0), ANSWER_SAME),
        (Version("", "", 0), Version("", "", 7), ANSWER_CHANGED),
        (Version('"a"', "", 7), Version("", MONDAY, 7), ANSWER_SAME),
        (Version('"a"', MONDAY, 7), Version("", "", 8), ANSWER_CHANGED),
        (Version('"a"', "", None), Version("", MONDAY, 7), ANSWER_UNKNOWN),
        (Version("", "", 7), Version(), ANSWER_UNKNOWN),
        (Version(), Version(), ANSWER_UNKNOWN),
    ],
)
def test_the_surest_thing_that_both_versions_know_decides(current: Version, remembered: Version, kind: str) -> None:
    assert compare_versions(current, remembered) == kind


@pytest.mark.parametrize(
    ("answer", "says_something"),
    [
        (Answer(ANSWER_SAME), True),
        (Answer(ANSWER_UNKNOWN, Version("", "", 7)), True),
        (Answer(ANSWER_UNKNOWN), True),  # the photo is still there
        (Answer(ANSWER_CHANGED, Version('"a"')), False),
        (Answer(ANSWER_GONE), False),
        (Answer(ANSWER_UNREACHABLE), False),
    ],
)
def test_an_answer_counts_as_a_check_unless_the_photo_changed_or_was_not_found(
    answer: Answer, says_something: bool
) -> None:
    assert answer.says_something is says_something
