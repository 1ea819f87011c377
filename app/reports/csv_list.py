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
SEPARATOR = ";"  # what Excel expects in countries whose decimal sign is a comma
# Where a formula could begin: at a cell's start, and after a character that an Excel with other settings takes for the
# cell's end. Its signs in all widths: some programs turn them into the usual ones.
FORMULA_START = re.compile(r"""(^|[,;|\t\r\n])([\s"']*)(?=[=+\-@＝＋－＠﹦﹢﹣﹫−])""")


def listing(review: Review) -> bytes:
    """Return the CSV: UTF-8 with the mark by which Excel knows it, and lines that end as RFC 4180 says."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=SEPARATOR, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([harmless(cell) for cell in _row(entry)] for entry in review.entries)
    return file.getvalue().encode("utf-8-sig")


def harmless(cell: str) -> str:
    """Return the cell with an apostrophe, by which spreadsheets know text, wherever a formula could begin."""
    return FORMULA_START.sub(r"\1\2'", cell)


def _row(entry: Entry) -> tuple[str, ...]:
    who = (entry.crew_id, entry.full_name, entry.photo_name)
    return (GROUPS[entry.kind], *who, entry.title, entry.detail, entry.advice, CHANGES[entry.change], entry.code)
