"""What a run is going to do: the roster, the gallery and what is remembered come in, a `Plan` goes out.

Nothing is written. A run executes exactly such a plan; `--plan` shows it instead.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.pool import ThreadPool

from app.errors import BadName, ImplausibleRun
from app.gallery.crash_suspects import CrashSuspect
from app.gallery.enrolments import Enrolment
from app.gallery.photo_records import PhotoRecord
from app.planning.decisions import (
    ASK,
    DEACTIVATE,
    PROCESSED,
    PURGE,
    STALE,
    UNPROCESSABLE,
    Case,
    Decision,
    Rules,
    decide,
    is_stale,
)
from app.records import ANSWER_UNREACHABLE, Answer, CrewMember, Failed, Version

Entry = CrewMember | Failed
MASS_DEACTIVATION, MASS_PURGE = 0.10, 0.05  # of the gallery: more than that looks like a broken roster
ALWAYS_ALLOWED = 1  # one person who leaves is no mass
PROBED, MOST = 20, 0.75  # so many questions, of which this part goes unanswered: the server is down


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known before anybody is asked, all by crew id. `entries` are the roster's, all of it when `whole`."""

    entries: Sequence[Entry]
    whole: bool
    enrolments: Mapping[str, Enrolment]
    remembered: Mapping[str, PhotoRecord]
    suspects: Mapping[str, CrashSuspect]


@dataclass(frozen=True, slots=True)
class Limits:
    """`purge_after`: how long after leaving people are deleted, None: never; `allow_mass_change` lifts the caps."""

    purge_after: timedelta | None = None
    allow_mass_change: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The decisions, one for each member of the roster and each person who left it. `versions`: what the photo server
    said of those it was asked about; `blocked`: what the caps keep from being done; `gone`: everybody who is not in the
    roster, as far as it is believed; `strangers`: rows (id -> crew id) that another program made, and that count as
    current; `suspicion`: why nobody's photo is to be processed; `seconds_each`: what a member took in the last run."""

    decisions: Sequence[Decision]
    versions: Mapping[str, Version] = field(default_factory=dict)
    blocked: Sequence[str] = ()
    departed: Sequence[str] = ()
    gallery_size: int = 0
    strangers: Mapping[int, str] = field(default_factory=dict)
    suspicion: ImplausibleRun | None = None
    seconds_each: float | None = None

    def of(self, *kinds: str) -> list[Decision]:
        return [decision for decision in self.decisions if decision.kind in kinds]

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(decision.kind for decision in self.decisions))

    @property
    def seconds(self) -> float | None:
        """How long processing will take, as far as anybody can tell."""
        return None if self.seconds_each is None else self.seconds_each * len(self.of(*PROCESSED))

    @property
    def stale(self) -> list[Decision]:
        return self.of(STALE)


class Planner:
    """Makes the plan of one run. `ask` puts a question to the photo server and never raises for its answer."""

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

    def make(self, survey: Survey, told: Callable[[int, int], None]) -> Plan:
        """The plan; `told` hears how many of how many photos the server was asked about.

        A server that hardly answers at all is the plan's suspicion: nobody's photo is to be processed then.
        """
        suspicion = None
        answers: dict[str, Answer] = {}
        first = [self._at_first(entry, survey) for entry in survey.entries]
        try:
            self._ask_about([each.case for each in first if each.kind == ASK], told, answers)
        except ImplausibleRun as error:  # whoever left needs no photo
            suspicion = error
        decisions = [self._answered(each, answers) for each in first]
        leavers, blocked, departed = self._leavers(survey) if survey.whole else ([], [], [])
        return Plan(
            decisions=[*decisions, *leavers],
            versions={each: answer.version for each, answer in answers.items() if answer.says_something},
            blocked=blocked,
            departed=departed,
            gallery_size=sum(enrolment.active for enrolment in survey.enrolments.values()),
            strangers=self._strangers(decisions),
            suspicion=suspicion,
        )

    def _strangers(self, decisions: Sequence[Decision]) -> dict[int, str]:
        """Rows (id -> crew id) that another program made, and that count as current."""
        rows = ((each.case.enrolment, each.member.crew_id) for each in decisions)
        return {
            row.row_id: crew_id
            for row, crew_id in rows
            if row and row.active and not row.known and not is_stale(row, self._rules)
        }

    def _at_first(self, entry: Entry, survey: Survey) -> Decision:
        member = entry.member if isinstance(entry, Failed) else entry
        known = survey.enrolments.get(member.crew_id), survey.remembered.get(member.crew_id)
        if isinstance(entry, Failed):
            return _unprocessable(Case(member, "", *known), entry)
        try:
            url = self._url_of(member)
        except BadName as error:
            return _unprocessable(Case(member, "", *known), Failed(member, error.stage, error.code, error.detail))
        return decide(Case(member, url, *known, survey.suspects.get(member.crew_id)), self._rules)

    def _answered(self, decision: Decision, answers: Mapping[str, Answer]) -> Decision:
        """What only the photo's server could decide, decided."""
        if decision.kind != ASK:
            return decision
        answer = answers.get(decision.member.crew_id)
        return decide(decision.case, self._rules, answer.kind if answer else ANSWER_UNREACHABLE)

    def _ask_about(self, cases: Sequence[Case], told: Callable[[int, int], None], answers: dict[str, Answer]) -> None:
        """Fills `answers`. Raises ImplausibleRun."""
        unreachable = in_a_row = 0
        with ThreadPool(self._threads) as pool:
            for case, answer in pool.imap_unordered(self._question, cases):
                if answer is None:  # told to stop
                    continue
                answers[case.member.crew_id] = answer
                failed = answer.kind == ANSWER_UNREACHABLE
                unreachable += failed
                in_a_row = in_a_row + 1 if failed else 0
                told(len(answers), len(cases))
                most = len(answers) == PROBED and unreachable >= MOST * PROBED
                if (most or in_a_row == PROBED) and not self._limits.allow_mass_change:
                    raise ImplausibleRun(
                        f"El servidor de fotos no respondió {unreachable} de {len(answers)} veces",
                        "Compruebe IMAGE_BASE_URL y que el servidor funcione. Los embeddings siguen como estaban.",
                    )

    def _question(self, case: Case) -> tuple[Case, Answer | None]:
        """A pool takes all its work at once: whether to go on is asked here."""
        if self._stop.is_set():
            return case, None
        version = case.remembered.version if case.remembered else Version()
        return case, self._ask(case.member, version)

    def _leavers(self, survey: Survey) -> tuple[list[Decision], list[str], list[str]]:
        """Whoever is not in the roster: to be laid to rest, to be deleted, and all of them. A roster that is not
        believed lets nobody go."""
        present = {each.member.crew_id if isinstance(each, Failed) else each.crew_id for each in survey.entries}
        known = dict.fromkeys((*survey.enrolments, *survey.remembered))
        departed = [crew_id for crew_id in known if crew_id not in present]
        cases = [
            Case(CrewMember(each, ""), "", survey.enrolments.get(each), survey.remembered.get(each))
            for each in departed
        ]
        resting = [Decision(DEACTIVATE, "ya no está activo en el padrón", case) for case in cases if case.is_active]
        purged = [Decision(PURGE, _since(case), case) for case in cases if self._is_to_be_purged(case)]
        active = sum(enrolment.active for enrolment in survey.enrolments.values())
        nobody = not survey.entries
        blocked = list(self._hold_back(resting, active, MASS_DEACTIVATION, "desactivó", nobody=nobody))
        if blocked:
            return [], blocked, []
        blocked += self._hold_back(purged, len(survey.enrolments), MASS_PURGE, "borró", nobody=nobody)
        return [*resting, *purged], blocked, departed

    def _hold_back(
        self, decisions: list[Decision], gallery: int, share: float, what: str, *, nobody: bool
    ) -> Iterator[str]:
        """Empties the list, and says so, when it is a mass; an empty roster is broken whatever the numbers."""
        too_many = len(decisions) > mass(gallery, share) or (nobody and decisions)
        if not too_many or self._limits.allow_mass_change:
            return
        missing = f"{len(decisions)} de {gallery} personas"
        why = f"El padrón llegó vacío y faltan {missing}" if nobody else f"Son {missing}, más del {share:.0%}"
        yield (
            f"No se {what} a quien falta en el padrón. {why}: revíselo; "
            "si de verdad se fueron, repita con --allow-mass-change."
        )
        decisions.clear()

    def _is_to_be_purged(self, case: Case) -> bool:
        left_at, after = case.remembered.left_at if case.remembered else None, self._limits.purge_after
        if after is None or left_at is None or case.is_active:
            return False
        return left_at + after <= self._rules.now


def mass(gallery: int, share: float) -> float:
    """How many people of a gallery may be touched at once."""
    return max(ALWAYS_ALLOWED, share * gallery)


def _unprocessable(case: Case, failure: Failed) -> Decision:
    return Decision(UNPROCESSABLE, failure.detail or "no hay foto que procesar", case, failure)


def _since(case: Case) -> str:
    left_at = case.remembered.left_at if case.remembered else None
    return f"falta en el padrón desde el {left_at:%Y-%m-%d}"
