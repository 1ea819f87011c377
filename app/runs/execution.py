"""Carry out a plan: first what needs no photo, then the members to process, whose outcomes it writes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager

from app.errors import Retry, RunError, Stuck, TookTooLong, kind_of
from app.photos.temp_folder import remove_orphans
from app.pipeline.work_item import Processed
from app.planning.decisions import PROCESSED
from app.planning.plan import Plan
from app.planning.planner import known_pictures, open_pictures
from app.records import SKIPPED_INTERRUPTED, Failed, Outcome, Skipped
from app.runs.abort_guard import AbortGuard
from app.runs.context import RunContext
from app.runs.engines import Engine, open_engine
from app.runs.result import RunResult
from app.runs.result_writer import ResultWriter
from app.runs.roster_changes import RosterChanges
from app.runs.shared_photos import SharedPhotoCheck, shared_failure
from app.runs.storing import Storing

log = logging.getLogger(__name__)


class Execution:
    """Carries out one plan. The run must have its row in the history."""

    def __init__(self, plan: Plan, context: RunContext, result: RunResult) -> None:
        assert result.run_id is not None
        self._plan = plan
        self._context = context
        self._result = result
        self._pending = plan.of(*PROCESSED)
        members = {each.member.crew_id: each for each in plan.in_roster}
        self._members = len(members) + len(plan.settled)
        self._writer = ResultWriter(context.gallery, result.run_id, members, self._give_up, context.stop)
        self._changes = RosterChanges(plan, context, result, self._writer)

    def run(self) -> None:
        """Give an outcome to each member of the roster. Raises the RunError that ended the run, after what was done."""
        if self._plan.implausible is not None:
            self._changes.carry_out()
            self._result.outcomes.extend(Skipped(each.member, SKIPPED_INTERRUPTED) for each in self._pending)
            raise self._plan.implausible
        if self._pending:
            self._process()
        else:
            self._changes.carry_out()
            remove_orphans(self._context.settings.TEMP_DIR)  # with photos to process, its TempFolder does so
            if self._plan.shared:  # else without reading any picture
                shared = self._shared_photo_check()
                shared.settle(self._result.outcomes)
                self._result.reported = list(shared.reported(self._result.outcomes))
        if self._result.error is not None:
            raise self._result.error
        done = len(self._result.outcomes)
        assert done == self._members, f"{self._members} members in, {done} outcomes out"

    def _process(self) -> None:
        context = self._context
        faces = context.load_faces()  # first: without the nets the run writes nothing
        guard = self._abort_guard()
        enrolments = ((each.member.crew_id, each.case.enrolment) for each in self._pending)
        context.gallery.writer.expect({crew_id: row.row_id for crew_id, row in enrolments if row and row.active})
        with closing(faces), open_engine(context, faces) as engine:
            self._changes.carry_out()
            shared = self._shared_photo_check()  # only now: rows of members who are back count
            storing = Storing(guard, shared, context.store, self._give_up, context.stop)
            with self._settling(shared):
                for results in self._results(engine):
                    for outcome in storing.outcomes(results):
                        self._take(outcome, shared, guard)
        self._result.reported = list(shared.reported(self._result.outcomes))

    def _shared_photo_check(self) -> SharedPhotoCheck:
        context = self._context
        pending = {each.member.crew_id: each for each in self._pending}
        known = known_pictures(context.gallery, self._plan.departed)
        pictures = open_pictures(*known, pending, force=context.rules.force)
        rows = [each.case.enrolment.row_id for each in self._pending if each.case.enrolment]
        row_pictures = context.gallery.provenance.pictures(rows)
        return SharedPhotoCheck(pictures, row_pictures, reject=context.settings.SHARED_PHOTOS == "reject")

    def _abort_guard(self) -> AbortGuard:
        return AbortGuard(
            [each.member.crew_id for each in self._pending if each.case.is_active],
            {each.member.crew_id: each.case.recorded_code for each in self._pending},
            len(self._plan.versions),
            armed=not self._context.request.allow_mass_change,
        )

    def _results(self, engine: Engine) -> Iterator[Iterator[list[Processed]]]:
        """Yield the results of all members, then of one after the other. Members who were under way when a run crashed
        come last, each alone, after the vectors of all others are stored: if it crashes again, the next run knows with
        whom."""
        suspects = [each for each in self._pending if each.case.suspect]
        others = [each for each in self._pending if not each.case.suspect]
        yield engine.run(self._writer.mark_under_way(others))
        for decision in suspects:
            yield engine.run(self._writer.mark_under_way([decision]), alone=True)

    def _take(self, outcome: Outcome, shared: SharedPhotoCheck, guard: AbortGuard) -> None:
        self._context.observer.outcome(outcome)
        self._result.outcomes.append(outcome)
        if self._result.error is not None:
            return
        try:
            guard.saw(outcome)
            self._writer.note(outcome)
            if guard.is_satisfied():
                self._writer.write_full()
            self._withdraw_late(shared)
        except RunError as error:
            self._give_up(error)
        if not self._context.stop.is_set():
            self._stay_within_limits()

    def _stay_within_limits(self) -> None:
        """End the run in good order when the account may do little more in this hour; the next run goes on."""
        self._result.spent = self._context.allowance.spent()
        if self._result.spent is not None:
            log.warning("Se acaba lo que la cuenta de la base puede hacer en una hora: %s", self._result.spent)
            self._context.stop.set()

    def _give_up(self, error: RunError) -> None:
        """Stop the run; each member still gets an outcome."""
        self._result.error = self._result.error or error
        self._context.stop.set()

    def _withdraw_late(self, shared: SharedPhotoCheck) -> None:
        for stored in shared.take_late(self._result.outcomes):
            self._context.gallery.writer.withdraw(stored.member.crew_id, stored.embedding_id)
            self._result.outcomes.replace(shared_failure(stored))
            self._context.observer.withdrawn(stored)

    @contextmanager
    def _settling(self, shared: SharedPhotoCheck) -> Iterator[None]:
        """At the end, write what is left to write, unless an error ended the run: what it saw may not be true."""
        try:
            yield
        except Stuck:  # the next run must not begin with the same photos
            self._writer.record_failures([each for each in self._failures() if each.code == TookTooLong.code])
            raise
        finally:
            shared.settle(self._result.outcomes)
        if self._result.error is not None:
            return
        self._writer.write()
        self._writer.record_failures([each for each in self._failures() if kind_of(each.code).retry is Retry.UNSHARED])

    def _failures(self) -> list[Failed]:
        return [each for each in self._result.outcomes.of(Failed) if not each.recalled]
