"""How many downloads are under way at once, and which of them give their place to others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.core.worker_threads import Task
from app.pipeline.download_pool import MAX_STALLED, DownloadPool

PLACES, STALL_S, PATIENCE_S = 2, 0.02, 20


class Line:
    """Downloads that end when they are told to."""

    def __init__(self, count: int) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.ends = [threading.Event() for _ in range(count)]
        self.downloads = DownloadPool(PLACES, STALL_S)
        for number in range(count):
            self.downloads.hand(Task(lambda number=number: self._fetch(number), lambda _: None))  # type: ignore[misc]

    def _fetch(self, number: int) -> None:
        self.begun.append(number)
        assert self.ends[number].wait(60)
        self.ended.append(number)

    def watch(self, until: Callable[[], bool]) -> int:
        """What the pipeline's thread does; returns how many stall."""
        give_up_at = time.monotonic() + PATIENCE_S
        while not until():
            assert time.monotonic() < give_up_at
            stalled = self.downloads.make_room()
            time.sleep(0.005)
        return stalled

    def watch_for(self, seconds: float) -> int:
        end = time.monotonic() + seconds
        return self.watch(lambda: time.monotonic() > end)


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line(100)
    yield line
    line.downloads.stop()
    for end in line.ends:
        end.set()


def test_a_server_that_has_sent_nothing_yet_is_asked_for_twice_the_places_at_most(line: Line) -> None:
    line.watch(lambda: len(line.begun) == 2 * PLACES)
    assert line.watch_for(0.2) == PLACES
    assert line.begun == [0, 1, 2, 3]


def test_each_photo_that_came_well_lets_one_more_stall_up_to_a_limit(line: Line) -> None:
    for _ in range(3):
        line.downloads.went_well(0.001)
    line.watch(lambda: len(line.begun) == 2 * PLACES + 3)
    assert line.watch_for(0.2) == PLACES + 3
    assert len(line.begun) == 2 * PLACES + 3
    for _ in range(1000):
        line.downloads.went_well(0.001)
    line.watch(lambda: len(line.begun) == MAX_STALLED + PLACES)
    assert line.watch_for(0.1) == MAX_STALLED
    assert len(line.begun) == MAX_STALLED + PLACES


def test_where_all_are_slow_none_of_them_stalls(line: Line) -> None:
    line.downloads.went_well(100.0)
    assert line.watch_for(0.3) == 0
    assert line.begun == [0, 1]


def test_where_every_fifth_is_slow_those_do_not_stall(line: Line) -> None:
    for number in range(31):
        line.downloads.went_well(100.0 if number % 5 == 0 else 0.001)
    assert line.watch_for(0.3) == 0
    assert line.begun == [0, 1]


def test_what_is_usual_is_told_by_the_last_downloads_and_not_by_the_odd_one(line: Line) -> None:
    for seconds in [100.0] * 31 + [0.001] * 28 + [1000.0] * 3:
        line.downloads.went_well(seconds)
    line.watch(lambda: len(line.begun) > PLACES)


def test_a_stalled_download_that_ends_makes_room_for_another_one_to_stall_but_not_for_another_thread(
    line: Line,
) -> None:
    line.watch(lambda: len(line.begun) == 2 * PLACES)
    line.ends[0].set()
    line.watch(lambda: len(line.begun) == 2 * PLACES + 1)
    assert line.watch_for(0.1) == PLACES
    assert (line.begun, line.ended) == ([0, 1, 2, 3, 4], [0])
