"""Estimate false match rates of a gallery from its own pairs, with intervals for pairs that depend on each other.

In: how many others each member has within a threshold (degrees), and the pairs. Out: estimates with 95 % intervals.
Formulas and their simulated coverage: RECOGNITION.md section 3 and `python -m benchmarks.rate_intervals`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recognition.distances import Floats, Indices
from app.recognition.scan import GalleryScan, Pairs

BOTH_SIDES, ONE_SIDE = 0.025, 0.05  # probability beyond an end of a 95 % interval, beyond a one-sided 95 % bound
EVENTS_FOR_STUDENT = 5  # pairs within the threshold from which on Student's correction is made
DESIGN_EFFECT_OF_NONE = 2.0  # where no pair shows how much pairs depend on each other
NEARLY_ALL = 5  # members without a look-alike at which the interval's upper end is 1: it fails there (RECOGNITION.md 3)
DECILE = 10

Degrees = NDArray[np.int32] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its interval, all from 0 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """A share of which only bounds are known. `independent`: what independent pairs would give, a bound from above."""

    low: float
    high: float
    independent: float


@dataclass(frozen=True, slots=True)
class WorstDecile:
    """The tenth of the members with most others within a threshold.

    `share_of_matches`: of all ends of pairs within, theirs. `mean_fmr`: how likely one of them matches a random other.
    The members were chosen by the same pairs, so that both are on the high side.
    """

    members: Indices
    share_of_matches: float
    mean_fmr: float


def estimate_fmr(degrees: Degrees, beyond: float = BOTH_SIDES) -> Estimate:
    """Estimate the share of pairs of different people within a threshold, from the degrees (n,) there.

    The interval is Poisson's exact one on effective counts: a design effect by leaving one person out, times Student's
    correction. `beyond`: the probability beyond each end. Raises ValueError for fewer than two members.
    """
    from scipy.special import gammaincinv  # noqa: PLC0415 -- only where it is needed: a run does without

    members = _check(degrees)
    pairs, within = members * (members - 1) / 2, float(degrees.sum()) / 2
    effect = _design_effect(degrees, pairs, within, beyond)
    events, trials = within / effect, pairs / effect
    low = float(gammaincinv(events, beyond)) / trials if within else 0.0  # half of chi squared's quantile at 2 * events
    high = float(gammaincinv(events + 1, 1 - beyond)) / trials
    return Estimate(within / pairs, low, min(1.0, high))


def _design_effect(degrees: Degrees, pairs: float, within: float, beyond: float) -> float:
    """Return how many times the variance is that of independent pairs."""
    members, share = len(degrees), within / pairs
    if not within or members == 2:  # noqa: PLR2004 -- nobody can be left out of two
        return DESIGN_EFFECT_OF_NONE
    without_one: Floats = (within - degrees.astype(np.float64)) / (pairs - (members - 1))
    effect = 1.0
    if share < 1:
        effect = max(1.0, jackknife_variance(without_one) * pairs / (share * (1 - share)))
    if within >= EVENTS_FOR_STUDENT:
        people = float(degrees.sum()) ** 2 / float(np.square(degrees, dtype=np.float64).sum())
        effect *= student_inflation(people, beyond)
    return effect


def estimate_fpir(degrees: Degrees, nearest: Indices, beyond: float = BOTH_SIDES) -> Estimate:
    """Estimate the share of strangers who would be taken for one of the n members, by leaving each member out.

    It is the share of members with another within the threshold: `degrees` (n,) there, `nearest` (n,) the indices of
    the nearest others. The interval is for the effective number of people, by leaving one person out: with a person go
    the hits of those whose only look-alike it is. Its upper end is 1 where nearly all have a look-alike.
    Raises ValueError for fewer than two members.
    """
    members = _check(degrees)
    hits = int(np.count_nonzero(degrees))
    only = nearest[degrees == 1]  # who has one within the threshold has the nearest there
    lost = (degrees > 0) + np.bincount(only, minlength=members)
    variance = jackknife_variance((hits - lost) / (members - 1))
    share = hits / members
    effective = members / DESIGN_EFFECT_OF_NONE
    if 0 < hits < members:
        effective = min(members, share * (1 - share) / variance)
    low, high = share_interval(share, effective, beyond)
    return Estimate(share, low, 1.0 if hits > members - NEARLY_ALL else high)


def estimate_fpir_of_fewer(degrees: Degrees, pairs: Pairs, people: int, beyond: float = BOTH_SIDES) -> Estimate:
    """Estimate FPIR against `people` random ones of the n members, people < n - 1, by the hypergeometric estimator.

    Averages over all choices: 1 - C(n-1-k, people) / C(n-1, people) for a member with k others within the threshold.
    `pairs`: all pairs within it. The interval is for the effective number of people, by leaving one person out.
    Raises ValueError for pairs that are not all.
    """
    members = _check(degrees)
    if len(pairs) * 2 != int(degrees.sum()):
        raise ValueError(f"{len(pairs)} pairs are not all that are within the threshold")
    value = float(hit_chances(members - 1, people)[degrees].mean())
    if value in (0, 1):  # no variance to see: what all members together say is a bound
        whole = estimate_fpir(degrees, _any_neighbour(members, pairs), beyond)
        low, high = whole.low * people / (members - 1), people * estimate_fmr(degrees, beyond).high
        return Estimate(value, low, min(whole.high, high) if value == 0 else 1.0)
    fewer = hit_chances(members - 2, people)  # with one person left out
    own = fewer[np.minimum(degrees, members - 2)]
    drops = own - fewer[np.maximum(degrees - 1, 0)]  # of a member whose look-alike is the one left out
    lost = own + _sum_over_neighbours(pairs, drops)
    variance = jackknife_variance((own.sum() - lost) / (members - 1))
    least_variance = value * (1 - value) / (members * (members - 1) / 2)  # as if all pairs were independent
    return Estimate(value, *share_interval(value, value * (1 - value) / max(variance, least_variance), beyond))


def bound_fpir_of_more(degrees: Degrees, nearest: Indices, people: int, beyond: float = BOTH_SIDES) -> Bounds:
    """Bound FPIR against `people` members, more than the n - 1 others that were measured. No value is known there.

    FPIR grows with the gallery, but slower than the gallery: low is FPIR's low end here, high its high end times
    people / (n - 1), or what independent pairs give at the upper end of FMR, 1 - (1 - FMR)^people, if that is less.
    """
    fpir = estimate_fpir(degrees, nearest, beyond)
    independent = 1 - (1 - estimate_fmr(degrees, beyond).high) ** people
    return Bounds(fpir.low, min(1.0, independent, fpir.high * people / (len(degrees) - 1)), independent)


def fpir_for(scan: GalleryScan, threshold: float, people: int | None = None) -> Estimate | Bounds:
    """Return FPIR at a threshold of the scan's grid: measured for its own members or fewer, bounded for more."""
    degrees, others = scan.degrees_at(threshold), scan.members - 1
    if people is None or people in (others, scan.members):
        return estimate_fpir(degrees, scan.nearest)
    if people > others:
        return bound_fpir_of_more(degrees, scan.nearest, people)
    if threshold <= scan.pairs.complete_to:
        return estimate_fpir_of_fewer(degrees, scan.pairs.within(threshold), people)
    whole = estimate_fpir(degrees, scan.nearest)  # FPIR(people) lies between its share of FPIR(n) and FPIR(n)
    value = float(hit_chances(others, people)[degrees].mean())
    return Estimate(value, whole.low * people / others, whole.high)


def find_worst_decile(degrees: Degrees) -> WorstDecile:
    """Return the tenth of the members (at least one) with most others within a threshold, the worst first."""
    members = _check(degrees)
    worst = np.argsort(-degrees, kind="stable")[: max(1, members // DECILE)]
    total = int(degrees.sum())
    share = float(degrees[worst].sum()) / total if total else 0.0
    return WorstDecile(worst, share, float(degrees[worst].mean()) / (members - 1))


def share_interval(share: float, trials: float, beyond: float = BOTH_SIDES) -> tuple[float, float]:
    """Return the interval of a share of so many (effective) trials: upper end by Wilson, lower by Clopper and Pearson.

    Wilson's lower end is too high where events are few (Brown, Cai and DasGupta, Statistical Science 16, 2001).
    `beyond`: the probability beyond each end.
    """
    from scipy.special import betaincinv, ndtri  # noqa: PLC0415

    square, events = float(ndtri(1 - beyond)) ** 2, share * trials
    low = float(betaincinv(events, trials - events + 1, beyond)) if events else 0.0
    if share == 1:
        return low, 1.0
    half = (square * (share * (1 - share) / trials + square / (4 * trials**2))) ** 0.5
    return low, min(1.0, (share + square / (2 * trials) + half) / (1 + square / trials))


def _check(degrees: Degrees) -> int:
    if len(degrees) < 2:  # noqa: PLR2004 -- a pair
        raise ValueError("a rate needs at least two members")
    return len(degrees)


def student_inflation(people: float, beyond: float) -> float:
    """Return how many times larger a variance has to be taken that so few people were seen for."""
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415

    return float(stdtrit(people - 1, 1 - beyond) / ndtri(1 - beyond)) ** 2


def jackknife_variance(without_one: Floats) -> float:
    """Return the variance of a statistic from its values (n,) with one person left out each."""
    count = len(without_one)
    return float(np.square(without_one - without_one.mean()).sum()) * (count - 1) / count


def hit_chances(others: int, people: int) -> Floats:
    """Return, for k = 0 ... others, the chance that at least one of k is among `people` drawn of `others`."""
    if not 1 <= people <= others:
        raise ValueError(f"{people} people cannot be drawn of {others}")
    with np.errstate(divide="ignore"):  # with more than others - people at least one is drawn for certain
        missing_one_more = np.log1p(-np.minimum(1.0, people / (others - np.arange(others, dtype=np.float64))))
    chances: Floats = -np.expm1(np.concatenate([[0.0], np.cumsum(missing_one_more)]))
    return chances


def _sum_over_neighbours(pairs: Pairs, values: Floats) -> Floats:
    """Return, for each member, the sum of its neighbours' values."""
    sums: Floats = np.bincount(pairs.first, weights=values[pairs.second], minlength=len(values)).astype(np.float64)
    sums += np.bincount(pairs.second, weights=values[pairs.first], minlength=len(values))
    return sums


def _any_neighbour(members: int, pairs: Pairs) -> Indices:
    """Return one neighbour of each member that has one: the only one where there is only one."""
    neighbour = np.zeros(members, np.intp)
    neighbour[pairs.first], neighbour[pairs.second] = pairs.second, pairs.first
    return neighbour
