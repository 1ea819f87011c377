"""Cosine distances between templates: float32 products to find candidates, float64 to decide.

A distance is 1 - cosine, computed in float64 of the stored float32 numbers and rounded to six decimals; a pair is
within a threshold when its distance is <= it. That is DeepFace's rule (verification.find_distance, 0.0.103).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

DECIMALS = 6
STEP = 1e-6  # between two distances that can be told apart
# What a float32 product may be wrong by: 0.67e-6 measured at 512 numbers (RECOGNITION.md 4), and 0.5e-6 by rounding.
DOUBT = 2e-6
RANK_DOUBT = 2 * DOUBT  # between two products, each of which may be wrong
ROWS_AT_ONCE = 4_096  # in float64: 34 MB for two sides of 512 numbers

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class UnitTemplates:
    """Vectors to compare. `vectors`: as stored, float32 (n, d); `unit`: of length 1; `lengths`: float64 (n,)."""

    vectors: Vectors
    unit: Vectors
    lengths: Floats

    @classmethod
    def of(cls, vectors: ArrayLike) -> UnitTemplates:
        """Prepare vectors (n, d). Raises ValueError for those without length or with numbers that are not finite."""
        stored = np.ascontiguousarray(vectors, np.float32)
        lengths = _lengths(stored)
        return cls(stored, _divide(stored, lengths), lengths)

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, rows: Indices) -> UnitTemplates:
        """Return these rows, in this order."""
        return UnitTemplates(self.vectors[rows], self.unit[rows], self.lengths[rows])


def unit(vectors: ArrayLike) -> Vectors:
    """Return vectors (n, d) divided by their lengths, in float64, as float32. Raises what UnitTemplates.of does."""
    stored = np.ascontiguousarray(vectors, np.float32)
    return _divide(stored, _lengths(stored))


def _lengths(stored: Vectors) -> Floats:
    if stored.ndim != 2:  # noqa: PLR2004 -- rows and numbers
        raise ValueError(f"vectors have to be (n, d), not {stored.shape}")
    lengths = np.empty(len(stored))
    for rows in chunks(len(stored)):
        part = stored[rows].astype(np.float64)
        lengths[rows] = np.sqrt(np.einsum("ij,ij->i", part, part))
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise ValueError("a vector has no length, or numbers that are not finite")
    return lengths


def _divide(stored: Vectors, lengths: Floats) -> Vectors:
    divided = np.empty_like(stored)
    for rows in chunks(len(stored)):
        divided[rows] = stored[rows] / lengths[rows, None]
    return divided


def chunks(rows: int, size: int = ROWS_AT_ONCE) -> list[slice]:
    """Return the slices that cover so many rows."""
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def exact_distances(one: UnitTemplates, rows: Indices, other: UnitTemplates, columns: Indices) -> Floats:
    """Return the distances (p,) between `one[rows]` and `other[columns]`, pair by pair, rounded to six decimals."""
    distances: Floats = np.empty(len(rows))
    for part in chunks(len(rows)):
        left, right = rows[part], columns[part]
        dots = np.einsum("ij,ij->i", one.vectors[left].astype(np.float64), other.vectors[right].astype(np.float64))
        distances[part] = 1.0 - dots / (one.lengths[left] * other.lengths[right])
    return distances.round(DECIMALS) + 0.0  # no minus zero


def check_grid(grid: ArrayLike) -> Floats:
    """Return thresholds (g,) rounded to six decimals. Raises ValueError when there is none or they do not ascend."""
    thresholds: Floats = np.asarray(grid, np.float64).round(DECIMALS)
    if thresholds.ndim != 1 or not len(thresholds) or np.any(np.diff(thresholds) <= 0):
        raise ValueError("thresholds have to ascend, and there has to be one")
    return thresholds


def last_distance(threshold: float) -> float:
    """Return the largest distance, which has six decimals, that is within a threshold of any number of them."""
    nearest = round(threshold, DECIMALS)
    return nearest if nearest <= threshold else round(nearest - STEP, DECIMALS)


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """Float32 cosines of some pairs, pair by pair: `one[rows]` with `other[columns]`; all (p,)."""

    one: UnitTemplates
    rows: Indices
    other: UnitTemplates
    columns: Indices
    cosines: Vectors

    def where(self, chosen: NDArray[np.bool_]) -> Products:
        """Return the chosen pairs."""
        return Products(self.one, self.rows[chosen], self.other, self.columns[chosen], self.cosines[chosen])

    def bins(self, grid: Floats) -> Indices:
        """Return for each pair the index of the first threshold of the grid that it is within; len(grid) for none.

        Pairs too near to a threshold for float32 are computed again in float64, so that each index is exact.
        """
        distances = 1.0 - self.cosines.astype(np.float64)
        found = np.searchsorted(grid, distances - DOUBT)
        doubtful = np.flatnonzero(found != np.searchsorted(grid, distances + DOUBT))
        again = exact_distances(self.one, self.rows[doubtful], self.other, self.columns[doubtful])
        found[doubtful] = np.searchsorted(grid, again)
        return found
