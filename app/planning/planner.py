"""Make the plan of a run: read roster and gallery, and ask the photo server which photos have changed.

Nothing is written. No other module of the package does any I/O.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool

from app.errors import BadName, ImplausibleRun, MixedModels, Retry, codes_with, kind_of
from app.gallery.enrolments import Enrolment
from app.gallery.gallery import Gallery
from app.photos.shared_pictures import SharedPictures
from app.planning.decisions import ASK, PROCESSED, RETRY, STALE, UNPROCESSABLE, Case, Decision, decide, is_stale
from app.planning.mass_change import find_departures
from app.planning.plan import Plan, RosterEntry, Survey
from app.planning.rules import Request, Rules
from app.records import ANSWER_FORBIDDEN, ANSWER_UNREACHABLE, Answer, CrewMember, Failed, Picture, Version
from app.roster.database import DatabaseRoster
from app.roster.folder import FolderRoster

PROBED, MOST = 20, 0.75  # the server is down if it does not answer this share of so many questions
NO_ANSWER = (ANSWER_UNREACHABLE, ANSWER_FORBIDDEN)


def take_survey(request: Request, rules: Rules, gallery: Gallery, roster: DatabaseRoster | FolderRoster) -> Survey:
    """Read what roster and gallery hold of the requested members. Raises RunError."""
    enrolments = gallery.enrolments(request.crew_id)  # before the roster: a member hired meanwhile has not departed
    photo_records = gallery.photo_records.read_all(rules.now - rules.recheck)
    suspects = gallery.crash_suspects.suspects(gallery.history.living(request.now))
    entries = roster.active() if request.crew_id is None else [roster.find(request.crew_id)]
    if request.retry_failed:
        failed = {crew_id for crew_id, photo in photo_records.items() if photo.code} | suspects.keys()
        entries = [entry for entry in entries if entry.crew_id in failed]
    passed_over = request.folder.passed_over if request.folder else ()
    return Survey(entries, request.is_whole, enrolments, photo_records, suspects, passed_over)


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
    """Return, by crew id, the pictures in the gallery and those rejected as shared, without those of the departed."""
    in_gallery = gallery.provenance.active_pictures(gallery.table)
    rejected = gallery.photo_records.rejected_pictures(codes_with(Retry.UNSHARED))
    for crew_id in departed:
        in_gallery.pop(crew_id, None)
        rejected.pop(crew_id, None)
    return in_gallery, rejected


def open_pictures(
    in_gallery: Mapping[str, Picture], rejected: Mapping[str, Picture], pending: Mapping[str, Decision], *, force: bool
) -> SharedPictures:
    """Return the pictures that earlier runs saw. `pending` members (by crew id) may have another picture by now, unless
    the run only makes their vector anew from the same photo."""
    stays = {
        crew_id
        for crew_id, decision in pending.items()
        if decision.kind == STALE
        or (force and decision.case.enrolment and decision.case.enrolment.url == decision.case.url)
    }
    stored = {crew_id: seen for crew_id, seen in in_gallery.items() if crew_id not in pending or crew_id in stays}
    former = {crew_id: seen for crew_id, seen in in_gallery.items() if crew_id in pending and crew_id not in stays}
    return SharedPictures(stored, {each: seen for each, seen in rejected.items() if each not in pending}, former)


def no_longer_shared(
    decisions: Iterable[Decision], in_gallery: Mapping[str, Picture], rejected: Mapping[str, Picture]
) -> set[str]:
    """Return the members rejected for a photo that no other member has any more."""
    decisions = list(decisions)
    pending = {decision.member.crew_id: decision for decision in decisions if decision.kind in PROCESSED}
    shared = codes_with(Retry.UNSHARED)
    waiting = [each.member.crew_id for each in decisions if each.failure and each.failure.code in shared]
    pictures = open_pictures(in_gallery, rejected, pending, force=False)
    return {crew_id for crew_id in waiting if crew_id in rejected and pictures.group_of(crew_id) is None}


def retry_no_longer_shared(plan: Plan, gallery: Gallery) -> Plan:
    """Retry members rejected for a shared photo when no other member has that photo any more."""
    if not any(each.failure and kind_of(each.failure.code).retry is Retry.UNSHARED for each in plan.decisions):
        return plan  # without reading any picture
    alone = no_longer_shared(plan.decisions, *known_pictures(gallery, plan.departed))
    decisions = [
        Decision(RETRY, "nadie más tiene ya su foto", each.case) if each.member.crew_id in alone else each
        for each in plan.decisions
    ]
    return dataclasses.replace(plan, decisions=decisions)


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes one plan. `ask` sends a question to the photo server and returns whatever happens as an answer."""

    rules: Rules
    ask: Callable[[CrewMember, Version], Answer]
    url_of: Callable[[CrewMember], str]
    stop: threading.Event
    threads: int

    def make(self, survey: Survey, notify: Callable[[int, int], None], seconds_each: float | None = None) -> Plan:
        """Return the plan. `notify` is called with the number of photos asked about so far and in all; `seconds_each`
        is what a member took in the last run.

        If the server hardly answers, the plan is `implausible`; it still deactivates the departed, without photos.
        """
        implausible = None
        answers: dict[str, Answer] = {}
        first = [self._decide_at_first(entry, survey) for entry in survey.entries]
        try:
            self._ask_about([each.case for each in first if each.kind == ASK], notify, answers)
        except ImplausibleRun as error:
            implausible = error
        decisions = [self._decide_with_answer(each, answers) for each in first]
        departures = find_departures(survey, self.rules)
        return Plan(
            decisions=[*decisions, *departures.decisions],
            versions={crew_id: answer.version for crew_id, answer in answers.items() if answer.says_something},
            asked=len(answers),
            unchecked={
                crew_id: answer.detail for crew_id, answer in answers.items() if answer.kind == ANSWER_UNREACHABLE
            },
            blocked=departures.blocked,
            departed=departures.departed,
            gallery_size=survey.gallery_size,
            adopted=self._adopted(decisions),
            implausible=implausible,
            seconds_each=seconds_each,
            passed_over=survey.passed_over,
            uniform=_is_uniform(survey.enrolments.values(), self.rules),
        )

    def _adopted(self, decisions: Sequence[Decision]) -> dict[int, str]:
        rows = ((each.case.enrolment, each.member.crew_id) for each in decisions)
        return {
            row.row_id: crew_id
            for row, crew_id in rows
            if row and row.active and not row.known and not is_stale(row, self.rules)
        }

    def _decide_at_first(self, entry: RosterEntry, survey: Survey) -> Decision:
        known = survey.enrolments.get(entry.crew_id), survey.photo_records.get(entry.crew_id)
        if isinstance(entry, Failed):
            return _unprocessable(Case(entry.member, "", *known), entry)
        try:
            url = self.url_of(entry)
        except BadName as error:
            return _unprocessable(Case(entry, "", *known), Failed(entry, error.stage, error.code, error.detail))
        row = known[0]
        if row is not None and row.url == url:
            url = row.url  # one text for both: a long roster's are megabytes
        return decide(Case(entry, url, *known, survey.suspects.get(entry.crew_id)), self.rules)

    def _decide_with_answer(self, decision: Decision, answers: Mapping[str, Answer]) -> Decision:
        if decision.kind != ASK:
            return decision
        answer = answers.get(decision.member.crew_id)
        return decide(decision.case, self.rules, answer.kind if answer else ANSWER_UNREACHABLE)

    def _ask_about(self, cases: Sequence[Case], notify: Callable[[int, int], None], answers: dict[str, Answer]) -> None:
        """Fill `answers`, asking about several photos at a time. Raises ImplausibleRun."""
        unreachable, in_a_row, why = 0, 0, ""
        with ThreadPool(self.threads) as pool:
            for case, answer in pool.imap_unordered(self._question, cases):
                if answer is None:  # the run is stopped
                    continue
                answers[case.member.crew_id] = answer
                failed = answer.kind in NO_ANSWER
                unreachable += failed
                in_a_row = in_a_row + 1 if failed else 0
                why = answer.detail if failed else why
                notify(len(answers), len(cases))
                most = len(answers) == PROBED and unreachable >= MOST * PROBED
                if (most or in_a_row == PROBED) and not self.rules.allow_mass_change:
                    raise ImplausibleRun(
                        f"El servidor de fotos no respondió bien {unreachable} de {len(answers)} veces "
                        f"(la última: {why})",
                        "Compruebe IMAGE_BASE_URL y que el servidor funcione. Los embeddings siguen como estaban.",
                    )

    def _question(self, case: Case) -> tuple[Case, Answer | None]:
        # The pool took all its work at once, so only here the run can be stopped.
        if self.stop.is_set():
            return case, None
        version = case.photo_record.version if case.photo_record else Version()
        answer = self.ask(case.member, version)
        was_stopped = answer.kind == ANSWER_UNREACHABLE and self.stop.is_set()  # a stop ends waits and retries
        return case, None if was_stopped else answer


def _is_uniform(enrolments: Iterable[Enrolment], rules: Rules) -> bool:
    """Tell whether each active row is its member's only one, and known to be of this spec or adopted."""
    return all(
        len(each.active_ids) == 1 and each.known and not is_stale(each, rules) for each in enrolments if each.active
    )


def _unprocessable(case: Case, failure: Failed) -> Decision:
    return Decision(UNPROCESSABLE, failure.detail or "no hay foto que procesar", case, failure)
