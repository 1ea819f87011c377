"""The small copies of photos in HR's report."""

import numpy as np
import pytest

from app.photos.opencv_decoding import decode
from app.photos.thumbnail import SIDE_PX, make_thumbnail
from app.records import Image


@pytest.mark.parametrize(
    ("size", "expected"), [((512, 512), (128, 128)), ((4600, 3061), (128, 85)), ((90, 40), (90, 40))]
)
def test_a_thumbnail_is_the_whole_photo_at_most_so_long(size: tuple[int, int], expected: tuple[int, int]) -> None:
    copy = decode(make_thumbnail(np.zeros((size[0], size[1], 3), np.uint8)))
    assert copy.shape[:2] == expected
    assert max(copy.shape[:2]) <= SIDE_PX


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3000, 3)])
def test_photos_of_odd_shapes_have_a_thumbnail(shape: tuple[int, ...]) -> None:
    assert decode(make_thumbnail(np.full(shape, 9, np.uint8))).size


def test_a_thumbnail_has_the_photo_s_colours_and_few_kilobytes(astronaut: Image) -> None:
    small = make_thumbnail(astronaut)
    assert len(small) < 8000
    assert np.abs(decode(small).mean(axis=(0, 1)) - astronaut.mean(axis=(0, 1))).max() < 5
