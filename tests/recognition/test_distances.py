"""Test distances: they are DeepFace's to the last decimal, and what cannot be compared is refused."""

import numpy as np
import pytest
from deepface.modules import verification

from app.recognition.distances import DOUBT, Products, UnitTemplates, check_grid, exact_distances, last_distance, unit
from tests.recognition.galleries import plant, random_vectors

ROWS, COLUMNS = np.divmod(np.arange(40 * 30), 30)


def test_distances_are_those_of_deepface() -> None:
    one, other = random_vectors(40), random_vectors(30, seed=1)
    found = exact_distances(UnitTemplates.of(one), ROWS, UnitTemplates.of(other), COLUMNS)
    expected = [
        float(verification.find_distance(one[row].tolist(), other[column].tolist(), "cosine"))
        for row, column in zip(ROWS, COLUMNS, strict=True)
    ]
    assert found.tolist() == expected


def test_a_vector_is_at_zero_from_itself_without_a_sign() -> None:
    templates, every = UnitTemplates.of(random_vectors(200)), np.arange(200)
    assert set(map(str, exact_distances(templates, every, templates, every).tolist())) == {"0.0"}


def test_unit_vectors_have_length_one() -> None:
    vectors = random_vectors(5_000, size=16) * 1e-12  # whose squares are lost in float32
    divided = unit(vectors)
    assert divided.dtype == np.float32
    assert np.linalg.norm(divided.astype(np.float64), axis=1) == pytest.approx(1, abs=1e-7)
    assert np.array_equal(divided, UnitTemplates.of(vectors).unit)


@pytest.mark.parametrize("number", [0.0, np.nan, np.inf])
def test_a_vector_without_length_or_with_odd_numbers_is_refused(number: float) -> None:
    vectors = random_vectors(3)
    vectors[1] = number
    with pytest.raises(ValueError, match="no length"):
        UnitTemplates.of(vectors)


def test_bins_are_exact_beside_a_threshold() -> None:
    vectors, distances = random_vectors(200), 0.3 + np.linspace(-1.4e-6, 1.4e-6, 100)
    for place, distance in enumerate(distances):
        plant(vectors, 100 + place, place, distance, seed=place)
    templates, left = UnitTemplates.of(vectors), np.arange(100)
    exact = exact_distances(templates, left, templates, left + 100)
    for error in (-DOUBT / 2, 0, DOUBT / 2):  # whatever the float32 product says
        cosines = (1 - exact + error).astype(np.float32)
        bins = Products(templates, left, templates, left + 100, cosines).bins(np.array([0.2, 0.3, 0.4]))
        assert bins.tolist() == np.where(exact <= 0.3, 1, 2).tolist()
    assert 20 < np.count_nonzero(exact <= 0.3) < 80  # both sides were tested


@pytest.mark.parametrize("grid", [[], [0.3, 0.2], [0.2, 0.2000001], 0.3])
def test_thresholds_have_to_ascend(grid: object) -> None:
    with pytest.raises(ValueError, match="ascend"):
        check_grid(grid)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("threshold", "last"),
    [(0.4, 0.4), (0.07, 0.07), (0.29, 0.29), (2.0, 2.0), (0.0, 0.0), (0.3000001, 0.3), (0.1234567, 0.123456)],
)
def test_a_threshold_of_more_decimals_is_the_last_distance_within_it(threshold: float, last: float) -> None:
    assert last_distance(threshold) == last
