"""`face_attempts`: the marks that runs leave that end, die, or are still under way."""

from __future__ import annotations

import pytest

from app.core.database import Database
from app.gallery.crash_suspects import CrashSuspects
from app.gallery.tables import open_own_tables
from app.records import CrashSuspect
from tests.support.databases import Row, run_sql

FIRST, SECOND, THIRD = 1, 2, 3


@pytest.fixture
def attempts(database: Database) -> CrashSuspects:
    open_own_tables(database)
    return CrashSuspects(database)


def rows(database: Database) -> list[Row]:
    return sorted(run_sql(database, "SELECT crew_id, url, run_id, deaths FROM face_attempts"))


def test_who_is_under_way_is_in_the_table_and_goes_when_done(database: Database, attempts: CrashSuspects) -> None:
    attempts.begin({}, {}, FIRST)
    attempts.begin({"1": "u", "a": "v", "A": "w"}, {}, FIRST)
    assert rows(database) == [("1", "u", FIRST, 0), ("A", "w", FIRST, 0), ("a", "v", FIRST, 0)]
    attempts.done(["A", "1"])
    assert rows(database) == [("a", "v", FIRST, 0)]
    attempts.done([])
    assert rows(database) == [("a", "v", FIRST, 0)]


def test_who_is_under_way_in_a_run_that_lives_is_no_suspect(attempts: CrashSuspects) -> None:
    attempts.begin({"1": "u"}, {}, FIRST)
    assert attempts.suspects({FIRST, SECOND}) == {}
    assert attempts.suspects({SECOND}) == {"1": CrashSuspect("u", 1)}


def test_after_the_second_death_a_member_is_set_aside(database: Database, attempts: CrashSuspects) -> None:
    attempts.begin({"1": "u", "2": "v"}, {}, FIRST)
    attempts.done(["2"])
    once = attempts.suspects(set())
    assert once == {"1": CrashSuspect("u", 1)}
    assert not once["1"].is_quarantined
    attempts.begin({"1": "u", "2": "v"}, once, SECOND)
    assert rows(database) == [("1", "u", SECOND, 1), ("2", "v", SECOND, 0)]
    twice = attempts.suspects(set())
    assert twice == {"1": CrashSuspect("u", 2), "2": CrashSuspect("v", 1)}
    assert [twice[crew_id].is_quarantined for crew_id in ("1", "2")] == [True, False]


def test_a_death_is_counted_once_however_often_it_is_read(attempts: CrashSuspects) -> None:
    attempts.begin({"1": "u"}, {}, FIRST)
    assert [attempts.suspects(set()) for _ in range(3)] == [{"1": CrashSuspect("u", 1)}] * 3


def test_another_photo_is_under_no_suspicion(database: Database, attempts: CrashSuspects) -> None:
    attempts.begin({"1": "u"}, {}, FIRST)
    attempts.begin({"1": "w"}, attempts.suspects(set()), SECOND)
    assert rows(database) == [("1", "w", SECOND, 0)]


def test_a_run_that_ends_in_good_order_leaves_no_new_suspicion_and_keeps_the_old(
    database: Database, attempts: CrashSuspects
) -> None:
    attempts.begin({"1": "u"}, {}, FIRST)
    attempts.begin({"1": "u", "2": "v"}, attempts.suspects(set()), SECOND)
    attempts.begin({"3": "w"}, {}, THIRD)
    attempts.end(SECOND)
    assert rows(database) == [("1", "u", None, 1), ("3", "w", THIRD, 0)]
    assert attempts.suspects({THIRD}) == {"1": CrashSuspect("u", 1)}


def test_who_came_through_is_under_no_suspicion_any_more(attempts: CrashSuspects) -> None:
    attempts.begin({"1": "u"}, {}, FIRST)
    attempts.begin({"1": "u"}, attempts.suspects(set()), SECOND)
    attempts.done(["1"])
    assert attempts.suspects(set()) == {}


def test_who_takes_part_in_two_runs_at_once_belongs_to_the_latter_under_suspicion(
    database: Database, attempts: CrashSuspects
) -> None:
    attempts.begin({"1": "u"}, {}, FIRST)
    attempts.begin({"1": "u"}, {}, SECOND)
    attempts.end(FIRST)
    assert rows(database) == [("1", "u", SECOND, 1)]  # whether the first one lives cannot be known


def test_ids_too_long_and_bytes_that_are_no_text_do_no_harm(database: Database, attempts: CrashSuspects) -> None:
    odd = dict(zip(("x" * 191, "x" * 192, "\udcff", "\udcfe"), "uvww", strict=True))
    attempts.begin(odd, {}, FIRST)
    assert rows(database) == [("?", "w", FIRST, 0), ("x" * 191, "u", FIRST, 0)]
    attempts.begin({"x" * 192: "v"}, {}, FIRST)
    attempts.done(list(odd))
    assert rows(database) == []
