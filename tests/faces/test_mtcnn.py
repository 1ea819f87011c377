"""Test our MTCNN against the `mtcnn` library, on the same pixels."""

import warnings

import cv2
import numpy as np
import pytest

from app.faces.mtcnn import Detection, Mtcnn
from app.records import Image

POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")


@pytest.fixture(scope="module")
def ours() -> Mtcnn:
    return Mtcnn()


@pytest.fixture(scope="module")
def library() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of TensorFlow
        from mtcnn import MTCNN

        return MTCNN()


def crowd(astronaut: Image, admiral: Image) -> Image:
    """Compose a picture of several faces of different sizes."""
    large = np.hstack([cv2.resize(admiral, (512, 600)), cv2.resize(astronaut, (512, 600))])
    small = cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.vstack([large, np.hstack([small, np.ascontiguousarray(small[:, ::-1])])])


def pictures(astronaut: Image, admiral: Image) -> dict[str, Image]:
    cut = np.ascontiguousarray(admiral[120:, 150:])  # the face reaches the edge
    return {
        "astronaut": astronaut,
        "admiral": admiral,
        "mirrored": np.ascontiguousarray(astronaut[:, ::-1]),
        "enlarged": cv2.resize(astronaut, None, fx=1.7, fy=1.7, interpolation=cv2.INTER_CUBIC),
        "odd size": np.ascontiguousarray(admiral[:, 3:-4][5:]),
        "cut": cut,
        "crowd": crowd(astronaut, admiral),
        "noise": np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8),
    }


@pytest.mark.parametrize("name", ["astronaut", "admiral", "mirrored", "enlarged", "odd size", "cut", "crowd", "noise"])
def test_faces_equal_the_librarys(name: str, ours: Mtcnn, library: object, astronaut: Image, admiral: Image) -> None:
    """As many faces; boxes and landmarks within a pixel (the library rounds them), confidences within 1e-3."""
    image = pictures(astronaut, admiral)[name]
    expected = library.detect_faces(image[:, :, ::-1], fit_to_image=False)  # type: ignore[attr-defined]
    found = ours.detect(image)
    assert len(found) == len(expected)
    for face, reference in zip(found, expected, strict=True):
        x, y, width, height = reference["box"]
        assert np.abs(face.box - [x, y, x + width, y + height]).max() <= 1.0
        assert np.abs(face.landmarks - [reference["keypoints"][point] for point in POINTS]).max() <= 1.0
        assert abs(face.confidence - reference["confidence"]) <= 1e-3


def test_the_astronauts_face_is_found_in_its_place(ours: Mtcnn, astronaut: Image) -> None:
    (face,) = ours.detect(astronaut)
    assert isinstance(face, Detection)
    left_eye, right_eye, nose, *_ = face.landmarks
    assert 200 < left_eye[0] < right_eye[0] < 260  # Eileen Collins's face is a little left of the middle
    assert 90 < left_eye[1] < nose[1] < 150
    assert face.confidence > 0.99


def test_a_flat_picture_and_a_tiny_one_have_no_faces(ours: Mtcnn) -> None:
    assert ours.detect(np.full((300, 300, 3), 127, np.uint8)) == []
    assert ours.detect(np.zeros((8, 8, 3), np.uint8)) == []


def test_faces_below_the_smallest_size_are_left_out(ours: Mtcnn, astronaut: Image, admiral: Image) -> None:
    image = crowd(astronaut, admiral)
    assert len(ours.detect(image, min_face_px=20)) > len(ours.detect(image, min_face_px=120)) >= 1
