"""The members of whom a run has nothing to do and nothing to say: on most nights nearly all, so they lie on disk."""

from __future__ import annotations

from collections.abc import Iterator

from app.core.spool import Spool, SpoolFile
from app.planning.decisions import UNCHANGED, Decision
from app.records import CrewMember

PLACES = 4096  # of the roster, whose members are put in order together


def is_settled(decision: Decision) -> bool:
    """Tell whether only the member's name is needed from now on: the one row is current, known and active, its photo
    could not be better, and no earlier failure, departure or crash has to be cleared."""
    case = decision.case
    row, photo = case.enrolment, case.photo_record
    if decision.kind != UNCHANGED or row is None or case.suspect is not None:
        return False
    is_noted = photo is not None and (photo.code or photo.improvable or photo.left_at is not None)
    return row.known and len(row.active_ids) == 1 and not is_noted


class Settled:
    """The settled members of one plan, each with the reason (Spanish), in the roster's order."""

    def __init__(self, file: SpoolFile) -> None:
        self._file = file
        self._spools: dict[int, Spool[tuple[int, CrewMember, str]]] = {}  # by place // PLACES

    def add(self, place: int, decision: Decision) -> None:
        """Add a member at this place of the roster."""
        number = place // PLACES
        if number not in self._spools:
            self._spools[number] = Spool(self._file)
        self._spools[number].add((place, decision.member, decision.reason))

    def __len__(self) -> int:
        return sum(map(len, self._spools.values()))

    def __iter__(self) -> Iterator[tuple[CrewMember, str]]:
        for number in sorted(self._spools):
            for _, member, reason in sorted(self._spools[number], key=lambda each: each[0]):
                yield member, reason
