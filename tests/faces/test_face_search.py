"""Test which search variant finds a face: on real photos with the real detector, and with scripted detectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from app.faces.deepface_api import Detector, FacialAreaRegion
from app.faces.detector import BoundedMtcnn, DetectionOptions
from app.faces.face_search import FACE, POSITION, FaceSearch, SearchResult, equalise, stretch_contrast
from app.faces.mtcnn import Mtcnn
from app.faces.orientation import OrientationJudge, Verdict
from app.faces.regions import Box
from app.records import Image
from tests.support.pictures import package_file, read_picture

BLANK = np.full((40, 60, 3), 90, np.uint8)
MIDDLE_OF_FACE = np.array([225.0, 120.0])  # of the astronaut

UPRIGHT, ON_ITS_HEAD, UNCLEAR, NO_FACE = Verdict(0, True), Verdict(2, True), Verdict(None, True), Verdict(None, False)


@pytest.fixture(scope="module")
def nets() -> Mtcnn:
    return Mtcnn()


@pytest.fixture(scope="module")
def mtcnn(nets: Mtcnn) -> BoundedMtcnn:
    return BoundedMtcnn(DetectionOptions(), nets)


@pytest.fixture(scope="module")
def judge(nets: Mtcnn) -> OrientationJudge:
    return OrientationJudge(nets)


class ScriptedJudge:
    """A judge that returns these verdicts one after the other, and then calls every face upright."""

    def __init__(self, *verdicts: Verdict, plainly: bool = False) -> None:
        self.verdicts, self.plainly = list(verdicts), plainly

    def is_plainly_upright(self, image: Image, box: Box) -> bool:
        return self.plainly

    def judge(self, image: Image, box: Box) -> Verdict:
        return self.verdicts.pop(0) if self.verdicts else UPRIGHT


def region(confidence: float = 0.99, tilt_degrees: float = 0, x: int = 5, side: int = 20) -> FacialAreaRegion:
    """Build a square region at (x, 5) with eyes tilted by that angle and the mouth below them."""
    along = np.array([np.cos(np.radians(tilt_degrees)), np.sin(np.radians(tilt_degrees))]) * 8
    middle, below = np.array([x + 10, 12]), np.array([-along[1], along[0]])
    left, right = tuple(middle + along / 2), tuple(middle - along / 2)
    mouth = {"mouth_left": tuple(left + below), "mouth_right": tuple(right + below), "nose": tuple(middle + below / 2)}
    return FacialAreaRegion(x=x, y=5, w=side, h=side, left_eye=left, right_eye=right, confidence=confidence, **mouth)


class ScriptedDetector(Detector):  # type: ignore[misc]
    """A detector whose answer is a function of the picture; it records the pictures' shapes."""

    def __init__(self, answer: Callable[[Image], list[FacialAreaRegion]]) -> None:
        self.answer = answer
        self.shapes: list[tuple[int, ...]] = []

    def detect_faces(self, img: Image) -> list[FacialAreaRegion]:
        self.shapes.append(img.shape)
        return self.answer(img)


def when(passes: dict[int, list[FacialAreaRegion]]) -> ScriptedDetector:
    """Build a detector that returns these regions in its n-th pass, counted from 0, and none in other passes."""
    detector = ScriptedDetector(lambda img: passes.get(len(detector.shapes) - 1, []))
    return detector


def middle_of(face: FacialAreaRegion) -> np.ndarray:
    return np.array([[face.x + face.w / 2, face.y + face.h / 2]])


def search_with(detector: Detector, *verdicts: Verdict, image: Image = BLANK) -> SearchResult:
    return FaceSearch(detector, ScriptedJudge(*verdicts)).search(image)


def test_a_good_photo_costs_one_pass(astronaut: Image, mtcnn: BoundedMtcnn, judge: OrientationJudge) -> None:
    counting = ScriptedDetector(mtcnn.detect_faces)
    seen = FaceSearch(counting, judge).search(astronaut)
    assert (seen.variant, seen.quarter_turns, len(seen.regions), len(counting.shapes)) == ("plain", 0, 1, 1)
    assert seen.image is astronaut


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_turned_photo_is_turned_upright_with_its_face_in_place(
    astronaut: Image, mtcnn: BoundedMtcnn, judge: OrientationJudge, quarter_turns: int
) -> None:
    lying = np.ascontiguousarray(np.rot90(astronaut, -quarter_turns))
    seen = FaceSearch(mtcnn, judge).search(lying)
    assert (seen.variant, seen.quarter_turns) == (f"turned_{90 * quarter_turns}", quarter_turns)
    np.testing.assert_array_equal(seen.image, astronaut)
    (expected,), (found,) = mtcnn.detect_faces(astronaut), seen.regions
    assert (found.x, found.y, found.w, found.h) == (expected.x, expected.y, expected.w, expected.h)


def test_a_face_on_its_head_is_turned_although_the_detector_finds_it(
    mtcnn: BoundedMtcnn, judge: OrientationJudge, admiral: Image
) -> None:
    """MTCNN detects this one in the plain pass too, with the eyes where the mouth is."""
    seen = FaceSearch(mtcnn, judge).search(np.ascontiguousarray(np.rot90(admiral, 2)))
    assert seen.quarter_turns == 2


@pytest.mark.parametrize(
    "darken", [lambda image: image * 0.04, lambda image: 128 + (image - 128.0) * 0.02], ids=["dark", "flat"]
)
def test_a_face_too_dark_or_too_flat_is_found_and_the_pixels_stay_plain(
    astronaut: Image, mtcnn: BoundedMtcnn, judge: OrientationJudge, darken: Callable[[Image], np.ndarray]
) -> None:
    poor = np.rint(darken(astronaut)).astype(np.uint8)
    assert mtcnn.detect_faces(poor) == []
    seen = FaceSearch(mtcnn, judge).search(poor)
    assert seen.variant == "enhanced"
    np.testing.assert_array_equal(seen.image, poor)
    assert np.abs(middle_of(seen.regions[0]) - MIDDLE_OF_FACE).max() < 15


def test_a_face_both_dark_and_turned_is_found(astronaut: Image, mtcnn: BoundedMtcnn, judge: OrientationJudge) -> None:
    poor = np.ascontiguousarray(np.rot90(np.rint(astronaut * 0.04).astype(np.uint8)))
    seen = FaceSearch(mtcnn, judge).search(poor)
    assert seen.variant == "enhanced_turned_270"
    np.testing.assert_array_equal(seen.image, np.rot90(poor, 3))


def test_a_face_too_small_is_found_in_an_enlarged_copy(
    astronaut: Image, mtcnn: BoundedMtcnn, judge: OrientationJudge
) -> None:
    small = np.asarray(cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA), np.uint8)
    blind_to_small = ScriptedDetector(lambda img: mtcnn.detect_faces(img) if max(img.shape) > 200 else [])
    seen = FaceSearch(blind_to_small, judge).search(small)
    assert seen.variant == "enlarged"
    np.testing.assert_array_equal(seen.image, small)
    (face,) = seen.regions
    assert np.abs(middle_of(face) * 4 - MIDDLE_OF_FACE).max() < 15
    assert np.abs(np.array(face.left_eye) * 4 - mtcnn.detect_faces(astronaut)[0].left_eye).max() < 10


def test_a_face_that_fills_the_photo_is_found_within_a_black_border(
    astronaut: Image, mtcnn: BoundedMtcnn, judge: OrientationJudge
) -> None:
    (whole,) = mtcnn.detect_faces(astronaut)
    only_bordered = ScriptedDetector(lambda img: mtcnn.detect_faces(img) if not img[:20].any() else [])
    tight = np.ascontiguousarray(astronaut[75:180, 175:275])
    seen = FaceSearch(only_bordered, judge).search(tight)
    assert seen.variant == "bordered"
    (face,) = seen.regions
    assert np.abs(middle_of(face) + np.array([175, 75]) - middle_of(whole)).max() < 15
    assert seen.image is tight


def test_no_face_is_found_in_pictures_without_one(mtcnn: BoundedMtcnn, judge: OrientationJudge) -> None:
    coffee = read_picture(package_file("skimage", "data", "coffee.png"))
    for image in (coffee, BLANK, np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)):
        seen = FaceSearch(mtcnn, judge).search(image)
        assert (seen.regions, seen.variant, seen.quarter_turns) == ([], "plain", 0)


def test_a_large_photo_is_not_enlarged() -> None:
    detector = when({})
    search_with(detector, image=np.zeros((400, 330, 3), np.uint8))
    assert {max(shape) for shape in detector.shapes} == {400, 564}  # the border is a quarter of 330 on each side


def test_a_plainly_upright_face_ends_the_search() -> None:
    detector = when({0: [region()]})
    assert FaceSearch(detector, ScriptedJudge(ON_ITS_HEAD, plainly=True)).search(BLANK).variant == "plain"
    assert len(detector.shapes) == 1


def test_an_upright_photo_is_not_turned_even_if_the_detector_is_surer_of_another_position() -> None:
    assert search_with(when({0: [region(0.8)], 2: [region(1.0)]}), UPRIGHT).variant == "plain"


def test_the_position_that_the_judge_names_is_tried_first() -> None:
    detector = when({0: [region()], 1: [region(0.9)]})
    seen = search_with(detector, ON_ITS_HEAD, UPRIGHT)
    assert (seen.variant, seen.doubt) == ("turned_180", "")


def test_a_face_without_a_clear_position_is_doubted() -> None:
    """The detector finds it as it lies, but in no position does it stand upright."""
    seen = search_with(when({0: [region()]}), UNCLEAR)
    assert (seen.variant, len(seen.regions), seen.doubt) == ("plain", 1, POSITION)
    only_turned = search_with(when({2: [region()]}), UNCLEAR)
    assert (only_turned.variant, only_turned.doubt) == ("turned_180", POSITION)
    lost = search_with(when({0: [region()]}), ON_ITS_HEAD)  # the judge sees it on its head, the detector does not
    assert (lost.variant, lost.doubt) == ("plain", POSITION)


def test_a_region_that_the_judge_rejects_is_doubted_or_dropped() -> None:
    unlike = search_with(when({0: [region()]}), NO_FACE)
    assert (unlike.variant, unlike.doubt) == ("plain", FACE)
    better = search_with(when({0: [region()], 2: [region()]}), NO_FACE, UPRIGHT)
    assert (better.variant, better.doubt) == ("turned_180", "")
    assert search_with(when({1: [region()]}), NO_FACE).regions == []


def test_a_large_region_that_is_no_face_does_not_hide_the_face_beside_it() -> None:
    pattern, face = region(side=30), region(x=35, side=15)
    seen = search_with(when({0: [pattern, face]}), NO_FACE, UPRIGHT)
    assert (seen.variant, seen.regions, seen.doubt) == ("plain", [face], "")
    none = search_with(when({0: [pattern, face]}), NO_FACE, NO_FACE)
    assert (none.regions, none.doubt) == ([pattern, face], FACE)
    turned = search_with(when({2: [pattern, face]}), NO_FACE, UPRIGHT)
    assert (turned.variant, turned.regions) == ("turned_180", [face])


def test_landmarks_of_a_lying_face_lead_to_other_positions() -> None:
    """With the mouth above the eyes, or one eye above the other, the judge's verdict does not count."""
    high = dataclasses.replace(region(), mouth_left=(19, 4), mouth_right=(11, 4))
    for lying in (high, region(tilt_degrees=65), region(tilt_degrees=180)):
        assert search_with(when({0: [lying], 2: [region()]}), UPRIGHT, UPRIGHT).variant == "turned_180"
        assert (
            FaceSearch(when({0: [lying], 2: [region()]}), ScriptedJudge(plainly=True)).search(BLANK).variant
            == "turned_180"
        )


def test_the_largest_of_several_faces_is_the_one_to_judge() -> None:
    small, large = region(0.5, side=5), region(side=20)
    asked = []
    judge = ScriptedJudge()
    judge.judge = lambda image, box: asked.append(box) or UPRIGHT
    assert FaceSearch(when({0: [small, large]}), judge).search(BLANK).regions == [large, small]
    assert asked == [(5, 5, 20, 20)]


def test_faces_seen_only_in_a_turned_photo_count_when_the_head_is_tilted() -> None:
    """Of two leaning heads on a photo that lies, each stands upright in another position."""
    other = region(x=30)
    seen = search_with(when({0: [region(tilt_degrees=40)], 1: [other]}))
    assert len(seen.regions) == 2
    assert (seen.regions[1].x, seen.regions[1].y) == (35, 30)
    assert len(search_with(when({0: [region(tilt_degrees=20)], 1: [other]})).regions) == 1
    assert len(search_with(when({0: [region(tilt_degrees=40)], 1: [other]}), UPRIGHT, NO_FACE).regions) == 1
    assert len(search_with(when({2: [region()], 4: [other]})).regions) == 2  # after a turn, always


def test_the_stretched_copy_is_tried_before_the_evened_out_one(astronaut: Image) -> None:
    flat = (astronaut // 16).astype(np.uint8)
    sees_stretched = ScriptedDetector(lambda img: [region()] if np.array_equal(img, stretch_contrast(flat)) else [])
    assert search_with(sees_stretched, image=flat).variant == "enhanced"


def test_without_landmarks_the_judge_decides_alone() -> None:
    bare = FacialAreaRegion(x=5, y=5, w=20, h=20, confidence=0.5)
    assert search_with(when({0: [bare]})).regions == [bare]
    assert search_with(when({0: [bare], 1: [bare]}), ON_ITS_HEAD).quarter_turns == 2


def test_an_empty_box_is_ignored() -> None:
    assert search_with(when({0: [region(side=0)]})).regions == []


def test_a_closer_search_is_one_pass() -> None:
    detector = when({0: [region()]})
    seen = FaceSearch(detector, ScriptedJudge()).search_once(BLANK)
    assert (seen.variant, len(seen.regions), len(detector.shapes)) == ("closer", 1, 1)
    assert FaceSearch(when({}), ScriptedJudge()).search_once(BLANK).regions == []


def test_stretching_takes_the_darkest_to_black_and_the_lightest_to_white() -> None:
    ramp = np.repeat(np.linspace(100, 110, 110).astype(np.uint8), 30).reshape(110, 10, 3)
    assert (stretch_contrast(ramp).min(), stretch_contrast(ramp).max()) == (0, 255)
    np.testing.assert_array_equal(stretch_contrast(BLANK), 0)


def test_equalising_keeps_a_grey_image_grey(astronaut: Image) -> None:
    grey = cv2.cvtColor(cv2.cvtColor(astronaut, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert np.ptp(equalise(grey).astype(int), axis=2).max() <= 4
