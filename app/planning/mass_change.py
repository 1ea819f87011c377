"""Cap how many people one run may deactivate or delete: more than that looks like a broken roster."""

from __future__ import annotations

from dataclasses import dataclass

from app.planning.decisions import DEACTIVATE, PURGE, Case, Decision
from app.planning.plan import Survey
from app.planning.rules import Rules
from app.records import CrewMember

MASS_DEACTIVATION, MASS_PURGE = 0.10, 0.05  # of the gallery
ALWAYS_ALLOWED = 1  # one departure is no mass change


@dataclass(frozen=True, slots=True)
class Departures:
    """`decisions` deactivate and delete; `blocked`: what the caps held back, in Spanish sentences; `departed`: all
    known people missing in the roster, empty if the roster is implausible."""

    decisions: list[Decision]
    blocked: list[str]
    departed: list[str]


def mass(gallery: int, share: float) -> float:
    """Return how many people of a gallery a run may change."""
    return max(ALWAYS_ALLOWED, share * gallery)


def find_departures(survey: Survey, rules: Rules) -> Departures:
    """Decide about all known people who are missing in the roster; none if the survey is only of some members."""
    if not survey.whole:
        return Departures([], [], [])
    present = {entry.crew_id for entry in survey.entries}
    known = dict.fromkeys((*survey.enrolments, *survey.photo_records))
    departed = [crew_id for crew_id in known if crew_id not in present]
    cases = [
        Case(CrewMember(crew_id, ""), "", survey.enrolments.get(crew_id), survey.photo_records.get(crew_id))
        for crew_id in departed
    ]
    leaving = [Decision(DEACTIVATE, "ya no está activo en el padrón", case) for case in cases if case.is_active]
    purged = [decision for case in cases for decision in _purge(case, rules)]
    is_empty = not survey.entries
    reason = _why_held_back(leaving, survey.gallery_size, MASS_DEACTIVATION, is_empty=is_empty)
    if reason and not rules.allow_mass_change:
        return Departures([], [_say_held_back("desactivó", reason)], [])
    reason = _why_held_back(purged, len(survey.enrolments), MASS_PURGE, is_empty=is_empty)
    if reason and not rules.allow_mass_change:
        return Departures(leaving, [_say_held_back("borró", reason)], departed)
    return Departures([*leaving, *purged], [], departed)


def _purge(case: Case, rules: Rules) -> list[Decision]:
    left_at = case.photo_record.left_at if case.photo_record else None
    if rules.purge_after is None or left_at is None or case.is_active or left_at + rules.purge_after > rules.now:
        return []
    return [Decision(PURGE, f"falta en el padrón desde el {left_at:%Y-%m-%d}", case)]


def _why_held_back(decisions: list[Decision], gallery: int, share: float, *, is_empty: bool) -> str:
    """Return why these are too many, or nothing. An empty roster is broken whatever the numbers."""
    missing = f"{len(decisions)} de {gallery} personas"
    if is_empty and decisions:
        return f"El padrón llegó vacío y faltan {missing}"
    return f"Son {missing}, más del {share:.0%}" if len(decisions) > mass(gallery, share) else ""


def _say_held_back(what: str, reason: str) -> str:
    return (
        f"No se {what} a quien falta en el padrón. {reason}: revíselo; "
        "si de verdad se fueron, repita con --allow-mass-change."
    )
