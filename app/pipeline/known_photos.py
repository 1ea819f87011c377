"""Skips what needs no new vector: the file that was enrolled, the file that failed, a vector that came out the same.

Every file that has changed is embedded: no picture's likeness says that nothing about the face was corrected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from app.errors import Retry, kind_of
from app.gallery.enrolments import Enrolment
from app.planning.decisions import Decision, Rules, is_stale, recalled
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


class KnownPhotos:
    """What is known of those who are about to be processed. `decisions` by crew id; `pictures` by row id."""

    def __init__(self, decisions: Mapping[str, Decision], pictures: Mapping[int, Picture], rules: Rules) -> None:
        self._decisions = decisions
        self._pictures = pictures
        self._rules = rules

    def fetch(self, fetch: Callable[[CrewMember], Photo], member: CrewMember) -> Photo | Skipped | Failed:
        """The photo, unless its content is the one that was enrolled, or that failed."""
        photo = fetch(member)
        enrolment = self._good_row(member)
        if enrolment is not None and enrolment.sha256 == photo.sha256 and self._was_seen_last(photo):
            return Skipped(member, _how(enrolment, photo, SKIPPED_SAME_FILE), photo=photo)
        suspect = self._decisions[member.crew_id].case.suspect is not None
        return self._known_failure(photo) or dataclasses.replace(photo, suspect=suspect)

    def unmoved(self, embedding: Embedding) -> Skipped:
        """The outcome of a member whose new vector is the one that the row holds already."""
        photo, enrolment = embedding.photo, self._decisions[embedding.member.crew_id].case.enrolment
        code = SKIPPED_REENCODED if enrolment is None else _how(enrolment, photo, SKIPPED_REENCODED)
        return Skipped(photo.member, code, analysis=embedding.analysis, photo=photo)

    def picture_of(self, crew_id: str) -> Picture | None:
        """The picture that a member's row was made of."""
        enrolment = self._decisions[crew_id].case.enrolment
        return None if enrolment is None else self._pictures.get(enrolment.row_id)

    def _good_row(self, member: CrewMember) -> Enrolment | None:
        """The member's one row, when it is of this contract and to be kept."""
        case = self._decisions[member.crew_id].case
        enrolment = case.enrolment
        if enrolment is None or self._rules.force or len(enrolment.active_ids) > 1 or is_stale(enrolment, self._rules):
            return None
        return enrolment if enrolment.active or case.came_back else None

    def _was_seen_last(self, photo: Photo) -> bool:
        """Whether nothing is remembered of another file since: what was seen of it would stand for this one."""
        remembered = self._decisions[photo.member.crew_id].case.remembered
        return remembered is None or (not remembered.code and remembered.sha256 in ("", photo.sha256))

    def _known_failure(self, photo: Photo) -> Failed | None:
        remembered = self._decisions[photo.member.crew_id].case.remembered
        if remembered is None or self._rules.force or self._rules.insist:
            return None
        same = remembered.sha256 == photo.sha256 and remembered.judged_by == self._rules.judged_by
        if not same or kind_of(remembered.code).retry is not Retry.OTHER_PHOTO:
            return None
        return dataclasses.replace(recalled(photo.member, remembered), photo=photo)


def _how(enrolment: Enrolment, photo: Photo, otherwise: str) -> str:
    if not enrolment.active:
        return SKIPPED_REACTIVATED
    return SKIPPED_RENAMED if enrolment.url != photo.url else otherwise
