"""Check the shrinking of images by hand."""

import numpy as np

from app.core.image_scaling import reduce


def test_reducing_averages_whole_squares() -> None:
    image = np.zeros((5, 4, 3), np.uint8)
    image[:2, :2] = [[[10] * 3, [20] * 3], [[30] * 3, [40] * 3]]
    np.testing.assert_array_equal(reduce(image, 2)[:, :, 0], [[25, 0], [0, 0]])
    assert reduce(image, 1) is image
    assert reduce(image, 9).shape == (1, 1, 3)
