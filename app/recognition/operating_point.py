"""Say what a threshold means for a gallery, and choose the threshold for a wished false positive identification rate.

In: a scan of the gallery, the pairs that are one person twice. Out: a row for each threshold, and the recommendation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from app.recognition.distances import UnitTemplates
from app.recognition.extrapolation import Tail, fit_tail
from app.recognition.rates import Estimate, estimate_fmr, fpir_for
from app.recognition.scan import GalleryScan
from app.recognition.set_aside import surplus, without
from app.recognition.wished_threshold import Recommendation, recommend


class Basis(str, Enum):
    """Where a figure comes from. `REFUSED`: there is no value, only bounds."""

    MEASURED = "measured"
    EXTRAPOLATED = "extrapolated"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Figure:
    """A rate from 0 to 1 with its 95 % interval; `value` is None when it is refused."""

    value: float | None
    low: float
    high: float
    basis: Basis


@dataclass(frozen=True, slots=True)
class Row:
    """The rates at one threshold."""

    distance: float
    fmr: Figure
    fpir: Figure


@dataclass(frozen=True, slots=True, eq=False)
class OperatingPoint:
    """What a gallery's own pairs say about thresholds. `rows`, `recommended`: without those set aside; `rows_with_all`
    and `recommended_with_all`: with them. `set_aside`: their indices. `people`: how many FPIR is for."""

    members: int
    pairs: int
    people: int
    set_aside: tuple[int, ...]
    rows: tuple[Row, ...]
    rows_with_all: tuple[Row, ...]
    recommended: Recommendation
    recommended_with_all: Recommendation
    scan: GalleryScan
    tail: Tail | None


def find_operating_point(
    scan: GalleryScan,
    templates: UnitTemplates,
    thresholds: Sequence[float],
    target_fpir: float,
    people: int | None = None,
    duplicates: Iterable[tuple[int, int]] = (),
) -> OperatingPoint:
    """Return rates at the thresholds (each in the scan's grid) and the thresholds for a wish.

    `people`: against how many FPIR is meant, by default all that are left. `duplicates`: pairs of indices that are one
    person; all but one of each are set aside. Raises ValueError for a wish that is not between 0 and 1, and when fewer
    than two members are left.
    """
    aside = surplus(duplicates)
    rest = without(scan, templates, aside).scan if len(aside) else scan
    of_all, tail = rate_rows(scan, thresholds, people), fit_tail(rest.pairs, rest.members)
    return OperatingPoint(
        members=rest.members,
        pairs=rest.members * (rest.members - 1) // 2,
        people=people or rest.members,
        set_aside=tuple(int(each) for each in aside),
        rows=rate_rows(rest, thresholds, people, tail),
        rows_with_all=of_all,
        recommended=recommend(rest, target_fpir, people),
        recommended_with_all=recommend(scan, target_fpir, people),
        scan=rest,
        tail=tail,
    )


def rate_rows(
    scan: GalleryScan, thresholds: Sequence[float], people: int | None = None, tail: Tail | None = None
) -> tuple[Row, ...]:
    """Return FMR and FPIR at each threshold.

    FMR is measured where a pair is within the threshold; else extrapolated by the cautious curve of `tail` where that
    is allowed; else refused, and `high` is what no pair of so many says. FPIR is measured, and refused where nobody has
    a look-alike or `people` is more than were measured: then only its bounds are given.
    """
    return tuple(Row(each, _fmr(scan, each, tail), _fpir(scan, each, people)) for each in thresholds)


def _fmr(scan: GalleryScan, threshold: float, tail: Tail | None) -> Figure:
    measured = estimate_fmr(scan.degrees_at(threshold))
    if measured.value:
        return Figure(measured.value, measured.low, measured.high, Basis.MEASURED)
    if tail and (beyond := tail.fmr(threshold)):
        return Figure(beyond.cautious, beyond.low, beyond.high, Basis.EXTRAPOLATED)
    return Figure(None, measured.low, measured.high, Basis.REFUSED)


def _fpir(scan: GalleryScan, threshold: float, people: int | None) -> Figure:
    found = fpir_for(scan, threshold, people)
    if isinstance(found, Estimate) and found.value:
        return Figure(found.value, found.low, found.high, Basis.MEASURED)
    return Figure(None, found.low, found.high, Basis.REFUSED)
