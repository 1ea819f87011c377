"""Test the extrapolation: a known tail is found again, one decade and no further, and the same seed gives the same."""

from __future__ import annotations

import numpy as np
import pytest

from app.recognition.extrapolation import Tail, fit_tail
from app.recognition.scan import Pairs

MEMBERS, IN_ALL = 2_000, 2_000 * 1_999 // 2
START, MEAN = 0.5, 0.02


def tail_of(excesses: np.ndarray, seed: int = 0) -> Tail | None:
    """Fit to pairs of random members that are nearer than START by these."""
    distances = np.sort(np.append(START - excesses, START))
    ends = np.random.default_rng(seed).permutation(MEMBERS)[: 2 * len(distances)].reshape(2, -1)
    return fit_tail(Pairs(*np.sort(ends, axis=0), distances, START), MEMBERS)


def exponential(count: int) -> np.ndarray:
    return -MEAN * np.log1p(-(np.arange(1, count + 1) - 0.35) / count)


def test_an_exponential_tail_is_found_again() -> None:
    tail = tail_of(exponential(200))
    assert tail is not None
    assert (tail.used, tail.start, tail.pairs_in_all) == (200, START, IN_ALL)
    assert (tail.shape, tail.scale, tail.mean_excess) == pytest.approx((0, MEAN, MEAN), abs=0.02)
    excess = MEAN * np.log(200 / 10)  # where 10 pairs are nearer
    found = tail.fmr(START - excess)
    assert found is not None
    assert (found.point, found.cautious) == pytest.approx((10 / IN_ALL, 10 / IN_ALL), rel=0.1)
    assert found.low < found.point < found.high
    assert 1.5 < found.high / found.point < 4


def test_a_bounded_tail_is_found_again_and_the_exponential_is_the_cautious_one() -> None:
    shape, scale, positions = -0.3, 0.03, (np.arange(1, 201) - 0.35) / 200
    tail = tail_of(scale / shape * ((1 - positions) ** -shape - 1))
    assert tail is not None
    assert (tail.shape, tail.scale) == pytest.approx((shape, scale), abs=0.02)
    excess = scale / shape * ((6 / 200) ** -shape - 1)
    found = tail.fmr(START - excess)
    assert found is not None
    assert found.point == pytest.approx(6 / IN_ALL, rel=0.1)
    assert found.cautious > found.point
    assert found.high >= found.cautious


def test_beyond_one_decade_and_beyond_the_fitted_pairs_it_refuses() -> None:
    tail = tail_of(exponential(200))
    assert tail is not None
    assert tail.lowest_fmr == pytest.approx(3 / IN_ALL)
    assert tail.fmr(START - MEAN * np.log(200 / 3.3)) is not None
    assert tail.fmr(START - MEAN * np.log(200 / 2.7)) is None
    assert tail.fmr(START + 0.01) is None
    at_start = tail.fmr(START)
    assert at_start is not None
    assert at_start.point == pytest.approx(200 / IN_ALL)


@pytest.mark.parametrize(("count", "used"), [(0, 0), (49, 0), (50, 50), (300, 200)])
def test_it_takes_50_to_200_pairs(count: int, used: int) -> None:
    tail = tail_of(exponential(count))
    assert (tail.used if tail else 0) == used


def test_pairs_at_one_distance_have_no_tail() -> None:
    assert tail_of(np.zeros(100)) is None


def test_the_interval_is_that_of_people_and_repeats_itself() -> None:
    """All pairs with one person depend on that person: the interval is wider than for pairs of different people."""
    one, again = (tail_of(exponential(100)) for _ in range(2))
    ends = np.stack([np.zeros(101, int), np.arange(1, 102)])
    hub = fit_tail(Pairs(*ends, np.sort(np.append(START - exponential(100), START)), START), MEMBERS)
    assert one is not None
    assert again is not None
    assert hub is not None
    at = START - MEAN
    assert one.fmr(at) == again.fmr(at)
    wide, narrow = hub.fmr(at), one.fmr(at)
    assert wide is not None
    assert narrow is not None
    assert wide.point == pytest.approx(narrow.point)
    assert wide.high > 1.5 * narrow.high
