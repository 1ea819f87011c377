"""The plan of a run. A run carries out exactly such a plan; `--plan` prints it instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.core.spool import Spool
from app.errors import ImplausibleRun, Retry, kind_of
from app.planning.decisions import DEACTIVATE, PROCESSED, PURGE, UNCHANGED, Decision
from app.planning.settled import Settled
from app.records import CrewMember, Version


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions, one for each member of the roster and each person who departed from it, but for the `settled`
    members, of whom there is nothing to do and nothing to say: each with the reason (Spanish).

    `versions`: what the photo server reported of the photos it was asked about, with crew ids; `asked`: how many these
    were; `failed_before`: the crew ids whose recorded photo failed, None if there is no record at all;
    `unchecked`: why it gave no answer, by crew id; `blocked`: what the caps on mass changes held back, and `held_back`
    the crew ids; `departed`: known people missing in the roster, unless the roster is implausible; `adopted`: rows
    (id -> crew id) that another program wrote and that count as current; `returned`: inactive rows (id -> crew id) of
    members who are back in the roster, to be activated whatever comes of their photo; `implausible`: why the run must
    not process photos; `seconds_each`: what a member took in the last run; `passed_over`: as in the survey; `uniform`:
    all active rows are of this spec, so that no other model's can be left.
    """

    decisions: Sequence[Decision]
    settled: Settled | Sequence[tuple[CrewMember, str]] = ()
    versions: Spool[tuple[str, Version]] | Sequence[tuple[str, Version]] = ()
    asked: int = 0
    unchecked: Mapping[str, str] = field(default_factory=dict)
    blocked: Sequence[str] = ()
    held_back: Sequence[str] = ()
    departed: Sequence[str] = ()
    gallery_size: int = 0
    adopted: Mapping[int, str] = field(default_factory=dict)
    returned: Mapping[int, str] = field(default_factory=dict)
    implausible: ImplausibleRun | None = None
    seconds_each: float | None = None
    passed_over: Sequence[str] = ()
    uniform: bool = False
    failed_before: frozenset[str] | None = None

    def of(self, *kinds: str) -> list[Decision]:
        """Return the decisions of these kinds."""
        return [decision for decision in self.decisions if decision.kind in kinds]

    @property
    def in_roster(self) -> list[Decision]:
        """The decisions about members of the roster who are not settled."""
        return [decision for decision in self.decisions if decision.kind not in (DEACTIVATE, PURGE)]

    @property
    def shared(self) -> list[Decision]:
        """The decisions about members who stay rejected because others have their photo."""
        failed = [each for each in self.decisions if each.failure]
        return [each for each in failed if each.failure and kind_of(each.failure.code).retry is Retry.UNSHARED]

    @property
    def counts(self) -> dict[str, int]:
        """The number of people by kind of decision."""
        counts = Counter(decision.kind for decision in self.decisions)
        counts[UNCHANGED] += len(self.settled)
        return {kind: number for kind, number in counts.items() if number}

    @property
    def seconds(self) -> float | None:
        """How long processing will take; None while no run has processed members."""
        return None if self.seconds_each is None else self.seconds_each * len(self.of(*PROCESSED))
