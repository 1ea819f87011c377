"""Check the distance of vectors by hand."""

import numpy as np
import pytest

from app.core.vectors import cosine_distance


def test_distances_by_hand() -> None:
    one, other = np.array([3, 4], np.float32), np.array([4, -3], np.float32)
    assert (cosine_distance(one, 2 * one), cosine_distance(one, other), cosine_distance(one, -one)) == pytest.approx(
        (0, 1, 2)
    )
    assert (cosine_distance(one, np.zeros(2, np.float32)), cosine_distance(one, np.ones(3, np.float32))) == (2, 2)
