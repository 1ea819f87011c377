"""Test which sizes and places a portrait's only face may have."""

import numpy as np
import pytest

from app.errors import FaceTooSmall, NotAPortrait
from app.faces.choice import check_place, check_size, is_paper
from app.faces.deepface_api import FacialAreaRegion
from app.records import Image

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
