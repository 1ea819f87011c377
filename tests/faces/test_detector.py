"""Test the detectors: names of landmarks, choice of detector, levels of the pyramid."""

import pytest

from app.errors import UnknownModel
from app.faces.detector import (
    BoundedMtcnn,
    DetectionOptions,
    build_detector,
    smallest_face,
)
from app.faces.mtcnn import Mtcnn
from app.records import Image

INPUT = (160, 160)


@pytest.fixture(scope="module")
def mtcnn() -> BoundedMtcnn:
    return BoundedMtcnn(DetectionOptions(), Mtcnn())


def test_eyes_are_named_from_the_persons_side(astronaut: Image, mtcnn: BoundedMtcnn) -> None:
    (region,) = mtcnn.detect_faces(astronaut)
    assert region.left_eye[0] > region.right_eye[0]


def test_refusing_an_unknown_detector_names_the_known_ones() -> None:
    with pytest.raises(UnknownModel) as refused:
        build_detector(DetectionOptions("mtcmm"), Mtcnn())
    assert "mtcnn" in refused.value.advice
    assert "retinaface" in refused.value.advice


def test_the_pyramid_of_a_copy_keeps_the_levels_of_the_whole_image() -> None:
    assert smallest_face(20, 1.0) == pytest.approx(20)
    assert smallest_face(30, 1.0) == pytest.approx(20 / 0.709**2)
    assert smallest_face(25, 0.5) == pytest.approx(10 / 0.709**3)  # 28.1: at half the size a level of its own
