"""Downloads side by side, a few at a time: what to fetch comes in; what takes far longer than the others holds up none.

A download that stalls gives its place to the next one and goes on beside it. It stalls when it has taken twice as long
as the usual one: were 15 in 200 to hang, each would hold a place for two turns, which is 15 % of all turns. Where all
are slow, since the line is thin or the server busy, twice the usual is long, and no more than the places are used.
"""

from __future__ import annotations

import threading
from collections import deque
from statistics import median

from app.core.worker_threads import Task, WorkerPool

USUAL_TIMES = 2
USUAL_OF = 31  # the last so many downloads: the line of the moment
# Beside the places: what a dozen visitors' browsers would open. It is reached only after as many photos came well; a
# server that has sent none yet is asked for twice the places at most.
MAX_STALLED = 64


class DownloadPool:
    """`places` at a time; no download stalls before `stall_s`."""

    def __init__(self, places: int, stall_s: float) -> None:
        self._pool = WorkerPool(places)
        self._stall_s = stall_s
        self._allowed = places
        self._took_s: deque[float] = deque(maxlen=USUAL_OF)
        self._guard = threading.Lock()
        self._stalled: list[Task] = []

    def start(self, download: Task) -> None:
        self._pool.hand(download)

    def went_well(self, seconds: float) -> None:
        """One more photo came, in that time. Called from any thread."""
        with self._guard:
            self._took_s.append(seconds)
            self._allowed = min(MAX_STALLED, self._allowed + 1)

    def make_room(self) -> int:
        """Let what stalls go on beside the others; returns how many do."""
        self._stalled = [task for task in self._stalled if not task.is_done]
        for task in self._pool.slow(self._patience_s()):
            if len(self._stalled) < self._allowed and self._pool.replace(task):
                self._stalled.append(task)
        return len(self._stalled)

    def hanging(self, seconds: float) -> list[Task]:
        """Those that have taken longer than that, which no download does by itself."""
        return [task for task in self._stalled if task.has_taken(seconds)] + self._pool.slow(seconds)

    def give_up(self, task: Task) -> bool:
        """It no longer counts. False: it is done."""
        if task in self._stalled:
            self._stalled.remove(task)
        return self._pool.give_up(task)

    @property
    def given_up(self) -> int:
        return self._pool.given_up

    def dismiss(self) -> None:
        """No more of them; those under way go on by themselves."""
        self._pool.stop()

    def _patience_s(self) -> float:
        with self._guard:
            return max(self._stall_s, USUAL_TIMES * median(self._took_s or (0.0,)))
