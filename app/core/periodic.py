"""Something done every so often while something else goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def pulsing(every_s: float, beat: Callable[[], object]) -> Iterator[None]:
    """While inside, `beat` is called every so often in a thread of its own; what it raises goes into the log."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(every_s):
            try:
                beat()
            except Exception:
                log.exception("Falló una tarea periódica")

    thread = threading.Thread(target=go_on, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
