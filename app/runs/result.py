"""What came of a run: its outcomes, its changes to the gallery, the error that ended it, and the counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.core.account_limits import Limit
from app.errors import AlreadyRunning, RunError
from app.gallery.gallery import Gallery
from app.gallery.run_history import PastRun, RunEnd
from app.photos.sources import Source
from app.planning.decisions import is_stale
from app.planning.plan import Plan
from app.planning.rules import Rules
from app.records import (
    SKIPPED_INTERRUPTED,
    SKIPPED_REACTIVATED,
    SKIPPED_SAME_FILE,
    SKIPPED_UNCHECKED,
    CrewMember,
    Failed,
    Outcome,
    PhotoAnalysis,
    PhotoRecord,
    Skipped,
    is_interrupted,
)
from app.runs.outcomes import Outcomes, Tally

STAGES = ("download", "decode", "detect", "embed", "store")
KEPT_WHEN_ZERO = ("deactivated", "purged", "retired")  # the history has the other changes only if there are any


@dataclass(frozen=True, slots=True)
class RunCounts:
    """The numbers of one run, counted once for console, page, JSON, metrics and history.

    Of `failed`, `recalled` failed in an earlier run and were not tried again; of `skipped`, `interrupted` were not
    reached, of `unchecked` the server did not say whether their photo changed, and `returned` are back in the roster.
    `stages_ms`: the mean of each stage over the members that reached it. `changes`: people or rows by what the run did
    with them; `plan`: members by kind of decision; `checks`: photos that the server was asked about, by whether it
    answered, and those that it took for changed and that were not.
    """

    stored: int
    failed: int
    skipped: int
    interrupted: int
    seconds: float
    by_code: Mapping[str, int]
    stages_ms: Mapping[str, float]
    recalled: int = 0
    changes: Mapping[str, int] = field(default_factory=dict)
    plan: Mapping[str, int] = field(default_factory=dict)
    unchecked: int = 0
    returned: int = 0
    checks: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.stored + self.failed + self.skipped

    @property
    def current(self) -> int:
        """The members whose embedding was up to date."""
        return self.skipped - self.interrupted - self.unchecked - self.returned

    @property
    def processed(self) -> int:
        """The members who took time: neither skipped nor recalled."""
        return self.stored + self.failed - self.recalled

    @property
    def seconds_each(self) -> float:
        return self.seconds / max(1, self.processed)


@dataclass(slots=True)
class RunResult:
    """How a run went. `plan` and `rules` are None if it ended before there was a plan.

    `outcomes`: one for each member of the roster; `deactivated`, `reactivated` and `purged`: crew ids; `rows_left`: of
    the deleted people. `reported`: members in the gallery whose photo another member has, with a sentence. `switched`:
    new vectors that `--migrate` put into use; `unswitched`: it ended before. `previous`: the crew ids that had failed
    at the end of the run before, None if there was none. `retired` rows of other models were deactivated, `mixed` ones
    are still active since they are too many. `out_of_time`: stopped by --max-minutes; `spent`: the limit of the
    database's account that stopped it; `died_before`: the run before, if it did not come to its end; `illustrations`:
    by crew id, what an earlier run saw of photos that this one did not look at.
    """

    outcomes: Outcomes = field(default_factory=Outcomes)
    deactivated: list[str] = field(default_factory=list)
    reactivated: list[str] = field(default_factory=list)
    purged: list[str] = field(default_factory=list)
    rows_left: int | None = None
    switched: int | None = None
    unswitched: bool = False
    reported: list[tuple[CrewMember, str]] = field(default_factory=list)
    error: RunError | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now().astimezone())
    plan: Plan | None = None
    rules: Rules | None = None
    previous: frozenset[str] | None = None
    retired: int = 0
    mixed: int = 0
    out_of_time: bool = False
    spent: Limit | None = None
    died_before: PastRun | None = None
    illustrations: dict[str, PhotoAnalysis] = field(default_factory=dict)
    seconds: float = 0.0
    gallery: Gallery | None = None
    source: Source | None = None
    run_id: int | None = None

    @property
    def redirected_to(self) -> str:
        """Where the photo server redirects from http:// to, for the setting; empty if it does not."""
        return self.source.moved_to if self.source else ""

    @property
    def unchecked(self) -> Mapping[str, str]:
        """Why the photo server gave no answer about photos of members in the gallery, by crew id."""
        return self.plan.unchecked if self.plan else {}

    @property
    def complete(self) -> bool:
        """Tell whether the run reached every member."""
        return self.error is None and not self.outcomes.tally.skipped[SKIPPED_INTERRUPTED]

    @property
    def improvable(self) -> list[tuple[CrewMember, str]]:
        """The members whose photo, not looked at in this run, is good enough but could be better, with the name of the
        component of its quality."""
        cases = [each.case for each in self.plan.decisions] if self.plan else []
        warned = [(case.member, case.photo_record.improvable) for case in cases if case.photo_record]
        return [(member, flaw) for member, flaw in warned if flaw and _stays_unseen(self.outcomes.get(member.crew_id))]

    @property
    def still_enrolled(self) -> frozenset[str]:
        """The crew ids of failed members whose vector of an earlier photo is still in use."""
        if self.plan is None or self.rules is None:
            return frozenset()
        back, failed = set(self.reactivated), {each.crew_id for each in self.outcomes.of(Failed)}
        cases = ((each.member.crew_id, each.case.enrolment) for each in self.plan.in_roster)
        rows = (
            (crew_id, row) for crew_id, row in cases if row and crew_id in failed and (row.active or crew_id in back)
        )
        return frozenset(crew_id for crew_id, row in rows if not is_stale(row, self.rules))

    @property
    def blocked(self) -> list[str]:
        """What the caps on mass changes held back, in Spanish sentences."""
        return list(self.plan.blocked) if self.plan else []

    @property
    def has_news(self) -> bool:
        """Tell whether cron should send a mail: a member fails otherwise than before, or something needs attention.
        HR's page already lists members who failed with the same photo in an earlier run."""
        if isinstance(self.error, AlreadyRunning):  # `complain` decides when it is worth a mail
            return False
        failures = {each.crew_id: each for each in self.outcomes.of(Failed)}
        failed = any(_is_news(each, record) for each, record in self._recorded(failures))
        idle = self.out_of_time and not self.outcomes.tally.stored
        stopped = self.error is not None or idle or self.died_before is not None or self.unswitched
        return failed or stopped or bool(self.blocked) or bool(self.mixed) or bool(self.unchecked)

    def count(self) -> RunCounts:
        """Return the numbers of the run as it is now."""
        failures, tally = list(self.outcomes.of(Failed)), self.outcomes.tally
        changes = {
            "deactivated": len(self.deactivated),
            "purged": len(self.purged),
            "reactivated": len(self.reactivated),
            "retired": self.retired,
            "mixed": self.mixed,
            "blocked": len(self.blocked),
        }
        return RunCounts(
            stored=tally.stored,
            failed=len(failures),
            skipped=tally.skipped.total(),
            interrupted=tally.skipped[SKIPPED_INTERRUPTED],
            seconds=self.seconds,
            by_code=dict(Counter(failure.code for failure in failures).most_common()),
            stages_ms=_mean_timings(tally),
            recalled=sum(failure.recalled for failure in failures),
            changes=changes,
            plan=self.plan.counts if self.plan else {},
            unchecked=tally.skipped[SKIPPED_UNCHECKED],
            returned=tally.skipped[SKIPPED_REACTIVATED],
            checks=self._count_checks(failures),
        )

    def _count_checks(self, failures: Iterable[Failed]) -> dict[str, int]:
        if self.plan is None:
            return {}
        unanswered = len(self.unchecked)
        return {
            "answered": self.plan.asked - unanswered,
            "failed": unanswered,
            "downloaded_again": self._count_downloads_in_vain(failures),
        }

    def _count_downloads_in_vain(self, failures: Iterable[Failed]) -> int:
        """Count the photos that were downloaded because they might have changed, and had not."""
        if self.rules is not None and self.rules.compare:
            return 0
        again = (failure.photo for failure in failures if failure.recalled)
        failed_again = sum(photo is not None and photo.temporary for photo in again)
        return self.outcomes.tally.downloaded[SKIPPED_SAME_FILE] + failed_again

    def end(self, counts: RunCounts, exit_code: int) -> RunEnd:
        """Return what the history keeps of the run's end."""
        outcomes = {"stored": counts.stored, "failed": counts.failed, "skipped": counts.skipped}
        checks = {"unchecked": len(self.unchecked), "downloaded_again": counts.checks.get("downloaded_again", 0)}
        changes = {"switched": self.switched or 0, **counts.changes, **checks}
        changes = {name: number for name, number in changes.items() if number or name in KEPT_WHEN_ZERO}
        kept = {**outcomes, "codes": counts.by_code, **changes, "plan": counts.plan}
        error = str(self.error) if self.error else ""
        return RunEnd(exit_code, self.seconds, counts.processed, kept, counts.stages_ms, error, self.rows_left)

    def _recorded(self, failures: dict[str, Failed]) -> Iterator[tuple[Failed, PhotoRecord | None]]:
        """Yield each failure (by crew id) with what earlier runs recorded of the photo."""
        cases = [each.case for each in self.plan.decisions] if self.plan and failures else []
        records = {case.member.crew_id: case.photo_record for case in cases if case.member.crew_id in failures}
        return ((failure, records.get(crew_id)) for crew_id, failure in failures.items())


def _stays_unseen(outcome: Outcome | None) -> bool:
    """Tell whether the member's row stays, and the run did not look at the photo."""
    return isinstance(outcome, Skipped) and not is_interrupted(outcome) and outcome.analysis is None


def _is_news(failure: Failed, record: PhotoRecord | None) -> bool:
    """Tell whether the member failed otherwise, or with another file, than earlier runs recorded."""
    if record is None or record.code != failure.code:
        return True
    seen = failure.photo.sha256 if failure.photo and not failure.recalled else ""
    return bool(seen) and seen != record.sha256


def _mean_timings(tally: Tally) -> dict[str, float]:
    reached = tally.reached
    return {stage: round(tally.taken_ms[stage] / reached[stage], 2) for stage in STAGES if reached[stage]}
