from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app.core.spool import SpoolFile
from app.planning.decisions import KNOWN_FAILURE, REACTIVATE, UNCHANGED, Case, Decision
from app.planning.settled import PLACES, Settled, is_settled
from app.records import CrashSuspect, CrewMember, PhotoRecord
from tests.planning.test_decisions import NOW, ROW

ANA = CrewMember("1", "a.jpg", "Ana Peña")
SEEN = PhotoRecord("u", sha256="aa", checked_at=NOW)
CASE = Case(ANA, "u", ROW, SEEN)


def test_of_a_member_whose_row_and_photo_are_as_they_should_be_only_the_name_is_kept() -> None:
    assert is_settled(Decision(UNCHANGED, "la foto no ha cambiado", CASE))
    assert is_settled(Decision(UNCHANGED, "", replace(CASE, photo_record=None)))


@pytest.mark.parametrize(
    "decision",
    [
        Decision(KNOWN_FAILURE, "", CASE),
        Decision(REACTIVATE, "", CASE),
        Decision(UNCHANGED, "", replace(CASE, enrolment=None)),
        Decision(UNCHANGED, "", replace(CASE, enrolment=replace(ROW, known=False))),  # to be adopted
        Decision(UNCHANGED, "", replace(CASE, enrolment=replace(ROW, active_ids=(7, 8)))),  # one is to be deactivated
        Decision(UNCHANGED, "", replace(CASE, enrolment=replace(ROW, active_ids=()))),
        Decision(UNCHANGED, "", replace(CASE, suspect=CrashSuspect("u", 1))),  # its mark is to be removed
        Decision(UNCHANGED, "", replace(CASE, photo_record=replace(SEEN, code="no_face"))),  # ... and this failure
        Decision(UNCHANGED, "", replace(CASE, photo_record=replace(SEEN, left_at=NOW - timedelta(1)))),  # and this date
        Decision(UNCHANGED, "", replace(CASE, photo_record=replace(SEEN, improvable="Sharpness"))),  # HR sees it
    ],
)
def test_what_the_run_has_to_do_or_to_say_is_kept(decision: Decision) -> None:
    assert not is_settled(decision)


def test_the_settled_come_in_the_roster_s_order_in_whichever_they_were_found(tmp_path: Path) -> None:
    settled, places = Settled(SpoolFile(tmp_path)), list(range(0, 3 * PLACES, 2))
    random.Random(6).shuffle(places)  # noqa: S311
    for place in places:
        settled.add(place, Decision(UNCHANGED, f"{place}", replace(CASE, member=CrewMember(f"{place}", "a.jpg"))))
    expected = [(CrewMember(f"{place}", "a.jpg"), f"{place}") for place in sorted(places)]
    assert (list(settled), list(settled), len(settled)) == (expected, expected, len(places))
