"""Take members out of a scan: people who are enrolled twice are no impostors to themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recognition.distances import Floats, Indices, Products, UnitTemplates, chunks
from app.recognition.scan import FURTHEST, GalleryScan, Pairs
from app.recognition.search import nearest

MEMBERS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Remainder:
    """A scan of those who stayed. `kept` (n,): their indices before, ascending; `templates`: theirs."""

    scan: GalleryScan
    kept: Indices
    templates: UnitTemplates


def connected(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return the groups of members that these pairs connect, each ascending, by their lowest member."""
    lowest: dict[int, int] = {}

    def find(member: int) -> int:
        while lowest.setdefault(member, member) != member:
            lowest[member] = member = lowest[lowest[member]]
        return member

    for one, other in pairs:
        low, high = sorted((find(one), find(other)))
        lowest[high] = low
    groups: dict[int, list[int]] = defaultdict(list)
    for member in sorted(lowest):
        groups[find(member)].append(member)
    return [tuple(groups[low]) for low in sorted(groups)]


def surplus(duplicates: Iterable[tuple[int, int]]) -> Indices:
    """Return whom to set aside, ascending: of each group that these pairs connect all but the lowest index."""
    return np.array(sorted(member for group in connected(duplicates) for member in group[1:]), np.intp)


def without(scan: GalleryScan, templates: UnitTemplates, aside: Indices) -> Remainder:
    """Return what the scan would have said without the members `aside` (indices), comparing only with them again."""
    stays = np.ones(scan.members, np.bool_)
    stays[aside] = False
    kept = np.flatnonzero(stays)
    rest = templates.take(kept)
    degrees = scan.degrees[kept] - _degrees_to(rest, templates.take(aside), scan.grid)
    place = np.cumsum(stays) - 1  # of each member among those who stay
    who, distances = _nearest_of_the_rest(scan, rest, kept, stays)
    both = stays[scan.pairs.first] & stays[scan.pairs.second]
    first, second = place[scan.pairs.first[both]], place[scan.pairs.second[both]]
    pairs = Pairs(first, second, scan.pairs.distances[both], scan.pairs.complete_to)
    return Remainder(GalleryScan(scan.grid, degrees, who, distances, pairs), kept, rest)


def _degrees_to(rest: UnitTemplates, aside: UnitTemplates, grid: Floats) -> NDArray[np.int32]:
    """Return how many of those set aside each of the rest has within each threshold (n, g)."""
    counts = np.zeros(len(rest) * (len(grid) + 1), np.int32)
    for part in chunks(len(aside), MEMBERS_AT_ONCE):
        for rows in chunks(len(rest)):
            cosines = (rest.unit[rows] @ aside.unit[part].T).ravel()
            who, others = np.divmod(np.arange(len(cosines)), part.stop - part.start)
            bins = Products(rest, who + rows.start, aside, others + part.start, cosines).bins(grid)
            np.add.at(counts, (who + rows.start) * (len(grid) + 1) + bins, 1)
    return np.cumsum(counts.reshape(-1, len(grid) + 1)[:, :-1], axis=1, dtype=np.int32)


def _nearest_of_the_rest(
    scan: GalleryScan, rest: UnitTemplates, kept: Indices, stays: NDArray[np.bool_]
) -> tuple[Indices, Floats]:
    place = np.cumsum(stays) - 1
    who, distances = place[scan.nearest[kept]], scan.nearest_distances[kept].copy()
    if len(kept) == 1:
        return np.array([-1], np.intp), np.array([FURTHEST])
    lost = np.flatnonzero(~stays[scan.nearest[kept]])  # whose nearest was set aside
    if len(lost):
        found = nearest(rest.take(lost), rest, 2)  # themselves, and the nearest other
        other = np.where(found.members[:, 0] == lost, 1, 0)
        who[lost] = found.members[np.arange(len(lost)), other]
        distances[lost] = found.distances[np.arange(len(lost)), other]
    return who, distances
