from __future__ import annotations

import re
from datetime import datetime
from xml.etree import ElementTree

from app.reports.html_page import describe_plot, render
from app.reports.photo_review import Distribution, Review
from app.runs.result import RunResult

SHARPNESS = Distribution("Sharpness", "La cara está borrosa", (3, 22, 61, 62, 63, 100), warn=40, reject=10)


def histogram(distribution: Distribution) -> str:
    """Return the plot that the page shows."""
    review = Review(datetime(2026, 11, 22), "", "", RunResult().count(), (), None, (distribution,))
    (plot,) = re.findall(r'<svg class="plot".*?</svg>', render(review, thumbnails=False), re.DOTALL)
    return str(plot)


def drawn(distribution: Distribution) -> ElementTree.Element:
    return ElementTree.fromstring(histogram(distribution))  # noqa: S314  # our own


def test_each_bar_has_its_place_its_share_of_the_height_and_its_zone() -> None:
    bars = [(bar.get("class"), bar.get("x"), bar.get("height")) for bar in drawn(SHARPNESS).iter("rect")]
    assert bars == [
        ("reject", "0.5", "16.67"),
        ("warn", "20.5", "16.67"),
        ("good", "60.5", "50.00"),
        ("good", "95.5", "16.67"),
    ]


def test_each_limit_has_a_line_unless_it_is_nought() -> None:
    lines = re.findall(r'class="limit (\w+)" d="M([\d.]+) ', histogram(SHARPNESS))
    assert lines == [("reject", "10"), ("warn", "40")]
    assert "limit" not in histogram(Distribution("Sharpness", "", (50,), warn=0, reject=0))


def test_a_screen_reader_gets_the_plot_in_words() -> None:
    words = "Sharpness: 6 fotos, mediana 62 de 100, 1 mejorables, 1 rechazadas"
    assert describe_plot(SHARPNESS) == words
    assert drawn(SHARPNESS).get("aria-label") == words


def test_a_name_cannot_break_out_of_the_drawing() -> None:
    assert drawn(Distribution('"><script>', "", (50,), warn=40, reject=10)).find(".//script") is None
