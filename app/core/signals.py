"""Stop the program in good order after a signal, or when its time is over."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

# A terminal sends SIGHUP when its window is closed; Windows has no such signal.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass(slots=True)
class Stopper:
    """The signal handler: it sets `event` at the first signal and restores the signal's usual effect for the second."""

    event: threading.Event = field(default_factory=threading.Event)
    signal_number: int | None = None
    out_of_time: bool = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.signal_number = number
        self.event.set()
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    def expire(self) -> None:
        """Stop because the time is over."""
        self.out_of_time = True
        self.event.set()


@contextmanager
def stopping_on_signals(limit_s: float | None = None) -> Iterator[Stopper]:
    """Turn signals, and the end of `limit_s`, into a request to stop until the block ends. Signals that the caller
    ignores, as under nohup, stay ignored."""
    stopper = Stopper()
    handled = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stopper) for number in handled}
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
