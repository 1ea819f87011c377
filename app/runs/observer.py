"""What a run tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable
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


class Observers:
    """Stands for a list of observers: each method of `Observer` is called on all of them, in their order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def __getattr__(self, name: str) -> Callable[..., None]:
        methods = [getattr(observer, name) for observer in self._observers]

        def call_each(*values: object) -> None:
            for method in methods:
                method(*values)

        return call_each
