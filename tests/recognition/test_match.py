"""Verdicts on hand-computable galleries: directions in a plane, whose distances are 1 - cos of the angle between."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.recognition.distances import UnitTemplates
from app.recognition.match import (
    AMBIGUOUS,
    DEFAULT_MARGIN,
    RECOGNISED,
    STRANGERS,
    UNKNOWN,
    MatchRules,
    Strangers,
    accepted_distance,
    confidence_of,
    match,
    measure_strangers,
    repeated,
)

RULES = MatchRules(threshold=0.4, most=2)


def at(*degrees: float) -> UnitTemplates:
    """Return vectors in these directions, of different lengths: a direction is all that counts."""
    angles = np.radians(degrees)
    lengths = np.arange(1, len(angles) + 1)[:, None]
    return UnitTemplates.of(np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths)


def distance(degrees: float) -> float:
    return round(1 - math.cos(math.radians(degrees)), 6)


def test_the_nearest_members_come_first_with_the_service_s_confidence() -> None:
    gallery = at(0, 90, 180)
    (found,) = match(at(30), gallery, RULES, measure_strangers(gallery, 0.4))
    assert [each.place for each in found.candidates] == [0, 1]
    assert [each.distance for each in found.candidates] == [distance(30), distance(60)]
    assert [each.confidence for each in found.candidates] == [1 - distance(30) / 2, 1 - distance(60) / 2]
    assert found.verdict == RECOGNISED


@pytest.mark.parametrize(
    ("degrees", "rules", "verdict"),
    [
        (10, RULES, RECOGNISED),
        (44.9, RULES, AMBIGUOUS),  # the second member is as near
        (45, RULES, AMBIGUOUS),
        (-60, RULES, UNKNOWN),  # 0.5 from the nearest
        (10, MatchRules(distance(10), 2), RECOGNISED),  # at the threshold itself, as DeepFace has it
        (10, MatchRules(distance(10) - 1e-6, 2), UNKNOWN),
        (45, MatchRules(0.4, 1), AMBIGUOUS),  # the second is looked at although only one is asked for
    ],
)
def test_the_verdict_is_the_service_s_and_a_close_second_makes_it_ambiguous(
    degrees: float, rules: MatchRules, verdict: str
) -> None:
    gallery = at(0, 90)
    (found,) = match(at(degrees), gallery, rules, measure_strangers(gallery, rules.threshold))
    assert found.verdict == verdict
    assert len(found.candidates) == rules.most


@pytest.mark.parametrize(
    ("threshold", "least_confidence", "accepted"),
    [
        (0.4, 0.7, 0.4),
        (0.65, 0.7, 0.6),
        (0.5, 0.8, 0.4),  # although 2 * (1 - 0.8) is less than 0.4
        (2.0, 0.0, 2.0),
        (0.4, 1.0, 0.0),
        (0.4000007, 0.7, 0.4),
        (1.0, 0.8000003, 0.399999),
    ],
)
def test_a_service_accepts_what_both_of_its_settings_accept(
    threshold: float, least_confidence: float, accepted: float
) -> None:
    assert accepted_distance(threshold, least_confidence) == accepted


def test_the_last_accepted_distance_is_the_last_for_every_confidence() -> None:
    for percent in range(101):
        last = accepted_distance(2, percent / 100)
        assert confidence_of(last) >= percent / 100
        assert last == 2 or confidence_of(round(last + 1e-6, 6)) < percent / 100


def test_the_margin_is_what_the_gallery_s_own_people_show_as_strangers() -> None:
    # Neighbours are 1 degree apart on one side and 3 on the other: every inner member's gap is that of 3 and 1 degrees.
    places = [4 * (each // 2) + each % 2 for each in range(60)]
    strangers = measure_strangers(at(*places), 0.4)
    assert strangers.is_measured
    assert strangers.margin == pytest.approx(distance(3) - distance(1), abs=1e-6)
    assert strangers.distances.tolist() == [distance(1)] * 60
    assert (strangers.as_near(distance(1)), strangers.as_near(distance(1) - 1e-6)) == (60, 0)


def test_few_members_have_the_default_margin() -> None:
    strangers = measure_strangers(at(*range(0, 190, 10)), 0.4)
    assert (strangers.is_measured, strangers.margin) == (False, 0.4 * DEFAULT_MARGIN)


@pytest.mark.parametrize("threshold", [0.0, 1e-7, 0.4])
def test_two_members_at_one_distance_are_a_close_thing_whatever_the_threshold(threshold: float) -> None:
    gallery = at(0, 0, 90)
    (found,) = match(at(0), gallery, MatchRules(threshold, 2), measure_strangers(gallery, threshold))
    assert found.verdict == AMBIGUOUS


def test_a_gap_of_just_the_margin_is_no_close_thing() -> None:
    gallery = UnitTemplates.of([[0.95, math.sqrt(1 - 0.95**2)], [0.94, -math.sqrt(1 - 0.94**2)]])
    (found,) = match(at(0), gallery, RULES, Strangers(np.empty(0), 0.01, is_measured=True))
    assert [each.distance for each in found.candidates] == [0.05, 0.06]
    assert found.candidates[1].distance - found.candidates[0].distance < 0.01  # in binary
    assert found.verdict == RECOGNISED


def test_one_member_has_no_strangers_and_is_recognised_all_the_same() -> None:
    gallery = at(0)
    strangers = measure_strangers(gallery, 0.4)
    assert len(strangers.distances) == 0
    (found,) = match(at(20), gallery, RULES, strangers)
    assert (found.verdict, found.as_near, len(found.candidates)) == (RECOGNISED, 0, 1)


def test_of_a_large_gallery_some_stand_for_all_strangers() -> None:
    vectors = np.random.default_rng(1).normal(size=(3 * STRANGERS, 8)).astype(np.float32)
    strangers = measure_strangers(UnitTemplates.of(vectors), 0.4)
    assert len(strangers.distances) == STRANGERS
    assert (np.diff(strangers.distances) >= 0).all()
    assert strangers.distances[0] > 0  # nobody is a stranger to himself


def test_the_same_member_twice_in_the_gallery_is_at_distance_zero_of_himself() -> None:
    strangers = measure_strangers(at(0, 0, 90), 0.4)
    assert strangers.distances.tolist() == [0, 0, 1]


def test_two_faces_of_a_photo_that_lead_to_one_member_are_told() -> None:
    gallery = at(0, 90, 180)
    found = match(at(5, -5, 95, 260), gallery, RULES, measure_strangers(gallery, 0.4))
    assert [each.verdict for each in found] == [RECOGNISED, RECOGNISED, RECOGNISED, UNKNOWN]
    assert repeated(found) == {0}
