"""Test thresholds for a wished FPIR: each is the largest that keeps the wish, found again by trying all."""

from __future__ import annotations

import numpy as np
import pytest

from app.recognition.distances import UnitTemplates
from app.recognition.rates import ONE_SIDE, estimate_fpir, estimate_fpir_of_fewer
from app.recognition.scan import GalleryScan, scan_gallery
from app.recognition.wished_threshold import recommend
from tests.recognition.galleries import random_vectors

MEMBERS = 400
STEP = 1e-6


@pytest.fixture(scope="module")
def scan() -> GalleryScan:
    vectors = random_vectors(MEMBERS, size=16)
    vectors[7] = vectors[300] * 2  # and a tie: two pairs at one distance
    vectors[8:10] = vectors[[20, 20]] * 3
    return scan_gallery(UnitTemplates.of(vectors), 0.5, [0.1, 0.5])


@pytest.fixture(scope="module")
def clean() -> GalleryScan:
    return scan_gallery(UnitTemplates.of(random_vectors(MEMBERS, size=16)), 0.5, [0.1, 0.5])


def bound(scan: GalleryScan, threshold: float) -> float:
    return estimate_fpir(scan.degrees_at(threshold), scan.nearest, ONE_SIDE).high


@pytest.mark.parametrize("wish", [0.02, 0.1, 0.5])
def test_the_point_is_the_largest_threshold_whose_fpir_keeps_the_wish(clean: GalleryScan, wish: float) -> None:
    point = recommend(clean, wish).point
    assert point is not None
    assert np.mean(clean.nearest_distances <= point) <= wish < np.mean(clean.nearest_distances <= point + 1.5 * STEP)


def test_the_last_bit_of_a_wish_costs_nobody() -> None:
    """0.29 of 100 members are 28.999999999999996 in floating point."""
    scan = scan_gallery(UnitTemplates.of(random_vectors(100, size=16)), 0.5, [0.5])
    point = recommend(scan, 0.29).point
    assert point is not None
    assert np.count_nonzero(scan.nearest_distances <= point) == 29


@pytest.mark.parametrize("wish", [0.02, 0.1, 0.5])
def test_assured_is_the_largest_threshold_up_to_which_the_bound_keeps_the_wish(clean: GalleryScan, wish: float) -> None:
    found = recommend(clean, wish)
    assert found.assured is not None
    assert found.point is not None
    assert found.assured < found.point
    below = [distance for distance in clean.pairs.distances if distance <= found.assured]
    assert max([bound(clean, distance) for distance in below], default=0) <= wish < bound(clean, found.assured + STEP)
    assert bound(clean, found.assured) <= wish


def test_a_wish_that_so_few_people_cannot_assure_is_refused(clean: GalleryScan) -> None:
    """About 5.4 / N is the lowest: nobody of N has a look-alike, counted as half as many people."""
    found = recommend(clean, 0.01)
    assert found.point is not None
    assert found.assured is None
    assert found.smallest_assured == pytest.approx(5.41 / (MEMBERS + 5.41), rel=1e-3)
    assert recommend(clean, found.smallest_assured + 1e-9).assured == round(clean.pairs.distances[0] - STEP, 6)


def test_people_who_are_in_twice_leave_no_threshold_for_a_small_wish(scan: GalleryScan) -> None:
    found = recommend(scan, 0.005)
    assert (found.point, found.assured) == (None, None)
    assert recommend(scan, 0.1).point is not None


@pytest.mark.parametrize("wish", [0.05, 0.2])
@pytest.mark.parametrize("people", [40, 200, MEMBERS - 2])
def test_for_fewer_people_the_thresholds_are_larger_and_keep_the_wish(
    clean: GalleryScan, people: int, wish: float
) -> None:
    found, of_all = recommend(clean, wish, people), recommend(clean, wish)
    assert found.point is not None
    assert found.assured is not None
    assert of_all.point is not None
    assert of_all.assured is not None
    assert found.point >= of_all.point - 2 * STEP
    assert found.assured >= of_all.assured - 2 * STEP

    def at(threshold: float, beyond: float) -> tuple[float, float]:
        pairs = clean.pairs.within(threshold)
        estimate = estimate_fpir_of_fewer(clean.degrees_at(threshold), pairs, people, beyond)
        return estimate.value, estimate.high

    assert at(found.point, 0.025)[0] <= wish < at(found.point + STEP, 0.025)[0]
    assert at(found.assured, ONE_SIDE)[1] <= wish < at(found.assured + STEP, ONE_SIDE)[1]


def test_for_more_people_there_is_no_point_and_the_wish_counts_in_proportion(clean: GalleryScan) -> None:
    found = recommend(clean, 0.2, 2 * (MEMBERS - 1))
    assert found.point is None
    assert found.assured == recommend(clean, 0.1).assured
    assert found.smallest_assured == pytest.approx(2 * recommend(clean, 0.1).smallest_assured)


def test_where_the_known_pairs_end_the_threshold_ends_and_that_is_said(clean: GalleryScan) -> None:
    short = GalleryScan(clean.grid, clean.degrees, clean.nearest, clean.nearest_distances, clean.pairs.within(0.15))
    found = recommend(short, 0.9)
    assert (found.assured, found.at_least) == (0.15, True)
    assert not recommend(clean, 0.1).at_least


@pytest.mark.parametrize("wish", [0, 1, -0.1, 2])
def test_a_wish_is_between_0_and_1(clean: GalleryScan, wish: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        recommend(clean, wish)
