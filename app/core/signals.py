"""Signals that ask the program to stop: a run in good order instead of a death in the middle."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


@dataclass(slots=True)
class Stopper:
    """Set by the first SIGINT or SIGTERM; the second one acts as if we were not there."""

    event: threading.Event = field(default_factory=threading.Event)
    signal_number: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        self.event.set()
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)


@contextmanager
def stopping_on_signals() -> Iterator[Stopper]:
    """While inside, a signal asks the run to stop instead of killing it."""
    stopper = Stopper()
    before = {number: signal.signal(number, stopper) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopper
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
