from __future__ import annotations

import pytest

from app.records import CrewMember, Failed, Outcome, Skipped, Stored
from app.runs.outcomes import Outcomes

ANA, EVA, ZOE = (CrewMember(each, f"{each}.jpg") for each in ("1", "2", "3"))
ALL: list[Outcome] = [Stored(ANA, 7), Skipped(EVA, "current"), Failed(ZOE, "detect", "no_face")]


def test_outcomes_are_found_by_crew_id_and_come_in_their_order() -> None:
    outcomes = Outcomes(ALL)
    assert (list(outcomes), len(outcomes)) == (ALL, 3)
    assert [outcomes.get(crew_id) for crew_id in ("2", "unknown")] == [ALL[1], None]


def test_another_outcome_takes_the_place_of_a_member_s_first() -> None:
    outcomes, late = Outcomes(ALL), Failed(ANA, "detect", "shared_photo")
    outcomes.replace(late)
    assert list(outcomes) == [late, *ALL[1:]]


def test_no_member_has_two_outcomes() -> None:
    with pytest.raises(AssertionError, match="1 has an outcome already"):
        Outcomes(ALL).append(Skipped(ANA, "current"))
