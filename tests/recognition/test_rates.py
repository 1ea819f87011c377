"""Test rates: small galleries counted by hand, brute force for what is left out, a simulation for the intervals."""

from __future__ import annotations

from argparse import Namespace
from itertools import combinations

import numpy as np
import pytest
import scipy  # it loads scipy.stats, which takes half a second, at its first use

from app.recognition.distances import UnitTemplates
from app.recognition.rates import (
    ONE_SIDE,
    Bounds,
    Estimate,
    bound_fpir_of_more,
    estimate_fmr,
    estimate_fpir,
    estimate_fpir_of_fewer,
    find_worst_decile,
    fpir_for,
    hit_chances,
    share_interval,
)
from app.recognition.scan import GalleryScan, Pairs, scan_gallery
from benchmarks.rate_intervals import find_truth, measure_intervals
from tests.recognition.galleries import circle, float64_distances, random_vectors

NEAR = 0.05  # 18 degrees
FEW = circle([0, *range(10, 340, 30)])  # twelve, of whom one pair is near
Z = 1.959964


def scan_of(count: int, seed: int = 0, size: int = 12) -> tuple[GalleryScan, np.ndarray]:
    vectors = random_vectors(count, seed, size)
    return scan_gallery(UnitTemplates.of(vectors), 0.4, [0.1, 0.2, 0.3, 0.4, 0.8]), float64_distances(vectors)


def brute_variance(distances: np.ndarray, statistic: object) -> float:
    """Return the variance by leaving each person out and computing the statistic again."""
    count = len(distances)
    values = np.array(
        [
            statistic(np.delete(np.delete(distances, person, axis=0), person, axis=1))  # type: ignore[operator]
            for person in range(count)
        ]
    )
    return float(np.square(values - values.mean()).sum() * (count - 1) / count)


def test_fmr_of_one_pair_in_66() -> None:
    """By hand: without one of the pair 0 of 55 pairs are near, without another person 1 of 55."""
    variance = 11 / 12 * (2 * (1 / 66) ** 2 + 10 * (1 / 55 - 1 / 66) ** 2)
    effect = variance * 66 / (1 / 66 * 65 / 66)
    assert effect == pytest.approx(2.23, abs=0.01)
    found = estimate_fmr(scan_gallery(FEW, NEAR, [NEAR]).degrees_at(NEAR))
    low = scipy.stats.chi2.ppf(0.025, 2 / effect) / (2 * 66 / effect)
    high = scipy.stats.chi2.ppf(0.975, 2 / effect + 2) / (2 * 66 / effect)
    assert (found.value, found.low, found.high) == pytest.approx((1 / 66, low, high))


def test_fmr_of_many_pairs_has_students_correction() -> None:
    scan, distances = scan_of(60)
    degrees = scan.degrees_at(0.3)
    within, pairs = degrees.sum() / 2, 60 * 59 / 2
    variance = brute_variance(distances, lambda rest: (rest <= 0.3).mean() * len(rest) / (len(rest) - 1))
    share = within / pairs
    effect = max(1, variance * pairs / (share * (1 - share)))
    effect *= (scipy.stats.t.ppf(0.975, degrees.sum() ** 2 / (degrees**2).sum() - 1) / Z) ** 2
    found = estimate_fmr(degrees)
    assert within > 20
    assert found.value == pytest.approx(share)
    assert found.low == pytest.approx(scipy.stats.chi2.ppf(0.025, 2 * within / effect) / (2 * pairs / effect))
    assert found.high == pytest.approx(scipy.stats.chi2.ppf(0.975, 2 * within / effect + 2) / (2 * pairs / effect))


@pytest.mark.parametrize(("beyond", "upper"), [(0.025, 2 * 3.689), (ONE_SIDE, 2 * 2.996)])
def test_no_pair_at_all_is_twice_the_rule_of_three(beyond: float, upper: float) -> None:
    none = estimate_fmr(np.zeros(200, np.int32), beyond)
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(upper / (200 * 199 / 2), rel=1e-3)


@pytest.mark.parametrize(("degrees", "value"), [([0, 0], 0), ([1, 1], 1), ([2, 2, 2], 1), ([0, 0, 0], 0)])
def test_tiny_galleries_have_wide_intervals(degrees: list[int], value: float) -> None:
    counts = np.array(degrees, np.int32)
    nearest = np.array([1, 0, 0][: len(degrees)])
    for found in (estimate_fmr(counts), estimate_fpir(counts, nearest)):
        assert found.value == value
        assert 0 <= found.low <= value <= found.high <= 1
        assert found.high - found.low > 0.5


@pytest.mark.parametrize("members", [0, 1])
def test_one_member_has_no_rate(members: int) -> None:
    with pytest.raises(ValueError, match="at least two"):
        estimate_fmr(np.zeros(members, np.int32))
    with pytest.raises(ValueError, match="at least two"):
        estimate_fpir(np.zeros(members, np.int32), np.zeros(members, np.intp))


def test_an_interval_has_wilsons_upper_end_and_the_exact_lower_one() -> None:
    low, high = share_interval(6 / 50, 50)
    assert high - 0.12 == pytest.approx(Z * (high * (1 - high) / 50) ** 0.5, rel=1e-6)
    assert scipy.stats.binom.sf(5, 50, low) == pytest.approx(0.025)
    assert (share_interval(0, 10)[0], share_interval(1, 10)[1]) == (0, 1)
    assert share_interval(1, 10)[0] == pytest.approx(0.025**0.1)


def test_fpir_of_two_in_twelve() -> None:
    """By hand: without one of the pair nobody of 11 has a look-alike, without another person 2 of 11 have."""
    variance = 11 / 12 * (2 * (5 / 33) ** 2 + 10 * (2 / 11 - 5 / 33) ** 2)
    effective = (1 / 6) * (5 / 6) / variance
    assert effective == pytest.approx(2.75)
    scan = scan_gallery(FEW, NEAR, [NEAR])
    found = estimate_fpir(scan.degrees_at(NEAR), scan.nearest)
    assert (found.value, found.low, found.high) == pytest.approx((1 / 6, *share_interval(1 / 6, effective)))


@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.4])
def test_fpirs_interval_is_that_of_leaving_each_person_out(threshold: float) -> None:
    scan, distances = scan_of(80)
    share = float((distances.min(axis=1) <= threshold).mean())
    variance = brute_variance(distances, lambda rest: (rest.min(axis=1) <= threshold).mean())
    found = estimate_fpir(scan.degrees_at(threshold), scan.nearest)
    assert 0 < share < 1
    assert (found.value, found.low, found.high) == pytest.approx(
        (share, *share_interval(share, min(80, share * (1 - share) / variance)))
    )


def test_where_nearly_all_have_a_look_alike_the_upper_end_is_one() -> None:
    degrees, nearest = np.ones(100, np.int32), np.arange(100) ^ 1
    degrees[:4] = 0
    assert estimate_fpir(degrees, nearest).high == 1
    degrees[4:6] = 0
    assert estimate_fpir(degrees, nearest).high < 1


@pytest.mark.parametrize("people", [1, 2, 4])
def test_fpir_of_fewer_is_the_mean_over_all_choices(people: int) -> None:
    scan, distances = scan_of(7, seed=2, size=4)
    threshold = 0.4
    choices = [
        (distances[person, list(chosen)] <= threshold).any()
        for person in range(7)
        for chosen in combinations([other for other in range(7) if other != person], people)
    ]
    found = estimate_fpir_of_fewer(scan.degrees_at(threshold), scan.pairs.within(threshold), people)
    assert 0 < found.value < 1
    assert found.value == pytest.approx(np.mean(choices))


@pytest.mark.parametrize("people", [5, 30, 77])
def test_the_interval_of_fewer_is_that_of_leaving_each_person_out(people: int) -> None:
    scan, distances = scan_of(80)
    threshold = 0.2

    def statistic(rest: np.ndarray) -> float:
        return float(hit_chances(len(rest) - 1, people)[(rest <= threshold).sum(axis=1)].mean())

    value, degrees = statistic(distances), scan.degrees_at(threshold)
    low, high = share_interval(value, value * (1 - value) / brute_variance(distances, statistic))
    found = estimate_fpir_of_fewer(degrees, scan.pairs.within(threshold), people)
    assert (found.value, found.low, found.high) == pytest.approx((value, low, high))


def test_the_interval_of_fewer_where_nobody_and_where_everybody_has_a_look_alike() -> None:
    scan, _ = scan_of(80)
    none = estimate_fpir_of_fewer(scan.degrees_at(0), scan.pairs.within(0), 10)
    assert none == Estimate(0, 0, 10 * estimate_fmr(np.zeros(80, np.int32)).high)
    same = scan_gallery(circle([7] * 40), 0.1, [0.1])
    everybody = estimate_fpir_of_fewer(same.degrees_at(0.1), same.pairs.within(0.1), 10)
    assert (everybody.value, everybody.high) == (1, 1)
    assert 0 < everybody.low < 0.3


def test_the_interval_of_fewer_is_never_narrower_than_that_of_independent_pairs() -> None:
    """Everybody has one look-alike: whoever is left out, the share is the same."""
    twins = Pairs(np.arange(0, 40, 2), np.arange(1, 40, 2), np.zeros(20), 0.1)
    found = estimate_fpir_of_fewer(np.ones(40, np.int32), twins, 10)
    assert (found.value, found.low, found.high) == pytest.approx((10 / 39, *share_interval(10 / 39, 40 * 39 / 2)))


def test_fewer_needs_all_pairs() -> None:
    scan, _ = scan_of(80)
    with pytest.raises(ValueError, match="not all"):
        estimate_fpir_of_fewer(scan.degrees_at(0.2), scan.pairs.within(0.1), 30)


def test_more_people_have_bounds_and_no_value() -> None:
    scan, _ = scan_of(80)
    degrees = scan.degrees_at(0.1)
    fpir, fmr = estimate_fpir(degrees, scan.nearest), estimate_fmr(degrees)
    found = fpir_for(scan, 0.1, 200)
    assert found == bound_fpir_of_more(degrees, scan.nearest, 200)
    assert isinstance(found, Bounds)
    assert found.independent == pytest.approx(1 - (1 - fmr.high) ** 200)
    assert found.high == pytest.approx(min(1, found.independent, fpir.high * 200 / 79))
    assert found.low == fpir.low


def test_as_many_people_as_members_or_other_members_is_what_was_measured() -> None:
    scan, _ = scan_of(80)
    measured = estimate_fpir(scan.degrees_at(0.8), scan.nearest)
    assert [fpir_for(scan, 0.8, people) for people in (None, 79, 80)] == [measured] * 3


def test_where_not_all_pairs_are_known_fewer_people_have_a_wider_interval() -> None:
    scan, _ = scan_of(80)
    known = fpir_for(scan, 0.3, 20)
    pairs = scan.pairs.within(0.1)
    unknown = fpir_for(GalleryScan(scan.grid, scan.degrees, scan.nearest, scan.nearest_distances, pairs), 0.3, 20)
    assert isinstance(known, Estimate)
    assert isinstance(unknown, Estimate)
    assert unknown.value == pytest.approx(known.value)
    assert unknown.low <= known.low < known.high <= unknown.high


def test_the_worst_decile() -> None:
    degrees = np.array([0] * 10 + [1] * 8 + [4, 4], np.int32)
    worst = find_worst_decile(degrees)
    assert worst.members.tolist() == [18, 19]
    assert (worst.share_of_matches, worst.mean_fmr) == pytest.approx((0.5, 4 / 19))
    assert find_worst_decile(np.zeros(5, np.int32)).share_of_matches == 0


def test_intervals_hold_in_a_short_simulation() -> None:
    """Four unequal groups, 200 members, 80 galleries; `python -m benchmarks.rate_intervals` has the long one."""
    truth = find_truth("groups", 5_000, draws=2, seed=16)
    cells = list(measure_intervals(truth, 200, Namespace(galleries=80, seed=1)))
    assert len(cells) == 15
    assert {(cell.at, cell.what): cell.share for cell in cells if cell.share < 0.9} == {}
    assert min(cell.share for cell in cells if cell.at == "FMR 1e-03") >= 0.93
