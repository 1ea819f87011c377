"""A plan carried out: decisions come in, the gallery is brought to what they say, outcomes are told as they happen."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from app.core.logs import RUN_LOGGER, Personal
from app.errors import Retry, RunError, Stuck, TookTooLong, kind_of
from app.pipeline.known_photos import KnownPhotos
from app.pipeline.stages import RunParts, open_stages, pipeline_options
from app.pipeline.thread_pipeline import Pipeline, Stages
from app.planning.decisions import (
    DEACTIVATE,
    KNOWN_FAILURE,
    PROCESSED,
    PURGE,
    REACTIVATE,
    SET_ASIDE,
    UNCHANGED,
    UNPROCESSABLE,
    Decision,
    is_stale,
)
from app.planning.plan import Plan
from app.records import (
    SKIPPED_CURRENT,
    SKIPPED_INTERRUPTED,
    SKIPPED_REACTIVATED,
    Failed,
    Outcome,
    Skipped,
)
from app.runs.abort_guard import AbortGuard
from app.runs.context import Means, Results
from app.runs.result_writer import ResultWriter
from app.runs.shared_photos import SharedPhotoCheck, known_pictures, open_pictures

log = logging.getLogger(__name__)
run_log = logging.getLogger(RUN_LOGGER)


class Execution:
    """Carries out one plan."""

    def __init__(self, plan: Plan, means: Means, results: Results) -> None:
        self._plan = plan
        self._means = means
        self._results = results
        self._pending = plan.of(*PROCESSED)
        members = (each for each in plan.decisions if each.kind not in (DEACTIVATE, PURGE))
        self._decisions = {each.member.crew_id: each for each in members}
        self._books = ResultWriter(means.gallery, means.run_id, self._decisions, self._give_up)

    def run(self) -> None:
        """An outcome for each member of the roster. Raises RunError, after what was done."""
        if self._plan.suspicion is not None:
            self._settle_the_rest()
            self._results.outcomes += [Skipped(each.member, SKIPPED_INTERRUPTED) for each in self._pending]
            raise self._plan.suspicion
        if self._pending:
            self._process()
        else:
            self._settle_the_rest()
        if self._results.error is not None:
            raise self._results.error
        done = len(self._results.outcomes)
        assert done == len(self._decisions), f"{len(self._decisions)} members in, {done} outcomes out"

    def _settle_the_rest(self) -> None:
        """Everything that needs no photo. Whoever left goes first: an id that the database takes for another's may be
        free for that one then."""
        plan, photo_records = self._plan, self._means.gallery.photo_records
        photo_records.mark_checked(plan.versions)
        self._means.gallery.provenance.adopt(plan.strangers)
        self._let_go()
        self._leave_one_row()
        self._take_back()
        photo_records.clear_failures([each.member.crew_id for each in plan.of(UNCHANGED) if _failed(each)])
        cleared = plan.of(UNCHANGED, REACTIVATE, KNOWN_FAILURE)  # they came through before the run died
        self._means.gallery.crash_suspects.done([each.member.crew_id for each in cleared if each.case.suspect])
        outcomes = self._results.outcomes
        outcomes += [Skipped(each.member, SKIPPED_CURRENT) for each in plan.of(UNCHANGED)]
        outcomes += [Skipped(each.member, SKIPPED_REACTIVATED) for each in plan.of(REACTIVATE)]
        set_aside = [each.failure for each in plan.of(SET_ASIDE) if each.failure]
        outcomes += [each.failure for each in plan.of(KNOWN_FAILURE) if each.failure] + set_aside
        unprocessable = [each.failure for each in plan.of(UNPROCESSABLE) if each.failure]
        self._means.observer.begin(len(self._pending) + len(unprocessable), len(plan.of(UNCHANGED)))
        for failure in unprocessable:
            who, detail = failure.member.crew_id, Personal(failure.detail)
            run_log.info("%s %s: %s %s", who, failure.stage, failure.code, detail)
            self._means.observer.outcome(failure)
        outcomes += unprocessable
        news = [each for each in (*unprocessable, *set_aside) if self._is_news(each)]
        self._books.record_failures([dataclasses.replace(each, recalled=False) for each in news])

    def _is_news(self, failure: Failed) -> bool:
        remembered = self._decisions[failure.member.crew_id].case.remembered
        return remembered is None or remembered.code != failure.code

    def _leave_one_row(self) -> None:
        """Of several active rows of one member, which another program may have left, the newest counts."""
        enrolments = (each.case.enrolment for each in self._decisions.values() if each.case.enrolment)
        self._means.gallery.row_status.deactivate([row_id for each in enrolments for row_id in each.active_ids[:-1]])

    def _take_back(self) -> None:
        """Whoever came back is seen again at once, also when the photo has changed meanwhile or fails by now: the row
        is no worse than it was."""
        row_status, rules = self._means.gallery.row_status, self._means.rules
        back = [each.case for each in self._decisions.values() if each.case.came_back]
        rows = (case.enrolment for case in back if case.enrolment and not case.enrolment.active)
        row_status.reactivate([enrolment.row_id for enrolment in rows if not is_stale(enrolment, rules)])
        self._means.gallery.photo_records.mark_returned([case.member.crew_id for case in back])

    def _let_go(self) -> None:
        plan, row_status, results = self._plan, self._means.gallery.row_status, self._results
        leaving = plan.of(DEACTIVATE)
        row_status.deactivate(
            [row_id for each in leaving if each.case.enrolment for row_id in each.case.enrolment.active_ids]
        )
        results.deactivated = [each.member.crew_id for each in leaving]
        self._means.gallery.photo_records.mark_departed(plan.departed)
        purged = {each.member.crew_id: each.case.enrolment for each in plan.of(PURGE)}
        if purged:
            rows = {crew_id: enrolment.all_ids if enrolment else () for crew_id, enrolment in purged.items()}
            results.rows_left = row_status.purge(rows)
            results.purged = list(purged)
            run_log.info("Borradas %s personas; filas que quedan de ellas: %s", len(purged), results.rows_left)

    def _process(self) -> None:
        means, plan = self._means, self._plan
        faces = means.load_faces()  # first of all: without the nets nothing is written
        pending = {each.member.crew_id: each for each in self._pending}
        shared_check = self._shared_check(pending)
        abort_guard = AbortGuard(
            [each.member.crew_id for each in self._pending if each.case.is_active],
            {crew_id: each.case.remembered.code for crew_id, each in pending.items() if each.case.remembered},
            len(plan.versions),
            armed=not means.allow_mass_change,
        )
        rows = [each.case.enrolment.row_id for each in self._pending if each.case.enrolment]
        known_photos = KnownPhotos(pending, means.gallery.provenance.pictures(rows), means.rules)
        parts = RunParts(means.source, known_photos, shared_check, abort_guard, means.store, means.keep_processed)
        held = ((each.member.crew_id, each.case.enrolment) for each in self._pending)
        means.gallery.writer.expect({crew_id: row.row_id for crew_id, row in held if row and row.active})
        with open_stages(means.settings, faces, parts) as stages:
            self._settle_the_rest()
            with self._settling(shared_check):
                for outcome in self._outcomes(stages):
                    self._take(outcome, shared_check, abort_guard)
        self._results.reported = list(shared_check.reported(self._results.outcomes))

    def _shared_check(self, pending: dict[str, Decision]) -> SharedPhotoCheck:
        means = self._means
        known = known_pictures(means.gallery, self._plan.departed)
        pictures = open_pictures(*known, pending, force=means.rules.force)
        reject = means.settings.SHARED_PHOTOS == "reject"
        return SharedPhotoCheck(pictures, reject=reject, thumbnails=means.thumbnails)

    def _outcomes(self, stages: Stages) -> Iterator[Outcome]:
        """Whoever was under way when a run died comes last and alone: if it happens again, it is known who it was."""
        means = self._means
        suspects = [each.member for each in self._pending if each.case.suspect]
        others = [each.member for each in self._pending if not each.case.suspect]
        options = pipeline_options(means.settings)
        alone = dataclasses.replace(options, download_threads=1, worker_threads=1, batch_size=1)
        usual = Pipeline(stages, options, means.stop)
        yield from usual.run(self._books.announced(others))
        for member in suspects:
            yield from Pipeline(stages, alone, means.stop).run(self._books.announced([member]))

    def _take(self, outcome: Outcome, shared_check: SharedPhotoCheck, abort_guard: AbortGuard) -> None:
        self._means.observer.outcome(outcome)
        self._results.outcomes.append(outcome)
        if self._results.error is not None:
            return
        try:
            abort_guard.saw(outcome)
            self._books.note(outcome)
            if abort_guard.is_satisfied():
                self._books.write_full()
            self._withdraw_late(shared_check)
        except RunError as error:
            self._give_up(error)

    def _give_up(self, error: RunError) -> None:
        """The run stops, but not before everybody has an outcome."""
        self._results.error = error
        self._means.stop.set()

    def _withdraw_late(self, shared_check: SharedPhotoCheck) -> None:
        for place, stored in shared_check.take_late(self._results.outcomes):
            self._means.gallery.writer.withdraw(stored.member.crew_id, stored.embedding_id)
            self._results.outcomes[place] = shared_check.withdrawn(stored)
            self._means.observer.withdrawn(stored)

    @contextmanager
    def _settling(self, shared_check: SharedPhotoCheck) -> Iterator[None]:
        """At the end the books are written, unless the run was stopped as suspicious: what it saw is not true."""
        try:
            yield
        except Stuck:  # the next run is not to begin with the same photos
            self._books.record_failures([each for each in self._failures() if each.code == TookTooLong.code])
            raise
        finally:
            shared_check.settle(self._results.outcomes)
        if self._results.error is not None:
            return
        self._books.write()
        self._books.record_failures([each for each in self._failures() if kind_of(each.code).retry is Retry.UNSHARED])

    def _failures(self) -> list[Failed]:
        """Of this run."""
        return [each for each in self._results.outcomes if isinstance(each, Failed) and not each.recalled]


def _failed(decision: Decision) -> bool:
    return decision.case.remembered is not None and bool(decision.case.remembered.code)
