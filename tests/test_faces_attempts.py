"""Which attempt finds a face, on real photos with the real detector, and on pictures whose answer is known by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from app.faces.attempts import equalise, look, stretch_contrast, turn_back
from app.faces.detector import BoundedMtcnn, DetectionOptions
from app.faces.engine import Detector, FacialAreaRegion
from app.faces.sessions import SessionOptions
from app.records import Image
from tests.pictures import package_file, read_picture

BLANK = np.full((40, 60, 3), 90, np.uint8)
MIDDLE_OF_FACE = np.array([225.0, 120.0])  # of the astronaut


@pytest.fixture(scope="module")
def mtcnn() -> BoundedMtcnn:
    return BoundedMtcnn(DetectionOptions(), SessionOptions())


def region(
    confidence: float = 0.99, tilt_degrees: float = 0, eyes_apart: float = 8, side: int = 20
) -> FacialAreaRegion:
    """A square region at (5, 5) with these eyes and the mouth below them."""
    along = np.array([np.cos(np.radians(tilt_degrees)), np.sin(np.radians(tilt_degrees))]) * eyes_apart
    middle, below = np.array([15, 12]), np.array([-along[1], along[0]])
    left, right = tuple(middle + along / 2), tuple(middle - along / 2)
    mouth = {"mouth_left": tuple(left + below), "mouth_right": tuple(right + below), "nose": tuple(middle + below / 2)}
    return FacialAreaRegion(x=5, y=5, w=side, h=side, left_eye=left, right_eye=right, confidence=confidence, **mouth)


class Told(Detector):  # type: ignore[misc]
    """A detector that answers by a function of the picture, and remembers the pictures' shapes."""

    def __init__(self, answer: Callable[[Image], list[FacialAreaRegion]]) -> None:
        self.answer = answer
        self.shapes: list[tuple[int, ...]] = []

    def detect_faces(self, img: Image) -> list[FacialAreaRegion]:
        self.shapes.append(img.shape)
        return self.answer(img)


def when(passes: dict[int, list[FacialAreaRegion]]) -> Told:
    """A detector that finds this in its n-th pass, from 0, and nothing in the others."""
    detector = Told(lambda img: passes.get(len(detector.shapes) - 1, []))
    return detector


def middle_of(face: FacialAreaRegion) -> np.ndarray:
    return np.array([[face.x + face.w / 2, face.y + face.h / 2]])


def test_a_good_photo_costs_one_pass(astronaut: Image, mtcnn: BoundedMtcnn) -> None:
    counting = Told(mtcnn.detect_faces)
    seen = look(counting, astronaut)
    assert (seen.attempt, seen.quarter_turns, len(seen.regions), len(counting.shapes)) == ("plain", 0, 1, 1)
    assert seen.image is astronaut


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_turned_photo_is_seen_upright_and_its_face_where_it_was(
    astronaut: Image, mtcnn: BoundedMtcnn, quarter_turns: int
) -> None:
    lying = np.ascontiguousarray(np.rot90(astronaut, -quarter_turns))
    seen = look(mtcnn, lying)
    assert (seen.attempt, seen.quarter_turns) == (f"turned_{90 * quarter_turns}", quarter_turns)
    np.testing.assert_array_equal(seen.image, astronaut)
    (expected,), (found,) = mtcnn.detect_faces(astronaut), seen.regions
    assert (found.x, found.y, found.w, found.h) == (expected.x, expected.y, expected.w, expected.h)


def test_a_face_on_its_head_that_the_detector_takes_for_upright_is_turned(mtcnn: BoundedMtcnn, admiral: Image) -> None:
    """MTCNN finds this one in the plain pass too, with the eyes where the mouth is."""
    seen = look(mtcnn, np.ascontiguousarray(np.rot90(admiral, 2)))
    assert seen.quarter_turns == 2


@pytest.mark.parametrize(
    "darken", [lambda image: image * 0.04, lambda image: 128 + (image - 128.0) * 0.02], ids=["dark", "flat"]
)
def test_a_face_too_dark_or_too_flat_is_found_and_the_pixels_stay_plain(
    astronaut: Image, mtcnn: BoundedMtcnn, darken: Callable[[Image], np.ndarray]
) -> None:
    poor = np.rint(darken(astronaut)).astype(np.uint8)
    assert mtcnn.detect_faces(poor) == []
    seen = look(mtcnn, poor)
    assert seen.attempt == "enhanced"
    np.testing.assert_array_equal(seen.image, poor)
    assert np.abs(middle_of(seen.regions[0]) - MIDDLE_OF_FACE).max() < 15


def test_a_face_both_dark_and_turned_is_found(astronaut: Image, mtcnn: BoundedMtcnn) -> None:
    poor = np.ascontiguousarray(np.rot90(np.rint(astronaut * 0.04).astype(np.uint8)))
    seen = look(mtcnn, poor)
    assert seen.attempt == "enhanced_turned_270"
    np.testing.assert_array_equal(seen.image, np.rot90(poor, 3))


def test_a_face_too_small_is_found_in_an_enlarged_copy(astronaut: Image, mtcnn: BoundedMtcnn) -> None:
    small = np.asarray(cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA), np.uint8)
    blind_to_small = Told(lambda img: mtcnn.detect_faces(img) if max(img.shape) > 128 else [])
    seen = look(blind_to_small, small)
    assert seen.attempt == "enlarged"
    np.testing.assert_array_equal(seen.image, small)
    (face,) = seen.regions
    assert np.abs(middle_of(face) * 4 - MIDDLE_OF_FACE).max() < 15
    assert np.abs(np.array(face.left_eye) * 4 - mtcnn.detect_faces(astronaut)[0].left_eye).max() < 10


def test_nothing_is_found_where_nothing_is(mtcnn: BoundedMtcnn) -> None:
    coffee = read_picture(package_file("skimage", "data", "coffee.png"))
    for image in (coffee, BLANK, np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)):
        seen = look(mtcnn, image)
        assert (seen.regions, seen.attempt, seen.quarter_turns) == ([], "plain", 0)


def test_a_large_photo_is_not_enlarged() -> None:
    detector = when({})
    look(detector, np.zeros((400, 330, 3), np.uint8))
    assert {max(shape) for shape in detector.shapes} == {400}


@pytest.mark.parametrize(
    "doubtful",
    [region(0.95), region(tilt_degrees=55), region(tilt_degrees=180), region(eyes_apart=7)],
    ids=["unsure", "lying", "on its head", "eyes too close"],
)
def test_a_doubtful_plain_find_gives_way_to_a_surer_orientation_only(doubtful: FacialAreaRegion) -> None:
    assert look(when({0: [doubtful], 3: [region(0.995)]}), BLANK).attempt == "turned_270"
    kept = look(when({0: [doubtful], 3: [region(0.94)]}), BLANK)
    assert (kept.attempt, kept.regions) == ("plain", [doubtful])


def test_a_large_photos_doubt_is_settled_on_a_smaller_copy_and_its_face_taken_from_the_photo() -> None:
    detector = when({0: [region(0.9)], 3: [region(0.995)], 4: [region(0.97, side=20)]})
    seen = look(detector, np.zeros((900, 660, 3), np.uint8))
    assert (seen.attempt, seen.image.shape, seen.regions[0].confidence) == ("turned_270", (660, 900, 3), 0.97)
    assert detector.shapes == [(900, 660, 3), *[(330, 450, 3), (450, 330, 3), (330, 450, 3)], (660, 900, 3)]
    lost = look(when({0: [region(0.9)], 3: [region(0.995)]}), np.zeros((900, 660, 3), np.uint8))
    assert (lost.attempt, lost.regions[0].confidence) == ("plain", 0.9)


def test_the_surest_of_the_upright_orientations_is_taken() -> None:
    lying = region(1.0, tilt_degrees=65)
    assert look(when({1: [region(0.96)], 2: [region(0.98)], 3: [lying]}), BLANK).attempt == "turned_180"
    assert look(when({0: [region(0.957)], 2: [region(0.955)]}), BLANK).attempt == "plain"
    assert look(when({0: [region(1.0, eyes_apart=6)], 2: [region(0.955)]}), BLANK).attempt == "turned_180"


def test_a_face_whose_mouth_is_above_its_eyes_is_not_upright() -> None:
    face = region(1.0)
    high = dataclasses.replace(face, mouth_left=(19, 4), mouth_right=(11, 4))
    assert look(when({1: [high], 2: [region(0.96)]}), BLANK).attempt == "turned_180"
    assert look(when({1: [dataclasses.replace(face, mouth_left=None)], 2: [region(0.96)]}), BLANK).quarter_turns == 1


def test_the_largest_of_several_faces_is_the_one_to_judge() -> None:
    small, large = region(0.5, side=5), region(side=20)
    detector = when({0: [small, large]})
    assert look(detector, BLANK).regions == [small, large]
    assert len(detector.shapes) == 1


def test_stretched_contrast_alone_is_looked_at_before_it_is_evened_out(astronaut: Image) -> None:
    flat = (astronaut // 16).astype(np.uint8)
    sees_stretched = Told(lambda img: [region()] if np.array_equal(img, stretch_contrast(flat)) else [])
    assert look(sees_stretched, flat).attempt == "enhanced"


def test_a_face_tilted_by_45_degrees_needs_no_second_look() -> None:
    detector = when({0: [region(tilt_degrees=45)]})
    assert look(detector, BLANK).attempt == "plain"
    assert len(detector.shapes) == 1


@pytest.mark.parametrize(("number", "needed"), [(1, 0.95), (4, 0.95), (8, 0.95), (5, 0.98), (12, 0.95), (13, 0.98)])
def test_another_attempt_has_to_be_sure_of_a_well_formed_face(number: int, needed: float) -> None:
    """Passes 1 to 3 turn, 4 to 7 and 8 to 11 enhance, 12 to 15 enlarge."""
    assert look(when({number: [region(needed)]}), BLANK).regions
    assert not look(when({number: [region(needed - 0.001)]}), BLANK).regions
    assert not look(when({number: [region(eyes_apart=6)]}), BLANK).regions


def test_without_landmarks_the_plain_pass_is_believed_and_no_other() -> None:
    bare = FacialAreaRegion(x=5, y=5, w=20, h=20, confidence=0.5)
    detector = when({0: [bare]})
    assert look(detector, BLANK).regions == [bare]
    assert len(detector.shapes) == 1
    assert look(when({1: [bare]}), BLANK).regions == []


def test_an_empty_box_is_no_find() -> None:
    assert look(when({0: [region(side=0)]}), BLANK).regions == []


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_points_are_turned_back(quarter_turns: int) -> None:
    image = np.arange(12).reshape(3, 4)
    turned = np.rot90(image, quarter_turns)
    points = np.array([[x, y] for y in range(turned.shape[0]) for x in range(turned.shape[1])], np.float32)
    x, y = turn_back(points, quarter_turns, image.shape).astype(int).T
    np.testing.assert_array_equal(image[y, x], turned.ravel())


def test_stretching_takes_the_darkest_to_black_and_the_lightest_to_white() -> None:
    ramp = np.repeat(np.linspace(100, 110, 110).astype(np.uint8), 30).reshape(110, 10, 3)
    assert (stretch_contrast(ramp).min(), stretch_contrast(ramp).max()) == (0, 255)
    np.testing.assert_array_equal(stretch_contrast(BLANK), 0)


def test_equalising_keeps_a_grey_image_grey(astronaut: Image) -> None:
    grey = cv2.cvtColor(cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert np.ptp(equalise(grey).astype(int), axis=2).max() <= 4
