"""Test our MTCNN against the `mtcnn` library, on the same pixels, and its box arithmetic on values computed by hand."""

import warnings

import cv2
import numpy as np
import pytest

from app.faces import mtcnn
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


def rows(*values: tuple[float, ...]) -> np.ndarray:
    return np.array(values, np.float64)


def test_the_pyramid_begins_at_the_smallest_face_and_ends_at_the_nets_size() -> None:
    scales = mtcnn.pyramid_scales(100, min_face_px=24, factor=0.5)
    assert scales == [0.5, 0.25]  # 12 / 24; at 0.125 only 12.5 pixels would be left, and the library stops there
    assert mtcnn.pyramid_scales(100, min_face_px=20, factor=0.709)[0] == pytest.approx(0.6)


def test_an_image_smaller_than_the_net_has_no_scales() -> None:
    assert mtcnn.pyramid_scales(10, min_face_px=20, factor=0.709) == []


def test_candidates_lie_at_their_place_in_the_map() -> None:
    score = np.zeros((2, 3), np.float32)
    score[1, 2] = 0.9
    offsets = np.zeros((4, 2, 3), np.float32)
    offsets[:, 1, 2] = [0.0, 0.5, 0.0, 1.0]
    # Cell (row 1, column 2) begins at (2 * 2 + 1, 2 * 1 + 1) and is 11 wide; y moves by half of that, y2 by all.
    np.testing.assert_allclose(mtcnn.candidates_from_map(offsets, score, 0.6), [[5, 8.5, 16, 25, 0.9]], rtol=1e-6)


def test_overlap_is_intersection_over_union_or_over_the_smaller() -> None:
    pair = rows((0, 0, 10, 10, 1), (5, 0, 15, 5, 1))
    assert mtcnn.overlaps(pair)[0, 1] == pytest.approx(25 / 125)
    assert mtcnn.overlaps(pair, of_smaller=True)[0, 1] == pytest.approx(25 / 50)


def test_the_weaker_of_two_overlapping_boxes_is_dropped() -> None:
    found = mtcnn.suppress(rows((0, 0, 10, 10, 0.5), (1, 0, 11, 10, 0.9), (50, 50, 60, 60, 0.1)), 0.5)
    np.testing.assert_array_equal(found, rows((1, 0, 11, 10, 0.9), (50, 50, 60, 60, 0.1)))


def test_a_box_is_dropped_even_when_the_stronger_one_was_dropped_too() -> None:
    # As in the mtcnn library: 0.9 beats 0.8, and 0.8, though beaten, beats 0.7.
    chain = rows((0, 0, 10, 10, 0.9), (3, 0, 13, 10, 0.8), (6, 0, 16, 10, 0.7))
    np.testing.assert_array_equal(mtcnn.suppress(chain, 0.5), chain[:1])


def test_squares_grow_around_the_centre() -> None:
    np.testing.assert_array_equal(mtcnn.to_square(rows((0, 10, 20, 20, 1))), rows((0, 5, 20, 25, 1)))


def test_every_step_accepts_no_candidates() -> None:
    none = mtcnn.NO_CANDIDATES
    assert mtcnn.suppress(none, 0.5).shape == (0, 5)
    assert mtcnn.to_square(none).shape == (0, 5)


def test_offsets_are_fractions_of_the_size_plus_one() -> None:
    moved = mtcnn.move(rows((0, 0, 9, 19, 1)), np.array([[0.1, 0.1, -0.1, 0]], np.float32))
    np.testing.assert_allclose(moved, rows((1, 2, 8, 19, 1)), atol=1e-6)


def test_landmarks_are_fractions_of_the_box() -> None:
    marks = np.array([[0, 0.5, 1, 0, 1, 0, 0.5, 1, 1, 0]], np.float32)
    points = mtcnn.place_landmarks(rows((10, 20, 19, 39, 1)), marks)
    np.testing.assert_allclose(points[0], [[9, 19], [14, 29], [19, 39], [9, 39], [19, 19]])


def test_samples_outside_the_image_count_as_outside() -> None:
    regions, inside = mtcnn.sampling_regions(rows((-5, 0, 5, 10, 1)), (10, 10), 3)
    assert regions.shape == (1, 4)
    np.testing.assert_array_equal(inside[0, 0], [[0, 1, 1]] * 3)
