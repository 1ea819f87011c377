"""Test the arithmetic on face regions, and cutting boxes out."""

import numpy as np
import pytest

from app.faces.regions import crop_with_black, turn_points_back


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_points_are_turned_back(quarter_turns: int) -> None:
    image = np.arange(12).reshape(3, 4)
    turned = np.rot90(image, quarter_turns)
    points = np.array([[x, y] for y in range(turned.shape[0]) for x in range(turned.shape[1])], np.float32)
    x, y = turn_points_back(points, quarter_turns, image.shape).astype(int).T
    np.testing.assert_array_equal(image[y, x], turned.ravel())


@pytest.mark.parametrize(("x", "y"), [(-2, -1), (3, 2), (1, 1), (-50, 3), (50, 50)])
def test_cropping_with_black_equals_cropping_a_padded_image(x: int, y: int) -> None:
    image = np.random.default_rng(0).integers(1, 255, (6, 5, 3), np.uint8)
    padded = np.pad(image, ((60, 60), (60, 60), (0, 0)))
    np.testing.assert_array_equal(crop_with_black(image, x, y, 4, 5), padded[y + 60 : y + 65, x + 60 : x + 64])
