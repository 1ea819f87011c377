"""An event that notes how long it was asked to wait, and does not wait: retries without their pauses."""

from __future__ import annotations

import threading


class NotedWaits(threading.Event):
    """Stands for the event that stops a run. `waits` holds the seconds of each pause."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None, "a pause without an end"
        self.waits.append(timeout)
        return self.is_set()
