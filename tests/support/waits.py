"""An event that records waits instead of waiting, for tests of retries."""

from __future__ import annotations

import threading


class NotedWaits(threading.Event):
    """Stand in for the event that stops a run. `waits` holds the seconds of each pause."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None, "a pause without an end"
        self.waits.append(timeout)
        return self.is_set()
