"""Test which way up a face lies, with MTCNN's nets on real faces and with nets whose ratings are given."""

from typing import Any

import cv2
import numpy as np
import pytest

from app.faces.detector import BoundedMtcnn, DetectionOptions
from app.faces.mtcnn import Mtcnn
from app.faces.orientation import OrientationJudge, Verdict
from app.faces.regions import Box
from app.records import Image
from tests.support.pictures import package_file, read_picture

BLANK = np.full((40, 60, 3), 90, np.uint8)
BOX = (20.0, 10.0, 20.0, 20.0)


@pytest.fixture(scope="module")
def nets() -> Mtcnn:
    return Mtcnn()


@pytest.fixture(scope="module", params=["astronaut", "admiral"])
def face(request: pytest.FixtureRequest, nets: Mtcnn) -> tuple[Image, Box]:
    image = request.getfixturevalue(request.param)
    (region,) = BoundedMtcnn(DetectionOptions(), nets).detect_faces(image)
    return image, (region.x, region.y, region.w, region.h)


def turned(image: Image, box: Box, turns: int) -> tuple[Image, Box]:
    """Turn image and box by quarter turns anticlockwise."""
    x, y, width, height = box
    for _ in range(turns):
        image, (x, y, width, height) = np.rot90(image), (y, image.shape[1] - x - width, height, width)
    return np.ascontiguousarray(image), (x, y, width, height)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("spoil", ["nothing", "grey", "small", "dark", "soft"])
def test_a_real_face_is_judged_right_in_every_position(
    nets: Mtcnn, face: tuple[Image, Box], turns: int, spoil: str
) -> None:
    image, box = face
    if spoil == "grey":
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    elif spoil == "small":
        factor = 40 / box[2]
        image = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        box = tuple(side * factor for side in box)
    elif spoil == "dark":
        image = (image * 0.3).astype(np.uint8)
    elif spoil == "soft":
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.02 * box[2]), np.uint8)
    judge = OrientationJudge(nets)
    assert judge.judge(*turned(image, box, turns)) == Verdict((4 - turns) % 4, is_face=True)
    assert not (turns and judge.is_plainly_upright(*turned(image, box, turns)))


def test_an_upright_face_is_plainly_upright(nets: Mtcnn, face: tuple[Image, Box]) -> None:
    assert OrientationJudge(nets).is_plainly_upright(*face)


def test_a_face_cut_by_the_border_is_judged(nets: Mtcnn, astronaut: Image) -> None:
    tight = np.ascontiguousarray(astronaut[70:180, 175:275])
    assert OrientationJudge(nets).judge(tight, (0, 0, 100, 110)).quarter_turns == 0


def test_a_box_without_a_face_has_no_position(nets: Mtcnn) -> None:
    coffee = read_picture(package_file("skimage", "data", "coffee.png"))
    for image in (coffee, np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)):
        assert OrientationJudge(nets).judge(image, (50, 50, 100, 100)) == Verdict(None, is_face=False)


class Rating:
    """Nets that rate the four positions with these logits."""

    def __init__(self, *logits: float) -> None:
        self.logits = np.array(logits)

    def rate_with_rnet(self, images: Any, boxes: Any) -> Any:
        assert images.shape == (4, 96, 96, 3)
        return self.logits

    rate_with_onet = rate_with_rnet


@pytest.mark.parametrize(
    ("logits", "verdict"),
    [
        ((8, 0, 0, 0), Verdict(0, True)),
        ((0, 0, 8, 0), Verdict(2, True)),
        ((0, 0.6, 0, 3.1), Verdict(3, True)),
        ((4, 0, 2, 0), Verdict(None, True)),  # no clear lead over the face on its head
        ((3, 0, 6, 0), Verdict(2, True)),
        ((7, 7.9, 0, 0), Verdict(0, True)),  # tilted by 45 degrees: the photo stays as it is
        ((7, 8.1, 0, 0), Verdict(1, True)),
        ((7, 7.5, 5, 0), Verdict(None, True)),  # within the tie, but no clear lead over its opposite
        ((2.9, -5, -5, -5), Verdict(None, False)),
        ((-3, -4, -5, -6), Verdict(None, False)),
    ],
)
def test_the_best_position_has_to_lead_over_its_opposite(logits: tuple[float, ...], verdict: Verdict) -> None:
    assert OrientationJudge(Rating(*logits)).judge(BLANK, BOX) == verdict


@pytest.mark.parametrize(
    ("logits", "plain"),
    [((4.8, 3.3, 0, 0), True), ((4.7, 0, 0, 0), False), ((9, 0, 0, 7.6), False), ((0, 0, 9, 0), False)],
)
def test_a_face_is_plainly_upright_only_with_a_high_lead_over_all_positions(
    logits: tuple[float, ...], plain: bool
) -> None:
    assert OrientationJudge(Rating(*logits)).is_plainly_upright(BLANK, BOX) is plain
