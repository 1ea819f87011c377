"""Carry out the part of a plan that needs no photo: rows to deactivate, reactivate, adopt or delete."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass

from app.core.logs import RUN_LOGGER, Personal
from app.gallery.erasure import erase
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
)
from app.planning.plan import Plan
from app.records import SKIPPED_CURRENT, SKIPPED_REACTIVATED, SKIPPED_UNCHECKED, Failed, Outcome, Skipped
from app.runs.context import RunContext
from app.runs.result import RunResult
from app.runs.result_writer import ResultWriter

run_log = logging.getLogger(RUN_LOGGER)


@dataclass(frozen=True, slots=True)
class RosterChanges:
    """The changes of one plan that need no photo."""

    plan: Plan
    context: RunContext
    result: RunResult
    writer: ResultWriter

    def carry_out(self) -> None:
        """Change the rows, and give an outcome to each member who is not processed.

        Deactivate the departed first: the database may take the id of one of them for another member's.
        """
        plan, gallery = self.plan, self.context.gallery
        gallery.photo_records.mark_checked(plan.versions)
        gallery.provenance.adopt(plan.adopted)
        self._deactivate_departed()
        self._leave_one_row()
        self._activate_returned()
        failed_before = [each for each in plan.of(UNCHANGED) if each.case.recorded_code]
        gallery.photo_records.clear_failures([each.member.crew_id for each in failed_before])
        cleared = plan.of(UNCHANGED, REACTIVATE, KNOWN_FAILURE)  # their processing did not crash the run
        gallery.crash_suspects.done([each.member.crew_id for each in cleared if each.case.suspect])
        self._give_outcomes()

    def _give_outcomes(self) -> None:
        plan, observer = self.plan, self.context.observer
        unprocessable = _failures(plan.of(UNPROCESSABLE))
        news = [each for each in unprocessable if not each.recalled]
        unchecked = [each.member for each in plan.of(UNCHANGED) if each.member.crew_id in plan.unchecked]
        current = [each.member for each in plan.of(UNCHANGED) if each.member.crew_id not in plan.unchecked]
        quiet: list[Outcome] = [Skipped(member, SKIPPED_CURRENT) for member in current]
        quiet += [Skipped(member, SKIPPED_UNCHECKED) for member in unchecked]
        quiet += [Skipped(each.member, SKIPPED_REACTIVATED) for each in plan.of(REACTIVATE)]
        quiet += _failures(plan.of(KNOWN_FAILURE, SET_ASIDE))
        observer.begin(len(plan.of(*PROCESSED)) + len(news), len(plan.settled) + len(current))
        for failure in news:
            detail = Personal(failure.detail)
            run_log.info("%s %s: %s %s", failure.crew_id, failure.stage, failure.code, detail)
            observer.outcome(failure)
        self.result.outcomes.extend(Skipped(member, SKIPPED_CURRENT) for member, _ in plan.settled)
        self.result.outcomes.extend([*quiet, *unprocessable])
        decided = plan.of(UNPROCESSABLE, SET_ASIDE)
        unknown = [each.failure for each in decided if each.failure and each.failure.code != each.case.recorded_code]
        self.writer.record_failures([dataclasses.replace(each, recalled=False) for each in unknown])

    def _leave_one_row(self) -> None:
        """Keep the newest of a member's active rows; another program may have written several."""
        enrolments = (each.case.enrolment for each in self.plan.in_roster if each.case.enrolment)
        further = [row_id for each in enrolments for row_id in each.active_ids[:-1]]
        self.context.gallery.writer.set_active(further, active=False)

    def _activate_returned(self) -> None:
        gallery, plan = self.context.gallery, self.plan
        gallery.writer.set_active(list(plan.returned), active=True)
        self.result.reactivated = list(plan.returned.values())
        back = [each.member.crew_id for each in plan.in_roster if each.case.came_back]
        gallery.photo_records.mark_returned(back)

    def _deactivate_departed(self) -> None:
        plan, gallery, result = self.plan, self.context.gallery, self.result
        leaving = plan.of(DEACTIVATE)
        rows = [row_id for each in leaving if each.case.enrolment for row_id in each.case.enrolment.active_ids]
        gallery.writer.set_active(rows, active=False)
        result.deactivated = [each.member.crew_id for each in leaving]
        gallery.photo_records.mark_departed(plan.departed)
        purged = [each.member.crew_id for each in plan.of(PURGE)]
        if purged:
            _, result.rows_left = erase(gallery.database, gallery.table, purged)
            result.purged = purged
            run_log.info("Borradas %s personas; filas que quedan de ellas: %s", len(purged), result.rows_left)


def _failures(decisions: list[Decision]) -> list[Failed]:
    return [each.failure for each in decisions if each.failure]
