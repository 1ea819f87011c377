"""The plan of a run: a decision for each member. A run carries out exactly such a plan; `--plan` prints it instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.errors import ImplausibleRun
from app.planning.decisions import PROCESSED, STALE, Decision
from app.records import Version


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions, one for each member of the roster and each person who left it.

    `versions`: what the photo server said of the photos it was asked about; `blocked`: what the caps on mass changes
    held back; `departed`: who is no longer in the roster, as far as the roster is believed; `adopted`: rows
    (id -> crew id) that another program wrote and that count as current; `suspicion`: why no photo is to be processed;
    `seconds_each`: what a member took in the last run.
    """

    decisions: Sequence[Decision]
    versions: Mapping[str, Version] = field(default_factory=dict)
    blocked: Sequence[str] = ()
    departed: Sequence[str] = ()
    gallery_size: int = 0
    adopted: Mapping[int, str] = field(default_factory=dict)
    suspicion: ImplausibleRun | None = None
    seconds_each: float | None = None

    def of(self, *kinds: str) -> list[Decision]:
        """Return the decisions of these kinds."""
        return [decision for decision in self.decisions if decision.kind in kinds]

    @property
    def counts(self) -> dict[str, int]:
        """The number of decisions by kind."""
        return dict(Counter(decision.kind for decision in self.decisions))

    @property
    def seconds(self) -> float | None:
        """How long processing will take; None while no run has processed members."""
        return None if self.seconds_each is None else self.seconds_each * len(self.of(*PROCESSED))

    @property
    def stale(self) -> list[Decision]:
        """The decisions about rows of another embedding spec."""
        return self.of(STALE)
