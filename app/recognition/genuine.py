"""Measure recognition with labelled probes: photos of enrolled people and of strangers, searched in the gallery.

In: probes, whom each shows, the gallery. Out: FNMR, rank-1, FNIR, FPIR and FMR at thresholds; who was not recognised.
A rate is the share of the photos. Photos of one person depend on each other, so intervals come from leaving one person
out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.recognition.distances import (
    DECIMALS,
    DOUBT,
    RANK_DOUBT,
    Floats,
    Indices,
    Products,
    UnitTemplates,
    check_grid,
    chunks,
    exact_distances,
)
from app.recognition.rates import BOTH_SIDES, Estimate, jackknife_variance, share_interval, student_inflation
from app.recognition.search import nearest

STRANGER = -1  # in place of the index of an enrolled member
PRODUCTS_AT_ONCE = 1_000_000

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """Labelled probes (m). `members` (m,): the index of the enrolled member, STRANGER for people who are not enrolled;
    `people` (m,): a number for each person, the same for all photos of one."""

    templates: UnitTemplates
    members: Indices
    people: Indices

    @classmethod
    def of(cls, templates: UnitTemplates, members: ArrayLike, stranger_names: ArrayLike | None = None) -> Probes:
        """Tell the people by `members` and, for strangers, by their names (m, ignored elsewhere).

        Without names each photo of a stranger counts as a person of its own.
        """
        indices = np.asarray(members, np.intp)
        strangers = indices == STRANGER
        names = np.arange(len(indices)) if stranger_names is None else np.asarray(stranger_names)
        people = indices.copy()
        people[strangers] = np.unique(names[strangers], return_inverse=True)[1] + indices.max(initial=0) + 1
        return cls(templates, indices, people)


@dataclass(frozen=True, slots=True)
class Searched:
    """One probe's search. `own_distance` and `own_rank` (1 is the nearest): None for a stranger."""

    probe: int
    member: int
    nearest: int
    nearest_distance: float
    own_distance: float | None
    own_rank: int | None

    def is_missed(self, threshold: float) -> bool:
        """Say whether an enrolled person is not the first candidate, or not within the threshold."""
        return self.own_distance is not None and (self.own_rank != 1 or self.own_distance > round(threshold, DECIMALS))

    def is_false_alarm(self, threshold: float) -> bool:
        """Say whether a stranger has a member within the threshold."""
        return self.own_distance is None and self.nearest_distance <= round(threshold, DECIMALS)


@dataclass(frozen=True, slots=True)
class ProbeRow:
    """Rates at one threshold; None where there are no such probes.

    `fnmr`: of comparisons of a probe with its own template. `fnir`: of enrolled probes, FNIR(N, 1, t). `fpir`: of
    strangers' probes. `fmr`: of comparisons with other people's templates, a point without an interval.
    """

    distance: float
    fnmr: Estimate | None
    fnir: Estimate | None
    fpir: Estimate | None
    fmr: float | None


@dataclass(frozen=True, slots=True)
class Genuine:
    """What labelled probes say. `people` and `strangers`: persons, not photos. `rows` are the points of the DET curve:
    FNMR against FMR, or FNIR against FPIR."""

    people: int
    strangers: int
    rank_1: Estimate | None
    rows: tuple[ProbeRow, ...]
    searches: tuple[Searched, ...]

    def missed(self, threshold: float) -> tuple[Searched, ...]:
        """Return the searches that did not recognise an enrolled person, in the order of the probes."""
        return tuple(each for each in self.searches if each.is_missed(threshold))


def rate_probes(probes: Probes, gallery: UnitTemplates, thresholds: ArrayLike) -> Genuine:
    """Search all probes in the gallery and return rates at the thresholds, which have to ascend.

    The own template's rank counts it after others at the same distance with a lower index, as a search does. Raises
    ValueError for an empty gallery, a member that is not in it, and a grid that is none.
    """
    grid = check_grid(thresholds)
    if np.any((probes.members < STRANGER) | (probes.members >= len(gallery))):
        raise ValueError("a probe shows a member that is not in the gallery")
    compared = _compare(probes, gallery, grid)
    first = nearest(probes.templates, gallery, 1)
    searches = tuple(
        Searched(at, int(member), int(who), float(near), *_own(int(member), float(own), int(nearer)))
        for at, (member, who, near, own, nearer) in enumerate(
            zip(probes.members, first.members[:, 0], first.distances[:, 0], compared.own, compared.nearer, strict=True)
        )
    )
    enrolled = probes.members != STRANGER
    genuine, strangers = probes.people[enrolled], probes.people[~enrolled]
    rank_1 = _estimate(compared.nearer[enrolled] == 0, genuine)
    rows = _rows(probes, grid, compared, first.distances[:, 0])
    return Genuine(len(np.unique(genuine)), len(np.unique(strangers)), rank_1, rows, searches)


def _own(member: int, distance: float, nearer: int) -> tuple[float | None, int | None]:
    return (None, None) if member == STRANGER else (distance, nearer + 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """Distances to the own templates (m,), how many members are nearer (m,), FMR at each threshold (g,)."""

    own: Floats
    nearer: Indices
    fmr: Floats


def _rows(probes: Probes, grid: Floats, compared: _Compared, nearest_distances: Floats) -> tuple[ProbeRow, ...]:
    enrolled = probes.members != STRANGER
    genuine, strangers = probes.people[enrolled], probes.people[~enrolled]
    found = []
    for place, threshold in enumerate(grid):
        apart = compared.own[enrolled] > threshold
        fnir = _estimate(apart | (compared.nearer[enrolled] > 0), genuine)
        fpir = _estimate(nearest_distances[~enrolled] <= threshold, strangers)
        fmr = None if np.isnan(compared.fmr[place]) else float(compared.fmr[place])
        found.append(ProbeRow(float(threshold), _estimate(apart, genuine), fnir, fpir, fmr))
    return tuple(found)


def _compare(probes: Probes, gallery: UnitTemplates, grid: Floats) -> _Compared:
    """Compare all probes with all members; FMR is of comparisons with other people, not a number without any."""
    count, mine = len(probes.members), np.flatnonzero(probes.members != STRANGER)
    own = np.full(count, np.inf)
    own[mine] = exact_distances(probes.templates, mine, gallery, probes.members[mine])
    nearer, histogram = np.zeros(count, np.intp), np.zeros(len(grid) + 1, np.intp)
    for part in chunks(count, max(1, PRODUCTS_AT_ONCE // len(gallery))):
        products = _products(probes.templates, gallery, part)
        others = products.columns != probes.members[products.rows]
        impostors = products.where(others & (products.cosines >= 1.0 - grid[-1] - DOUBT))
        histogram += np.bincount(impostors.bins(grid), minlength=len(grid) + 1)
        rivals = products.where(others & (probes.members[products.rows] != STRANGER))
        nearer += _count_nearer(rivals, own, probes.members)
    comparisons = count * len(gallery) - len(mine)
    return _Compared(own, nearer, np.cumsum(histogram)[:-1] / (comparisons or np.nan))


def _products(probes: UnitTemplates, gallery: UnitTemplates, part: slice) -> Products:
    cosines = (probes.unit[part] @ gallery.unit.T).ravel()
    rows, columns = np.divmod(np.arange(len(cosines)), len(gallery))
    return Products(probes, rows + part.start, gallery, columns, cosines)


def _count_nearer(rivals: Products, own: Floats, members: Indices) -> Indices:
    """Count, for each probe, the others that a search would put before the own template."""
    ahead = rivals.cosines - (1.0 - own[rivals.rows])
    doubtful = np.flatnonzero(np.abs(ahead) <= RANK_DOUBT)
    rows, columns = rivals.rows[doubtful], rivals.columns[doubtful]
    distances = exact_distances(rivals.one, rows, rivals.other, columns)
    equal = (distances == own[rows]) & (columns < members[rows])
    before = np.concatenate([rivals.rows[ahead > RANK_DOUBT], rows[(distances < own[rows]) | equal]])
    return np.bincount(before, minlength=len(own))


def _estimate(events: Flags, people: Indices) -> Estimate | None:
    """Return the share of events with its interval, for the effective number of photos. None without photos.

    The variance comes from leaving one person out, with Student's correction for how few people have events (or have
    none, if that is fewer). Photos never count less than if all photos of a person said the same.
    """
    if not len(events):
        return None
    person = np.unique(people, return_inverse=True)[1]
    of_each: Floats = np.bincount(person, weights=events).astype(np.float64)
    photos: Floats = np.bincount(person).astype(np.float64)
    share, total = float(events.mean()), len(events)
    if len(photos) == 1:
        return Estimate(share, 0.0, 1.0)
    least = _effective_number(photos)
    effective = least
    if 0 < share < 1:
        variance = jackknife_variance((events.sum() - of_each) / (total - photos))
        persons = min(_effective_number(of_each), _effective_number(photos - of_each))
        if variance and persons > 1:
            inflation = student_inflation(persons, BOTH_SIDES)
            effective = max(least, min(total, share * (1 - share) / variance) / inflation)
    return Estimate(share, *share_interval(share, effective))


def _effective_number(weights: Floats) -> float:
    """Return how many equal parts would be as unequal as these."""
    return float(weights.sum() ** 2 / np.square(weights).sum())
