"""Run the same function in several threads at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

THREADS = 4


def all_at_once(work: Callable[[], object]) -> list[BaseException]:
    """Run `work` in four threads at once; return the exceptions that they raised."""
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
