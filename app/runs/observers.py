"""Several observers of one run."""

from __future__ import annotations

from collections.abc import Callable

from app.runs.context import Observer


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
