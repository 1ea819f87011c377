"""Whether a node can be trusted: one where every photo fails, while others do not, says nothing about the photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.pipeline.work_item import Processed
from app.records import Failed
from app.scale.ledger import Entry

FIRST = 20  # outcomes of a node that are held back until one of them is good; as many as the abort guard looks at

Held = tuple[Entry, Processed]


@dataclass(slots=True)
class Probation:
    """Holds back the failures of a node that has shown nothing else, among several nodes."""

    _trusted: set[str] = field(default_factory=set)
    _held: dict[str, list[Held]] = field(default_factory=dict)

    def admit(self, node: str, entry: Entry, processed: Processed) -> None:
        """Take one result of a node."""
        if not _is_failure(processed):
            self._trusted.add(node)
        self._held.setdefault(node, []).append((entry, processed))

    def held(self, node: str) -> int:
        return len(self._held.get(node, ()))

    def is_suspended(self, node: str) -> bool:
        """Tell whether the node gets no more members until others show whether it is to blame."""
        return node not in self._trusted and self.held(node) >= FIRST

    def release(self, nodes: set[str]) -> Iterator[Processed]:
        """Yield what need not be held any longer. `nodes`: those where somebody works or will
        soon; one alone cannot be compared."""
        all_fail = all(node not in self._trusted for node in nodes)
        is_lone = len(nodes) <= 1 or (all_fail and all(self.is_suspended(node) for node in nodes))
        for node in list(self._held):
            if is_lone or node in self._trusted:
                yield from (processed for _, processed in self._held.pop(node))

    def condemned(self) -> list[str]:
        """Return the nodes whose first results all failed while another node's did not."""
        return [node for node in self._held if self.is_suspended(node) and self._trusted - {node}]

    def give_up(self, node: str) -> list[Entry]:
        """Forget the node's results; return whose they were."""
        return [entry for entry, _ in self._held.pop(node, ())]

    def give_up_all(self) -> list[Entry]:
        """Forget all results that are held; return whose they were."""
        return [entry for node in list(self._held) for entry in self.give_up(node)]

    def release_all(self) -> Iterator[Processed]:
        """Yield everything that is held: nobody is left who could show more."""
        for held in self._held.values():
            yield from (processed for _, processed in held)
        self._held.clear()


def _is_failure(processed: Processed) -> bool:
    result = processed.result
    return isinstance(result, Failed) and not result.recalled
