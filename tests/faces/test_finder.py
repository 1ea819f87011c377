"""Test finding the face to enrol, with MTCNN and with detectors whose regions are given, and which sizes and places a
portrait's only face may have."""

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.errors import FaceTooSmall, LowQuality, NoFace, NotAPhoto, NotAPortrait, SeveralFaces, UnclearOrientation
from app.faces.deepface_api import Detector, FacialAreaRegion
from app.faces.detector import BoundedMtcnn, DetectionOptions
from app.faces.finder import FaceFinder, FindOptions, check_place, check_size, is_paper
from app.faces.mtcnn import Mtcnn
from app.faces.quality import COMPONENTS
from app.records import CrewMember, Face, Image, Photo, PhotoAnalysis, Portrait
from tests.support.pictures import draw_avatar

INPUT = (160, 160)
NO_LIMITS = dict.fromkeys((component.name for component in COMPONENTS), (0.0, 0.0))


def portrait(image: Image, reduction: int = 1) -> Portrait:
    seen = PhotoAnalysis((image.shape[1] * reduction, image.shape[0] * reduction))
    return Portrait(Photo(CrewMember("1", "a.jpg"), "u", Path("a.jpg")), image, seen, reduction)


def find(detector: Detector, seen: Portrait, **options: Any) -> Face:
    """Find the face with the quality limits at zero, unless `options` set others: most tests are not about quality."""
    chosen = FindOptions(**({"multiple_faces": "dominant", "max_second_face": 0.4, "limits": NO_LIMITS} | options))
    nets = real_nets() if isinstance(detector, BoundedMtcnn) else TakesAll()
    return FaceFinder(detector, nets, INPUT, chosen).find(seen)


@cache
def real_nets() -> Mtcnn:
    return Mtcnn()


@pytest.fixture(scope="module")
def mtcnn() -> BoundedMtcnn:
    return BoundedMtcnn(DetectionOptions(), real_nets())


def region_at(x: int, y: int, side: int) -> FacialAreaRegion:
    """Build a square region with level eyes."""
    left, right, eyes = x + 0.7 * side, x + 0.3 * side, y + 0.4 * side
    return FacialAreaRegion(x=x, y=y, w=side, h=side, left_eye=(left, eyes), right_eye=(right, eyes), confidence=0.9)


class TakesAll:
    """Nets that take every box for an upright face and detect none themselves."""

    def respond(self, image: Image) -> Any:
        return real_nets().respond(image)

    def rate_with_rnet(self, images: Any, boxes: Any) -> Any:
        return np.array([9.0, 0.0, 0.0, 0.0])

    rate_with_onet = rate_with_rnet


class Fixed(Detector):  # type: ignore[misc]
    """A detector that always returns these regions."""

    def __init__(self, *regions: FacialAreaRegion) -> None:
        self.regions = list(regions)

    def detect_faces(self, img: Image) -> list[FacialAreaRegion]:
        return self.regions


def test_a_large_photo_gives_the_same_box_as_the_small_one(astronaut: Image, mtcnn: BoundedMtcnn) -> None:
    large = cv2.resize(astronaut, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    small = find(mtcnn, portrait(astronaut))
    found = find(mtcnn, portrait(large))
    assert np.abs(np.array(found.analysis.box) / 4 - small.analysis.box).max() < 6
    assert found.pixels.shape == (160, 160, 3)


def test_the_box_is_in_pixels_of_the_original(astronaut: Image, mtcnn: BoundedMtcnn) -> None:
    whole = find(mtcnn, portrait(astronaut))
    reduced = find(mtcnn, portrait(astronaut, reduction=4))
    assert reduced.analysis.box == tuple(4 * side for side in whole.analysis.box)


def test_no_face_is_an_error(mtcnn: BoundedMtcnn) -> None:
    with pytest.raises(NoFace):
        find(mtcnn, portrait(np.full((200, 200, 3), 90, np.uint8)))


def test_a_face_at_the_edge_is_completed_with_black(astronaut: Image) -> None:
    region = FacialAreaRegion(x=-20, y=-30, w=100, h=120, left_eye=(50, 40), right_eye=(10, 40), confidence=1.0)
    face = find(Fixed(region), portrait(np.full_like(astronaut, 200)))
    assert face.pixels.max() > 0.7
    assert not face.pixels[:10].any()


def test_a_region_outside_the_photo_is_no_face(astronaut: Image) -> None:
    empty = FacialAreaRegion(x=10, y=10, w=0, h=10, confidence=1.0)
    with pytest.raises(NoFace):
        find(Fixed(empty), portrait(astronaut))


@pytest.mark.parametrize(("confidence", "stored"), [(1.00001, 1.0), (-0.1, 0.0), (None, 0.0), (0.987, 0.987)])
def test_confidence_stays_within_the_column(astronaut: Image, confidence: Any, stored: float) -> None:
    region = region_at(100, 100, 100)
    region.confidence = confidence
    assert find(Fixed(region), portrait(astronaut)).analysis.confidence == stored


def test_one_clearly_larger_face_is_taken_and_the_other_counted(astronaut: Image) -> None:
    small, large = region_at(10, 50, 60), region_at(200, 50, 100)
    face = find(Fixed(small, large), portrait(astronaut))
    assert (face.analysis.box, face.analysis.faces_seen) == ((200, 50, 100, 100), 2)


@pytest.mark.parametrize(
    ("policy", "side", "taken"),
    [("dominant", 64, False), ("dominant", 62, True), ("largest", 99, True), ("reject", 20, False)],
)
def test_the_policy_decides_about_several_faces(astronaut: Image, policy: str, side: int, taken: bool) -> None:
    """`dominant` accepts a second face of at most 0.4 of the first one's area: a side of at most 63 of 100."""
    faces = Fixed(region_at(10, 50, side), region_at(200, 50, 100))
    if taken:
        assert find(faces, portrait(astronaut), multiple_faces=policy).analysis.box == (200, 50, 100, 100)
        return
    with pytest.raises(SeveralFaces) as refused:
        find(faces, portrait(astronaut), multiple_faces=policy)
    assert "se ven 2" in refused.value.detail
    assert refused.value.analysis.box == (200, 50, 100, 100)


def test_a_face_of_too_low_a_quality_is_refused_with_component_and_advice(
    mtcnn: BoundedMtcnn, astronaut: Image
) -> None:
    dark = np.asarray(astronaut * 0.02, np.uint8)
    limits = NO_LIMITS | {"UnderExposurePrevention": (50.0, 20.0)}
    with pytest.raises(LowQuality) as refused:
        find(mtcnn, portrait(dark), limits=limits)
    assert "oscura" in refused.value.detail
    assert refused.value.analysis.quality is not None
    assert find(mtcnn, portrait(dark), limits=limits, accept_low_quality=True).analysis.quality is not None


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_gives_the_same_face_and_a_box_in_its_own_pixels(
    mtcnn: BoundedMtcnn, astronaut: Image, turns: int
) -> None:
    plain = find(mtcnn, portrait(astronaut))
    turned = find(mtcnn, portrait(np.ascontiguousarray(np.rot90(astronaut, turns))))
    np.testing.assert_allclose(turned.pixels, plain.pixels, atol=1e-6)
    x, y, width, height = turned.analysis.box
    mask = np.zeros(astronaut.shape[:2], np.uint8)
    mask[y : y + height, x : x + width] = 1
    left, top, wide, high = plain.analysis.box
    assert np.rot90(mask, -turns)[top : top + high, left : left + wide].mean() > 0.99
    eyes = turned.analysis.landmarks[:2].round().astype(int)
    assert mask[eyes[:, 1], eyes[:, 0]].all()


class Doubting(TakesAll):
    """Nets that rate the four positions with these logits."""

    def __init__(self, *logits: float) -> None:
        self.logits = np.array(logits)

    def rate_with_rnet(self, images: Any, boxes: Any) -> Any:
        return self.logits

    rate_with_onet = rate_with_rnet

    def detect(self, image: Image, min_face_px: float = 20.0) -> list[Any]:
        return []


def doubted(image: Image, nets: Doubting, limits: Any = NO_LIMITS) -> Face:
    finder = FaceFinder(Fixed(region_at(180, 60, 90)), nets, INPUT, FindOptions("dominant", 0.4, limits))
    return finder.find(portrait(image))


def test_a_face_as_likely_on_its_head_is_refused_with_its_analysis(astronaut: Image) -> None:
    with pytest.raises(UnclearOrientation) as refused:
        doubted(astronaut, Doubting(5, 0, 4, 0))
    assert refused.value.analysis.box == (180, 60, 90, 90)


def test_a_region_that_the_nets_reject_is_no_face_or_of_low_quality(astronaut: Image) -> None:
    with pytest.raises(NoFace):
        doubted(astronaut, Doubting(1, 0, -4, 0))
    soft = np.asarray(cv2.GaussianBlur(astronaut, (0, 0), 8), np.uint8)
    with pytest.raises(LowQuality, match="borrosa"):
        doubted(soft, Doubting(1, 0, -4, 0), NO_LIMITS | {"Sharpness": (65.0, 20.0)})


def test_a_drawing_is_refused(mtcnn: BoundedMtcnn) -> None:
    with pytest.raises(NotAPhoto) as refused:
        find(mtcnn, portrait(draw_avatar()))
    assert refused.value.analysis.faces_seen == 1


def test_of_a_face_of_too_few_pixels_its_size_is_said_since_squares_look_drawn(mtcnn: BoundedMtcnn) -> None:
    few = cv2.resize(draw_avatar(), None, fx=0.1, fy=0.1, interpolation=cv2.INTER_AREA)
    squares = np.asarray(cv2.resize(few, None, fx=10, fy=10, interpolation=cv2.INTER_NEAREST), np.uint8)
    with pytest.raises(LowQuality, match="InterEyeDistance"):
        find(mtcnn, portrait(squares), limits=NO_LIMITS | {"InterEyeDistance": (65.0, 20.0)})
    with pytest.raises(NotAPhoto):
        find(mtcnn, portrait(squares))


def test_a_small_face_in_a_large_photo_is_found_by_the_closer_search(mtcnn: BoundedMtcnn, astronaut: Image) -> None:
    scene = np.full((2000, 3000, 3), 120, np.uint8)
    scene[700:1212, 1200:1712] = astronaut
    chosen = FindOptions("dominant", 0.4, NO_LIMITS)
    finder = FaceFinder(mtcnn, real_nets(), INPUT, chosen)
    with pytest.raises(NoFace):
        finder.find(portrait(scene))
    face = finder.find_small(portrait(scene))
    plain = finder.find(portrait(astronaut))
    assert face.analysis.attempt == "closer"
    assert np.abs(np.array(face.analysis.box) - (1200, 700, 0, 0) - plain.analysis.box).max() < 12


SCENE = np.random.default_rng(3).integers(0, 256, (900, 1200, 3), np.uint8)
PAPER = np.full((1200, 850, 3), 245, np.uint8)


def region(side: int, x: float = 0.5, y: float = 0.4, image: Image = SCENE, *, eyes: bool = True) -> FacialAreaRegion:
    """Build a square region with its middle at these fractions of the image's sides, eyes 0.4 of a side apart."""
    height, width = image.shape[:2]
    left, top = round(x * width - side / 2), round(y * height - side / 2)
    marks = {"left_eye": (left + 0.7 * side, top), "right_eye": (left + 0.3 * side, top)} if eyes else {}
    return FacialAreaRegion(x=left, y=top, w=side, h=side, confidence=1.0, **marks)


@pytest.mark.parametrize(
    ("side", "reduction", "seen"),
    [
        (21, 8, "168 píxeles en una foto de 9600 x 7200"),  # 2.3 % of the shorter side: too far away, however sharp
        (22, 8, ""),
        (37, 1, "37 píxeles en una foto de 1200 x 900"),  # 15 between the eyes
        (58, 1, "58 píxeles"),
        (37, 2, ""),  # 30 between the eyes
        (64, 1, ""),
        (91, 1, ""),  # a tenth of the photo: InterEyeDistance warns of few pixels
    ],
)
@pytest.mark.parametrize("eyes", [True, False])
def test_a_face_small_in_its_photo_needs_pixels(side: int, reduction: int, seen: str, eyes: bool) -> None:
    face = region(side, eyes=eyes)
    if not seen:
        check_size(face, SCENE, reduction)
        return
    with pytest.raises(FaceTooSmall) as refused:
        check_size(face, SCENE, reduction)
    assert seen in refused.value.detail


@pytest.mark.parametrize(
    ("side", "x", "y", "portrait"),
    [
        (90, 0.9, 0.1, False),  # a poster in the corner
        (90, 0.1, 0.5, False),
        (90, 0.5, 0.8, False),
        (90, 0.5, 0.1, True),  # a standing person, seen whole
        (90, 0.3, 0.3, True),
        (140, 0.9, 0.1, False),
        (150, 0.9, 0.1, True),  # a sixth of the photo: as on a badge
    ],
)
def test_a_small_face_off_the_middle_may_be_another_persons(side: int, x: float, y: float, portrait: bool) -> None:
    if portrait:
        check_place(region(side, x, y), SCENE)
        return
    with pytest.raises(NotAPortrait) as refused:
        check_place(region(side, x, y), SCENE)
    assert refused.value.detail == f"ocupa el {side / 900:.0%} de la foto y está lejos del centro"


def test_a_small_face_in_the_corner_of_a_form_is_accepted() -> None:
    check_place(region(90, 0.85, 0.1, PAPER), PAPER)


def test_paper_is_mostly_of_one_light_colour() -> None:
    written = PAPER.copy()
    for top in range(20, 1180, 20):
        written[top : top + 10 : 9, 60:790] = 30
        written[top : top + 10, 60:790:14] = 30
    written[100:500, 500:800] = SCENE[:400, :300]
    assert is_paper(written)
    # A lamp lights the page from one side and a scanner adds noise: its writing distinguishes it from a wall.
    shade = np.linspace(-35, 0, 850)[None, :, None] + np.random.default_rng(1).normal(0, 3, PAPER.shape)
    lit, bare = (np.clip(page + shade, 0, 255).astype(np.uint8) for page in (written, PAPER))
    assert is_paper(lit)
    assert not is_paper(bare)
    wall = np.broadcast_to(np.linspace(150, 255, 850)[None, :, None], PAPER.shape).astype(np.uint8)
    for other in (SCENE, wall, PAPER // 2, np.where(np.arange(850)[None, :, None] < 500, SCENE[0, 0], PAPER)):
        assert not is_paper(np.asarray(other, np.uint8))
