"""What asks the program to stop: a signal, or the end of its time; it ends in good order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

# The last one is a terminal's, when its window is closed; Windows has none.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass(slots=True)
class Stopper:
    """Set by the first signal, or when the time is over; the second signal acts as if we were not there."""

    event: threading.Event = field(default_factory=threading.Event)
    signal_number: int | None = None
    out_of_time: bool = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        self.event.set()
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    def expire(self) -> None:
        """The time is over."""
        self.out_of_time = True
        self.event.set()


@contextmanager
def stopping_on_signals(limit_s: float | None = None) -> Iterator[Stopper]:
    """While inside, a signal, or the end of `limit_s`, asks the run to stop instead of killing it."""
    stopper = Stopper()
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup
    before = {number: signal.signal(number, stopper) for number in heeded}
    timer = threading.Timer(limit_s, stopper.expire) if limit_s is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield stopper
    finally:
        if timer is not None:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
