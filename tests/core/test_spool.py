from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.core import spool
from app.core.spool import PARTS, Partition, Spool, SpoolFile

MANY = list(range(10 * spool.AT_ONCE + 1))


def test_a_spool_gives_its_items_in_their_order_as_often_as_wanted(tmp_path: Path) -> None:
    items = Spool[int](SpoolFile(tmp_path))
    for number in MANY:
        items.add(number)
    assert (list(items), list(items), len(items)) == (MANY, MANY, len(MANY))
    assert list(tmp_path.iterdir()) == []  # the file has no name that a dead run could leave behind


def test_spools_share_a_file_and_may_be_read_at_once_and_added_to(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path)
    one, other = Spool[int](file), Spool[int](file)
    for number in MANY:
        one.add(number)
        other.add(-number)
    assert [a + b for a, b in zip(one, other, strict=True)] == [0] * len(MANY)
    for number in MANY:
        one.add(number)
    assert list(one) == [*MANY, *MANY]


def test_few_items_need_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", None)
    items = Spool[int](SpoolFile())
    for number in range(spool.AT_ONCE - 1):
        items.add(number)
    assert list(items) == MANY[: spool.AT_ONCE - 1]


@pytest.mark.parametrize("room", [None, 0, 40])
def test_what_the_disk_does_not_take_stays_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, room: int | None
) -> None:
    """Not at all, or only in part, as on a disk that is full; later there is room again."""
    write, items = os.pwrite, Spool[int](SpoolFile(tmp_path))

    def write_a_part(file: int, content: bytes, start: int) -> int:
        if room is None:
            raise OSError
        return write(file, content[:room], start)

    third = len(MANY) // 3
    for number in MANY[:third]:
        items.add(number)
    with monkeypatch.context() as full:
        full.setattr("os.pwrite", write_a_part)
        for number in MANY[third : 2 * third]:
            items.add(number)
        assert list(items) == MANY[: 2 * third]
    for number in MANY[2 * third :]:
        items.add(number)
    assert list(items) == MANY


def test_without_the_folder_the_system_s_is_used_and_none_made(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "gone")
    place = file.put("value")
    assert place is not None and file.get(place) == "value"
    assert list(tmp_path.iterdir()) == []


def test_the_disk_is_not_filled_to_the_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Downloads need room in the same folder."""
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    monkeypatch.setattr(spool, "RESERVE_BYTES", 2 * free)
    file, items = SpoolFile(tmp_path), Spool[int](SpoolFile(tmp_path))
    assert file.put("value") is None
    for number in MANY:
        items.add(number)
    assert list(items) == MANY


def test_all_items_of_a_member_are_in_one_part_in_their_order(tmp_path: Path) -> None:
    crew_ids = [f"{number}" for number in range(1000)]
    one, other = Partition[tuple[str, int]](SpoolFile(tmp_path)), Partition[str](SpoolFile(tmp_path))
    for turn in range(3):
        for crew_id in crew_ids:
            one.add(crew_id, (crew_id, turn))
    for crew_id in reversed(crew_ids):
        other.add(crew_id, crew_id)
    assert (len(one), len(list(one))) == (3000, PARTS)
    for mine, same in zip(one, other, strict=True):
        those = sorted(same)
        assert sorted(mine) == [(crew_id, turn) for crew_id in those for turn in range(3)]
        assert [turn for _, turn in mine] == [turn for turn in range(3) for _ in those]
        assert 0 < len(those) < 100  # of 1000 in 32 parts


def test_an_id_may_hold_bytes_that_are_no_text() -> None:
    parts = Partition[str](SpoolFile())
    parts.add("\udcf1and\udcfa", "a folder's name")
    assert [list(part) for part in parts if len(part)] == [["a folder's name"]]
