"""Signs of life of a long run: what an observer is told comes in, and every minute a line goes into the log."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from typing import Any

from app.core.periodic import periodic_task
from app.planning.plan import Plan
from app.planning.rules import Rules
from app.records import SKIPPED_INTERRUPTED, Outcome, Skipped, Stored

log = logging.getLogger(__name__)

EVERY_S = 60
SECONDS_PER_MINUTE = 60


class ProgressLog:
    """An observer before another one: it hands everything on, and counts. Used as a context manager."""

    def __init__(self, observer: Any, every_s: float = EVERY_S) -> None:
        self._observer = observer
        self._every_s = every_s
        self._what = ""
        self._done = self._total = self._before = 0
        self._since = time.monotonic()
        self._exit = ExitStack()

    def __enter__(self) -> ProgressLog:
        self._exit.enter_context(periodic_task(self._every_s, self.beat))
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def beat(self) -> None:
        """One line, when there is something under way."""
        if self._what and self._done < self._total:
            log.info("%s: van %d de %d; %s", self._what, self._done, self._total, self._pace())
            self._before = self._done

    def _pace(self) -> str:
        if self._done == self._before:
            return "ninguna desde la última línea"
        rate = self._done / max(time.monotonic() - self._since, 1e-9)
        left = (self._total - self._done) / rate / SECONDS_PER_MINUTE
        return f"{rate:.1f} por segundo; quedan unos {max(1, round(left))} min"

    def _begin(self, what: str, total: int) -> None:
        self._what, self._done, self._before, self._total = what, 0, 0, total
        self._since = time.monotonic()

    def checking(self, done: int, total: int) -> None:
        if not self._what:
            self._begin("Fotos comprobadas en el servidor", total)
        self._done = done
        self._observer.checking(done, total)

    def planned(self, plan: Plan, rules: Rules) -> None:
        self._observer.planned(plan, rules)

    def begin(self, pending: int, current: int) -> None:
        self._begin("Fotos procesadas", pending)
        self._observer.begin(pending, current)

    def outcome(self, outcome: Outcome) -> None:
        if not (isinstance(outcome, Skipped) and outcome.code == SKIPPED_INTERRUPTED):
            self._done += 1
        self._observer.outcome(outcome)

    def withdrawn(self, outcome: Stored) -> None:
        self._observer.withdrawn(outcome)

    def download(self, name: str, done: int, total: int) -> None:
        self._observer.download(name, done, total)
