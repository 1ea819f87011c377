"""The outcomes of a run: one for each member, in the order in which they came."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from app.core.spool import SpoolFile
from app.records import Failed, Outcome, Skipped, Stored

Kind = TypeVar("Kind", Stored, Skipped, Failed)
Kept = Stored | Skipped

AT_ONCE = 64  # outcomes that are written together; what is Stored takes 3 kB and a thumbnail


@dataclass(slots=True)
class Tally:
    """The numbers of the outcomes. `skipped`, and those of them whose photo was `downloaded`: by code. `taken_ms`, and
    how many members `reached` it: by stage."""

    stored: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    downloaded: Counter[str] = field(default_factory=Counter)
    taken_ms: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    reached: Counter[str] = field(default_factory=Counter)

    def count(self, outcome: Outcome, by: int = 1) -> None:
        """Count an outcome; `by` -1: no longer, since another one has taken its place."""
        if isinstance(outcome, Stored):
            self.stored += by
        elif isinstance(outcome, Skipped):
            self.skipped[outcome.code] += by
            self.downloaded[outcome.code] += by * (outcome.photo is not None and outcome.photo.temporary)
        for stage, milliseconds in outcome.timings_ms.items():
            self.taken_ms[stage] += by * milliseconds
            self.reached[stage] += by


class Outcomes:
    """One outcome for each member, found by crew id.

    All but the failures wait for the reports in a file in `folder` (see SpoolFile) instead of in memory: of a million
    members they are gigabytes. What the file does not take stays in memory.
    """

    def __init__(self, outcomes: Iterable[Outcome] = (), folder: Path | None = None) -> None:
        self._by_crew_id: dict[str, Failed | int] = {}  # or the number of the group that it is in
        self._file = SpoolFile(folder)
        self._groups: list[int | dict[str, Kept]] = []  # where they lie, or they themselves
        self._waiting: dict[str, Kept] = {}  # the next group
        self._read: tuple[int, dict[str, Kept]] = (-1, {})  # the last group that was read
        self.tally = Tally()
        self.extend(outcomes)

    def __len__(self) -> int:
        return len(self._by_crew_id)

    def __iter__(self) -> Iterator[Outcome]:
        return (self._whole(crew_id, kept) for crew_id, kept in self._by_crew_id.items())

    def of(self, kind: type[Kind]) -> Iterator[Kind]:
        """Yield the outcomes of one kind. For failures nothing is read from the file."""
        found = self._by_crew_id.values() if kind is Failed else self
        return (outcome for outcome in found if isinstance(outcome, kind))

    def crew_ids(self) -> Iterator[str]:
        """Yield the members' ids in the order of their outcomes."""
        return iter(self._by_crew_id)

    def get(self, crew_id: str) -> Outcome | None:
        """Return the member's outcome; None before there is one."""
        kept = self._by_crew_id.get(crew_id)
        return None if kept is None else self._whole(crew_id, kept)

    def append(self, outcome: Outcome) -> None:
        """Add a member's only outcome."""
        crew_id = outcome.member.crew_id
        assert crew_id not in self._by_crew_id, f"{crew_id} has an outcome already"
        self._by_crew_id[crew_id] = outcome if isinstance(outcome, Failed) else self._spool(crew_id, outcome)
        self.tally.count(outcome)

    def extend(self, outcomes: Iterable[Outcome]) -> None:
        """Add the outcomes of several members."""
        for outcome in outcomes:
            self.append(outcome)

    def replace(self, failure: Failed) -> None:
        """Put a failure in the place of the member's first outcome."""
        before = self.get(failure.crew_id)
        assert before is not None
        self.tally.count(before, by=-1)
        self.tally.count(failure)
        self._by_crew_id[failure.crew_id] = failure

    def _spool(self, crew_id: str, outcome: Kept) -> int:
        number = len(self._groups)
        self._waiting[crew_id] = outcome
        if len(self._waiting) == AT_ONCE:
            place = self._file.put(self._waiting)
            self._groups.append(self._waiting if place is None else place)
            self._waiting = {}
        return number

    def _whole(self, crew_id: str, kept: Failed | int) -> Outcome:
        return self._group(kept)[crew_id] if isinstance(kept, int) else kept

    def _group(self, number: int) -> dict[str, Kept]:
        if number == len(self._groups):
            return self._waiting
        group = self._groups[number]
        if not isinstance(group, int):
            return group
        if self._read[0] != number:
            self._read = number, self._file.get(group)
        return self._read[1]
