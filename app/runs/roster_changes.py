"""Carries out what a plan says without looking at a photo: rows to deactivate, reactivate, adopt or delete."""

from __future__ import annotations

import dataclasses
import logging

from app.core.logs import RUN_LOGGER, Personal
from app.planning.decisions import (
    DEACTIVATE,
    KNOWN_FAILURE,
    PROCESSED,
    PURGE,
    REACTIVATE,
    SET_ASIDE,
    UNCHANGED,
    UNPROCESSABLE,
    Case,
    Decision,
    is_stale,
)
from app.planning.plan import Plan
from app.records import SKIPPED_CURRENT, SKIPPED_REACTIVATED, Failed, Outcome, Skipped
from app.runs.context import RunContext
from app.runs.result import RunResult
from app.runs.result_writer import ResultWriter

run_log = logging.getLogger(RUN_LOGGER)


class RosterChanges:
    """The changes of one plan that need no photo."""

    def __init__(self, plan: Plan, context: RunContext, results: RunResult, writer: ResultWriter) -> None:
        self._plan = plan
        self._context = context
        self._results = results
        self._writer = writer
        self._in_roster = [each for each in plan.decisions if each.kind not in (DEACTIVATE, PURGE)]

    def carry_out(self) -> None:
        """Change the rows, and give an outcome to each member who is not processed.

        Departed people's rows are deactivated first: an id that the database takes for another member's is free then.
        """
        plan, gallery = self._plan, self._context.gallery
        gallery.photo_records.checked(plan.versions)
        gallery.provenance.adopt(plan.adopted)
        self._deactivate_departed()
        self._leave_one_row()
        self._reactivate_returned()
        gallery.row_status.clear_failures([each.member.crew_id for each in plan.of(UNCHANGED) if _has_failed(each)])
        cleared = plan.of(UNCHANGED, REACTIVATE, KNOWN_FAILURE)  # they came through before the run died
        gallery.crash_suspects.done([each.member.crew_id for each in cleared if each.case.suspect])
        self._give_outcomes()

    def _give_outcomes(self) -> None:
        plan, observer = self._plan, self._context.observer
        quarantined = _failures(plan.of(SET_ASIDE))
        unprocessable = _failures(plan.of(UNPROCESSABLE))
        quiet: list[Outcome] = [Skipped(each.member, SKIPPED_CURRENT) for each in plan.of(UNCHANGED)]
        quiet += [Skipped(each.member, SKIPPED_REACTIVATED) for each in plan.of(REACTIVATE)]
        quiet += [*_failures(plan.of(KNOWN_FAILURE)), *quarantined]
        observer.begin(len(plan.of(*PROCESSED)) + len(unprocessable), len(plan.of(UNCHANGED)))
        for failure in unprocessable:
            detail = Personal(failure.detail)
            run_log.info("%s %s: %s %s", failure.crew_id, failure.stage, failure.code, detail)
            observer.outcome(failure)
        self._results.outcomes += [*quiet, *unprocessable]
        decided = plan.of(UNPROCESSABLE, SET_ASIDE)
        news = [each.failure for each in decided if each.failure and _is_news(each.failure, each.case)]
        self._writer.record_failures([dataclasses.replace(each, recalled=False) for each in news])

    def _leave_one_row(self) -> None:
        """Of several active rows of one member, which another program may have written, keep the newest."""
        enrolments = (each.case.enrolment for each in self._in_roster if each.case.enrolment)
        further = [row_id for each in enrolments for row_id in each.active_ids[:-1]]
        self._context.gallery.row_status.deactivate(further)

    def _reactivate_returned(self) -> None:
        """Reactivate the rows of members who are back in the roster, even if their photo changed or fails by now.
        Rows of another embedding spec stay inactive."""
        row_status, rules = self._context.gallery.row_status, self._context.rules
        back = [each.case for each in self._in_roster if each.case.came_back]
        rows = (case.enrolment for case in back if case.enrolment and not case.enrolment.active)
        row_status.reactivate([enrolment.row_id for enrolment in rows if not is_stale(enrolment, rules)])
        row_status.mark_returned([case.member.crew_id for case in back])

    def _deactivate_departed(self) -> None:
        plan, row_status, results = self._plan, self._context.gallery.row_status, self._results
        leaving = plan.of(DEACTIVATE)
        rows = [row_id for each in leaving if each.case.enrolment for row_id in each.case.enrolment.active_ids]
        row_status.deactivate(rows)
        results.deactivated = [each.member.crew_id for each in leaving]
        row_status.mark_left(plan.departed)
        purged = [each.member.crew_id for each in plan.of(PURGE)]
        if purged:
            results.rows_left = row_status.purge(purged)
            results.purged = purged
            run_log.info("Borradas %s personas; filas que quedan de ellas: %s", len(purged), results.rows_left)


def _failures(decisions: list[Decision]) -> list[Failed]:
    return [each.failure for each in decisions if each.failure]


def _is_news(failure: Failed, case: Case) -> bool:
    return case.photo_record is None or case.photo_record.code != failure.code


def _has_failed(decision: Decision) -> bool:
    return decision.case.photo_record is not None and bool(decision.case.photo_record.code)
