"""Compare everyone in a gallery with everyone: one pass of blocked matrix products over the upper triangle.

In: templates, a pair threshold, a grid of thresholds. Out: pairs, each member's nearest other, each member's degrees.
The products are float32 and only choose; whatever decides is computed again in float64 (see distances.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.recognition.distances import (
    DECIMALS,
    DOUBT,
    RANK_DOUBT,
    STEP,
    Floats,
    Indices,
    Products,
    UnitTemplates,
    Vectors,
    check_grid,
    exact_distances,
)

BLOCK = 1_024  # rows and columns of one product: 4 MB
CLOSEST_PAIRS = 1_000  # are kept whatever the threshold: for the advised threshold and the extrapolation
CLOSEST_PART = 10  # and one for each so many members
MAX_PAIRS = 1_000_000  # are kept whatever the threshold: 24 MB
FURTHEST = 2.0  # cosine distance
NOBODY = np.float32(-3.0)  # in place of a cosine: lower than any

Cosines = Vectors  # (rows, columns) of a block


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """All pairs up to `complete_to`, the nearest first: `first` < `second` (indices), `distances`; all (p,)."""

    first: Indices
    second: Indices
    distances: Floats
    complete_to: float

    def __len__(self) -> int:
        return len(self.first)

    def within(self, threshold: float) -> Pairs:
        """Return those at this distance or nearer. Raises ValueError for one beyond `complete_to`."""
        at = round(threshold, DECIMALS)
        if at > self.complete_to:
            raise ValueError(f"pairs are known up to {self.complete_to}, not up to {at}")
        count = int(np.searchsorted(self.distances, at, side="right"))
        return Pairs(self.first[:count], self.second[:count], self.distances[:count], at)


@dataclass(frozen=True, slots=True, eq=False)
class GalleryScan:
    """What one pass over n members says.

    `degrees` (n, g): how many other members are within each threshold of `grid` (g,). `nearest` (n,): the index of the
    nearest other member, the lowest of several; `nearest_distances` (n,); -1 and 2 in a gallery of one. `pairs` are
    complete up to the pair threshold or beyond, but to less when more than MAX_PAIRS lie within it.
    """

    grid: Floats
    degrees: NDArray[np.int32]
    nearest: Indices
    nearest_distances: Floats
    pairs: Pairs

    @property
    def members(self) -> int:
        return len(self.nearest)

    def degrees_at(self, threshold: float) -> NDArray[np.int32]:
        """Return how many others each member has within a threshold (n,).

        Raises ValueError for a threshold that is neither in the grid nor where the pairs are known.
        """
        at = round(threshold, DECIMALS)
        place = int(np.searchsorted(self.grid, at))
        if place < len(self.grid) and self.grid[place] == at:
            return self.degrees[:, place]
        near = self.pairs.within(at)
        ends = np.concatenate([near.first, near.second])
        return np.bincount(ends, minlength=self.members).astype(np.int32)


def scan_gallery(templates: UnitTemplates, pair_threshold: float, grid: ArrayLike) -> GalleryScan:
    """Compare all members with all others.

    Keeps all pairs within `pair_threshold` and, whatever it is, the nearest CLOSEST_PAIRS or a tenth of the members;
    counts degrees at the thresholds of `grid` (ascending). Raises ValueError for a grid that is none.
    Memory beside the templates: about 60 MB, 4 bytes for each member and threshold, 24 for each pair.
    """
    nearest, degrees = _Nearest(templates), _Degrees(templates, check_grid(grid))
    pairs = _NearPairs(templates, round(pair_threshold, DECIMALS))
    for rows, columns, cosines in _blocks(templates.unit):
        pairs.look_at(cosines)
        floor = min(pairs.floor, degrees.floor)
        floors = np.minimum(nearest.floors_of_rows(rows, cosines), floor)
        found = _select(rows, columns, cosines, floors)
        pairs.add(found)
        degrees.add(found)
        nearest.add(found)
        nearest.add_columns(rows, columns, cosines)
    nearest.settle()
    return GalleryScan(degrees.grid, degrees.counted(), nearest.who, nearest.distances, pairs.settle())


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Cosines of a block that may matter, with their two members; all (p,)."""

    rows: Indices
    columns: Indices
    cosines: Vectors

    def where(self, chosen: NDArray[np.bool_]) -> _Found:
        return _Found(self.rows[chosen], self.columns[chosen], self.cosines[chosen])


def _blocks(unit: Vectors) -> Iterator[tuple[slice, slice, Cosines]]:
    """Yield the products of the upper triangle; what is not above the diagonal is NOBODY. The buffer is reused."""
    members, buffer = len(unit), np.empty(BLOCK * BLOCK, np.float32)
    starts = range(0, members, BLOCK)
    for rows in (slice(start, min(start + BLOCK, members)) for start in starts):
        for columns in (slice(start, min(start + BLOCK, members)) for start in range(rows.start, members, BLOCK)):
            shape = rows.stop - rows.start, columns.stop - columns.start
            cosines = buffer[: shape[0] * shape[1]].reshape(shape)
            np.matmul(unit[rows], unit[columns].T, out=cosines)
            if rows == columns:
                cosines[np.tri(shape[0], dtype=np.bool_)] = NOBODY
            yield rows, columns, cosines


def _select(rows: slice, columns: slice, cosines: Cosines, floors: Vectors) -> _Found:
    """Return the cosines that reach the floor of their row."""
    some = np.flatnonzero(cosines.max(axis=1) >= floors)
    part = cosines if len(some) == len(cosines) else cosines[some]
    flat = np.flatnonzero(part >= floors[some, None])
    found_rows, found_columns = np.divmod(flat, part.shape[1])
    chosen = part.ravel()[flat]
    real = chosen > NOBODY
    return _Found(some[found_rows][real] + rows.start, found_columns[real] + columns.start, chosen[real])


class _Degrees:
    """Counts, for each member, the others within each threshold."""

    def __init__(self, templates: UnitTemplates, grid: Floats) -> None:
        self.grid, self._templates = grid, templates
        self.floor = np.float32(1.0 - grid[-1] - DOUBT)
        self._counts = np.zeros(len(templates) * len(grid), np.int32)

    def add(self, found: _Found) -> None:
        near = found.where(found.cosines >= self.floor)
        bins = Products(self._templates, near.rows, self._templates, near.columns, near.cosines).bins(self.grid)
        inside = bins < len(self.grid)
        for members in (near.rows, near.columns):
            np.add.at(self._counts, members[inside] * len(self.grid) + bins[inside], 1)

    def counted(self) -> NDArray[np.int32]:
        counts = self._counts.reshape(-1, len(self.grid))
        return np.cumsum(counts, axis=1, out=counts)


class _Nearest:
    """Keeps each member's candidates for the nearest other, and settles among them in float64."""

    def __init__(self, templates: UnitTemplates) -> None:
        self._templates = templates
        self._best = np.full(len(templates), NOBODY, np.float32)
        self._waiting: list[_Found] = []
        self._count = 0  # of those that wait
        self.who = np.full(len(templates), -1, np.intp)
        self.distances = np.full(len(templates), FURTHEST)

    def floors_of_rows(self, rows: slice, cosines: Cosines) -> Vectors:
        """Return the cosine from which on each row's others are candidates, after a look at the block."""
        np.maximum(self._best[rows], cosines.max(axis=1), out=self._best[rows])
        return self._best[rows] - np.float32(RANK_DOUBT)

    def add_columns(self, rows: slice, columns: slice, cosines: Cosines) -> None:
        """Take the candidates of the block's columns, which `add` does not see."""
        highest = cosines.max(axis=0)
        np.maximum(self._best[columns], highest, out=self._best[columns])
        floors = self._best[columns] - np.float32(RANK_DOUBT)
        if np.any((highest >= floors) & (highest > NOBODY)):
            flat = np.flatnonzero(cosines >= floors)
            places, chosen = np.divmod(flat, cosines.shape[1])
            found = _Found(chosen + columns.start, places + rows.start, cosines.ravel()[flat])
            self._wait(found.where(found.cosines > NOBODY))

    def add(self, found: _Found) -> None:
        self._wait(found.where(found.cosines >= self._best[found.rows] - np.float32(RANK_DOUBT)))

    def _wait(self, found: _Found) -> None:
        self._waiting.append(found)
        self._count += len(found.rows)
        if self._count > MAX_PAIRS:
            self.settle()

    def settle(self) -> None:
        """Choose each member's nearest of those that wait and the one chosen before."""
        found = _joined(self._waiting)
        found = found.where(found.cosines >= self._best[found.rows] - np.float32(RANK_DOUBT))
        self._waiting, self._count = [], 0
        distances = exact_distances(self._templates, found.rows, self._templates, found.columns)
        before = np.flatnonzero(self.who >= 0)
        members = np.concatenate([before, found.rows])
        others = np.concatenate([self.who[before], found.columns])
        distances = np.concatenate([self.distances[before], distances])
        order = np.lexsort((others, distances, members))
        members, firsts = np.unique(members[order], return_index=True)
        self.who[members], self.distances[members] = others[order][firsts], distances[order][firsts]


class _NearPairs:
    """Keeps the pairs within a threshold, at least CLOSEST_PAIRS and at most MAX_PAIRS of them."""

    def __init__(self, templates: UnitTemplates, threshold: float) -> None:
        self._templates, self._threshold = templates, threshold
        self._least = max(CLOSEST_PAIRS, len(templates) // CLOSEST_PART)
        self._threshold_floor = np.float32(1.0 - threshold - DOUBT)
        self.floor = NOBODY
        self._left_out = False
        self._kept: list[_Found] = []
        self._count = 0  # of those kept

    def look_at(self, cosines: Cosines) -> None:
        """Raise the floor before the first block is searched, which would else be kept whole."""
        if self.floor == NOBODY and cosines.size > self._least:
            self._raise_floor(cosines.ravel())

    def add(self, found: _Found) -> None:
        near = found.where(found.cosines >= self.floor)
        self._kept.append(near)
        self._count += len(near.rows)
        if self._count > 2 * MAX_PAIRS:
            self._compress()

    def _raise_floor(self, cosines: Vectors) -> None:
        """Let the floor be the threshold's, or lower where fewer than the least number of pairs would be kept."""
        if len(cosines) > self._least:
            enough = np.partition(cosines, -self._least)[-self._least] - np.float32(RANK_DOUBT)
            self.floor = max(self.floor, min(enough, self._threshold_floor))

    def _compress(self) -> None:
        kept = _joined(self._kept)
        self._raise_floor(kept.cosines)
        if np.count_nonzero(kept.cosines >= self.floor) > MAX_PAIRS:
            self._left_out = True
            highest = np.partition(kept.cosines, -MAX_PAIRS)[-MAX_PAIRS]
            self.floor = max(self.floor, np.nextafter(highest, np.float32(2.0)))
        self._kept = [kept.where(kept.cosines >= self.floor)]
        self._count = len(self._kept[0].rows)

    def settle(self) -> Pairs:
        """Return the pairs, sorted."""
        self._compress()
        kept = self._kept[0]
        distances = exact_distances(self._templates, kept.rows, self._templates, kept.columns)
        complete_to = self._complete_to()
        order = np.lexsort((kept.columns, kept.rows, distances))
        found = Pairs(kept.rows[order], kept.columns[order], distances[order], FURTHEST)
        return found.within(complete_to)

    def _complete_to(self) -> float:
        """Return the distance that whatever was left out is beyond."""
        if self.floor == NOBODY:
            return FURTHEST
        beyond = round(1.0 - float(self.floor) - DOUBT - STEP, DECIMALS)
        return beyond if self._left_out else max(beyond, self._threshold)


def _joined(found: list[_Found]) -> _Found:
    if not found:
        return _Found(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32))
    return _Found(
        np.concatenate([each.rows for each in found]),
        np.concatenate([each.columns for each in found]),
        np.concatenate([each.cosines for each in found]),
    )
