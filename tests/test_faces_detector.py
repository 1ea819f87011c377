"""From a portrait to the network's input, against DeepFace doing the same."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.errors import NoFace, UnknownModel
from app.faces.detector import (
    BoundedMtcnn,
    DetectionOptions,
    FaceFinder,
    align_face,
    build_detector,
    crop_with_black,
    reduce,
    smallest_face,
)
from app.faces.engine import Detector, FacialAreaRegion, detection, preprocessing
from app.faces.sessions import SessionOptions
from app.records import CrewMember, Image, Photo, Portrait

INPUT = (160, 160)


def portrait(image: Image, reduction: int = 1) -> Portrait:
    return Portrait(Photo(CrewMember("1", "a.jpg"), "u", Path("a.jpg")), image, reduction)


@pytest.fixture(scope="module")
def mtcnn() -> BoundedMtcnn:
    return BoundedMtcnn(DetectionOptions(), SessionOptions())


def region_at(x: int, y: int, side: int) -> FacialAreaRegion:
    """A square region with level eyes."""
    left, right, eyes = x + 0.7 * side, x + 0.3 * side, y + 0.4 * side
    return FacialAreaRegion(x=x, y=y, w=side, h=side, left_eye=(left, eyes), right_eye=(right, eyes), confidence=0.9)


class Fixed(Detector):  # type: ignore[misc]
    """A detector that finds what it was told."""

    def __init__(self, *regions: FacialAreaRegion) -> None:
        self.regions = list(regions)

    def detect_faces(self, img: Image) -> list[FacialAreaRegion]:
        return self.regions


@pytest.mark.parametrize("degrees", [0, -8, 25, 45, -90])
def test_the_same_face_as_deepface_cuts_out_for_the_same_region(astronaut: Image, degrees: int) -> None:
    """Alignment is DeepFace's: its `extract_face` on the whole padded photo gives the same pixels, but for one grey
    level in one of a thousand (interpolation counts in fractions of a pixel from another corner)."""
    eyes = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]) * 20
    middle = np.array([225, 110])
    places = {"x": 178, "y": 67, "w": 95, "h": 122}
    region = FacialAreaRegion(**places, left_eye=tuple(middle + eyes), right_eye=tuple(middle - eyes), confidence=1.0)
    top, left = astronaut.shape[0] // 2, astronaut.shape[1] // 2
    padded = cv2.copyMakeBorder(astronaut, top, top, left, left, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    shift = np.array([left, top])
    shifted = FacialAreaRegion(
        x=region.x + left,
        y=region.y + top,
        w=region.w,
        h=region.h,
        left_eye=tuple(region.left_eye + shift),
        right_eye=tuple(region.right_eye + shift),
        confidence=1.0,
    )
    expected = detection.extract_face(shifted, padded, True, 0, left, top, "mtcnn").img
    difference = np.abs(align_face(astronaut, region, 160).astype(int) - expected)
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 1e-3


def test_the_eyes_are_named_from_the_persons_side(astronaut: Image, mtcnn: BoundedMtcnn) -> None:
    (region,) = mtcnn.detect_faces(astronaut)
    assert region.left_eye[0] > region.right_eye[0]


@pytest.mark.parametrize("degrees", [-25, 25])
def test_a_tilted_face_comes_out_level(astronaut: Image, mtcnn: BoundedMtcnn, degrees: int) -> None:
    turn = cv2.getRotationMatrix2D((225, 120), degrees, 1.0)
    tilted = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512)), np.uint8)
    (region,) = mtcnn.detect_faces(tilted)
    before = np.subtract(region.left_eye, region.right_eye)
    assert abs(np.degrees(np.arctan2(before[1], before[0]))) > 20
    (after,) = mtcnn.detect_faces(cv2.resize(align_face(tilted, region, 160), None, fx=2, fy=2))
    slope = np.subtract(after.left_eye, after.right_eye)
    assert abs(np.degrees(np.arctan2(slope[1], slope[0]))) < 6


def test_a_large_photo_gives_the_same_box_as_the_small_one(astronaut: Image, mtcnn: BoundedMtcnn) -> None:
    large = cv2.resize(astronaut, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    small = FaceFinder(mtcnn, INPUT).find(portrait(astronaut))
    found = FaceFinder(mtcnn, INPUT).find(portrait(large))
    assert np.abs(np.array(found.box) / 4 - small.box).max() < 6
    assert found.pixels.shape == (160, 160, 3)


def test_the_box_is_told_in_pixels_of_the_original(astronaut: Image, mtcnn: BoundedMtcnn) -> None:
    whole = FaceFinder(mtcnn, INPUT).find(portrait(astronaut))
    reduced = FaceFinder(mtcnn, INPUT).find(portrait(astronaut, reduction=4))
    assert reduced.box == tuple(4 * side for side in whole.box)


def test_no_face_is_an_error(mtcnn: BoundedMtcnn) -> None:
    with pytest.raises(NoFace):
        FaceFinder(mtcnn, INPUT).find(portrait(np.full((200, 200, 3), 90, np.uint8)))


def test_the_largest_of_several_faces_is_taken_and_the_log_says_so(
    astronaut: Image, caplog: pytest.LogCaptureFixture
) -> None:
    small, large = region_at(10, 50, 40), region_at(200, 50, 100)
    with caplog.at_level("INFO"):
        face = FaceFinder(Fixed(small, large), INPUT).find(portrait(astronaut))
    assert (face.box, face.faces_seen) == ((200, 50, 100, 100), 2)
    assert "2 rostros, se toma el mayor" in caplog.text


def test_a_face_at_the_edge_is_completed_with_black(astronaut: Image) -> None:
    region = FacialAreaRegion(x=-20, y=-30, w=100, h=120, left_eye=(50, 40), right_eye=(10, 40), confidence=1.0)
    face = FaceFinder(Fixed(region), INPUT).find(portrait(np.full_like(astronaut, 200)))
    assert face.pixels.max() > 0.7
    assert not face.pixels[:10].any()


def test_a_region_outside_the_photo_is_no_face(astronaut: Image) -> None:
    empty = FacialAreaRegion(x=10, y=10, w=0, h=10, confidence=1.0)
    with pytest.raises(NoFace):
        FaceFinder(Fixed(empty), INPUT).find(portrait(astronaut))


@pytest.mark.parametrize(("confidence", "stored"), [(1.00001, 1.0), (-0.1, 0.0), (None, 0.0), (0.987, 0.987)])
def test_confidence_stays_within_the_column(astronaut: Image, confidence: Any, stored: float) -> None:
    region = region_at(100, 100, 100)
    region.confidence = confidence
    assert FaceFinder(Fixed(region), INPUT).find(portrait(astronaut)).confidence == stored


def test_an_unknown_detector_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownModel) as refused:
        build_detector(DetectionOptions("mtcmm"), SessionOptions())
    assert "mtcnn" in refused.value.advice
    assert "retinaface" in refused.value.advice


def test_the_pyramid_keeps_to_the_levels_of_the_whole_image() -> None:
    assert smallest_face(20, 1.0) == pytest.approx(20)
    assert smallest_face(30, 1.0) == pytest.approx(20 / 0.709**2)
    assert smallest_face(25, 0.5) == pytest.approx(10 / 0.709**3)  # 28.1: at half the size a level of its own


def test_reducing_averages_whole_squares() -> None:
    image = np.zeros((5, 4, 3), np.uint8)
    image[:2, :2] = [[[10] * 3, [20] * 3], [[30] * 3, [40] * 3]]
    np.testing.assert_array_equal(reduce(image, 2)[:, :, 0], [[25, 0], [0, 0]])
    assert reduce(image, 1) is image
    assert reduce(image, 9).shape == (1, 1, 3)


@pytest.mark.parametrize(("x", "y"), [(-2, -1), (3, 2), (1, 1), (-50, 3), (50, 50)])
def test_cropping_with_black_equals_cropping_a_padded_image(x: int, y: int) -> None:
    image = np.random.default_rng(0).integers(1, 255, (6, 5, 3), np.uint8)
    padded = np.pad(image, ((60, 60), (60, 60), (0, 0)))
    np.testing.assert_array_equal(crop_with_black(image, x, y, 4, 5), padded[y + 60 : y + 65, x + 60 : x + 64])


def test_letterbox_is_deepfaces(astronaut: Image, mtcnn: BoundedMtcnn) -> None:
    (region,) = mtcnn.detect_faces(astronaut)
    pixels = align_face(astronaut, region, 160)
    expected = preprocessing.resize_image(pixels / 255, INPUT)[0]
    found = FaceFinder(mtcnn, INPUT).find(portrait(astronaut)).pixels
    np.testing.assert_allclose(found, expected, atol=1e-6)
