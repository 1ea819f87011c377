"""What an export hands over: the templates, who they are of, and what a reader has to know to compare with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from app.core.text import as_utf8
from app.gallery.templates import Templates
from app.records import EmbeddingSpec

FORMAT_VERSION = 1  # of the manifest; a key that changes its meaning raises it, a new key does not
METRIC = "cosine"
BLOCK_ROWS = 4096  # at a time in float64: 17 MB with 512 dimensions


@dataclass(frozen=True, slots=True)
class Threshold:
    """The largest cosine distance, and the least confidence (1 - distance / 2), at which the service recognises
    somebody. `origin`: `setting` where FACE_DISTANCE_THRESHOLD is set, `default` where nobody has chosen it."""

    distance: float
    confidence: float
    origin: str


@dataclass(frozen=True, slots=True)
class Contents:
    """The templates with the full names (empty where the roster has none) in their order, the spec that makes
    comparable vectors, and the service's threshold."""

    templates: Templates
    names: tuple[str, ...]
    spec: EmbeddingSpec
    threshold: Threshold

    @property
    def shape(self) -> tuple[int, int]:
        """Return (members, dimensions)."""
        members, dimensions = self.templates.vectors.shape
        return members, dimensions

    def describe(self) -> dict[str, Any]:
        """Return the manifest's part that the gallery alone decides: the same gallery gives the same. Its keys are
        stable. What UTF-8 cannot hold in an id or a name is escaped."""
        members, dimensions = self.shape
        return {
            "format": FORMAT_VERSION,
            "model": self.spec.model,
            "spec": {"digest": self.spec.digest} | dataclasses.asdict(self.spec),
            "metric": METRIC,
            "threshold": dataclasses.asdict(self.threshold),
            "members": members,
            "dimensions": dimensions,
            "foreign": self.templates.foreign,
            "crew_ids": [as_utf8(crew_id) for crew_id in self.templates.crew_ids],
            "names": [as_utf8(name) for name in self.names],
        }

    def blocks(self, dtype: DTypeLike, *, normalised: bool) -> Iterator[NDArray[Any]]:
        """Yield the vectors (at most BLOCK_ROWS, dimensions) in order, with length 1 if `normalised`. The division is
        done in float64, so that one rounding separates a float32 row from the true direction."""
        vectors = self.templates.vectors
        for start in range(0, len(vectors), BLOCK_ROWS):
            block: NDArray[Any] = vectors[start : start + BLOCK_ROWS]
            if normalised:
                exact = block.astype(np.float64)
                block = exact / np.linalg.norm(exact, axis=1, keepdims=True)
            yield np.ascontiguousarray(block, dtype)
