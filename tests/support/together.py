"""The same thing done by several threads at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

THREADS = 4


def all_at_once(work: Callable[[], object]) -> list[BaseException]:
    """Four threads do `work`; what they raised."""
    errors: list[BaseException] = []
    together = threading.Barrier(THREADS)

    def take_part() -> None:
        together.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=take_part) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
