"""Test setting members aside: the rest is what a scan of the rest says."""

import numpy as np
import pytest

from app.recognition.distances import UnitTemplates
from app.recognition.scan import scan_gallery
from app.recognition.set_aside import surplus, without
from tests.recognition.galleries import random_vectors

GRID = np.round(np.arange(1, 21) * 0.025, 6)


@pytest.mark.parametrize(
    ("duplicates", "expected"),
    [([], []), ([(3, 1)], [3]), ([(1, 2), (2, 4)], [2, 4]), ([(4, 2), (5, 3), (3, 4)], [3, 4, 5]), ([(0, 0)], [])],
)
def test_all_but_the_lowest_of_each_group_are_surplus(duplicates: list[tuple[int, int]], expected: list[int]) -> None:
    assert surplus(duplicates).tolist() == expected


@pytest.mark.parametrize("aside", [[0], [5, 6, 1_100], list(range(0, 1_200, 3))])
def test_the_rest_is_what_a_scan_of_the_rest_says(aside: list[int]) -> None:
    vectors = random_vectors(1_200, size=24)
    vectors[[6, 7, 1_100]] = vectors[5]  # whose nearest are set aside, with ties
    templates = UnitTemplates.of(vectors)
    found = without(scan_gallery(templates, 0.2, GRID), templates, np.array(aside))
    expected = scan_gallery(UnitTemplates.of(np.delete(vectors, aside, axis=0)), 0.2, GRID)
    assert found.kept.tolist() == [member for member in range(1_200) if member not in aside]
    assert found.scan.degrees.tolist() == expected.degrees.tolist()
    assert found.scan.nearest.tolist() == expected.nearest.tolist()
    assert found.scan.nearest_distances.tolist() == expected.nearest_distances.tolist()
    known = min(found.scan.pairs.complete_to, expected.pairs.complete_to)
    ours, theirs = (scan.pairs.within(known) for scan in (found.scan, expected))
    assert len(ours) > 100
    assert (ours.first.tolist(), ours.second.tolist()) == (theirs.first.tolist(), theirs.second.tolist())
    assert ours.distances.tolist() == theirs.distances.tolist()


def test_one_may_be_left() -> None:
    templates = UnitTemplates.of(random_vectors(3))
    left = without(scan_gallery(templates, 0.2, GRID), templates, np.array([0, 2])).scan
    assert (left.nearest.tolist(), left.nearest_distances.tolist(), left.degrees.sum()) == ([-1], [2.0], 0)
