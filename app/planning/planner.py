"""Makes the plan of a run: reads roster and gallery, and asks the photo server which photos have changed.

Nothing is written. This is the only module of the package that does any I/O.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.pool import ThreadPool
from typing import Protocol

from app.errors import BadName, ImplausibleRun, MixedModels, Retry, codes_with, kind_of
from app.gallery.gallery import Gallery
from app.planning.decisions import ASK, RETRY, UNPROCESSABLE, Case, Decision, decide, is_stale
from app.planning.mass_change import Departures, Limits, find_departures
from app.planning.plan import Plan
from app.planning.request import Request
from app.planning.rules import Rules
from app.planning.shared_failures import no_longer_shared
from app.planning.survey import RosterEntry, Survey
from app.records import ANSWER_UNREACHABLE, Answer, CrewMember, Failed, Picture, Version

PROBED, MOST = 20, 0.75  # so many questions, of which this part goes unanswered: the server is down


class Roster(Protocol):
    """Who is to be in the gallery."""

    def active(self) -> list[RosterEntry]: ...

    def find(self, crew_id: str) -> RosterEntry: ...


def take_survey(request: Request, gallery: Gallery, roster: Roster) -> Survey:
    """Read what roster and gallery say about the requested members. Raises RunError."""
    enrolments = gallery.enrolments(request.crew_id)  # before the roster: a member hired meanwhile has not left
    photo_records = gallery.photo_records.read_all()
    suspects = gallery.crash_suspects.suspects(gallery.history.living(request.now))
    entries = roster.active() if request.crew_id is None else [roster.find(request.crew_id)]
    if request.retry_failed:
        failed = {crew_id for crew_id, photo in photo_records.items() if photo.code} | suspects.keys()
        entries = [entry for entry in entries if entry.crew_id in failed]
    return Survey(entries, request.is_whole, enrolments, photo_records, suspects)


def refuse_mixed_models(request: Request, gallery: Gallery, model: str) -> None:
    """Raise MixedModels when a run for a few members would write vectors of another model than all the others'."""
    if request.is_whole or request.migrate:
        return
    others = gallery.majority_incompatible_models(request.crew_id)
    if others:
        raise MixedModels(
            f"Los embeddings de los demás son de {', '.join(sorted(others))} o de otros pesos, y la configuración "
            f"dice {model}",
            "Revise FACE_MODEL en .env. Para cambiar de modelo a todos: --migrate.",
        )


def known_pictures(gallery: Gallery, departed: Iterable[str]) -> tuple[dict[str, Picture], dict[str, Picture]]:
    """Return, by crew id, the pictures in the gallery and those that were rejected because another member had them.
    Who left the roster is in neither."""
    in_gallery = gallery.provenance.active_pictures(gallery.table)
    rejected = gallery.photo_records.rejected_pictures(codes_with(Retry.UNSHARED))
    for crew_id in departed:
        in_gallery.pop(crew_id, None)
        rejected.pop(crew_id, None)
    return in_gallery, rejected


def retry_no_longer_shared(plan: Plan, gallery: Gallery) -> Plan:
    """Retry members rejected for a shared photo when no other member has that photo any more."""
    if not any(each.failure and kind_of(each.failure.code).retry is Retry.UNSHARED for each in plan.decisions):
        return plan
    alone = no_longer_shared(plan.decisions, *known_pictures(gallery, plan.departed))
    decisions = [
        Decision(RETRY, "nadie más tiene ya su foto", each.case) if each.member.crew_id in alone else each
        for each in plan.decisions
    ]
    return dataclasses.replace(plan, decisions=decisions)


class Planner:
    """Makes one plan. `ask` puts a question to the photo server and never raises for its answer."""

    def __init__(
        self,
        rules: Rules,
        limits: Limits,
        ask: Callable[[CrewMember, Version], Answer],
        url_of: Callable[[CrewMember], str],
        stop: threading.Event,
        *,
        threads: int,
    ) -> None:
        self._rules = rules
        self._limits = limits
        self._ask = ask
        self._url_of = url_of
        self._stop = stop
        self._threads = threads

    def make(self, survey: Survey, notify: Callable[[int, int], None], seconds_each: float | None = None) -> Plan:
        """Return the plan; `notify` is told how many of how many photos the server was asked about; `seconds_each` is
        what a member took in the last run.

        A server that hardly answers at all is the plan's suspicion: no photo is to be processed then.
        """
        suspicion = None
        answers: dict[str, Answer] = {}
        first = [self._decide_at_first(entry, survey) for entry in survey.entries]
        try:
            self._ask_about([each.case for each in first if each.kind == ASK], notify, answers)
        except ImplausibleRun as error:  # deactivating who left needs no photo
            suspicion = error
        decisions = [self._decide_with_answer(each, answers) for each in first]
        departures = Departures([], [], [])
        if survey.whole:
            departures = find_departures(survey, self._limits, self._rules.now)
        return Plan(
            decisions=[*decisions, *departures.decisions],
            versions={each: answer.version for each, answer in answers.items() if answer.says_something},
            blocked=departures.blocked,
            departed=departures.departed,
            gallery_size=survey.gallery_size,
            adopted=self._adopted(decisions),
            suspicion=suspicion,
            seconds_each=seconds_each,
        )

    def _adopted(self, decisions: Sequence[Decision]) -> dict[int, str]:
        """Return the rows (id -> crew id) that another program wrote and that count as current."""
        rows = ((each.case.enrolment, each.member.crew_id) for each in decisions)
        return {
            row.row_id: crew_id
            for row, crew_id in rows
            if row and row.active and not row.known and not is_stale(row, self._rules)
        }

    def _decide_at_first(self, entry: RosterEntry, survey: Survey) -> Decision:
        known = survey.enrolments.get(entry.crew_id), survey.photo_records.get(entry.crew_id)
        if isinstance(entry, Failed):
            return _unprocessable(Case(entry.member, "", *known), entry)
        try:
            url = self._url_of(entry)
        except BadName as error:
            return _unprocessable(Case(entry, "", *known), Failed(entry, error.stage, error.code, error.detail))
        return decide(Case(entry, url, *known, survey.suspects.get(entry.crew_id)), self._rules)

    def _decide_with_answer(self, decision: Decision, answers: Mapping[str, Answer]) -> Decision:
        if decision.kind != ASK:
            return decision
        answer = answers.get(decision.member.crew_id)
        return decide(decision.case, self._rules, answer.kind if answer else ANSWER_UNREACHABLE)

    def _ask_about(self, cases: Sequence[Case], notify: Callable[[int, int], None], answers: dict[str, Answer]) -> None:
        """Fill `answers`, several photos at a time. Raises ImplausibleRun."""
        unreachable = in_a_row = 0
        with ThreadPool(self._threads) as pool:
            for case, answer in pool.imap_unordered(self._question, cases):
                if answer is None:  # told to stop
                    continue
                answers[case.member.crew_id] = answer
                failed = answer.kind == ANSWER_UNREACHABLE
                unreachable += failed
                in_a_row = in_a_row + 1 if failed else 0
                notify(len(answers), len(cases))
                most = len(answers) == PROBED and unreachable >= MOST * PROBED
                if (most or in_a_row == PROBED) and not self._limits.allow_mass_change:
                    raise ImplausibleRun(
                        f"El servidor de fotos no respondió {unreachable} de {len(answers)} veces",
                        "Compruebe IMAGE_BASE_URL y que el servidor funcione. Los embeddings siguen como estaban.",
                    )

    def _question(self, case: Case) -> tuple[Case, Answer | None]:
        """Ask about one photo. A pool takes all its work at once, so the check for `stop` is here."""
        if self._stop.is_set():
            return case, None
        version = case.photo_record.version if case.photo_record else Version()
        return case, self._ask(case.member, version)


def _unprocessable(case: Case, failure: Failed) -> Decision:
    return Decision(UNPROCESSABLE, failure.detail or "no hay foto que procesar", case, failure)
