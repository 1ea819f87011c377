"""Caps on how many people one run may deactivate or delete: more than that looks like a broken roster."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.planning.decisions import DEACTIVATE, PURGE, Case, Decision
from app.planning.survey import Survey
from app.records import CrewMember

MASS_DEACTIVATION, MASS_PURGE = 0.10, 0.05  # of the gallery
ALWAYS_ALLOWED = 1  # one person who leaves is no mass


@dataclass(frozen=True, slots=True)
class Limits:
    """`purge_after`: how long after leaving people are deleted, None: never; `allow_mass_change` lifts the caps."""

    purge_after: timedelta | None = None
    allow_mass_change: bool = False


@dataclass(frozen=True, slots=True)
class Departures:
    """`decisions`: whom to deactivate and whom to delete; `blocked`: what the caps held back, in Spanish sentences;
    `departed`: everyone who is not in the roster, empty when the roster is not believed."""

    decisions: list[Decision]
    blocked: list[str]
    departed: list[str]


def mass(gallery: int, share: float) -> float:
    """Return how many people of a gallery may be touched at once."""
    return max(ALWAYS_ALLOWED, share * gallery)


def find_departures(survey: Survey, limits: Limits, now: datetime) -> Departures:
    """Decide about everyone who is known and no longer in the roster."""
    present = {entry.crew_id for entry in survey.entries}
    known = dict.fromkeys((*survey.enrolments, *survey.photo_records))
    departed = [crew_id for crew_id in known if crew_id not in present]
    cases = [
        Case(CrewMember(each, ""), "", survey.enrolments.get(each), survey.photo_records.get(each)) for each in departed
    ]
    leaving = [Decision(DEACTIVATE, "ya no está activo en el padrón", case) for case in cases if case.is_active]
    purged = [Decision(PURGE, _since(case), case) for case in cases if _is_to_be_purged(case, limits, now)]
    is_empty = not survey.entries
    reason = _why_held_back(leaving, survey.gallery_size, MASS_DEACTIVATION, is_empty=is_empty)
    if reason and not limits.allow_mass_change:
        return Departures([], [_say_held_back("desactivó", reason)], [])
    reason = _why_held_back(purged, len(survey.enrolments), MASS_PURGE, is_empty=is_empty)
    if reason and not limits.allow_mass_change:
        return Departures(leaving, [_say_held_back("borró", reason)], departed)
    return Departures([*leaving, *purged], [], departed)


def _why_held_back(decisions: list[Decision], gallery: int, share: float, *, is_empty: bool) -> str:
    """Return why these are too many, empty when they are not. An empty roster is broken whatever the numbers."""
    missing = f"{len(decisions)} de {gallery} personas"
    if is_empty and decisions:
        return f"El padrón llegó vacío y faltan {missing}"
    return f"Son {missing}, más del {share:.0%}" if len(decisions) > mass(gallery, share) else ""


def _say_held_back(what: str, reason: str) -> str:
    return (
        f"No se {what} a quien falta en el padrón. {reason}: revíselo; "
        "si de verdad se fueron, repita con --allow-mass-change."
    )


def _is_to_be_purged(case: Case, limits: Limits, now: datetime) -> bool:
    left_at = case.photo_record.left_at if case.photo_record else None
    if limits.purge_after is None or left_at is None or case.is_active:
        return False
    return bool(left_at + limits.purge_after <= now)


def _since(case: Case) -> str:
    left_at = case.photo_record.left_at if case.photo_record else None
    return f"falta en el padrón desde el {left_at:%Y-%m-%d}"
