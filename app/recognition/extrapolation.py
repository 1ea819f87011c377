"""Extrapolate FMR below the nearest measured pairs: peaks over a threshold, one decade and no further.

The idea of ISO/IEC 5152:2024 (extreme values for FMR; its scope excludes FPIR). Two curves: a generalised Pareto tail
fitted by probability-weighted moments (Hosking and Wallis 1987) as the point, an exponential tail as the cautious one.
How far that holds: RECOGNITION.md section 3 and `python -m benchmarks.rate_intervals`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.recognition.distances import Floats
from app.recognition.scan import Pairs

FEWEST_PAIRS, MOST_PAIRS = 50, 200  # nearest pairs that a tail is fitted to
RELIABLE_EVENTS = 30  # Doddington's rule: from so many pairs on a share is known to +-30 %
DECADE = 10
RESAMPLES = 400
SEED = 5152
STRAIGHT = 1e-9  # shape
LOW_END, HIGH_END = 2.5, 97.5  # percentiles


@dataclass(frozen=True, slots=True)
class Extrapolated:
    """FMR by the fitted tails: `point` (generalised Pareto), `cautious` (exponential); the interval holds both."""

    point: float
    cautious: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """Tails fitted to the `used` nearest pairs of `pairs_in_all`; `start`: the distance that they begin at.

    `lowest_fmr`: one decade below 30 / pairs; nothing is said below it. `resampled` (r, 3): shape, scale and mean
    excess after draws of the people, each counted 0, 1, 2 ... times; `resampled_share` (r,): of pairs within `start`.
    """

    used: int
    pairs_in_all: int
    start: float
    shape: float
    scale: float
    mean_excess: float
    lowest_fmr: float
    resampled: Floats
    resampled_share: Floats

    def fmr(self, threshold: float) -> Extrapolated | None:
        """Return FMR at a threshold; None where it is refused: beyond `start`, or below `lowest_fmr`."""
        excess, share = self.start - threshold, self.used / self.pairs_in_all
        point = share * float(_pareto(excess, np.array([self.shape]), np.array([self.scale]))[0])
        cautious = share * float(np.exp(-excess / self.mean_excess))
        if excess < 0 or cautious < self.lowest_fmr:
            return None
        shapes, scales, mean_excesses = self.resampled.T
        drawn = self.resampled_share * np.stack([_pareto(excess, shapes, scales), np.exp(-excess / mean_excesses)])
        low, high = np.percentile(drawn, [LOW_END, HIGH_END], axis=1)
        return Extrapolated(point, cautious, float(min(point, *low)), float(max(point, cautious, *high)))


def fit_tail(pairs: Pairs, members: int, seed: int = SEED) -> Tail | None:
    """Fit tails to the nearest pairs, at most MOST_PAIRS; None where there are fewer than FEWEST_PAIRS and one more.

    The interval comes from RESAMPLES draws of the members with replacement; a pair counts as often as both its members
    were drawn, and nobody is paired with their double. The same seed gives the same interval.
    """
    used = min(MOST_PAIRS, len(pairs) - 1)
    if used < FEWEST_PAIRS:
        return None
    start, in_all = float(pairs.distances[used]), members * (members - 1) // 2
    excesses = start - pairs.distances[:used]
    shape, scale = _fit_pareto(excesses, np.ones(used))
    mean_excess = float(excesses.mean())
    if not mean_excess:
        return None  # all at one distance: there is no tail
    fitted, shares = _resample(pairs, excesses, members, seed)
    lowest = RELIABLE_EVENTS / in_all / DECADE
    return Tail(used, in_all, start, shape, scale, mean_excess, lowest, fitted, shares)


def _resample(pairs: Pairs, excesses: Floats, members: int, seed: int) -> tuple[Floats, Floats]:
    """Return the fits (r, 3: shape, scale, mean excess) and shares (r,) of draws that left enough pairs."""
    generator, fitted, shares = np.random.default_rng(seed), [], []
    first, second = pairs.first[: len(excesses)], pairs.second[: len(excesses)]
    for _ in range(RESAMPLES):
        times = np.bincount(generator.integers(members, size=members), minlength=members).astype(np.float64)
        weights = times[first] * times[second]
        total = weights.sum()
        if total * DECADE < len(excesses) or not (weights * excesses).sum():
            continue
        possible = (members**2 - np.square(times).sum()) / 2
        fitted.append((*_fit_pareto(excesses, weights), float((weights * excesses).sum() / total)))
        shares.append(total / possible)
    return np.array(fitted).reshape(-1, 3), np.array(shares)


def _fit_pareto(excesses: Floats, weights: Floats) -> tuple[float, float]:
    """Return shape and scale of a generalised Pareto distribution by probability-weighted moments.

    Hosking and Wallis, Technometrics 29 (1987): b = sum(w (1 - p) y) with plotting positions p = (rank - 0.35) / n.
    """
    order = np.argsort(excesses, kind="stable")
    values, weights = excesses[order], weights[order]
    total = weights.sum()
    positions = (np.cumsum(weights) - weights / 2 + 0.15) / total
    mean = float((weights * values).sum() / total)
    weighted = float((weights * values * (1 - positions)).sum() / total)
    spread = mean - 2 * weighted
    if spread <= 0:
        return 0.0, mean
    return 2 - mean / spread, 2 * mean * weighted / spread


def _pareto(excess: float, shapes: Floats, scales: Floats) -> Floats:
    """Return the share of generalised Pareto distributions (r,) beyond an excess."""
    curved = np.where(np.abs(shapes) < STRAIGHT, STRAIGHT, shapes)  # so near to 0 it is the exponential
    return np.power(np.maximum(0.0, 1 + curved * excess / scales), -1 / curved)
