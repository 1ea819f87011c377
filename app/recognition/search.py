"""Find the nearest members of a gallery for many probes at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.recognition.distances import RANK_DOUBT, STEP, Floats, Indices, UnitTemplates, chunks, exact_distances

PRODUCTS_AT_ONCE = 8_000_000  # float32: 32 MB
LOWER = np.float32(RANK_DOUBT + STEP)  # equal rounded distances count as equal


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The nearest members of each probe, the nearest first: `members` (m, k) indices, `distances` (m, k) exact."""

    members: Indices
    distances: Floats


def nearest(probes: UnitTemplates, gallery: UnitTemplates, k: int) -> Candidates:
    """Return the k nearest members of each probe, of equal distances the lower index; all of them when k is more.

    Raises ValueError when k is less than 1 or the gallery is empty.
    """
    if k < 1 or not len(gallery):
        raise ValueError("a search needs a gallery, and at least one candidate to ask for")
    k = min(k, len(gallery))
    found = Candidates(np.empty((len(probes), k), np.intp), np.empty((len(probes), k)))
    for part in chunks(len(probes), max(1, PRODUCTS_AT_ONCE // len(gallery))):
        cosines = probes.unit[part] @ gallery.unit.T
        lowest = np.partition(cosines, -k, axis=1)[:, -k, None] - LOWER
        rows, columns = np.nonzero(cosines >= lowest)
        distances = exact_distances(probes, rows + part.start, gallery, columns)
        order = np.lexsort((columns, distances, rows))
        starts = np.searchsorted(rows, np.arange(len(cosines)))  # rows ascend, also in the new order
        chosen = order[starts[:, None] + np.arange(k)]
        found.members[part], found.distances[part] = columns[chosen], distances[chosen]
    return found
