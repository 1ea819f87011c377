"""Whether a node can be trusted: one where every photo fails, while others do not, says nothing about the photos.

Its first results, all failures, are held back. Once another node shows that photos can be done, the members go to other
nodes: if half of them or more are done there, the node is to blame; if more fail there, too, the photos are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.pipeline.work_item import Processed
from app.records import Failed, Skipped, is_interrupted
from app.scale.ledger import Entry

FIRST = 20  # outcomes of a node that are held back until one of them is good; as many as the abort guard looks at

Held = tuple[Entry, Processed]


@dataclass(slots=True)
class _Trial:
    """Members whose photos failed on a node, by number, those who were not done again yet; `total` of all, and how many
    were done, or failed, on trusted nodes."""

    numbers: set[int] = field(default_factory=set)
    total: int = 0
    done: int = 0
    failed: int = 0

    def add(self, entries: list[Entry]) -> None:
        self.numbers.update(entry.number for entry in entries)
        self.total += len(entries)


@dataclass(slots=True)
class Probation:
    """Holds back the failures of a node that has shown nothing else, among several nodes."""

    _trusted: set[str] = field(default_factory=set)
    _held: dict[str, list[Held]] = field(default_factory=dict)
    _trials: dict[str, _Trial] = field(default_factory=dict)

    def admit(self, node: str, entry: Entry, processed: Processed) -> None:
        """Take one result of a node."""
        if not (_is_failure(processed) or _is_interrupted(processed)):
            self._acquit(node)
        self._held.setdefault(node, []).append((entry, processed))

    def _acquit(self, node: str) -> None:
        self._trials.pop(node, None)
        self._trusted.add(node)

    def held(self, node: str) -> int:
        return len(self._held.get(node, ()))

    def is_suspended(self, node: str) -> bool:
        """Tell whether the node gets no more members until others show whether it is to blame."""
        return node in self._trials or (node not in self._trusted and self.held(node) >= FIRST)

    def release(self, nodes: set[str]) -> Iterator[Processed]:
        """Yield what need not be held any longer. `nodes`: those where somebody works or will soon; one alone cannot be
        compared."""
        all_fail = all(node not in self._trusted for node in nodes)
        is_lone = len(nodes) <= 1 or (all_fail and all(self.is_suspended(node) for node in nodes))
        if is_lone:
            self._trials.clear()  # without trust: others may come back
        for node in list(self._held):
            if is_lone or node in self._trusted:
                for entry, processed in self._held.pop(node):
                    self._testify(entry, processed)
                    yield processed

    def _testify(self, entry: Entry, processed: Processed) -> None:
        """Count the result of a trusted node for those that are on trial."""
        for accused, trial in list(self._trials.items()):
            if entry.number in trial.numbers:
                trial.numbers.remove(entry.number)
                trial.failed += _is_failure(processed)
                trial.done += not _is_failure(processed)
                if 2 * trial.failed > trial.total:
                    self._acquit(accused)

    def accuse(self) -> list[Entry]:
        """Forget the results of nodes whose first all failed while another node's did not; return whose they were, who
        are to be done elsewhere."""
        members: list[Entry] = []
        for node in [each for each in self._held if self.is_suspended(each) and self._trusted - {each}]:
            entries = self._give_up(node)
            self._trials.setdefault(node, _Trial()).add(entries)
            members += entries
        return members

    def condemned(self) -> list[str]:
        """Return the nodes half of whose failures, or more, were done elsewhere, and forget them."""
        guilty = [node for node, trial in self._trials.items() if 2 * trial.done >= trial.total]
        for node in guilty:
            del self._trials[node]
        return guilty

    def give_up_all(self) -> list[Entry]:
        """Forget all results that are held; return whose they were."""
        return [entry for node in list(self._held) for entry in self._give_up(node)]

    def _give_up(self, node: str) -> list[Entry]:
        return [entry for entry, _ in self._held.pop(node)]

    def release_all(self) -> Iterator[Processed]:
        """Yield everything that is held: nobody is left who could show more."""
        for held in self._held.values():
            yield from (processed for _, processed in held)
        self._held.clear()


def _is_failure(processed: Processed) -> bool:
    result = processed.result
    return isinstance(result, Failed) and not result.recalled


def _is_interrupted(processed: Processed) -> bool:
    result = processed.result
    return isinstance(result, Skipped) and is_interrupted(result)
