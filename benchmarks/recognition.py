"""Compute how well vectors distinguish people: rank-1, and TAR at a FAR. Pure arithmetic on labelled vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of recognition. `rank_1`: fraction of photos whose nearest other photo is of the same person; `tar`:
    fraction of genuine pairs accepted at `threshold`, the cosine distance that accepts at most `far` of the impostor
    pairs."""

    rank_1: float
    tar: float
    far: float
    threshold: float
    genuine_pairs: int
    impostor_pairs: int


def cosine_distances(one: Floats, other: Floats) -> Floats:
    """Compute the pairwise cosine distances (n, m) of vectors (n, d) and (m, d)."""
    return np.asarray(1 - _unit(one) @ _unit(other).T)


def drift(one: Floats, other: Floats) -> Floats:
    """Compute the cosine distance (n,) of each vector to the one in the same place."""
    return np.asarray(1 - (_unit(one) * _unit(other)).sum(axis=1))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def rates(vectors: Floats, people: Sequence[str], far: float) -> Rates:
    """Compare every photo with every other one."""
    distances = cosine_distances(vectors, vectors)
    same = np.equal.outer(np.array(people), np.array(people))
    pairs = np.triu_indices(len(people), k=1)
    genuine, impostor = distances[pairs][same[pairs]], distances[pairs][~same[pairs]]
    threshold = threshold_at(impostor, far)
    tar = float((genuine <= threshold).mean())
    return Rates(_rank_1(distances, same), tar, far, threshold, len(genuine), len(impostor))


def threshold_at(impostor: Floats, far: float) -> float:
    """Return the largest distance that accepts at most `far` of the impostor pairs."""
    allowed = int(len(impostor) * far)
    return float(np.nextafter(np.sort(impostor)[allowed], -np.inf))


def _rank_1(distances: Floats, same: NDArray[np.bool_]) -> float:
    others = distances + np.diag(np.full(len(distances), np.inf))
    nearest = others.argmin(axis=1)
    # A person with a single photo cannot be found.
    findable = same.sum(axis=1) > 1
    return float(same[np.arange(len(same)), nearest][findable].mean())
