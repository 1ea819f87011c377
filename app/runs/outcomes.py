"""The outcomes of a run: one for each member, in the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.records import Outcome


class Outcomes:
    """One outcome for each member, found by crew id."""

    def __init__(self, outcomes: Iterable[Outcome] = ()) -> None:
        self._by_crew_id: dict[str, Outcome] = {}
        self.extend(outcomes)

    def __len__(self) -> int:
        return len(self._by_crew_id)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self._by_crew_id.values())

    def get(self, crew_id: str) -> Outcome | None:
        """Return the member's outcome; None before there is one."""
        return self._by_crew_id.get(crew_id)

    def append(self, outcome: Outcome) -> None:
        """Add a member's only outcome."""
        crew_id = outcome.member.crew_id
        assert crew_id not in self._by_crew_id, f"{crew_id} has an outcome already"
        self._by_crew_id[crew_id] = outcome

    def extend(self, outcomes: Iterable[Outcome]) -> None:
        """Add the outcomes of several members."""
        for outcome in outcomes:
            self.append(outcome)

    def replace(self, outcome: Outcome) -> None:
        """Put another outcome in the place of the member's first."""
        assert outcome.member.crew_id in self._by_crew_id
        self._by_crew_id[outcome.member.crew_id] = outcome
