from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.records import (
    CrewMember,
    Failed,
    Outcome,
    Photo,
    PhotoAnalysis,
    Picture,
    QualityNote,
    Skipped,
    Stored,
    Version,
)
from app.reports.run_json import describe
from app.runs.outcomes import AT_ONCE, Outcomes

ANA, EVA, ZOE = (CrewMember(each, f"{each}.jpg") for each in ("1", "2", "3"))
ALL: list[Outcome] = [Stored(ANA, 7), Skipped(EVA, "current"), Failed(ZOE, "detect", "no_face")]


@pytest.fixture(autouse=True)
def _on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runs.outcomes.AT_ONCE", 1)


def seen(number: int) -> Stored:
    """Return an outcome with all that a run keeps of a photo."""
    member = CrewMember(str(number), f"{number}.jpg", "Ana Peña")
    photo = Photo(
        member, f"http://fotos/{number}.jpg", Path("a.jpg"), sha256=f"{number:064x}", version=Version("a", "b", 9)
    )
    marks, quality = np.full((5, 2), number, np.float32), np.full(18, number, np.float32)
    note = QualityNote("warn", "Sharpness", {f"component {place}": [number, place] for place in range(18)})
    picture = Picture(number, number.to_bytes(2, "big") * 288)
    analysis = PhotoAnalysis((640, 480), picture, 1, (1, 2, 3, number), marks, 0.9, "upright", quality, note, b"jpeg")
    return Stored(member, number, {"download": float(number), "store": 2.5}, analysis, photo)


def test_outcomes_are_found_by_crew_id_and_come_in_their_order(tmp_path: Path) -> None:
    outcomes = Outcomes(ALL, tmp_path)
    assert (list(outcomes), list(outcomes.crew_ids()), len(outcomes)) == (ALL, ["1", "2", "3"], 3)
    assert [outcomes.get(crew_id) for crew_id in ("2", "1", "unknown")] == [ALL[1], ALL[0], None]
    assert [list(outcomes.of(Stored)), list(outcomes.of(Skipped)), list(outcomes.of(Failed))] == [[x] for x in ALL]


def test_another_outcome_takes_the_place_of_a_member_s_first() -> None:
    outcomes, late = Outcomes(ALL), Failed(ANA, "detect", "shared_photo")
    outcomes.replace(late)
    assert list(outcomes) == [late, *ALL[1:]]


def test_no_member_has_two_outcomes() -> None:
    with pytest.raises(AssertionError, match="1 has an outcome already"):
        Outcomes(ALL).append(Skipped(ANA, "current"))


def test_what_was_seen_of_a_photo_comes_back_whole_while_more_outcomes_come(tmp_path: Path) -> None:
    outcomes = Outcomes(folder=tmp_path)
    for number in range(200):
        outcomes.append(seen(number))
        if number % 50 == 0:
            assert [each.member.crew_id for each in outcomes] == [str(one) for one in range(number + 1)]
    for number, outcome in enumerate(outcomes):
        expected = seen(number)
        assert (describe(outcome), outcome.photo) == (describe(expected), expected.photo)
        assert outcome.analysis is not None and expected.analysis is not None
        assert (outcome.analysis.thumbnail, outcome.analysis.picture) == (b"jpeg", expected.analysis.picture)
        np.testing.assert_array_equal(outcome.analysis.quality, expected.analysis.quality)
    assert list(tmp_path.iterdir()) == []  # the file has no name that a dead run could leave behind


def same(number: int) -> Skipped:
    """Return the outcome of a member whom the run has nothing to do with."""
    return Skipped(CrewMember(f"{number:06}", f"{number}.jpg", "Ana Peña"), "current")


@pytest.mark.parametrize("make", [seen, same])
def test_what_is_no_failure_takes_little_memory(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[int], Outcome]
) -> None:
    monkeypatch.setattr("app.runs.outcomes.AT_ONCE", AT_ONCE)
    outcomes = Outcomes()
    tracemalloc.start()
    try:
        outcomes.extend(map(make, range(10_000)))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / 10_000 < 160  # bytes; with the outcomes themselves 5,000 and 400


def test_the_numbers_are_those_of_the_outcomes() -> None:
    fetched = Skipped(EVA, "same_file", {"download": 2.0}, photo=seen(2).photo)
    outcomes = Outcomes(
        [replace(seen(9), member=ANA), fetched, Failed(ZOE, "detect", "no_face", "", {"download": 4.0})]
    )
    tally = outcomes.tally
    assert (tally.stored, +tally.skipped, +tally.downloaded) == (1, {"same_file": 1}, {"same_file": 1})
    assert ({**tally.taken_ms}, +tally.reached) == ({"download": 15.0, "store": 2.5}, {"download": 3, "store": 1})
    outcomes.replace(Failed(ANA, "detect", "shared_photo", "", {"download": 9.0}))
    outcomes.append(Skipped(CrewMember("4", ""), "current"))
    assert (tally.stored, +tally.skipped, +tally.downloaded) == (0, {"same_file": 1, "current": 1}, {"same_file": 1})
    assert ({**tally.taken_ms}, +tally.reached) == ({"download": 15.0, "store": 0.0}, {"download": 3})


@pytest.mark.parametrize("room", [None, 0, 40])
def test_where_the_file_cannot_be_written_outcomes_stay_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, room: int | None
) -> None:
    """Not at all, or only in part, as on a disk that is full."""
    write, all_three = os.pwrite, [seen(1), seen(2), Stored(ZOE, 3)]
    outcomes = Outcomes(all_three[:1], tmp_path)

    def write_a_part(file: int, content: bytes, start: int) -> int:
        if room is None:
            raise OSError
        return write(file, content[:room], start)

    with monkeypatch.context() as full:
        full.setattr("os.pwrite", write_a_part)
        outcomes.append(all_three[1])
    assert len(list(outcomes)) == 2
    outcomes.append(all_three[2])
    assert [describe(each) for each in outcomes] == [describe(each) for each in all_three]
    assert [each.embedding_id for each in outcomes.of(Stored)] == [1, 2, 3]


def test_outcomes_need_no_folder(tmp_path: Path) -> None:
    assert list(Outcomes(ALL, tmp_path / "gone")) == ALL
