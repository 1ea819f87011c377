from __future__ import annotations

from app.runs.context import Observers


class Noting:
    """Notes its name and what it is called with."""

    def __init__(self, name: str, notes: list[tuple[str, int, int]]) -> None:
        self._name, self._notes = name, notes

    def checking(self, done: int, total: int) -> None:
        self._notes.append((self._name, done, total))


def test_each_observer_is_called_in_order() -> None:
    notes: list[tuple[str, int, int]] = []
    observers = Observers(Noting("first", notes), Noting("second", notes))  # type: ignore[arg-type]
    observers.checking(1, 2)
    assert notes == [("first", 1, 2), ("second", 1, 2)]
