"""Test the perturbed copies of `finding`: each point of the photo lies where the copy's matrix says."""

from __future__ import annotations

import numpy as np
import pytest

from app.records import Image
from benchmarks.perturbations import PERTURBATIONS, carry_box, faceless_pictures

MARK = np.array([130.0, 61.0])


def marked() -> Image:
    """Draw a white spot on grey noise."""
    image = np.random.default_rng(0).integers(60, 90, (200, 300, 3), np.uint8)
    image[57:66, 126:135] = 255
    return image


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_the_matrix_maps_a_point_to_where_the_copy_shows_it(name: str) -> None:
    copy = PERTURBATIONS[name](marked())
    brightest = np.argwhere(copy.image.min(axis=2) >= 0.9 * copy.image.min(axis=2).max())
    carried = copy.matrix @ [*MARK, 1]
    assert np.abs(np.median(brightest, axis=0)[::-1] - carried).max() < 2


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_the_same_photo_gives_the_same_copy(name: str) -> None:
    np.testing.assert_array_equal(PERTURBATIONS[name](marked()).image, PERTURBATIONS[name](marked()).image)


def test_quarter_turns_move_pixels_without_changing_them() -> None:
    for turns, name in ((1, "turned 90"), (2, "turned 180"), (3, "turned 270")):
        np.testing.assert_array_equal(PERTURBATIONS[name](marked()).image, np.rot90(marked(), turns))


def test_a_box_turns_with_the_photo_and_keeps_its_size_when_tilted() -> None:
    box = np.array([100.0, 20.0, 140.0, 80.0])
    lying = carry_box(box, PERTURBATIONS["turned 90"](marked()).matrix)
    np.testing.assert_allclose(lying, [20, 159, 80, 199], atol=1e-6)
    tilted = carry_box(np.array([100.0, 20.0, 150.0, 70.0]), PERTURBATIONS["tilted 30"](marked()).matrix)
    np.testing.assert_allclose(tilted[2:] - tilted[:2], [50, 50])


def test_there_are_forty_different_pictures_without_a_face() -> None:
    pictures = dict(faceless_pictures())
    assert len(pictures) == 40
    assert all(image.dtype == np.uint8 and image.ndim == 3 for image in pictures.values())
    assert len({image.tobytes() for image in pictures.values()}) == 40
