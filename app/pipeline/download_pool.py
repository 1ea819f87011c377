"""A pool for downloads in which one that takes far longer than the others holds up none of them.

A download that stalls frees its slot for the next one and goes on beside it. It stalls when it has taken twice the
usual time, in which nine of ten arrive: if 15 of 200 hang, each holds a slot for two turns, which is 15 % of all turns.
If all downloads are slow, or every fifth, because of the line or a busy server, twice the usual time is long, and only
the slots are used.
"""

from __future__ import annotations

import threading
from collections import deque

from app.core.worker_threads import Task, WorkerPool

USUAL_TIMES = 2
USUAL_PART = 0.9  # of the last downloads, that the usual time was enough for
USUAL_OF = 31  # last downloads
# Beside the slots: what a dozen visitors' browsers would open. It is reached only after as many photos arrived; of a
# server that has sent none yet the run requests at most twice the slots.
MAX_STALLED = 64


class DownloadPool(WorkerPool):
    """Downloads in `slots` threads; none stalls before `stall_s`."""

    def __init__(self, slots: int, stall_s: float) -> None:
        super().__init__(slots)
        self._stall_s = stall_s
        self._allowed = slots
        self._took_s: deque[float] = deque(maxlen=USUAL_OF)
        self._took_lock = threading.Lock()
        self._stalled: list[Task] = []

    def went_well(self, seconds: float) -> None:
        """Count a photo that arrived after that time. Any thread may call this."""
        with self._took_lock:
            self._took_s.append(seconds)
            self._allowed = min(MAX_STALLED, self._allowed + 1)

    def make_room(self) -> int:
        """Free the slots of downloads that stall; return how many go on beside the slots."""
        with self._took_lock:
            took_s = sorted(self._took_s) or [0.0]
        patience_s = max(self._stall_s, USUAL_TIMES * took_s[int(USUAL_PART * len(took_s))])
        self._stalled = [task for task in self._stalled if not task.is_done]
        for task in self.slow(patience_s):
            if len(self._stalled) < self._allowed and self.replace(task):
                self._stalled.append(task)
        return len(self._stalled)

    def hanging(self, seconds: float) -> list[Task]:
        """List the downloads, stalled or not, that have taken longer than that."""
        return [task for task in self._stalled if task.has_taken(seconds)] + self.slow(seconds)

    def give_up(self, task: Task) -> bool:
        """Stop waiting for the download, stalled or not. Return False if it is done."""
        if task in self._stalled:
            self._stalled.remove(task)
        return super().give_up(task)
