"""Test the scan: everything that it says equals a float64 double loop, exactly, also with ties."""

from __future__ import annotations

import numpy as np
import pytest

from app.recognition import scan as scanning
from app.recognition.distances import UnitTemplates
from app.recognition.scan import GalleryScan, scan_gallery
from tests.recognition.galleries import float64_distances, plant, random_vectors

GRID = np.round(np.arange(1, 21) * 0.025, 6)
THRESHOLD = 0.3


def pairs_of(distances: np.ndarray, threshold: float) -> list[tuple[int, int, float]]:
    first, second = np.nonzero(np.triu(distances <= threshold, 1))
    return [
        (int(i), int(j), float(distances[i, j]))
        for i, j in sorted(zip(first, second, strict=True), key=lambda pair: (distances[pair], pair))
    ]


def assert_equal(scan: GalleryScan, distances: np.ndarray, threshold: float = THRESHOLD) -> None:
    assert scan.degrees.T.tolist() == [(distances <= each).sum(axis=1).tolist() for each in scan.grid]
    assert scan.nearest.tolist() == distances.argmin(axis=1).tolist()
    assert scan.nearest_distances.tolist() == distances.min(axis=1).tolist()
    complete_to = scan.pairs.complete_to
    assert complete_to >= threshold
    found = list(zip(scan.pairs.first.tolist(), scan.pairs.second.tolist(), scan.pairs.distances.tolist(), strict=True))
    assert found == pairs_of(distances, complete_to)


@pytest.fixture(scope="module")
def planted() -> np.ndarray:
    """3,000 members, 200 pairs of them within 1e-6 of the threshold, on both sides."""
    vectors = random_vectors(3_000, seed=3)
    for place, offset in enumerate(np.random.default_rng(4).uniform(-1e-6, 1e-6, 200)):
        plant(vectors, 2_800 + place, 13 * place, THRESHOLD + offset, seed=place)
    return vectors


def test_pairs_planted_within_a_millionth_of_the_threshold_are_told_apart(planted: np.ndarray) -> None:
    """The product in float32 alone gets some of them wrong."""
    distances = float64_distances(planted)
    assert np.count_nonzero(np.abs(distances - THRESHOLD) <= 1.5e-6) == 2 * 200
    scan = scan_gallery(UnitTemplates.of(planted), THRESHOLD, GRID)
    assert_equal(scan, distances)
    counts = [len(scan.pairs.within(at)) for at in (THRESHOLD - 1e-6, THRESHOLD, THRESHOLD + 1e-6)]
    assert counts == [len(pairs_of(distances, at)) for at in (0.299999, 0.3, 0.300001)]
    assert min(np.diff(counts)) > 40  # there are some at each
    with pytest.raises(ValueError, match="known up to"):
        scan.pairs.within(scan.pairs.complete_to + 1e-6)
    unit = UnitTemplates.of(planted).unit
    assert np.count_nonzero(np.triu(1 - unit @ unit.T <= np.float32(THRESHOLD), 1)) != len(
        pairs_of(distances, THRESHOLD)
    )


@pytest.mark.parametrize("members", [2, 3, 45, 1_023, 1_024, 1_025])
def test_any_number_of_members(members: int) -> None:
    vectors = random_vectors(members, seed=members, size=24)
    assert_equal(scan_gallery(UnitTemplates.of(vectors), 0.2, GRID), float64_distances(vectors), 0.2)


def test_the_lowest_index_wins_a_tie() -> None:
    vectors = random_vectors(1_400, size=24)
    vectors[[7, 300, 1_100, 1_399]] = vectors[5]  # the same photo five times, in two blocks
    scan = scan_gallery(UnitTemplates.of(vectors), 0.2, GRID)
    assert_equal(scan, float64_distances(vectors), 0.2)
    assert scan.nearest[[5, 7, 300, 1_100, 1_399]].tolist() == [7, 5, 5, 5, 5]


@pytest.mark.parametrize("grid", [GRID, np.array([0.05])])
def test_a_tie_that_float32_does_not_see_is_one(grid: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty members at the same distance from each of ten: the products differ in the seventh decimal."""
    monkeypatch.setattr(scanning, "CLOSEST_PAIRS", 1)
    monkeypatch.setattr(scanning, "CLOSEST_PART", 1_000)
    vectors = random_vectors(1_300)
    plant(vectors, 61, 60, 0.1, seed=0)  # the nearest pair, which the others are not kept for
    for base in range(10):
        for place in range(20):
            plant(vectors, 100 + 57 * place + base, base if base % 2 else 1_290 + base, 0.15, seed=100 * base + place)
    distances = float64_distances(vectors)
    assert np.median((distances == distances.min(axis=1)[:, None]).sum(axis=1)[[1, 3, 5, 7, 9, 1_290, 1_298]]) > 10
    assert_equal(scan_gallery(UnitTemplates.of(vectors), 0.05, grid), distances, 0.05)


def test_the_nearest_thousand_pairs_or_one_for_ten_members_are_kept_whatever_the_threshold() -> None:
    for members, at_least in ((1_200, 1_000), (10_500, 1_050)):
        scan = scan_gallery(UnitTemplates.of(random_vectors(members, size=24)), 0.0, [0.01])
        assert at_least <= len(scan.pairs) < 1.01 * at_least
        assert scan.pairs.complete_to >= scan.pairs.distances[-1]


def test_one_member_and_none() -> None:
    one = scan_gallery(UnitTemplates.of(random_vectors(1)), 0.4, [0.4])
    assert (one.nearest.tolist(), one.nearest_distances.tolist(), one.degrees.tolist()) == ([-1], [2.0], [[0]])
    assert len(one.pairs) == 0
    assert scan_gallery(UnitTemplates.of(np.empty((0, 4))), 0.4, [0.4]).members == 0


def test_too_many_pairs_are_cut_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MAX_PAIRS", 2_000)
    vectors = random_vectors(2_200, size=24)
    distances = float64_distances(vectors)
    scan = scan_gallery(UnitTemplates.of(vectors), 1.0, GRID)
    assert scan.pairs.complete_to < 1.0
    assert 1_900 < len(scan.pairs) <= 2_000
    assert_equal(scan, distances, 0.0)


def test_degrees_come_from_the_grid_or_from_the_pairs() -> None:
    vectors = random_vectors(1_200, size=24)
    distances, scan = float64_distances(vectors), scan_gallery(UnitTemplates.of(vectors), 0.2, [0.1, 0.9])
    for threshold in (0.1, 0.9, 0.123456):
        assert scan.degrees_at(threshold).tolist() == (distances <= threshold).sum(axis=1).tolist()
    with pytest.raises(ValueError, match="known up to"):
        scan.degrees_at(0.8)
