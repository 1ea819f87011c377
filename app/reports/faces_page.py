"""A page with faces side by side, for what a person has to decide: the answers of `--match`, the pairs of `--audit`."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from app.core.text import printable
from app.reports.html import render_page

SHOWN_DECIMALS, CONFIDENCE_DECIMALS = 3, 2  # of a distance and of a confidence


@dataclass(frozen=True, slots=True)
class ShownFace:
    """One face: whose it is (no id: that is what is asked), its JPEG (empty for none), its distance to the face that
    is asked about with the service's confidence, and whether it is beyond the threshold."""

    name: str
    crew_id: str
    picture: bytes = b""
    distance: float | None = None
    confidence: float | None = None
    is_far: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """Faces that belong together, and what is said of them. `kind`: good, warn or bad; `distance`: between them."""

    kind: str
    title: str
    detail: str
    advice: str
    faces: tuple[ShownFace, ...]
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its cards."""

    heading: str
    purpose: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class FacesPage:
    """The page. `figures`: what is counted and how often; `notes` are sentences. It says nothing of when it was made:
    the same gallery gives the same page."""

    title: str
    sentence: str
    figures: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    sections: tuple[Section, ...]


def say_distance(distance: float) -> str:
    """Return a distance as people read it, with a decimal comma; documents have all of its digits."""
    return f"{distance:.{SHOWN_DECIMALS}f}".replace(".", ",")


def say_confidence(confidence: float) -> str:
    """Return the service's confidence as people read it, with a decimal comma."""
    return f"{confidence:.{CONFIDENCE_DECIMALS}f}".replace(".", ",")


def render_faces(page: FacesPage) -> str:
    """Return the page's HTML."""
    return render_page(
        "faces_page.html",
        ("page.css", "faces_page.css"),
        page=page,
        say_distance=say_distance,
        say_confidence=say_confidence,
        printable=printable,
        encode=lambda picture: base64.b64encode(picture).decode(),
    )
