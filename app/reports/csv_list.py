"""The review as a spreadsheet: one row for each entry, as CSV that Excel opens with its accents right and in which no
cell acts as a formula."""

from __future__ import annotations

import csv
import io
import re

from app.reports.photo_review import IMPROVE, NEW, OPEN, RETAKE, SHARED, TECHNICAL, Entry, Review

COLUMNS = ("grupo", "identificador", "nombre", "foto", "motivo", "detalle", "qué hacer", "cambio", "código")
GROUPS = {
    RETAKE: "por corregir",
    SHARED: "foto compartida",
    IMPROVE: "mejorable",
    TECHNICAL: "para el técnico",
}
CHANGES = {NEW: "nueva", OPEN: "sigue pendiente", "": ""}
SEPARATOR = ";"  # what Excel expects wherever the decimal sign is a comma
# Where a formula could begin: a cell's start, and after what an Excel set to another separator takes for its end. The
# signs in all their widths: some programs make the usual ones of them.
FORMULA_START = re.compile(r"""(^|[,;|\t\r\n])([\s"']*)(?=[=+\-@＝＋－＠﹦﹢﹣﹫−])""")


def listing(review: Review) -> bytes:
    """UTF-8 with the mark by which Excel knows it, and lines that end as RFC 4180 says."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=SEPARATOR, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([harmless(cell) for cell in _row(entry)] for entry in review.entries)
    return file.getvalue().encode("utf-8-sig")


def harmless(cell: str) -> str:
    """The text with an apostrophe, by which spreadsheets know text, wherever it could begin a formula."""
    return FORMULA_START.sub(r"\1\2'", cell)


def _row(entry: Entry) -> tuple[str, ...]:
    who = (entry.crew_id, entry.full_name, entry.photo_name)
    return (GROUPS[entry.kind], *who, entry.title, entry.detail, entry.advice, CHANGES[entry.change], entry.code)
