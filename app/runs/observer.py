"""What a run tells while it goes on."""

from __future__ import annotations

from typing import Protocol

from app.planning.plan import Plan
from app.planning.rules import Rules
from app.records import Outcome, Stored


class Observer(Protocol):
    """Is told what happens and steers nothing."""

    def checking(self, done: int, total: int) -> None: ...

    def planned(self, plan: Plan, rules: Rules) -> None: ...

    def begin(self, pending: int, current: int) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...

    def withdrawn(self, outcome: Stored) -> None: ...

    def download(self, name: str, done: int, total: int) -> None: ...
