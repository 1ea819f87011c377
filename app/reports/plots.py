"""The distribution of a quality component's scores as an SVG histogram, coloured by the page's style."""

from __future__ import annotations

from collections import Counter
from statistics import median

from markupsafe import Markup

from app.reports.photo_review import Distribution

BIN_WIDTH, BEST_SCORE = 5, 100  # score points
BINS = BEST_SCORE // BIN_WIDTH
HEIGHT, BASE = 58, 50  # of the drawing, whose width is one unit a score point; below BASE are the axis' numbers

FIGURE = Markup(
    '<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
    '{bars}{lines}<path class="axis" d="M0 {base}H{width}"/>{ticks}</svg>'
)
BAR = Markup('<rect class="{zone}" x="{x}" y="{y:.2f}" width="{width}" height="{height:.2f}"/>')
LINE = Markup('<path class="limit {zone}" d="M{x:g} 0V{base}"/>')
TICK = Markup('<text x="{x}" y="{y}" text-anchor="{anchor}">{x}</text>')


def histogram(distribution: Distribution) -> Markup:
    """Bars of five points each, in the colour of their zone, and a line at each limit."""
    return FIGURE.format(
        width=BEST_SCORE,
        height=HEIGHT,
        base=BASE,
        label=in_words(distribution),
        bars=Markup("").join(_bars(distribution)),
        lines=Markup("").join(_lines(distribution)),
        ticks=Markup("").join(
            TICK.format(x=x, y=HEIGHT, anchor=anchor) for x, anchor in ((0, "start"), (50, "middle"), (100, "end"))
        ),
    )


def in_words(distribution: Distribution) -> str:
    """The plot for whoever cannot see it."""
    scores = distribution.scores
    warned = sum(distribution.reject <= score < distribution.warn for score in scores)
    rejected = sum(score < distribution.reject for score in scores)
    middle = f"mediana {median(scores):.0f} de {BEST_SCORE}"
    return f"{distribution.name}: {len(scores)} fotos, {middle}, {warned} mejorables, {rejected} rechazadas"


def _bars(distribution: Distribution) -> list[Markup]:
    counts = Counter(min(int(score) // BIN_WIDTH, BINS - 1) for score in distribution.scores)
    highest = max(counts.values())
    return [_bar(distribution, index * BIN_WIDTH, BASE * count / highest) for index, count in sorted(counts.items())]


def _bar(distribution: Distribution, score: int, height: float) -> Markup:
    zone = _zone(distribution, score + BIN_WIDTH / 2)
    return BAR.format(zone=zone, x=score + 0.5, y=BASE - height, width=BIN_WIDTH - 1, height=height)


def _zone(distribution: Distribution, score: float) -> str:
    if score < distribution.reject:
        return "reject"
    return "warn" if score < distribution.warn else "good"


def _lines(distribution: Distribution) -> list[Markup]:
    limits = (("reject", distribution.reject), ("warn", distribution.warn))
    return [LINE.format(zone=zone, x=limit, base=BASE) for zone, limit in limits if limit > 0]
