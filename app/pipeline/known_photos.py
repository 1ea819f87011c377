"""Skips what needs no new vector: the file that was enrolled, the file that failed, a vector that came out the same.

Every file that has changed is embedded: no picture's likeness says that nothing about the face was corrected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from app.gallery.enrolments import Holding
from app.planning.decisions import OF_THE_PHOTO, SHARED_CODES, Decision, Rules, is_stale, recalled
from app.records import (
    SKIPPED_REACTIVATED,
    SKIPPED_REENCODED,
    SKIPPED_RENAMED,
    SKIPPED_SAME_FILE,
    CrewMember,
    Embedding,
    Failed,
    Photo,
    Picture,
    Skipped,
)


class Familiar:
    """What is known of those who are about to be processed. `decisions` by crew id; `pictures` by row id."""

    def __init__(self, decisions: Mapping[str, Decision], pictures: Mapping[int, Picture], rules: Rules) -> None:
        self._decisions = decisions
        self._pictures = pictures
        self._rules = rules

    def fetch(self, fetch: Callable[[CrewMember], Photo], member: CrewMember) -> Photo | Skipped | Failed:
        """The photo, unless its content is the one that was enrolled, or that failed."""
        photo = fetch(member)
        holding = self._good_row(member)
        if holding is not None and holding.sha256 == photo.sha256 and self._was_seen_last(photo):
            return Skipped(member, _how(holding, photo, SKIPPED_SAME_FILE), photo=photo)
        suspect = self._decisions[member.crew_id].case.suspect is not None
        return self._known_failure(photo) or dataclasses.replace(photo, suspect=suspect)

    def unmoved(self, embedding: Embedding) -> Skipped:
        """The outcome of a member whose new vector is the one that the row holds already."""
        photo, holding = embedding.photo, self._decisions[embedding.member.crew_id].case.holding
        code = SKIPPED_REENCODED if holding is None else _how(holding, photo, SKIPPED_REENCODED)
        return Skipped(photo.member, code, sighting=embedding.sighting, photo=photo)

    def picture_of(self, crew_id: str) -> Picture | None:
        """The picture that a member's row was made of."""
        holding = self._decisions[crew_id].case.holding
        return None if holding is None else self._pictures.get(holding.row_id)

    def _good_row(self, member: CrewMember) -> Holding | None:
        """The member's one row, when it is of this contract and to be kept."""
        case = self._decisions[member.crew_id].case
        holding = case.holding
        if holding is None or self._rules.force or len(holding.active_ids) > 1 or is_stale(holding, self._rules):
            return None
        return holding if holding.active or case.came_back else None

    def _was_seen_last(self, photo: Photo) -> bool:
        """Whether nothing is remembered of another file since: what was seen of it would stand for this one."""
        remembered = self._decisions[photo.member.crew_id].case.remembered
        return remembered is None or (not remembered.code and remembered.sha256 in ("", photo.sha256))

    def _known_failure(self, photo: Photo) -> Failed | None:
        remembered = self._decisions[photo.member.crew_id].case.remembered
        if remembered is None or self._rules.force or self._rules.insist:
            return None
        same = remembered.sha256 == photo.sha256 and remembered.judged_by == self._rules.judged_by
        if not same or remembered.code not in OF_THE_PHOTO - SHARED_CODES:
            return None
        return dataclasses.replace(recalled(photo.member, remembered), photo=photo)


def _how(holding: Holding, photo: Photo, otherwise: str) -> str:
    if not holding.active:
        return SKIPPED_REACTIVATED
    return SKIPPED_RENAMED if holding.url != photo.url else otherwise
