"""Cap how many people one run may deactivate or delete: more than that looks like a broken roster."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.core.spanish import say_some
from app.planning.decisions import DEACTIVATE, PURGE, Case, Decision
from app.planning.rules import Rules
from app.planning.survey import Part
from app.records import CrewMember

MASS_DEACTIVATION, MASS_PURGE = 0.10, 0.05  # of the gallery
ALWAYS_ALLOWED = 1  # one departure is no mass change
NAMED = 10  # crew ids in a sentence


def mass(gallery: int, share: float) -> float:
    """Return how many people of a gallery a run may change."""
    return max(ALWAYS_ALLOWED, share * gallery)


@dataclass(slots=True)
class Departures:
    """The known people who are missing in a whole roster: all of them, those to deactivate and those to delete.
    `blocked`: what was held back, in Spanish sentences; `held_back`: the crew ids."""

    departed: list[str] = field(default_factory=list)
    leaving: list[Decision] = field(default_factory=list)
    purged: list[Decision] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    held_back: list[str] = field(default_factory=list)

    def look_for(self, part: Part, rules: Rules) -> None:
        """Find those of one part."""
        present = {entry.crew_id for _, entry in part.entries}
        for crew_id in dict.fromkeys((*part.enrolments, *part.photo_records)):
            if crew_id in present:
                continue
            case = Case(CrewMember(crew_id, ""), "", part.enrolments.get(crew_id), part.photo_records.get(crew_id))
            self.departed.append(crew_id)
            if case.is_active:
                self.leaving.append(Decision(DEACTIVATE, "ya no está activo en el padrón", case))
            self.purged += _purge(case, rules)

    def hold_back(self, people: int, active: int, *, is_empty: bool) -> None:
        """Forget what would be a mass change to a gallery of so many people, some of them active. Nobody has departed
        from an implausible roster; `is_empty`: from one without anybody."""
        reason = _why_held_back(self.leaving, active, MASS_DEACTIVATION, is_empty=is_empty)
        if reason:
            self._note("desactivó", self.leaving, reason)
            self.departed, self.leaving, self.purged = [], [], []
            return
        reason = _why_held_back(self.purged, people, MASS_PURGE, is_empty=is_empty)
        if reason:
            self._note("borró", self.purged, reason)
            self.purged = []

    def _note(self, what: str, decisions: list[Decision], reason: str) -> None:
        self.held_back = sorted(each.member.crew_id for each in decisions)
        self.blocked = [
            f"No se {what} a quien falta en el padrón. {reason} ({say_some(self.held_back, NAMED)}): revíselo; "
            "si de verdad se fueron, repita con --allow-mass-change."
        ]


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
