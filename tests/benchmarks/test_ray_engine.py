"""Test the parts of `ray_engine` that need no cluster: what it computes of a run, and its verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.pipeline.work_item import Processed
from app.records import SKIPPED_INTERRUPTED, Failed, Skipped
from benchmarks.front_door import ProgramRun
from benchmarks.processes import Finished
from benchmarks.ray_engine import Row, compare, print_table
from benchmarks.ray_memory import Curve, draw_members, follow
from benchmarks.ray_runs import ENGINES, curve_of, first_outcome_s, in_turns, name_members, rate_between
from benchmarks.scale import PHOTO, write_small_portrait
from tests.conftest import MakeSettings
from tests.support.webserver import Handler


def run_that_stored(*at_s: float) -> ProgramRun:
    return ProgramRun(Finished(1000.0, 30.0, 1.0, 1.0, 0), {"summary": {"total": len(at_s)}}, list(at_s))


def test_the_rate_leaves_out_a_slow_start_and_a_slow_end() -> None:
    steady = [100.0 + number / 4 for number in range(81)]
    assert rate_between([*[0.0] * 10, *steady, *[999.0] * 10]) == pytest.approx(4.0)


def test_the_first_outcome_counts_from_the_start_of_the_process() -> None:
    assert first_outcome_s(run_that_stored(1012.5, 1009.0, 1020.0)) == 9.0


def test_the_engines_take_turns_in_going_first() -> None:
    assert [in_turns(number) for number in range(3)] == [ENGINES, ENGINES[::-1], ENGINES]


def test_no_member_s_name_makes_the_server_misbehave() -> None:
    names = name_members(1000)
    assert len(set(names)) == 1000
    assert set(names).isdisjoint(Handler.ROUTES)


def test_a_whole_run_s_memory_is_read_at_each_tenth_of_its_members(tmp_path: Path) -> None:
    file = tmp_path / "memory.txt"
    file.write_text("".join(f"{second}.0 {100 + second}.0\n" for second in range(31)))
    curve = curve_of(file, run_that_stored(*(1010.0 + number for number in range(11))))
    assert curve == Curve(11, 10.0, 100.0, [109.0 + number for number in range(11)], {"Stored": 11})


def test_a_curve_tells_what_comes_with_the_start_from_what_grows() -> None:
    curve = Curve(10, 1.0, 100.0, [115.0, 117.0, *[118.0] * 8, 119.5], {})
    assert (curve.above_start_mb, curve.growth_mb) == (19.5, 2.5)


def test_members_are_drawn_one_by_one_and_each_finds_the_photo(make_settings: MakeSettings, tmp_path: Path) -> None:
    write_small_portrait(tmp_path / "photos")
    folder = tmp_path / "members"
    folder.mkdir()
    members = draw_members(make_settings(IMAGE_BASE_URL=folder.as_uri()), folder, 1_000_000)
    drawn = [next(members).member for _ in range(3)]
    assert len(list(folder.iterdir())) == 3
    assert {(folder / member.crew_id / PHOTO).resolve() for member in drawn} == {tmp_path / "photos" / PHOTO}


def test_results_are_counted_and_the_memory_is_read_at_each_tenth(make_settings: MakeSettings, tmp_path: Path) -> None:
    decisions = list(draw_members(make_settings(IMAGE_BASE_URL="file:///"), tmp_path, 40))
    bad = [Processed(each, Failed(each.member, "detect", "no_face")) for each in decisions[:7]]
    left = [Processed(each, Skipped(each.member, SKIPPED_INTERRUPTED)) for each in decisions[7:]]
    tenths_mb, results = follow([bad, left], len(decisions))
    assert len(tenths_mb) == 11
    assert results == {"Failed": 7, "Skipped": 33}


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row("a", 1.1, 1.1, ""), "reached"),
        (Row("a", 1.2, 1.1, ""), "NOT REACHED"),
        (Row("a", 3.4, 3.4, "", at_least=True), "reached"),
        (Row("a", 3.3, 3.4, "", at_least=True), "NOT REACHED"),
        (Row("a", 9.9, None, ""), ""),
    ],
)
def test_a_figure_is_compared_with_its_goal(row: Row, verdict: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert row.verdict == verdict
    print_table([row])
    assert verdict in capsys.readouterr().out


def test_the_middle_of_the_rounds_ratios_counts() -> None:
    row = compare("a", [(10.0, 11.0), (10.0, 30.0), (20.0, 21.0)], 1.2, "s")
    assert (row.measured, row.details) == (1.1, "Ray/local, s: 11.0/10.0, 30.0/10.0, 21.0/20.0")
