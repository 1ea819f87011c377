"""Compare vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Cosine distance within which two computations of one face are the same. Processors and ONNX Runtime's kernels differ
# by less than 1e-5; two photos of one person by 0.03 and more.
SAME_VECTOR = 1e-3


def cosine_distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the cosine distance, from 0 to 2: 2 for vectors of other lengths or of zeros."""
    if one.shape != other.shape:
        return 2.0
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return 1.0 - float(np.dot(one, other)) / lengths if lengths else 2.0
