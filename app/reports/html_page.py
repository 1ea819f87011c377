"""The review as one self-contained HTML file, which needs no network, and beside it the same list as CSV that Excel
opens with its accents right and in which no cell acts as a formula."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

from app.core.files import write_private
from app.reports.html import render_page
from app.reports.photo_review import IMPROVE, NEW, OPEN, RETAKE, SHARED, TECHNICAL, Distribution, Entry, Review
from app.runs.shared_photos import MAX_THUMBNAIL_BYTES

REPORT = "report"
# Characters of base64 for this run's thumbnails and earlier ones' together: a page of 10,000 people is under 20 MB.
THUMBNAILS_BUDGET = MAX_THUMBNAIL_BYTES * 4 // 3
BIN_WIDTH, BEST_SCORE, PLOT_HEIGHT = 5, 100, 50  # score points, and the drawing's units
# The parts of the list: the kind of entry, the heading, and what the list is for.
SECTIONS = (
    (RETAKE, "Fotos por corregir", "La foto actual de estas personas no sirve para registrarlas: hay que cambiarla."),
    (SHARED, "La misma foto en varias personas", "Averigüe de quién es cada foto antes de tomar otra."),
    (IMPROVE, "Fotos mejorables", "Estas personas ya son reconocidas; una foto mejor lo hará más seguro."),
    (TECHNICAL, "Para el equipo técnico", "Nada que corregir en estas fotos: envíe esta lista a sistemas."),
)
COLUMNS = (
    *("grupo", "identificador", "nombre", "foto", "motivo", "detalle", "qué hacer", "cambio", "código"),
    "reconocible",
)
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


def write_report(review: Review, folder: Path, *, thumbnails: bool, name: str = REPORT) -> Path:
    """Write page and CSV, each whole or not at all and its owner's alone; return the page's path. Raises OSError."""
    page = folder / f"{name}.html"
    write_private(page, render(review, thumbnails=thumbnails).encode("utf-8", "replace"))
    write_private(page.with_suffix(".csv"), listing(review))
    return page


def render(review: Review, *, thumbnails: bool) -> str:
    """Return the page's HTML. All of the roster's text is escaped; only our own script and style are allowed."""
    reasons = Counter((entry.kind, entry.title) for entry in review.entries).most_common()
    choices = [(kind, number, title, count) for number, ((kind, title), count) in enumerate(reasons)]
    numbers = {(kind, title): number for kind, number, title, _ in choices}
    shown = list(with_thumbnails(review.entries, THUMBNAILS_BUDGET if thumbnails else 0))
    return render_page(
        "page.html",
        ("page.css",),
        "page.js",
        review=review,
        sections=[(*section, [row for row in shown if row[0].kind == section[0]]) for section in SECTIONS],
        reasons=[(heading, [each for each in choices if each[0] == kind]) for kind, heading, _ in SECTIONS],
        numbers=numbers,
        without_thumbnail=sum(bool(entry.thumbnail) and not picture for entry, picture in shown) if thumbnails else 0,
        bars_of=bars_of,
        describe_plot=describe_plot,
    )


def with_thumbnails(entries: Iterable[Entry], budget: int) -> Iterator[tuple[Entry, str]]:
    """Yield the entries, each with its thumbnail in base64, empty from where `budget` (characters) has no room."""
    for entry in entries:
        thumbnail = base64.b64encode(entry.thumbnail).decode() if budget else ""
        if len(thumbnail) > budget:
            thumbnail = ""
        budget -= len(thumbnail)
        yield entry, thumbnail


def bars_of(distribution: Distribution) -> list[tuple[str, int, float]]:
    """Return the histogram's bars of five points each: zone, first score, and height in the drawing's units."""
    counts = Counter(min(int(score), BEST_SCORE - 1) // BIN_WIDTH * BIN_WIDTH for score in distribution.scores)
    highest = max(counts.values())
    return [
        (_zone(distribution, score + BIN_WIDTH / 2), score, PLOT_HEIGHT * count / highest)
        for score, count in sorted(counts.items())
    ]


def _zone(distribution: Distribution, score: float) -> str:
    if score < distribution.reject:
        return "reject"
    return "warn" if score < distribution.warn else "good"


def describe_plot(distribution: Distribution) -> str:
    """Return the plot in words, for screen readers."""
    scores = distribution.scores
    zones = Counter(_zone(distribution, score) for score in scores)
    photos = f"{len(scores)} fotos, mediana {median(scores):.0f} de {BEST_SCORE}"
    return f"{distribution.name}: {photos}, {zones['warn']} mejorables, {zones['reject']} rechazadas"


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
    words = (entry.title, entry.detail, entry.advice, CHANGES[entry.change], entry.code)
    return (GROUPS[entry.kind], *who, *words, "sí" if entry.recognised else "no")
