"""Test the operating point: both figures where people are in twice, and which basis a figure has."""

from __future__ import annotations

import numpy as np
import pytest

from app.recognition.distances import UnitTemplates
from app.recognition.operating_point import Basis, OperatingPoint, find_operating_point, rate_rows
from app.recognition.rates import estimate_fmr, estimate_fpir, estimate_fpir_of_fewer
from app.recognition.scan import scan_gallery
from tests.recognition.galleries import random_vectors

THRESHOLDS = (0.01, 0.05, 0.1, 0.15, 0.2, 0.3)
MEMBERS = 500
DUPLICATES = [(10, 20), (20, 30), (40, 41)]


def vectors_with_duplicates() -> np.ndarray:
    vectors = random_vectors(MEMBERS, size=16)
    for one, other in DUPLICATES:
        vectors[other] = vectors[one] + 0.01 * random_vectors(1, seed=other, size=16)[0]
    return vectors


@pytest.fixture(scope="module")
def found() -> OperatingPoint:
    templates = UnitTemplates.of(vectors_with_duplicates())
    return find_operating_point(
        scan_gallery(templates, 0.3, THRESHOLDS), templates, THRESHOLDS, 0.05, duplicates=DUPLICATES
    )


def test_duplicates_are_set_aside_and_both_figures_given(found: OperatingPoint) -> None:
    templates = UnitTemplates.of(vectors_with_duplicates())
    rest = UnitTemplates.of(np.delete(templates.vectors, [20, 30, 41], axis=0))
    alone = find_operating_point(scan_gallery(rest, 0.3, THRESHOLDS), rest, THRESHOLDS, 0.05)
    assert (found.members, found.pairs, found.people, found.set_aside) == (497, 497 * 496 // 2, 497, (20, 30, 41))
    assert found.rows == alone.rows
    assert found.recommended == alone.recommended
    assert found.rows_with_all == rate_rows(scan_gallery(templates, 0.3, THRESHOLDS), THRESHOLDS)
    assert found.rows_with_all[0].fmr.value == pytest.approx(4 / (MEMBERS * (MEMBERS - 1) / 2))
    assert found.rows[0].fmr.value is None
    assert found.recommended_with_all.point is not None
    assert found.recommended.point is not None
    assert found.recommended_with_all.point < found.recommended.point


def test_a_rate_is_measured_where_a_pair_is_near_and_else_has_bounds_only(found: OperatingPoint) -> None:
    for row in found.rows:
        degrees = found.scan.degrees_at(row.distance)
        fmr, fpir = estimate_fmr(degrees), estimate_fpir(degrees, found.scan.nearest)
        basis = Basis.MEASURED if fmr.value else Basis.REFUSED
        assert (row.fpir.value, row.fpir.low, row.fpir.high) == (fpir.value or None, fpir.low, fpir.high)
        assert (row.fmr.basis, row.fpir.basis) == (basis, basis)
        assert (row.fmr.value, row.fmr.low, row.fmr.high) == (fmr.value or None, fmr.low, fmr.high)
    assert [row.fmr.basis.value for row in found.rows] == ["refused", "refused", *["measured"] * 4]


def test_fmr_is_extrapolated_where_no_pair_is_and_the_tail_still_speaks() -> None:
    """Without the nearest 20 pairs the others' tail says that more than three should be nearer than the first left."""
    vectors = random_vectors(MEMBERS, size=16)
    nearest = scan_gallery(UnitTemplates.of(vectors), 0.3, [0.3]).pairs
    rest = UnitTemplates.of(np.delete(vectors, np.unique(nearest.first[:20]), axis=0))
    at = round(float(scan_gallery(rest, 0.3, [0.3]).pairs.distances[0]) - 1e-6, 6)
    found = find_operating_point(scan_gallery(rest, 0.3, [0.01, at]), rest, [0.01, at], 0.05)
    far, row = found.rows
    assert found.tail is not None
    tail = found.tail.fmr(at)
    assert tail is not None
    assert (row.fmr.value, row.fmr.low, row.fmr.high) == (tail.cautious, tail.low, tail.high)
    assert row.fmr.basis is Basis.EXTRAPOLATED
    assert row.fpir.basis is Basis.REFUSED
    assert (far.fmr.value, far.fmr.basis) == (None, Basis.REFUSED)


def test_another_number_of_people() -> None:
    templates = UnitTemplates.of(random_vectors(MEMBERS, size=16))
    scan = scan_gallery(templates, 0.3, THRESHOLDS)
    fewer = find_operating_point(scan, templates, THRESHOLDS, 0.05, people=100)
    estimate = estimate_fpir_of_fewer(scan.degrees_at(0.2), scan.pairs.within(0.2), 100)
    row = next(row for row in fewer.rows if row.distance == 0.2)
    assert (row.fpir.value, row.fpir.low, row.fpir.high) == (estimate.value, estimate.low, estimate.high)
    more = find_operating_point(scan, templates, THRESHOLDS, 0.05, people=5_000)
    assert {row.fpir.basis for row in more.rows} == {Basis.REFUSED}
    assert {row.fpir.value for row in more.rows} == {None}
    assert more.recommended.point is None
    assert (fewer.people, more.people) == (100, 5_000)


def test_a_gallery_that_is_one_person_has_no_operating_point() -> None:
    templates = UnitTemplates.of(random_vectors(2))
    scan = scan_gallery(templates, 0.4, [0.4])
    with pytest.raises(ValueError, match="at least two"):
        find_operating_point(scan, templates, [0.4], 0.01, duplicates=[(0, 1)])
