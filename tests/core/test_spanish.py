from __future__ import annotations

from datetime import timedelta

import pytest

from app.core.spanish import inflect, say_about, say_age, say_ago, say_all, say_exactly, say_some, suggest


def test_one_and_several_have_their_words() -> None:
    assert [inflect(number, "# persona[s] [volvió|volvieron]") for number in (0, 1, 2)] == [
        "0 personas volvieron",
        "1 persona volvió",
        "2 personas volvieron",
    ]


def test_lists_end_with_y() -> None:
    assert [say_all(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a y b", "a, b y c"]
    assert [say_some(["a", "b", "c"], shown) for shown in (3, 2)] == ["a, b, c", "a, b y 1 más"]


@pytest.mark.parametrize(
    ("wanted", "texts", "question"),
    [
        ("101", ["000101", "1010", "102"], " ¿Quiso decir 000101?"),
        ("789100.0", ["789100"], " ¿Quiso decir 789100?"),
        ("peña ", ["PENA", "Peña", "pe"], " ¿Quiso decir PENA, Peña?"),
        ("a", ["A", "A ", " A", "á", "b"], " ¿Quiso decir  A, A, A  y 1 más?"),
        *[("7", ["8"], ""), ("7", ["7"], ""), ("7", [], ""), ("789100x", ["789100"], ""), ("10", ["1"], "")],
    ],
)
def test_what_a_person_may_have_meant_is_asked(wanted: str, texts: list[str], question: str) -> None:
    assert suggest(wanted, texts) == question


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "menos de un minuto"),
        (29, "menos de un minuto"),
        (31, "un minuto"),
        (170, "unos 3 minutos"),
        (59 * 60 + 29, "unos 59 minutos"),
        (3599, "una hora"),
        (80 * 60, "una hora y 20 minutos"),
        (119 * 60, "unas 2 horas"),
        (20.5 * 3600, "unas 20 horas y 30 minutos"),
    ],
)
def test_a_duration_is_told_as_one_would_say_it(seconds: float, words: str) -> None:
    assert say_about(seconds) == words


def test_a_measured_duration_is_told_in_two_units_at_most() -> None:
    assert [say_exactly(seconds) for seconds in (12.4, 185, 7800)] == ["12 s", "3 min 05 s", "2 h 10 min"]


def test_ages_are_told_in_one_unit() -> None:
    ages = [timedelta(seconds=20), timedelta(minutes=119), timedelta(hours=2, minutes=59), timedelta(days=3)]
    assert [say_age(age) for age in ages] == ["menos de un minuto", "119 min", "2 h", "72 h"]
    assert [say_ago(age) for age in ages] == ["hace 0 min", "hace 2 h", "hace 3 h", "hace 3 días"]
