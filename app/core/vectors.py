"""Compare vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cosine_distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the cosine distance, from 0 to 2: 2 for vectors of other lengths or of zeros."""
    if one.shape != other.shape:
        return 2.0
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return 1.0 - float(np.dot(one, other)) / lengths if lengths else 2.0
