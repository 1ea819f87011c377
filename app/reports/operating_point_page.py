"""What `--operating-point` measured, as a page: in words, as a table, and drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from app.recognition.distances import Floats
from app.recognition.operating_point import Basis, Figure, Row
from app.reports.faces_page import say_distance
from app.reports.html import render_page
from app.reports.operating_point_report import (
    CAVEATS,
    HEADINGS,
    Measured,
    advice_words,
    genuine_words,
    plain_words,
    say_figure,
    say_rate,
    summary,
)
from app.reports.plots import Axis, Curve, Plot, log_axis, probit_axis

LOWEST_POWER = -8  # of ten, of a drawn rate; what is less is not drawn
DET_TICKS = (0.0001, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8)
X_TICKS = 5
BINS = 50


def render_operating_point(measured: Measured) -> str:
    """Return the page's HTML. The same gallery gives the same page."""
    return render_page(
        "operating_point.html",
        ("page.css", "plots.css", "operating_point.css"),
        measured=measured,
        advised=measured.advised,
        summary=summary(measured).removeprefix("📐 "),
        paragraphs=[*plain_words(measured), *genuine_words(measured)],
        advice=[*advice_words(measured)],
        caveats=CAVEATS,
        headings=HEADINGS,
        plots=[*_plots(measured)],
        say_distance=say_distance,
        say_figure=say_figure,
        say_rate=say_rate,
    )


def _plots(measured: Measured) -> Iterator[Plot]:
    rows = measured.rows_of_curve()
    across = _distances(float(measured.curve[-1]))
    marks = [(measured.threshold, "set")]
    advised = measured.advised
    if advised is not None:
        marks.append((advised, "advised"))
    legend = "Línea de puntos: el umbral de ahora" + ("; verde: el aconsejado." if advised is not None else ".")
    yield Plot(
        "Desconocidos que se toman por alguien (FPIR) según el umbral",
        f"La franja es el intervalo del 95 %. {legend}",
        across,
        log_axis(_lowest_power(rows, "fpir"), "", say_rate),
        tuple(with_band([(row.distance, row.fpir) for row in rows])),
        tuple(marks),
    )
    yield Plot(
        "Dos personas cualesquiera que se confunden (FMR) según el umbral",
        "La franja es el intervalo del 95 %. A rayas, en otro color: extrapolado con una cola de Pareto (GPD), una "
        f"década a lo más. {legend}",
        across,
        log_axis(_lowest_power(rows, "fmr"), "", say_rate),
        tuple(with_band([(row.distance, row.fmr) for row in rows])),
        tuple(marks),
    )
    yield _distributions(measured)
    if measured.genuine is not None:
        yield _det(measured)


def _distances(highest: float) -> Axis:
    ticks = np.linspace(0, highest, X_TICKS + 1)
    return Axis(0.0, highest, tuple((float(tick), say_distance(float(tick))) for tick in ticks), "Distancia")


def _lowest_power(rows: Sequence[Row], name: str) -> int:
    """Return the power of ten below the smallest drawn rate."""
    drawn = [getattr(row, name).value for row in rows if getattr(row, name).value]
    return max(LOWEST_POWER, min(-1, int(np.floor(np.log10(min(drawn))))) if drawn else -1)


def with_band(figures: Sequence[tuple[float, Figure]]) -> Iterator[Curve]:
    """Yield the band of the measured part, its line, and the extrapolated line."""
    drawn = [(x, figure) for x, figure in figures if figure.value and figure.value >= 10.0**LOWEST_POWER]
    measured = [(x, figure) for x, figure in drawn if figure.basis is Basis.MEASURED]
    high = tuple((x, figure.high) for x, figure in measured)
    yield Curve("band", high, tuple((x, figure.low) for x, figure in measured))
    yield Curve("line", tuple((x, figure.value or 0.0) for x, figure in measured))
    beyond = tuple((x, figure.value or 0.0) for x, figure in drawn if figure.basis is Basis.EXTRAPOLATED)
    if beyond:
        yield Curve("extrapolated", beyond)


def _distributions(measured: Measured) -> Plot:
    """Return how far everybody's nearest other person is, and, with probes, how far people are from their own photo."""
    impostors = measured.point.scan.nearest_distances
    genuine = [each.own_distance for each in measured.genuine.searches] if measured.genuine else []
    own = np.array([distance for distance in genuine if distance is not None])
    highest = float(max(impostors.max(), own.max(initial=0.0), 2 * measured.threshold))
    curves = [Curve("impostor", tuple(_histogram(impostors, highest)))]
    caption = "Rojo: de cada persona a la más parecida de las demás."
    if len(own):
        curves.append(Curve("genuine", tuple(_histogram(own, highest))))
        caption += " Verde: de las fotos de prueba a la de la misma persona."
    return Plot(
        "Distancias entre personas distintas" + (" y de una misma" if len(own) else ""),
        f"{caption} Cada una con su propia altura.",
        _distances(highest),
        Axis(0.0, 1.0, (), ""),
        tuple(curves),
        ((measured.threshold, "set"),),
    )


def _histogram(distances: Floats, highest: float) -> Iterator[tuple[float, float]]:
    """Yield the outline of a histogram whose highest bar is 1."""
    counts, edges = np.histogram(distances, BINS, (0.0, highest))
    yield 0.0, 0.0
    for count, left, right in zip(counts / counts.max(initial=1), edges[:-1], edges[1:], strict=True):
        yield float(left), float(count)
        yield float(right), float(count)
    yield highest, 0.0


def _det(measured: Measured) -> Plot:
    """Return the DET curve: whom the service misses against which strangers' comparisons it accepts."""
    rows = measured.genuine.rows if measured.genuine else ()
    points = [(row.fmr, row.fnmr.value) for row in rows if row.fnmr is not None and row.fmr]
    return Plot(
        "Compromiso entre los dos errores (DET)",
        "Hacia abajo, menos personas que no se reconocen (FNMR); hacia la izquierda, menos que se confunden (FMR).",
        probit_axis(DET_TICKS, "FMR de las fotos de prueba", say_rate),
        probit_axis(DET_TICKS, "FNMR", say_rate),
        (Curve("line", tuple((float(fmr), fnmr) for fmr, fnmr in points)),),
    )
