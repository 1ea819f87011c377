from __future__ import annotations

import csv
import io
from datetime import datetime

import pytest

from app.reports.html_page import COLUMNS, harmless, listing
from app.reports.photo_review import Entry, Review
from app.runs.result import RunResult

WHEN = datetime(2026, 11, 22, 6, 0)


def review_of(*entries: Entry) -> Review:
    return Review(WHEN, "", "", RunResult().count(), entries, None, ())


def entry(**values: str) -> Entry:
    usual = {"crew_id": "1001", "full_name": "Íñigo Núñez", "photo_name": "a.jpg", "kind": "retake", "code": "no_face"}
    words = {"title": "No se detectaron rostros", "detail": "", "advice": "Tome la foto de nuevo.", "change": "new"}
    return Entry(**usual | words | values)  # type: ignore[arg-type]


def test_the_listing_reads_back_as_it_was_with_the_mark_by_which_excel_knows_utf8() -> None:
    content = listing(review_of(entry(recognised=False, detail='dice «;» y «"»')))
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";"))
    cells = ["por corregir", "1001", "Íñigo Núñez", "a.jpg", "No se detectaron rostros", 'dice «;» y «"»']
    assert rows == [list(COLUMNS), [*cells, "Tome la foto de nuevo.", "nueva", "no_face", "no"]]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@A1", "'@A1"),
        (" =1", " '=1"),
        ("＝1", "'＝1"),
        ("﹢1", "'﹢1"),
        ("−1", "'−1"),
        ("a\\t=1", "a\\t=1"),  # a tab has become two letters before it comes here
        ('"=1', "\"'=1"),
    ],
)
def test_no_cell_begins_a_formula(text: str, cell: str) -> None:
    assert harmless(text) == cell
    content = listing(review_of(entry(crew_id=text, full_name=text, photo_name=text, detail=text))).decode("utf-8-sig")
    row = list(csv.reader(content.splitlines(), delimiter=";"))[1]
    assert [row[column] for column in (1, 2, 3, 5)] == [cell] * 4


@pytest.mark.parametrize("separator", [",", ";", "|", "\t", "\r"])
def test_no_cell_begins_a_formula_for_an_excel_that_splits_at_another_sign(separator: str) -> None:
    assert harmless(f'Ana{separator} "=1+1') == f"Ana{separator} \"'=1+1"


@pytest.mark.parametrize("text", ["Ana-María", "a+b@c.mx", "", "Peña, Ana", "FAED(1).jpg"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text
