"""Who of a run's members is where: waiting, under way at a worker, held back, or decided. Each is decided once."""

from __future__ import annotations

import itertools
import pickle
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.planning.decisions import Decision
from app.scale.messages import Assignment

SUSPECT_AFTER = 3  # workers lost while it was under way: with one machine that is no chance any more
SET_ASIDE_AFTER = SUSPECT_AFTER + 2  # the last two alone, like those whose process dies


@dataclass(slots=True)
class Entry:
    """A member that has left the queue and has no outcome yet. `worker` has it now; `losses` of others that had it."""

    number: int
    decision: Decision
    suspect: bool
    losses: int = 0
    worker: str = ""


class Ledger:
    """The members of one run. Only those under way take memory, so that a million of them do not."""

    def __init__(self, decisions: Iterable[Decision], *, alone: bool = False) -> None:
        self._coming = (Entry(number, each, alone) for number, each in enumerate(decisions))
        self._returned: deque[Entry] = deque()
        self._under_way: dict[int, Entry] = {}
        self._load: dict[str, int] = {}
        self._is_exhausted = False

    def take(self, worker: str, most: int) -> list[Assignment]:
        """Give the worker the next members, those first that were given back."""
        taken = []
        for entry in itertools.islice(self._waiting(), max(0, most)):
            entry.worker = worker
            self._under_way[entry.number] = entry
            self._load[worker] = self._load.get(worker, 0) + 1
            suspect = entry.suspect or entry.losses >= SUSPECT_AFTER
            taken.append(Assignment(entry.number, pickle.dumps(entry.decision), suspect))
        return taken

    def _waiting(self) -> Iterator[Entry]:
        while self._returned:
            yield self._returned.popleft()
        for entry in self._coming:  # noqa: UP028  # `yield from` would close it when the caller has enough
            yield entry
        self._is_exhausted = True

    def load(self, worker: str) -> int:
        """Return how many members the worker has."""
        return self._load.get(worker, 0)

    def settle(self, worker: str, number: int) -> Entry | None:
        """Take the member off the worker, who sent what became of it; None if the worker does not have it any more."""
        entry = self._under_way.get(number)
        if entry is None or entry.worker != worker:
            return None
        del self._under_way[number]
        self._load[worker] -= 1
        return entry

    def lose(self, worker: str) -> list[Entry]:
        """Put the lost worker's members in front of the queue, nobody's fault; return those with whom too many workers
        were lost, who get no other try."""
        lost = [entry for entry in self._under_way.values() if entry.worker == worker]
        for entry in lost:
            entry.losses += 1
            del self._under_way[entry.number]
        self._load.pop(worker, None)
        self.give_back([entry for entry in lost if entry.losses < SET_ASIDE_AFTER])
        return [entry for entry in lost if entry.losses >= SET_ASIDE_AFTER]

    def give_back(self, entries: Iterable[Entry]) -> None:
        """Put these in front of the queue."""
        self._returned.extendleft(reversed(list(entries)))

    @property
    def is_idle(self) -> bool:
        """Whether nobody is under way and nobody waits."""
        return not (self._under_way or self._returned) and self._is_exhausted

    def rest(self) -> Iterator[Decision]:
        """Yield all who have no outcome, and forget them."""
        left = [*self._under_way.values(), *self._returned]
        self._under_way.clear()
        self._returned.clear()
        yield from (entry.decision for entry in left)
        yield from (entry.decision for entry in self._coming)
