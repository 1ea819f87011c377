"""Choose the threshold for a wished false positive identification rate (FPIR): as a point, and as an assured one.

In: a scan of the gallery. Out: thresholds. The point is exceeded in half of all galleries; the assured one keeps the
wish in at least 95 % of them (`python -m benchmarks.rate_intervals`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from app.recognition.distances import DECIMALS, STEP, Indices
from app.recognition.rates import ONE_SIDE, estimate_fpir, estimate_fpir_of_fewer, share_interval
from app.recognition.scan import GalleryScan, Pairs

LADDER = 64  # places at which a bound is looked at before it is searched between two of them
NOWHERE = -1.0  # a distance that no pair has
ROUNDING = 1e-9  # 0.01 * 300 members may be a little under 3


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Thresholds for a wished FPIR; None where there is none.

    `point`: the largest threshold whose measured FPIR keeps the wish; about half of all galleries exceed it.
    `assured`: the largest up to which the one-sided 95 % bound keeps it. `smallest_assured`: the lowest wish that any
    threshold of this gallery is assured for, when not one pair is within it; `safest`: the largest one for that wish.
    `at_least`: the thresholds are as large as the known pairs reach; larger ones may keep the wish, too.
    """

    target_fpir: float
    point: float | None
    assured: float | None
    smallest_assured: float
    safest: float | None
    at_least: bool


def recommend(scan: GalleryScan, target_fpir: float, people: int | None = None) -> Recommendation:
    """Return the thresholds for a wished FPIR against `people`, by default all members.

    For fewer people the hypergeometric estimator decides. For more there is no point, and what is assured is what keeps
    the bound: FPIR grows at most in proportion. Raises ValueError for a wish that is not between 0 and 1.
    """
    if not 0 < target_fpir < 1:
        raise ValueError(f"a wished FPIR lies between 0 and 1, {target_fpir} does not")
    others = scan.members - 1
    if people is not None and people < others:
        return _recommend_for_fewer(scan, target_fpir, people)
    more = people is not None and people > scan.members
    times = (people or 0) / others if more else 1.0  # that FPIR may be
    point = None if more else _point(scan, target_fpir)
    assured, reached = _assured(scan, target_fpir / times)
    least = _bound_of_none(scan.members)
    return Recommendation(target_fpir, point, assured, min(1.0, times * least), _assured(scan, least)[0], reached)


def _point(scan: GalleryScan, target_fpir: float) -> float | None:
    """Return the largest threshold, in steps of the distances' last decimal, whose FPIR keeps the wish."""
    allowed = min(int(target_fpir * scan.members + ROUNDING), scan.members - 1)  # members with a look-alike
    return _just_below(float(np.sort(scan.nearest_distances)[allowed]))


def _just_below(distance: float) -> float | None:
    return round(distance - STEP, DECIMALS) if distance > 0 else None  # nothing excludes a pair at 0


def _bound_of_none(members: int) -> float:
    """Return the one-sided bound of FPIR where nobody has a look-alike."""
    return estimate_fpir(np.zeros(members, np.int32), np.zeros(members, np.intp), ONE_SIDE).high


def _assured(scan: GalleryScan, target_fpir: float) -> tuple[float | None, bool]:
    """Return the largest threshold up to which the bound keeps the wish, and whether that is all the pairs reach."""
    if _bound_of_none(scan.members) > target_fpir:
        return None, False
    walk, distances = _Walk(scan.members), scan.pairs.distances
    ends = np.flatnonzero(np.diff(distances, append=np.inf)) + 1  # of pairs at one distance
    for start, end in pairwise([0, *ends.tolist()]):
        for place in range(start, end):
            walk.add(int(scan.pairs.first[place]), int(scan.pairs.second[place]))
        if walk.bound() > target_fpir:
            return _just_below(float(distances[start])), False
    return scan.pairs.complete_to, True


class _Walk:
    """FPIR's one-sided bound, pair by pair from the nearest on: what estimate_fpir gives, without counting all again.

    `lost`: how many hits go with each member, its own and those of members whose only look-alike it is.
    """

    def __init__(self, members: int) -> None:
        self._neighbours: dict[int, int] = {}  # how many a member has
        self._first: dict[int, int] = {}  # the first that it got
        self._lost: dict[int, int] = {}
        self._members, self._sum, self._squares = members, 0, 0

    def add(self, one: int, other: int) -> None:
        for member, neighbour in ((one, other), (other, one)):
            count = self._neighbours[member] = self._neighbours.get(member, 0) + 1
            if count == 1:
                self._first[member] = neighbour
                self._change(member, 1)
                self._change(neighbour, 1)
            elif count == 2:  # noqa: PLR2004 -- it is not the only one any more
                self._change(self._first[member], -1)

    def _change(self, member: int, by: int) -> None:
        before = self._lost.get(member, 0)
        self._lost[member] = before + by
        self._sum += by
        self._squares += (before + by) ** 2 - before**2

    def bound(self) -> float:
        hits, members = len(self._neighbours), self._members
        if hits == members:
            return 1.0
        share = hits / members
        variance = (self._squares - self._sum**2 / members) / (members * (members - 1))
        return share_interval(share, min(members, share * (1 - share) / variance), ONE_SIDE)[1]


def _recommend_for_fewer(scan: GalleryScan, target_fpir: float, people: int) -> Recommendation:
    """Recommend by the hypergeometric estimator, as far as the pairs are known."""

    def value(near: Pairs) -> float:
        return estimate_fpir_of_fewer(_degrees(scan, near), near, people).value

    def bound(near: Pairs) -> float:
        return estimate_fpir_of_fewer(_degrees(scan, near), near, people, ONE_SIDE).high

    least = bound(scan.pairs.within(NOWHERE))
    safest = _last_that_keeps(scan, bound, least)[0]
    point, point_reached = _last_that_keeps(scan, value, target_fpir)
    assured, assured_reached = _last_that_keeps(scan, bound, target_fpir)
    return Recommendation(target_fpir, point, assured, least, safest, point_reached or assured_reached)


def _degrees(scan: GalleryScan, near: Pairs) -> Indices:
    return np.bincount(np.concatenate([near.first, near.second]), minlength=scan.members)


def _last_that_keeps(
    scan: GalleryScan, rate: Callable[[Pairs], float], target_fpir: float
) -> tuple[float | None, bool]:
    """Return the largest threshold up to which a rate keeps the wish, and whether that is all the pairs reach.

    The rate is looked at on a ladder of distances, and between the last step that keeps it and the first that does not.
    """
    distances = np.unique(scan.pairs.distances)

    def keeps(place: int) -> bool:
        return rate(scan.pairs.within(float(distances[place]))) <= target_fpir

    if rate(scan.pairs.within(NOWHERE)) > target_fpir:
        return None, False
    good = -1
    for step in np.unique(np.linspace(0, len(distances) - 1, LADDER).astype(int)).tolist() if len(distances) else []:
        if not keeps(step):
            return _just_below(float(distances[_first_bad(keeps, good, step)])), False
        good = step
    return scan.pairs.complete_to, True


def _first_bad(keeps: Callable[[int], bool], good: int, bad: int) -> int:
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if keeps(middle) else (good, middle)
    return bad
