from __future__ import annotations

import io

from rich.console import Console

from app.reports.console import fitting_width, fold, in_columns

HEADINGS = ("ID", "Nombre", "Por qué")
LONG = "la foto está en otra dirección; si es la misma, solo se anota"


def test_on_a_pipe_each_row_is_one_line_in_columns() -> None:
    rows = [("1001", "Ana", LONG), ("2", "Íñigo Núñez", "")]
    assert in_columns(HEADINGS, rows, None) == [
        "ID    Nombre       Por qué",
        f"1001  Ana          {LONG}",
        "2     Íñigo Núñez",
    ]


def test_the_last_column_folds_under_itself() -> None:
    assert in_columns(HEADINGS, [("1001", "Ana", LONG)], 60) == [
        "ID    Nombre  Por qué",
        "1001  Ana     la foto está en otra dirección; si es la",
        "              misma, solo se anota",
    ]


def test_where_there_is_no_room_the_last_column_goes_beneath() -> None:
    assert in_columns(HEADINGS, [("1001", "Ana María de los Ángeles", LONG)], 70) == [
        "ID    Nombre",
        "      Por qué",
        "1001  Ana María de los Ángeles",
        "      la foto está en otra dirección; si es la misma, solo se anota",
    ]


def test_one_endless_name_is_cut_on_a_terminal_and_whole_on_a_pipe() -> None:
    rows = [("1", "x" * 50, "nueva"), ("2", "Eva", "nueva")]
    heading, eva = f"ID  Nombre{' ' * 24}  Por qué", f"2   Eva{' ' * 27}  nueva"
    assert in_columns(HEADINGS, rows, 120) == [heading, f"1   {'x' * 29}…  nueva", eva]
    assert in_columns(HEADINGS, rows, None) == [heading, f"1   {'x' * 50}  nueva", eva]


def test_signs_that_take_two_places_keep_the_columns() -> None:
    lines = in_columns(("ID", "Por qué"), [("山田", "uno"), ("1234", "dos")], None)
    assert lines == ["ID    Por qué", "山田  uno", "1234  dos"]
    assert in_columns(("ID", "Por qué"), [("山" * 20, "uno")], None)[1] == f"{'山' * 20}  uno"


def test_folding_keeps_options_whole_and_leaves_a_pipe_alone() -> None:
    text = "Revise el padrón y, si de verdad se fueron, repita con --allow-mass-change"
    assert fold(text, 68, "  ") == [
        "Revise el padrón y, si de verdad se fueron, repita con",
        "  --allow-mass-change",
    ]
    assert (fold(text, None), fold("", 80)) == ([text], [""])


def test_only_a_terminal_has_a_width_to_fit_into() -> None:
    consoles = [Console(file=io.StringIO(), width=97, force_terminal=terminal) for terminal in (True, False)]
    assert [fitting_width(console) for console in consoles] == [97, None]
