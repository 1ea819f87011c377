"""Who of a run's members is where, without a cluster."""

from __future__ import annotations

import itertools
import pickle

from app.planning.decisions import NEW, Case, Decision
from app.records import CrewMember
from app.scale.ledger import SET_ASIDE_AFTER, SUSPECT_AFTER, Ledger
from app.scale.messages import Assignment


def decisions(count: int) -> list[Decision]:
    return [Decision(NEW, "", Case(CrewMember(str(number), "a.jpg"), "")) for number in range(count)]


def crew_ids(taken: list[Assignment]) -> list[str]:
    return [pickle.loads(each.decision).member.crew_id for each in taken]  # noqa: S301  # our own


def test_members_are_given_out_in_their_order_as_workers_have_room() -> None:
    ledger = Ledger(decisions(7))
    assert [crew_ids(ledger.take(worker, 3)) for worker in "aba"] == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert ledger.take("b", 3) == []
    assert (ledger.load("a"), ledger.load("b"), ledger.is_idle) == (4, 3, False)


def test_no_more_members_are_drawn_than_a_worker_has_room_for() -> None:
    drawn: list[Decision] = []
    ledger = Ledger(drawn.append(each) or each for each in decisions(9))  # type: ignore[func-returns-value]
    ledger.take("a", 4)
    assert len(drawn) == 4
    ledger.take("a", 0)
    assert len(drawn) == 4


def test_a_member_is_settled_once_and_only_by_the_worker_who_has_it() -> None:
    ledger = Ledger(decisions(2))
    ledger.take("a", 2)
    ledger.lose("a")
    ledger.take("b", 2)
    assert ledger.settle("a", 0) is None
    entry = ledger.settle("b", 0)
    assert entry is not None
    assert entry.decision.member.crew_id == "0"
    assert ledger.settle("b", 0) is None
    assert ledger.settle("b", 1) is not None
    assert ledger.take("a", 1) == []
    assert ledger.is_idle


def test_the_members_of_a_lost_worker_come_first_then_alone_and_at_last_not_again() -> None:
    ledger = Ledger(decisions(3))
    for loss in itertools.count(1):
        taken = ledger.take("a", 2)
        assert crew_ids(taken) == ["0", "1"]
        assert [each.suspect for each in taken] == [loss > SUSPECT_AFTER] * 2
        given_up = ledger.lose("a")
        if given_up:
            break
    assert (loss, [each.decision.member.crew_id for each in given_up]) == (SET_ASIDE_AFTER, ["0", "1"])
    assert crew_ids(ledger.take("a", 9)) == ["2"]


def test_who_is_to_go_alone_is_a_suspect_from_the_start() -> None:
    assert [each.suspect for each in Ledger(decisions(1), alone=True).take("a", 1)] == [True]


def test_the_rest_is_everybody_without_an_outcome() -> None:
    ledger = Ledger(decisions(5))
    ledger.take("a", 3)
    ledger.settle("a", 1)
    assert sorted(each.member.crew_id for each in ledger.rest()) == ["0", "2", "3", "4"]
    assert list(ledger.rest()) == []
