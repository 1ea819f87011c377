"""Carries out a plan: what needs no photo, then the members to process, and writes what becomes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import Retry, RunError, Stuck, TookTooLong, kind_of
from app.pipeline.stages import Stages, open_stages
from app.pipeline.thread_pipeline import Pipeline, PipelineOptions
from app.pipeline.work_item import Processed
from app.planning.decisions import DEACTIVATE, PROCESSED, PURGE
from app.planning.plan import Plan
from app.planning.planner import known_pictures
from app.planning.shared_failures import open_pictures
from app.records import SKIPPED_INTERRUPTED, Failed, Outcome, Skipped
from app.runs.abort_guard import AbortGuard
from app.runs.context import RunContext
from app.runs.result import RunResult
from app.runs.result_writer import ResultWriter
from app.runs.roster_changes import RosterChanges
from app.runs.shared_photos import SharedPhotoCheck
from app.runs.storing import Storing


class Execution:
    """Carries out one plan."""

    def __init__(self, plan: Plan, context: RunContext, results: RunResult) -> None:
        self._plan = plan
        self._context = context
        self._results = results
        self._pending = plan.of(*PROCESSED)
        members = {each.member.crew_id: each for each in plan.decisions if each.kind not in (DEACTIVATE, PURGE)}
        self._members = len(members)
        self._writer = ResultWriter(context.gallery, context.run_id, members, self._give_up)
        self._changes = RosterChanges(plan, context, results, self._writer)

    def run(self) -> None:
        """Give an outcome to each member of the roster. Raises RunError, after what was done."""
        if self._plan.suspicion is not None:
            self._changes.carry_out()
            self._results.outcomes += [Skipped(each.member, SKIPPED_INTERRUPTED) for each in self._pending]
            raise self._plan.suspicion
        if self._pending:
            self._process()
        else:
            self._changes.carry_out()
        if self._results.error is not None:
            raise self._results.error
        done = len(self._results.outcomes)
        assert done == self._members, f"{self._members} members in, {done} outcomes out"

    def _process(self) -> None:
        context = self._context
        faces = context.load_faces()  # first of all: without the nets nothing is written
        shared, guard = self._shared_photo_check(), self._abort_guard()
        enrolments = ((each.member.crew_id, each.case.enrolment) for each in self._pending)
        context.gallery.writer.expect({crew_id: row.row_id for crew_id, row in enrolments if row and row.active})
        storing = Storing(guard, shared, context.store, self._give_up, context.stop)
        request = context.request
        with open_stages(
            context.settings,
            context.source,
            faces,
            context.rules,
            thumbnails=request.thumbnails,
            keep_copies=request.debug,
        ) as stages:
            self._changes.carry_out()
            with self._settling(shared):
                for outcome in storing.outcomes(self._processed(stages)):
                    self._take(outcome, shared, guard)
        self._results.reported = list(shared.reported(self._results.outcomes))

    def _shared_photo_check(self) -> SharedPhotoCheck:
        context = self._context
        pending = {each.member.crew_id: each for each in self._pending}
        known = known_pictures(context.gallery, self._plan.departed)
        pictures = open_pictures(*known, pending, force=context.rules.force)
        rows = [each.case.enrolment.row_id for each in self._pending if each.case.enrolment]
        row_pictures = context.gallery.provenance.pictures(rows)
        return SharedPhotoCheck(pictures, row_pictures, reject=context.settings.SHARED_PHOTOS == "reject")

    def _abort_guard(self) -> AbortGuard:
        records = {each.member.crew_id: each.case.photo_record for each in self._pending}
        return AbortGuard(
            [each.member.crew_id for each in self._pending if each.case.is_active],
            {crew_id: record.code for crew_id, record in records.items() if record},
            len(self._plan.versions),
            armed=not self._context.request.allow_mass_change,
        )

    def _processed(self, stages: Stages) -> Iterator[list[Processed]]:
        """Run the pipeline. Members who were under way when a run died come last, each alone: if the run dies again, it
        is known who killed it."""
        context = self._context
        suspects = [each for each in self._pending if each.case.suspect]
        others = [each for each in self._pending if not each.case.suspect]
        options = PipelineOptions.of(context.settings)
        alone = dataclasses.replace(options, download_threads=1, worker_threads=1, batch_size=1)
        yield from Pipeline(stages, options, context.stop).run(self._writer.mark_under_way(others))
        for decision in suspects:
            yield from Pipeline(stages, alone, context.stop).run(self._writer.mark_under_way([decision]))

    def _take(self, outcome: Outcome, shared: SharedPhotoCheck, guard: AbortGuard) -> None:
        self._context.observer.outcome(outcome)
        self._results.outcomes.append(outcome)
        if self._results.error is not None:
            return
        try:
            guard.saw(outcome)
            self._writer.note(outcome)
            if guard.is_satisfied():
                self._writer.write_full()
            self._withdraw_late(shared)
        except RunError as error:
            self._give_up(error)

    def _give_up(self, error: RunError) -> None:
        """Stop the run, but not before each member has an outcome."""
        self._results.error = self._results.error or error
        self._context.stop.set()

    def _withdraw_late(self, shared: SharedPhotoCheck) -> None:
        for place, stored in shared.take_late(self._results.outcomes):
            self._context.gallery.writer.withdraw(stored.member.crew_id, stored.embedding_id)
            self._results.outcomes[place] = shared.withdrawn(stored)
            self._context.observer.withdrawn(stored)

    @contextmanager
    def _settling(self, shared: SharedPhotoCheck) -> Iterator[None]:
        """At the end, write what is left to write, unless the run was stopped as implausible: what it saw is not
        true."""
        try:
            yield
        except Stuck:  # the next run is not to begin with the same photos
            self._writer.record_failures([each for each in self._failures() if each.code == TookTooLong.code])
            raise
        finally:
            shared.settle(self._results.outcomes)
        if self._results.error is not None:
            return
        self._writer.write()
        shared_failures = [each for each in self._failures() if kind_of(each.code).retry is Retry.UNSHARED]
        self._writer.record_failures(shared_failures)

    def _failures(self) -> list[Failed]:
        """Return the failures of this run, without those that an earlier run recorded."""
        return [each for each in self._results.outcomes if isinstance(each, Failed) and not each.recalled]
