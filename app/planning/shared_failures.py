"""Which members rejected for a shared photo have it alone by now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.errors import Retry, codes_with
from app.photos.shared_pictures import SharedPictures
from app.planning.decisions import PROCESSED, STALE, Decision
from app.records import Picture


def open_pictures(
    in_gallery: Mapping[str, Picture], rejected: Mapping[str, Picture], pending: Mapping[str, Decision], *, force: bool
) -> SharedPictures:
    """Return the pictures that earlier runs saw. `pending` (by crew id) are about to be processed and may have another
    picture by now, unless only their vector is made anew of the same photo."""
    stays = {
        crew_id
        for crew_id, decision in pending.items()
        if decision.kind == STALE
        or (force and decision.case.enrolment and decision.case.enrolment.url == decision.case.url)
    }
    stored = {each: picture for each, picture in in_gallery.items() if each not in pending or each in stays}
    former = {each: picture for each, picture in in_gallery.items() if each in pending and each not in stays}
    return SharedPictures(stored, {each: picture for each, picture in rejected.items() if each not in pending}, former)


def no_longer_shared(
    decisions: Iterable[Decision], in_gallery: Mapping[str, Picture], rejected: Mapping[str, Picture]
) -> set[str]:
    """Return the members whose photo failed because another member had it, and who have it alone by now."""
    decisions = list(decisions)
    pending = {each.member.crew_id: each for each in decisions if each.kind in PROCESSED}
    shared = codes_with(Retry.UNSHARED)
    waiting = [each.member.crew_id for each in decisions if each.failure and each.failure.code in shared]
    pictures = open_pictures(in_gallery, rejected, pending, force=False)
    return {each for each in waiting if each in rejected and pictures.group_of(each) is None}
