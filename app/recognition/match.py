"""Ask the gallery who a face is: its nearest members, a verdict, and how many strangers would be as near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.recognition.distances import DECIMALS, STEP, Floats, UnitTemplates, last_distance
from app.recognition.search import nearest

RECOGNISED, AMBIGUOUS, UNKNOWN = "recognised", "ambiguous", "unknown"
STRANGERS = 1000  # members who stand for strangers; each is compared with all others
LEAST_STRANGERS = 20  # below, their gaps say little
SELF_AND_TWO = 3  # what is nearest to a member: the member, the nearest other, and the second
GAPS_BELOW_MARGIN = 0.95
DEFAULT_MARGIN = 1 / 8  # of the threshold: 0.05 for the usual 0.40


@dataclass(frozen=True, slots=True)
class MatchRules:
    """What the recognition service goes by: the largest distance that it accepts, and how many candidates."""

    threshold: float
    most: int


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """What the gallery answers to faces that are not in it, measured on its own people, each left out in turn.

    `distances`: of each stranger's nearest member, ascending. `margin`: the gap between the nearest member and the
    second that 95 % of the strangers stay below, and never 0: two at one distance are a close thing. `is_measured` is
    False where it is the default.
    """

    distances: Floats
    margin: float
    is_measured: bool

    def as_near(self, distance: float) -> int:
        """Count the strangers whose nearest member is as near as this."""
        return int(np.searchsorted(self.distances, distance, side="right"))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member (by place in the gallery), the cosine distance, and the service's confidence, 1 - distance / 2."""

    place: int
    distance: float

    @property
    def confidence(self) -> float:
        return confidence_of(self.distance)


@dataclass(frozen=True, slots=True)
class Match:
    """The answer about one face: RECOGNISED, AMBIGUOUS or UNKNOWN, and its nearest members, the nearest first.
    `as_near`: how many of the gallery's strangers find a member as near as its nearest one."""

    verdict: str
    candidates: tuple[Candidate, ...]
    as_near: int


def confidence_of(distance: float) -> float:
    """Return a distance as the recognition service shows it: 1 for the same picture, 0 for the opposite vector."""
    return 1 - distance / 2


def accepted_distance(threshold: float, least_confidence: float) -> float:
    """Return the largest distance that a service accepts if it goes by a threshold and by a least confidence."""
    most = last_distance(2 * (1 - least_confidence) + STEP)  # a step more: no doubling may lose the distance itself
    while confidence_of(most) < least_confidence:
        most = round(most - STEP, DECIMALS)
    return min(last_distance(threshold), most)


def measure_strangers(gallery: UnitTemplates, threshold: float) -> Strangers:
    """Measure the strangers of a gallery: at most STRANGERS of its members, evenly spread."""
    members = len(gallery)
    places = np.unique(np.linspace(0, members - 1, min(members, STRANGERS)).round().astype(np.intp))
    found = nearest(gallery.take(places), gallery, SELF_AND_TWO)
    others = np.sort(np.where(found.members == places[:, None], np.inf, found.distances), axis=1)
    gaps = others[:, 1] - others[:, 0] if members >= SELF_AND_TWO else np.empty(0)
    is_measured = len(gaps) >= LEAST_STRANGERS
    margin = float(np.quantile(gaps, GAPS_BELOW_MARGIN)) if is_measured else threshold * DEFAULT_MARGIN
    return Strangers(np.sort(others[np.isfinite(others[:, 0]), 0]), max(round(margin, DECIMALS), STEP), is_measured)


def match(probes: UnitTemplates, gallery: UnitTemplates, rules: MatchRules, strangers: Strangers) -> list[Match]:
    """Answer for each probe, in their order. Two candidates are looked at even where `rules.most` is 1, so that a
    second one that is too near is seen."""
    found = nearest(probes, gallery, max(2, rules.most))
    rows = zip(found.members.tolist(), found.distances.tolist(), strict=True)
    return [_judge([*map(Candidate, *row)], rules, strangers) for row in rows]


def _judge(candidates: Sequence[Candidate], rules: MatchRules, strangers: Strangers) -> Match:
    first = candidates[0]
    if first.distance > rules.threshold:
        verdict = UNKNOWN
    elif len(candidates) > 1 and round(candidates[1].distance - first.distance, DECIMALS) < strangers.margin:
        verdict = AMBIGUOUS
    else:
        verdict = RECOGNISED
    return Match(verdict, tuple(candidates[: rules.most]), strangers.as_near(first.distance))


def repeated(matches: Sequence[Match]) -> set[int]:
    """Return the members (by place) to whom several faces of one photo lead: at most one of these faces is theirs,
    unless the photo is a collage or shows a mirror."""
    first = [each.candidates[0].place for each in matches if each.verdict != UNKNOWN]
    return {place for place in first if first.count(place) > 1}
