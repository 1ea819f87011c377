"""Log every minute how far a long run is."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack

from app.core.spanish import SECONDS_PER_MINUTE
from app.core.worker_threads import periodic_task
from app.records import Outcome, is_interrupted

log = logging.getLogger(__name__)

EVERY_S = 60


class ProgressLog:
    """Counts what the run has done, and logs the count every `every_s` seconds until the `with` block ends."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._what = ""
        self._done = self._total = self._before = 0
        self._since = time.monotonic()
        self._exit = ExitStack()

    def __enter__(self) -> ProgressLog:
        self._exit.enter_context(periodic_task(self._every_s, self.write_line))
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def checking(self, done: int, total: int) -> None:
        if not self._what:
            self._begin("Preguntas al servidor de fotos", total)
        self._done = done

    def begin(self, pending: int, current: int) -> None:
        self._begin("Fotos procesadas", pending)

    def outcome(self, outcome: Outcome) -> None:
        if not is_interrupted(outcome):
            self._done += 1

    def planned(self, plan: object, rules: object) -> None: ...

    def withdrawn(self, outcome: object) -> None: ...

    def download(self, name: str, done: int, total: int) -> None: ...

    def notice(self, line: str) -> None: ...

    def write_line(self) -> None:
        """Log how far the run is, if members are under way."""
        if self._what and self._done < self._total:
            log.info("%s: van %d de %d; %s", self._what, self._done, self._total, self._pace())
            self._before = self._done

    def _begin(self, what: str, total: int) -> None:
        self._what, self._done, self._before, self._total = what, 0, 0, total
        self._since = time.monotonic()

    def _pace(self) -> str:
        if self._done == self._before:
            return "ninguna desde la última línea"
        rate = self._done / max(time.monotonic() - self._since, 1e-9)
        left = (self._total - self._done) / rate / SECONDS_PER_MINUTE
        return f"{rate:.1f} por segundo; quedan unos {max(1, round(left))} min"
