"""What a run knows before it plans, and its plan. A run carries out exactly such a plan; `--plan` prints it instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.errors import ImplausibleRun
from app.gallery.crash_suspects import CrashSuspect
from app.gallery.enrolments import Enrolment
from app.gallery.photo_records import PhotoRecord
from app.planning.decisions import DEACTIVATE, PROCESSED, PURGE, Decision
from app.records import CrewMember, Failed, Version

RosterEntry = CrewMember | Failed


@dataclass(frozen=True, slots=True)
class Survey:
    """What roster and gallery hold. `entries` are the whole roster if `whole`; the mappings are by crew id.
    `passed_over`: files in a folder of photos that are none (`FolderRoster.passed_over`)."""

    entries: Sequence[RosterEntry]
    whole: bool
    enrolments: Mapping[str, Enrolment]
    photo_records: Mapping[str, PhotoRecord]
    suspects: Mapping[str, CrashSuspect]
    passed_over: Sequence[str] = ()

    @property
    def gallery_size(self) -> int:
        """The number of people with an active row."""
        return sum(enrolment.active for enrolment in self.enrolments.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions, one for each member of the roster and each person who departed from it.

    `versions`: what the photo server reported of the photos it was asked about; `asked`: how many these were;
    `unchecked`: why it gave no answer, by crew id; `blocked`: what the caps on mass
    changes held back; `departed`: known people missing in the roster, unless the roster is implausible; `adopted`: rows
    (id -> crew id) that another program wrote and that count as current; `implausible`: why the run must not process
    photos; `seconds_each`: what a member took in the last run; `passed_over`: as in the survey; `uniform`: all active
    rows are of this spec, so that no other model's can be left.
    """

    decisions: Sequence[Decision]
    versions: Mapping[str, Version] = field(default_factory=dict)
    asked: int = 0
    unchecked: Mapping[str, str] = field(default_factory=dict)
    blocked: Sequence[str] = ()
    departed: Sequence[str] = ()
    gallery_size: int = 0
    adopted: Mapping[int, str] = field(default_factory=dict)
    implausible: ImplausibleRun | None = None
    seconds_each: float | None = None
    passed_over: Sequence[str] = ()
    uniform: bool = False

    def of(self, *kinds: str) -> list[Decision]:
        """Return the decisions of these kinds."""
        return [decision for decision in self.decisions if decision.kind in kinds]

    @property
    def in_roster(self) -> list[Decision]:
        """The decisions about members of the roster."""
        return [decision for decision in self.decisions if decision.kind not in (DEACTIVATE, PURGE)]

    @property
    def counts(self) -> dict[str, int]:
        """The number of decisions by kind."""
        return dict(Counter(decision.kind for decision in self.decisions))

    @property
    def seconds(self) -> float | None:
        """How long processing will take; None while no run has processed members."""
        return None if self.seconds_each is None else self.seconds_each * len(self.of(*PROCESSED))
