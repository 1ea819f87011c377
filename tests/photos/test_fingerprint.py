"""Two photos of the same picture have close descriptions, two pictures have not."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from app.photos.fingerprint import describe_picture
from app.photos.opencv_decoding import decode
from app.photos.shared_pictures import SAME_PICTURE_BITS, same_pictures
from app.records import Image
from tests.support.pictures import encode_picture

SAVED_AGAIN: dict[str, Callable[[Image], Image]] = {
    "JPEG quality 10": lambda image: decode(encode_picture(image, quality=10)),
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "three times the size": lambda image: cv2.resize(image, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC),
    "brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.1, beta=10),
}


def bits(one: Image, other: Image) -> int:
    return (describe_picture(one).perceptual_hash ^ describe_picture(other).perceptual_hash).bit_count()


@pytest.mark.parametrize("how", SAVED_AGAIN)
def test_a_picture_saved_again_is_the_same(astronaut: Image, admiral: Image, how: str) -> None:
    for image in (astronaut, admiral):
        again = describe_picture(np.asarray(SAVED_AGAIN[how](image), np.uint8))
        assert same_pictures(describe_picture(image), [again]) == [again]


def test_the_hashes_of_two_pictures_differ_in_many_bits(astronaut: Image, admiral: Image) -> None:
    assert bits(astronaut, admiral) > 3 * SAME_PICTURE_BITS
    assert bits(astronaut, np.ascontiguousarray(astronaut[:, ::-1])) > 3 * SAME_PICTURE_BITS


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 900, 3), (17, 5, 3)])
def test_an_empty_picture_of_any_shape_has_a_description(shape: tuple[int, ...]) -> None:
    picture = describe_picture(np.full(shape, 77, np.uint8))
    assert 0 <= picture.perceptual_hash < 2**64
    assert same_pictures(picture, [picture]) == [picture]
