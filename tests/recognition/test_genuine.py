"""Test labelled probes: rates equal scikit-learn's at thresholds, ranks a float64 loop's; the person is the unit."""

from __future__ import annotations

import numpy as np
import pytest

from app.recognition.distances import UnitTemplates
from app.recognition.genuine import STRANGER, Genuine, Probes, Searched, rate_probes
from app.recognition.rates import Estimate, share_interval
from tests.recognition.galleries import circle, float64_distances, random_vectors

MEMBERS, ENROLLED, PHOTOS, STRANGERS = 300, 40, 4, 60
GRID = np.round(np.arange(1, 41) * 0.025, 6)


def make_probes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gallery vectors, probe vectors, members: four photos each of forty, then strangers."""
    gallery, generator = random_vectors(MEMBERS), np.random.default_rng(9)
    members = np.repeat(np.arange(ENROLLED) * 7, PHOTOS)
    change = generator.uniform(0.2, 1.6, ENROLLED).repeat(PHOTOS)[:, None]
    photos = gallery[members] + change * random_vectors(len(members), seed=10)
    probes = np.concatenate([photos, random_vectors(STRANGERS, seed=11)]).astype(np.float32)
    return gallery, probes, np.concatenate([members, np.full(STRANGERS, STRANGER)])


GALLERY, PROBES, LABELS = make_probes()
LOOP = float64_distances(PROBES, GALLERY)
OWN = np.array([LOOP[place, member] for place, member in enumerate(LABELS) if member != STRANGER])
GENUINE = len(OWN)


@pytest.fixture(scope="module")
def rated() -> Genuine:
    return rate_probes(Probes.of(UnitTemplates.of(PROBES), LABELS), UnitTemplates.of(GALLERY), GRID)


def values(estimates: list[Estimate | None]) -> list[float]:
    return [each.value for each in estimates if each is not None]


def test_fnmr_and_fmr_are_those_of_scikit_learn(rated: Genuine) -> None:
    """At thresholds, since its curves leave points out."""
    from sklearn.metrics import det_curve, roc_curve  # a second, which each worker of pytest-xdist would take

    mated = np.zeros(LOOP.shape, bool)
    mated[np.arange(GENUINE), LABELS[:GENUINE]] = True
    scores, labels = -LOOP.ravel(), mated.ravel()
    fpr, tpr, at = roc_curve(labels, scores, drop_intermediate=False)
    places = [int(np.flatnonzero(at >= -threshold)[-1]) for threshold in GRID]
    assert [row.fmr for row in rated.rows] == pytest.approx(fpr[places])
    assert values([row.fnmr for row in rated.rows]) == pytest.approx(1 - tpr[places])
    fpr, fnr, at = det_curve(labels, scores)
    inside = [place for place, threshold in enumerate(GRID) if at[0] <= -threshold <= at[-1]]
    places = [int(np.flatnonzero(at >= -GRID[place])[0]) for place in inside]
    assert len(inside) > 10
    assert [rated.rows[place].fmr for place in inside] == pytest.approx(fpr[places])
    assert values([rated.rows[place].fnmr for place in inside]) == pytest.approx(fnr[places])


def test_open_set_rates_are_those_of_the_double_loop(rated: Genuine) -> None:
    first = LOOP.argmin(axis=1)
    right = first[:GENUINE] == LABELS[:GENUINE]
    assert 0 < right.mean() < 1
    assert rated.rank_1 is not None
    assert rated.rank_1.value == pytest.approx(right.mean())
    fnir = [1 - (right & (threshold >= OWN)).mean() for threshold in GRID]
    assert values([row.fnir for row in rated.rows]) == pytest.approx(fnir)
    fpir = [(LOOP[GENUINE:].min(axis=1) <= threshold).mean() for threshold in GRID]
    assert values([row.fpir for row in rated.rows]) == pytest.approx(fpir)
    assert (rated.people, rated.strangers) == (ENROLLED, STRANGERS)


def test_each_search_and_who_was_not_recognised(rated: Genuine) -> None:
    expected = []
    for place, label in enumerate(LABELS.tolist()):
        row, known = LOOP[place], label != STRANGER
        own = float(row[label]) if known else None
        rank = 1 + int(((row < own) | ((row == own) & (np.arange(MEMBERS) < label))).sum()) if known else None
        expected.append(Searched(place, label, int(row.argmin()), float(row.min()), own, rank))
    assert rated.searches == tuple(expected)
    missed = rated.missed(0.4)
    assert missed == tuple(
        each for each in expected if each.own_rank and (each.own_rank > 1 or each.own_distance > 0.4)
    )
    fnir = next(row.fnir for row in rated.rows if row.distance == 0.4)
    assert fnir is not None
    assert len(missed) == round(fnir.value * GENUINE)
    assert sum(each.is_false_alarm(0.9) for each in rated.searches) == (LOOP[GENUINE:].min(axis=1) <= 0.9).sum()


def test_ranks_are_right_where_float32_cannot_tell() -> None:
    gallery = circle([0, 0.5, 0.5, 180])
    probes = Probes.of(circle([0.25, 0.25, 0.5]), [1, 0, 2])  # the first two are as near to 0 as to 0.5
    searches = rate_probes(probes, gallery, [0.4]).searches
    assert [each.own_rank for each in searches] == [2, 1, 2]
    assert [each.nearest for each in searches] == [0, 0, 1]


def interval(events: list[list[int]]) -> Estimate:
    """Return FNMR of people whose photos match (0) or not (1)."""
    angles = [90.0 * event for photos in events for event in photos]
    members = [member for member, photos in enumerate(events) for _ in photos]
    gallery = circle([0] * len(events))
    found = rate_probes(Probes.of(circle(angles), members), gallery, [0.4]).rows[0].fnmr
    assert found is not None
    return found


def test_the_person_is_the_unit() -> None:
    """The same 20 failures in 100 photos: of four people all five, of twenty one each."""
    same, spread = interval([[1] * 5] * 4 + [[0] * 5] * 16), interval([[1, 0, 0, 0, 0]] * 20)
    assert same.value == spread.value == 0.2
    assert same.high - same.low > 2 * (spread.high - spread.low)
    assert (same.low, same.high) == pytest.approx(share_interval(0.2, 20))  # as if of one photo each


def test_photos_never_count_less_than_their_people() -> None:
    """Two of twenty people fail, always: so few say nothing about the variance, but twenty people they are."""
    found = interval([[1] * 5] * 2 + [[0] * 5] * 18)
    assert (found.low, found.high) == pytest.approx(share_interval(0.1, 20))


def test_all_photos_alike_count_once_a_person_and_one_person_says_nothing() -> None:
    assert interval([[0] * 9] * 6) == interval([[0]] * 6)
    assert 0.3 < interval([[0]] * 6).high < 0.5
    assert interval([[0, 0, 1, 1]]) == Estimate(0.5, 0, 1)


def test_strangers_have_names_or_count_each() -> None:
    templates = circle([0, 90, 91, 180, 181])
    labels = [0, STRANGER, STRANGER, STRANGER, STRANGER]
    named = rate_probes(Probes.of(templates, labels, ["0", "eva", "eva", "ana", "ana"]), circle([0]), [0.4])
    assert (named.people, named.strangers) == (1, 2)
    assert rate_probes(Probes.of(templates, labels), circle([0]), [0.4]).strangers == 4


def test_without_probes_of_a_kind_there_is_no_rate() -> None:
    enrolled = rate_probes(Probes.of(circle([0]), [0]), circle([0]), [0.4])
    assert (enrolled.rows[0].fpir, enrolled.rows[0].fmr) == (None, None)
    strangers = rate_probes(Probes.of(circle([0]), [STRANGER]), circle([0]), [0.4])
    assert (strangers.rank_1, strangers.rows[0].fnmr, strangers.rows[0].fnir) == (None, None, None)
    none = rate_probes(Probes.of(UnitTemplates.of(np.empty((0, 2))), []), circle([0]), [0.4])
    assert (none.rank_1, none.searches) == (None, ())


@pytest.mark.parametrize("member", [-2, 1])
def test_a_member_that_is_not_in_the_gallery_is_refused(member: int) -> None:
    with pytest.raises(ValueError, match="not in the gallery"):
        rate_probes(Probes.of(circle([0]), [member]), circle([0]), [0.4])
