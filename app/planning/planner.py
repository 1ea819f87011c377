"""Make the plan of a run: decide about each member, and ask the photo server which photos have changed. Nothing is
written."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path
from queue import SimpleQueue

from app.core.spool import Spool, SpoolFile
from app.errors import BadName, ImplausibleRun, MixedModels, Retry, RowRefused, codes_with
from app.gallery.gallery import Gallery
from app.photos.shared_pictures import SharedPictures
from app.planning.decisions import ASK, NEW, PROCESSED, RETRY, STALE, UNPROCESSABLE, Case, Decision, decide
from app.planning.draft import Draft
from app.planning.plan import Plan
from app.planning.rules import Request, Rules
from app.planning.survey import Part, RosterEntry, Survey
from app.records import (
    ANSWER_FORBIDDEN,
    ANSWER_UNREACHABLE,
    NO_VERSION,
    Answer,
    CrashSuspect,
    CrewMember,
    Failed,
    Picture,
    Version,
)

PROBED, MOST = 20, 0.75  # the server is down if it does not answer this share of so many questions
NO_ANSWER = (ANSWER_UNREACHABLE, ANSWER_FORBIDDEN)
ASKED_AT_ONCE = 256  # questions that are asked or wait for a thread

Asking = tuple[int, Case]  # after the member's place in the roster
Answered = tuple[Asking, Answer | None]


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


def keep_out_twins(plan: Plan, gallery: Gallery) -> Plan:
    """Process the photo of those who are back and whose picture another member has by now, as if they were new: their
    row must not be used again beside the other's."""
    if not plan.returned:
        return plan  # without reading any picture
    of_rows = gallery.provenance.pictures(list(plan.returned))
    back = {crew_id: of_rows[row_id] for row_id, crew_id in plan.returned.items() if row_id in of_rows}
    in_gallery, _ = known_pictures(gallery, plan.departed)
    twins = {crew_id for crew_id, _ in SharedPictures(in_gallery, back).groups_to_report(back)}
    decisions = [_as_new(each) if each.member.crew_id in twins else each for each in plan.decisions]
    returned = {row_id: crew_id for row_id, crew_id in plan.returned.items() if crew_id not in twins}
    return dataclasses.replace(plan, decisions=decisions, returned=returned)


def _as_new(decision: Decision) -> Decision:
    record = decision.case.photo_record
    case = dataclasses.replace(decision.case, photo_record=record and dataclasses.replace(record, left_at=None))
    if decision.failure:
        return dataclasses.replace(decision, case=case)
    return Decision(NEW, "volvió al padrón, y otra persona tiene su foto de antes", case)


def retry_no_longer_shared(plan: Plan, gallery: Gallery) -> Plan:
    """Retry members rejected for a shared photo when no other member has that photo any more."""
    if not plan.shared:
        return plan  # without reading any picture
    alone = no_longer_shared(plan.decisions, *known_pictures(gallery, plan.departed))
    decisions = [
        Decision(RETRY, "nadie más tiene ya su foto", each.case) if each.member.crew_id in alone else each
        for each in plan.decisions
    ]
    return dataclasses.replace(plan, decisions=decisions)


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes one plan. `ask` sends a question to the photo server and returns whatever happens as an answer; `refusal`
    says why the table can hold no row of a crew id, if so. What a long roster's plan does not keep in memory lies in a
    file in `folder`. Without `settle` each member has a decision."""

    rules: Rules
    ask: Callable[[CrewMember, Version], Answer]
    url_of: Callable[[CrewMember], str]
    refusal: Callable[[str], str]
    stop: threading.Event
    threads: int
    folder: Path | None = None
    settle: bool = True

    def make(self, survey: Survey, notify: Callable[[int, int], None], seconds_each: float | None = None) -> Plan:
        """Return the plan. `notify` is called with the number of photos asked about so far and in all; `seconds_each`
        is what a member took in the last run.

        If the server hardly answers, the plan is `implausible`; it still deactivates the departed, without photos.
        Raises DatabaseUnavailable, while the survey is gone through.
        """
        file = SpoolFile(self.folder)
        draft, asking = Draft(self.rules, file, settle=self.settle), Spool[Asking](file)
        for part in survey.parts:
            draft.look_at(part, whole=survey.whole)
            for place, entry in part.entries:
                decision = self._decide_at_first(entry, part, survey.suspects)
                if decision.kind == ASK:
                    asking.add((place, decision.case))
                else:
                    draft.take(place, decision)
        implausible = None
        try:
            self._ask_about(asking, notify, draft)
        except ImplausibleRun as error:
            implausible = error
        return draft.plan(implausible, seconds_each, survey.passed_over)

    def _decide_at_first(self, entry: RosterEntry, part: Part, suspects: Mapping[str, CrashSuspect]) -> Decision:
        known = part.enrolments.get(entry.crew_id), part.photo_records.get(entry.crew_id)
        if isinstance(entry, Failed):
            return self._unprocessable(Case(entry.member, "", *known), entry)
        try:
            url = self.url_of(entry)
        except BadName as error:
            return self._unprocessable(Case(entry, "", *known), Failed(entry, error.stage, error.code, error.detail))
        reason = self.refusal(entry.crew_id)
        if reason:
            failure = Failed(entry, RowRefused.stage, RowRefused.code, reason)
            return self._unprocessable(Case(entry, url, *known), failure)
        return decide(Case(entry, url, *known, suspects.get(entry.crew_id)), self.rules)

    def _unprocessable(self, case: Case, failure: Failed) -> Decision:
        """Return the decision. The failure is known if an earlier run saw it, unless somebody asks for it anew."""
        is_known = failure.code == case.recorded_code and not (self.rules.insist or self.rules.force)
        reason = failure.detail or "no hay foto que procesar"
        return Decision(UNPROCESSABLE, reason, case, dataclasses.replace(failure, recalled=is_known))

    def _ask_about(self, asking: Spool[Asking], notify: Callable[[int, int], None], draft: Draft) -> None:
        """Decide about these members with the server's answers. Raises ImplausibleRun, after decisions about all."""
        over = threading.Event()
        unreachable, in_a_row, why = 0, 0, ""
        with closing(self._answers(asking, over)) as answers:
            for (place, case), answer in answers:
                draft.take(place, decide(case, self.rules, answer.kind if answer else ANSWER_UNREACHABLE), answer)
                if answer is None:  # the run is stopped, or implausible
                    continue
                failed = answer.kind in NO_ANSWER
                unreachable += failed
                in_a_row = in_a_row + 1 if failed else 0
                why = answer.detail if failed else why
                notify(draft.asked, len(asking))
                most = draft.asked == PROBED and unreachable >= MOST * PROBED
                if (most or in_a_row == PROBED) and not self.rules.allow_mass_change:
                    over.set()
        if over.is_set():
            raise ImplausibleRun(
                f"El servidor de fotos no respondió bien {unreachable} de {draft.asked} veces (la última: {why})",
                "Compruebe IMAGE_BASE_URL y que el servidor funcione. Los embeddings siguen como estaban.",
            )

    def _answers(self, asking: Iterable[Asking], over: threading.Event) -> Generator[Answered, None, None]:
        """Yield each of these with the server's answer, as they come; None once the run is stopped. When it is `over`,
        no answer is waited for."""
        coming, under_way = iter(asking), dict[int, Asking]()
        answered = SimpleQueue[tuple[int, Answer | None] | BaseException]()
        with ThreadPool(self.threads) as pool:
            while not over.is_set():
                for each in itertools.islice(coming, ASKED_AT_ONCE - len(under_way)):
                    under_way[each[0]] = each
                    pool.apply_async(self._question, each, callback=answered.put, error_callback=answered.put)
                if not under_way:
                    return
                found = answered.get()
                if isinstance(found, BaseException):
                    raise found
                yield under_way.pop(found[0]), found[1]
        for each in itertools.chain(under_way.values(), coming):
            yield each, None

    def _question(self, place: int, case: Case) -> tuple[int, Answer | None]:
        if self.stop.is_set():
            return place, None
        version = case.photo_record.version if case.photo_record else NO_VERSION
        answer = self.ask(case.member, version)
        was_stopped = answer.kind == ANSWER_UNREACHABLE and self.stop.is_set()  # a stop ends waits and retries
        return place, None if was_stopped else answer
