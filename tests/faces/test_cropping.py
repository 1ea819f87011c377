"""Test cutting rectangles out of images."""

import numpy as np
import pytest

from app.faces.cropping import crop_with_black


@pytest.mark.parametrize(("x", "y"), [(-2, -1), (3, 2), (1, 1), (-50, 3), (50, 50)])
def test_cropping_with_black_equals_cropping_a_padded_image(x: int, y: int) -> None:
    image = np.random.default_rng(0).integers(1, 255, (6, 5, 3), np.uint8)
    padded = np.pad(image, ((60, 60), (60, 60), (0, 0)))
    np.testing.assert_array_equal(crop_with_black(image, x, y, 4, 5), padded[y + 60 : y + 65, x + 60 : x + 64])
