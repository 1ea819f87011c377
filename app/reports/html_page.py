"""The review as a page for people: one self-contained HTML file that no network is needed for, and the same as CSV."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from app.core.files import write_private
from app.reports.csv_list import listing
from app.reports.photo_review import IMPROVE, RETAKE, SHARED, TECHNICAL, Entry, Review
from app.reports.plots import histogram
from app.runs.shared_photos import MAX_THUMBNAIL_BYTES

REPORT = "report"
TEMPLATES = Path(__file__).parent
# Characters of base64 for this run's thumbnails and earlier ones' together: a page of 10,000 people is under 20 MB.
THUMBNAILS_BUDGET = MAX_THUMBNAIL_BYTES * 4 // 3


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the list: its heading and what it is for."""

    kind: str
    heading: str
    purpose: str


SECTIONS = (
    Section(
        RETAKE, "Fotos por corregir", "La foto actual de estas personas no sirve para registrarlas: hay que cambiarla."
    ),
    Section(SHARED, "La misma foto en varias personas", "Averigüe de quién es cada foto antes de tomar otra."),
    Section(IMPROVE, "Fotos mejorables", "Estas personas ya son reconocidas; una foto mejor lo hará más seguro."),
    Section(TECHNICAL, "Para el equipo técnico", "Nada que corregir en estas fotos: envíe esta lista a sistemas."),
)


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as shown: `reason` numbers its defect, `thumbnail` is base64, empty for none."""

    entry: Entry
    reason: int
    thumbnail: str


@dataclass(frozen=True, slots=True)
class Reason:
    """A choice of the filter: a defect of a section's entries, and of how many."""

    kind: str
    number: int
    title: str
    count: int


def write_report(review: Review, folder: Path, *, thumbnails: bool, name: str = REPORT) -> Path:
    """Write the page (its path is returned) and beside it the CSV, each complete or not at all, for nobody but their
    owner. Raises OSError."""
    page = folder / f"{name}.html"
    write_private(page, render(review, thumbnails=thumbnails).encode("utf-8", "replace"))
    write_private(page.with_suffix(".csv"), listing(review))
    return page


def render(review: Review, *, thumbnails: bool) -> str:
    """The page's HTML. Everything of the roster is escaped; scripts and styles but our own do not run."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    reasons = list(reasons_of(review.entries))
    rows = list(rows_of(review.entries, reasons, THUMBNAILS_BUDGET if thumbnails else 0))
    style, script = _own("page.css"), _own("page.js")
    return environment.get_template("page.html").render(
        review=review,
        policy=_policy(style, script),
        style=style,
        script=script,
        sections=[(section, [row for row in rows if row.entry.kind == section.kind]) for section in SECTIONS],
        reasons=[(section, [reason for reason in reasons if reason.kind == section.kind]) for section in SECTIONS],
        without_thumbnail=sum(bool(row.entry.thumbnail) and not row.thumbnail for row in rows) if thumbnails else 0,
        plots=[(distribution, histogram(distribution)) for distribution in review.distributions],
    )


def reasons_of(entries: Sequence[Entry]) -> Iterator[Reason]:
    """Every defect, section by section, the most frequent first."""
    counts = Counter((entry.kind, entry.title) for entry in entries)
    for number, ((kind, title), count) in enumerate(counts.most_common()):
        yield Reason(kind, number, title, count)


def rows_of(entries: Sequence[Entry], reasons: Sequence[Reason], budget: int) -> Iterator[Row]:
    """Entries in their order; those whose thumbnail no longer fits into `budget` (characters) go without."""
    numbers = {(reason.kind, reason.title): reason.number for reason in reasons}
    for entry in entries:
        thumbnail = base64.b64encode(entry.thumbnail).decode() if budget else ""
        if len(thumbnail) > budget:
            thumbnail = ""
        budget -= len(thumbnail)
        yield Row(entry, numbers[entry.kind, entry.title], thumbnail)


def _own(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704  # a file of ours, not of the roster


def _policy(style: str, script: str) -> str:
    """What a browser may do with the page: show images within it, and apply the style and run the script of ours."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_fingerprint(style)}'; script-src '{_fingerprint(script)}';"
        " base-uri 'none'; form-action 'none'"
    )


def _fingerprint(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
