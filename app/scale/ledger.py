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
SET_ASIDE_AFTER = SUSPECT_AFTER + 2  # the last two alone on the worker, like those whose process dies


@dataclass(slots=True)
class Entry:
    """A member that has left the queue and has no outcome yet. `worker` has it now; `losses` of others that had it."""

    number: int
    decision: Decision
    losses: int = 0
    worker: str = ""


class Ledger:
    """The members of one run. Only those under way take memory, so that a million of them do not. If they are to go
    `alone`, a worker has only one of them at a time. They are numbered by `numbers`, where workers have had others
    before."""

    def __init__(
        self, decisions: Iterable[Decision], *, alone: bool = False, numbers: Iterator[int] | None = None
    ) -> None:
        following = itertools.count() if numbers is None else numbers
        self._coming = (Entry(number, each) for each, number in zip(decisions, following, strict=False))
        self._alone = alone
        self._returned: deque[Entry] = deque()
        self._suspects: deque[Entry] = deque()
        self._doubted: list[Entry] = []  # lost with too many workers, since when nobody was done: it may be the nodes
        self._given_up: list[Entry] = []
        self._under_way: dict[int, Entry] = {}
        self._load: dict[str, int] = {}
        self._is_exhausted = False

    def take(self, worker: str, most: int) -> list[Assignment]:
        """Give the worker the next members, those first that were given back; suspects last, to a worker who has nobody
        else."""
        is_free, most = self.load(worker) == 0, max(0, most)
        if self._alone:
            most = min(most, int(is_free))
        taken = [self._give(entry, worker) for entry in itertools.islice(self._waiting(), most)]
        if most and not taken and is_free and self._suspects:
            taken = [self._give(self._suspects.popleft(), worker)]
        return taken

    def _give(self, entry: Entry, worker: str) -> Assignment:
        entry.worker = worker
        self._under_way[entry.number] = entry
        self._load[worker] = self.load(worker) + 1
        return Assignment(entry.number, pickle.dumps(entry.decision), self._alone or entry.losses >= SUSPECT_AFTER)

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
        self._give_up_doubted()
        return entry

    def lose(self, worker: str) -> None:
        """Put the lost worker's members in front of the queue, nobody's fault. Those with whom too many workers were
        lost get no other try."""
        lost = self._take_off(worker)
        for entry in lost:
            entry.losses += 1
        self.give_back([entry for entry in lost if entry.losses < SET_ASIDE_AFTER])
        self._doubted += [entry for entry in lost if entry.losses >= SET_ASIDE_AFTER]

    def recall(self, worker: str) -> None:
        """Put the members of a worker whom we let go in front of the queue."""
        self.give_back(self._take_off(worker))

    def _take_off(self, worker: str) -> list[Entry]:
        taken = [entry for entry in self._under_way.values() if entry.worker == worker]
        for entry in taken:
            del self._under_way[entry.number]
        self._load.pop(worker, None)
        return taken

    def give_back(self, entries: Iterable[Entry]) -> None:
        """Put these in front of the queue, and suspects at the end of theirs."""
        entries = list(entries)
        self._suspects.extend(entry for entry in entries if entry.losses >= SUSPECT_AFTER)
        self._returned.extendleft(entry for entry in reversed(entries) if entry.losses < SUSPECT_AFTER)

    def take_given_up(self) -> list[Entry]:
        """Return those who get no other try: others were done since, or there are no others."""
        if self._is_exhausted and not (self._under_way or self._returned or self._suspects):
            self._give_up_doubted()
        given_up, self._given_up = self._given_up, []
        return given_up

    def _give_up_doubted(self) -> None:
        self._given_up += self._doubted
        self._doubted.clear()

    @property
    def is_idle(self) -> bool:
        """Whether nobody is under way and nobody waits."""
        return self._is_exhausted and not (
            self._under_way or self._returned or self._suspects or self._doubted or self._given_up
        )

    def rest(self) -> Iterator[Decision]:
        """Yield all who have no outcome, and forget them."""
        left = [*self._under_way.values(), *self._returned, *self._suspects, *self._doubted, *self._given_up]
        for each in (self._under_way, self._returned, self._suspects, self._doubted, self._given_up):
            each.clear()
        yield from (entry.decision for entry in left)
        yield from (entry.decision for entry in self._coming)
