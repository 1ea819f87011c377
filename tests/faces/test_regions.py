"""Test the arithmetic on face regions."""

import numpy as np
import pytest

from app.faces.regions import turn_points_back


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_points_are_turned_back(quarter_turns: int) -> None:
    image = np.arange(12).reshape(3, 4)
    turned = np.rot90(image, quarter_turns)
    points = np.array([[x, y] for y in range(turned.shape[0]) for x in range(turned.shape[1])], np.float32)
    x, y = turn_points_back(points, quarter_turns, image.shape).astype(int).T
    np.testing.assert_array_equal(image[y, x], turned.ravel())
