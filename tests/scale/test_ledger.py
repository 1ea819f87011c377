"""Who of a run's members is where, without a cluster."""

from __future__ import annotations

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


def lose_often(ledger: Ledger, times: int = SUSPECT_AFTER) -> None:
    """Lose the worker that has the first two."""
    for _ in range(times):
        assert crew_ids(ledger.take("a", 2)) == ["0", "1"]
        ledger.lose("a")


def test_the_members_of_a_lost_worker_come_first_and_suspects_last_and_alone_on_a_worker() -> None:
    ledger = Ledger(decisions(5))
    lose_often(ledger)
    assert crew_ids(ledger.take("a", 9)) == ["2", "3", "4"]
    assert ledger.take("a", 9) == []
    taken = ledger.take("b", 9)
    assert (crew_ids(taken), taken[0].suspect) == (["0"], True)
    assert ledger.take("b", 9) == []
    assert crew_ids(ledger.take("c", 9)) == ["1"]
    for worker, number in zip("aaabc", (2, 3, 4, 0, 1), strict=True):
        assert ledger.settle(worker, number) is not None
    assert (ledger.take_given_up(), ledger.is_idle) == ([], True)


def test_who_ends_two_more_workers_alone_gets_no_other_try_and_their_neighbour_is_done() -> None:
    ledger = Ledger(decisions(2))
    lose_often(ledger)
    assert (crew_ids(ledger.take("a", 9)), crew_ids(ledger.take("b", 9))) == (["0"], ["1"])
    ledger.settle("b", 1)
    ledger.lose("a")
    assert ledger.take_given_up() == []
    assert crew_ids(ledger.take("a", 9)) == ["0"]
    ledger.lose("a")
    assert [entry.decision.member.crew_id for entry in ledger.take_given_up()] == ["0"]
    assert ledger.is_idle


def test_while_nobody_is_done_it_may_be_the_nodes_and_nobody_is_given_up() -> None:
    ledger = Ledger(decisions(3))
    lose_often(ledger)
    ledger.take("b", 1)
    for _ in range(2 * (SET_ASIDE_AFTER - SUSPECT_AFTER)):
        ledger.take("a", 9)
        ledger.lose("a")
    assert (ledger.take_given_up(), ledger.is_idle) == ([], False)
    ledger.settle("b", 2)
    assert [entry.decision.member.crew_id for entry in ledger.take_given_up()] == ["0", "1"]
    assert ledger.is_idle


def test_the_members_of_a_worker_who_is_recalled_have_lost_nothing() -> None:
    ledger = Ledger(decisions(3))
    for _ in range(SET_ASIDE_AFTER + 1):
        assert crew_ids(ledger.take("a", 2)) == ["0", "1"]
        ledger.recall("a")
    assert crew_ids(ledger.take("b", 9)) == ["0", "1", "2"]


def test_the_last_member_of_all_needs_nobody_else() -> None:
    ledger = Ledger(decisions(1))
    for _ in range(SET_ASIDE_AFTER):
        assert crew_ids(ledger.take("a", 9)) == ["0"]
        assert ledger.take_given_up() == []
        ledger.lose("a")
    assert [entry.decision.member.crew_id for entry in ledger.take_given_up()] == ["0"]


def test_those_who_are_to_go_alone_go_to_a_worker_one_after_the_other() -> None:
    ledger = Ledger(decisions(3), alone=True)
    first = ledger.take("a", 9)
    assert (crew_ids(first), first[0].suspect) == (["0"], True)
    assert ledger.take("a", 9) == []
    assert crew_ids(ledger.take("b", 9)) == ["1"]
    ledger.settle("a", 0)
    assert crew_ids(ledger.take("a", 9)) == ["2"]


def test_the_rest_is_everybody_without_an_outcome() -> None:
    ledger = Ledger(decisions(7))
    lose_often(ledger)
    ledger.take("a", 3)
    ledger.settle("a", 3)
    assert sorted(each.member.crew_id for each in ledger.rest()) == ["0", "1", "2", "4", "5", "6"]
    assert list(ledger.rest()) == []
