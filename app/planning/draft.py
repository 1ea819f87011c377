"""A plan in the making: the decisions so far, and what is counted on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.core.spool import Spool, SpoolFile
from app.errors import ImplausibleRun
from app.planning.decisions import Decision, is_stale
from app.planning.mass_change import Departures
from app.planning.plan import Plan
from app.planning.rules import Rules
from app.planning.settled import Settled, is_settled
from app.planning.survey import Part
from app.records import ANSWER_UNREACHABLE, Answer, Enrolment, Version


class Draft:
    """The draft of one plan. What nothing is done with lies in `file`, unless not to `settle` anybody."""

    def __init__(self, rules: Rules, file: SpoolFile, *, settle: bool) -> None:
        self.asked = 0
        self._rules = rules
        self._settle = settle
        self._decisions: list[tuple[int, Decision]] = []
        self._settled = Settled(file)
        self._versions = Spool[tuple[str, Version]](file)
        self._unchecked: dict[str, str] = {}
        self._departures = Departures()
        self._people = self._active = self._entries = 0
        self._uniform = True
        self._records = 0
        self._failed_before: set[str] = set()

    def look_at(self, part: Part, *, whole: bool) -> None:
        """Count what is known of some people, and look for the departed if the roster is whole."""
        self._entries += len(part.entries)
        self._people += len(part.enrolments)
        self._active += sum(enrolment.active for enrolment in part.enrolments.values())
        self._uniform = self._uniform and _is_uniform(part.enrolments.values(), self._rules)
        self._records += len(part.photo_records)
        self._failed_before.update(crew_id for crew_id, photo in part.photo_records.items() if photo.code)
        if whole:
            self._departures.look_for(part, self._rules)

    def take(self, place: int, decision: Decision, answer: Answer | None = None) -> None:
        """Take the decision about the member at this place of the roster, and the photo server's answer, if it was
        asked."""
        crew_id = decision.member.crew_id
        if answer is not None:
            self.asked += 1
            if answer.says_something:
                self._versions.add((crew_id, answer.version))
            elif answer.kind == ANSWER_UNREACHABLE:
                self._unchecked[crew_id] = answer.detail
        if self._settle and crew_id not in self._unchecked and is_settled(decision):
            self._settled.add(place, decision)
        else:
            self._decisions.append((place, decision))

    def plan(self, implausible: ImplausibleRun | None, seconds_each: float | None, passed_over: Sequence[str]) -> Plan:
        """Return the plan, with the decisions in the roster's order and then those about the departed, by crew id."""
        departures = self._departures
        if not self._rules.allow_mass_change:
            departures.hold_back(self._people, self._active, is_empty=not self._entries)
        decisions = [decision for _, decision in sorted(self._decisions, key=lambda each: each[0])]
        assert len(decisions) + len(self._settled) == self._entries, "one decision for each member of the roster"
        departing = sorted([*departures.leaving, *departures.purged], key=lambda each: each.member.crew_id)
        return Plan(
            decisions=[*decisions, *departing],
            settled=self._settled,
            versions=self._versions,
            asked=self.asked,
            unchecked=self._unchecked,
            blocked=departures.blocked,
            held_back=departures.held_back,
            departed=departures.departed,
            gallery_size=self._active,
            adopted=_adopted(decisions, self._rules),
            returned=_returned(decisions, self._rules),
            implausible=implausible,
            seconds_each=seconds_each,
            passed_over=passed_over,
            uniform=self._uniform,
            failed_before=frozenset(self._failed_before) if self._records else None,
        )


def _adopted(decisions: Iterable[Decision], rules: Rules) -> dict[int, str]:
    rows = ((each.case.enrolment, each.member.crew_id) for each in decisions)
    foreign = ((row, crew_id) for row, crew_id in rows if row and row.active and not row.known)
    return {row.row_id: crew_id for row, crew_id in foreign if not is_stale(row, rules)}


def _returned(decisions: Iterable[Decision], rules: Rules) -> dict[int, str]:
    back = ((each.case.enrolment, each.member.crew_id) for each in decisions if each.case.came_back)
    resting = ((row, crew_id) for row, crew_id in back if row and not row.active)
    return {row.row_id: crew_id for row, crew_id in resting if not is_stale(row, rules)}


def _is_uniform(enrolments: Iterable[Enrolment], rules: Rules) -> bool:
    """Tell whether each active row is its member's only one, and known to be of this spec or adopted."""
    return all(
        len(each.active_ids) == 1 and each.known and not is_stale(each, rules) for each in enrolments if each.active
    )
