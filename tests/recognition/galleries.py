"""Galleries whose figures are known: seeded, with planted pairs, or small enough to be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.recognition.distances import UnitTemplates

SPECTRUM = np.arange(1, 513) ** -0.5  # people differ in some directions more than in others
FARTHEST = 9.0  # a member from itself, so that it is nobody's neighbour


def random_vectors(count: int, seed: int = 0, size: int = 512) -> np.ndarray:
    """Return vectors of different lengths whose distances reach from 0.2 to 1.5."""
    generator = np.random.default_rng(seed)
    return (generator.standard_normal((count, size)) * SPECTRUM[:size]).astype(np.float32)


def float64_distances(vectors: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """Return all distances in float64, one row after the other, rounded as DeepFace does; FARTHEST from itself."""
    alone = others is None
    left, right = np.asarray(vectors, np.float64), np.asarray(vectors if alone else others, np.float64)
    lengths = np.linalg.norm(right, axis=1)
    rows = [1 - right @ vector / (lengths * np.linalg.norm(vector)) for vector in left]
    found = np.round(np.array(rows), 6)
    if alone:
        np.fill_diagonal(found, FARTHEST)
    return found


def plant(vectors: np.ndarray, place: int, at: int, distance: float, seed: int) -> None:
    """Move a vector so that its distance from another, in float64, is as near to `distance` as float32 allows."""
    base = vectors[at].astype(np.float64)
    base /= np.linalg.norm(base)
    across = np.random.default_rng(seed).standard_normal(len(base))
    across -= across @ base * base
    across /= np.linalg.norm(across)
    cosine = 1 - distance
    vectors[place] = (7.5 * (cosine * base + np.sqrt(1 - cosine**2) * across)).astype(np.float32)


def circle(degrees: Sequence[float]) -> UnitTemplates:
    """Return templates in the plane at these angles: their distances are 1 - cos of the angles between."""
    angles = np.radians(degrees)
    return UnitTemplates.of(np.stack([np.cos(angles), np.sin(angles)], axis=1))
