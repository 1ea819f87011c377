"""Repeat a task at intervals while the caller does something else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def periodic_task(every_s: float, task: Callable[[], object]) -> Iterator[None]:
    """Call `task` at this interval, in a thread of its own, until the block ends. Its errors go into the log."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(every_s):
            try:
                task()
            except Exception:
                log.exception("Falló una tarea periódica")

    thread = threading.Thread(target=repeat, name="periodic", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
