"""When a node is to blame for its failures, without a cluster."""

from __future__ import annotations

from app.errors import NoFace, PhotoNotFound
from app.pipeline.work_item import Processed
from app.planning.decisions import NEW, Case, Decision
from app.records import CrewMember, Failed, Skipped
from app.scale.ledger import Entry
from app.scale.probation import FIRST, Probation

ONE, OTHER = "one", "other"
BOTH = {ONE, OTHER}


def failed(number: int, *, recalled: bool = False) -> tuple[Entry, Processed]:
    member = CrewMember(str(number), "a.jpg")
    decision = Decision(NEW, "", Case(member, ""))
    result = Failed(member, PhotoNotFound.stage, PhotoNotFound.code, NoFace.title, recalled=recalled)
    return Entry(number, decision), Processed(decision, result)


def fine(number: int) -> tuple[Entry, Processed]:
    entry, _ = failed(number)
    return entry, Processed(entry.decision, Skipped(entry.decision.member, "same_file"))


def admit(probation: Probation, node: str, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        probation.admit(node, *failed(number))


def admit_to(probation: Probation, node: str, held: tuple[Entry, Processed]) -> None:
    probation.admit(node, *held)
    assert list(probation.release(BOTH))[-1] is held[1]


def test_failures_of_a_node_that_has_shown_nothing_else_are_held_back() -> None:
    probation = Probation()
    admit(probation, ONE, 3)
    assert list(probation.release(BOTH)) == []
    assert (probation.held(ONE), probation.is_suspended(ONE)) == (3, False)


def test_a_good_result_releases_them_and_all_that_follow() -> None:
    probation = Probation()
    admit(probation, ONE, 3)
    probation.admit(ONE, *fine(3))
    assert [each.decision.member.crew_id for each in probation.release(BOTH)] == ["0", "1", "2", "3"]
    admit(probation, ONE, FIRST, start=4)
    assert len(list(probation.release(BOTH))) == FIRST
    assert not probation.is_suspended(ONE)


def test_a_node_whose_first_results_all_fail_is_condemned_once_another_shows_better() -> None:
    probation = Probation()
    admit(probation, ONE, FIRST)
    assert probation.is_suspended(ONE)
    assert probation.condemned() == []
    assert probation.accuse() == []
    probation.admit(OTHER, *fine(100))
    assert [entry.number for entry in probation.accuse()] == list(range(FIRST))
    assert (probation.held(ONE), probation.is_suspended(ONE)) == (0, True)
    for number in range(FIRST // 2):
        assert probation.condemned() == []
        admit_to(probation, OTHER, fine(number))
    assert probation.condemned() == [ONE]
    assert probation.condemned() == []


def test_a_node_whose_failures_fail_elsewhere_too_is_acquitted() -> None:
    """A day's new people without a photo, or people who are tried again, one after the other."""
    probation = Probation()
    probation.admit(OTHER, *fine(100))
    admit(probation, ONE, FIRST)
    assert len(probation.accuse()) == FIRST
    admit(probation, ONE, 2, start=FIRST)  # they were under way there
    assert [entry.number for entry in probation.accuse()] == [FIRST, FIRST + 1]
    for number in range(FIRST // 2 + 2):  # more than half of all 22
        assert probation.is_suspended(ONE)
        admit_to(probation, OTHER, failed(number))
    assert not probation.is_suspended(ONE)
    assert probation.condemned() == []


def test_what_fails_on_another_node_that_shows_nothing_good_acquits_nobody() -> None:
    """Two nodes of three are to blame."""
    probation, three = Probation(), {ONE, OTHER, "third"}
    probation.admit("third", *fine(100))
    admit(probation, ONE, FIRST)
    assert len(probation.accuse()) == FIRST
    admit(probation, OTHER, FIRST)  # the same members
    assert len(list(probation.release(three))) == 1
    assert len(probation.accuse()) == FIRST
    for number in range(FIRST):
        probation.admit("third", *fine(number))
    assert len(list(probation.release(three))) == FIRST
    assert probation.condemned() == [ONE, OTHER]


def test_a_good_result_that_was_under_way_acquits() -> None:
    probation = Probation()
    probation.admit(OTHER, *fine(100))
    admit(probation, ONE, FIRST)
    probation.accuse()
    probation.admit(ONE, *fine(FIRST))
    assert not probation.is_suspended(ONE)
    assert len(list(probation.release(BOTH))) == 2


def test_a_node_on_trial_goes_on_when_it_is_the_last() -> None:
    probation = Probation()
    probation.admit(OTHER, *fine(100))
    admit(probation, ONE, FIRST)
    probation.accuse()
    assert len(list(probation.release({ONE}))) == 1
    assert not probation.is_suspended(ONE)


def test_where_all_nodes_fail_alike_the_photos_are_to_blame() -> None:
    probation = Probation()
    admit(probation, ONE, FIRST)
    admit(probation, OTHER, FIRST, start=FIRST)
    assert len(list(probation.release(BOTH))) == 2 * FIRST
    assert probation.accuse() == probation.condemned() == []


def test_a_node_alone_is_compared_with_nobody() -> None:
    probation = Probation()
    admit(probation, ONE, 2)
    assert len(list(probation.release({ONE}))) == 2


def test_a_recalled_failure_says_that_the_node_works() -> None:
    probation = Probation()
    probation.admit(ONE, *failed(0, recalled=True))
    assert len(list(probation.release(BOTH))) == 1


def test_at_the_end_everything_is_released() -> None:
    probation = Probation()
    admit(probation, ONE, 2)
    assert len(list(probation.release_all())) == 2
    assert list(probation.release_all()) == []
