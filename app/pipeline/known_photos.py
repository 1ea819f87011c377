"""Recognise photos that need no new vector: the enrolled file, a file that failed before, a vector that did not move.

Every changed file is embedded: even if the pictures look the same, the face may have been corrected.
"""

from __future__ import annotations

from dataclasses import replace

from app.errors import Retry, kind_of
from app.planning.decisions import Case, Decision, is_stale, recalled
from app.planning.rules import Rules
from app.records import (
    SKIPPED_REACTIVATED,
    SKIPPED_REENCODED,
    SKIPPED_RENAMED,
    SKIPPED_SAME_FILE,
    Embedding,
    Failed,
    Photo,
    Skipped,
)


def recognise(photo: Photo, decision: Decision, rules: Rules) -> Skipped | Failed | None:
    """Return the outcome of a file that is enrolled, or that failed under the same rules; None for any other file."""
    case = decision.case
    if _is_enrolled(photo, case, rules) and _was_seen_last(photo, case):
        return Skipped(photo.member, _why_skipped(case, photo, SKIPPED_SAME_FILE), photo=photo)
    return _known_failure(photo, case, rules)


def skip_unmoved(embedding: Embedding, decision: Decision) -> Skipped:
    """Return the outcome of a member whose row holds this vector already."""
    code = _why_skipped(decision.case, embedding.photo, SKIPPED_REENCODED)
    return Skipped(embedding.member, code, embedding.timings_ms, embedding.analysis, embedding.photo)


def _is_enrolled(photo: Photo, case: Case, rules: Rules) -> bool:
    """Tell whether the member's only row is of this file and stays."""
    row = case.enrolment
    if row is None or rules.force or len(row.active_ids) > 1 or is_stale(row, rules):
        return False
    return (row.active or case.came_back) and row.sha256 == photo.sha256


def _was_seen_last(photo: Photo, case: Case) -> bool:
    """Tell whether no run has recorded another file since: its record would stand for this file."""
    photo_record = case.photo_record
    return photo_record is None or (not photo_record.code and photo_record.sha256 in ("", photo.sha256))


def _known_failure(photo: Photo, case: Case, rules: Rules) -> Failed | None:
    photo_record = case.photo_record
    if photo_record is None or rules.force or rules.insist:
        return None
    is_same = photo_record.sha256 == photo.sha256 and photo_record.judged_by == rules.judged_by
    if not is_same or not photo_record.code or kind_of(photo_record.code).retry is not Retry.OTHER_PHOTO:
        return None
    return replace(recalled(photo.member, photo_record), photo=photo)


def _why_skipped(case: Case, photo: Photo, otherwise: str) -> str:
    row = case.enrolment
    if row is None:
        return otherwise
    if not row.active:
        return SKIPPED_REACTIVATED
    return SKIPPED_RENAMED if row.url != photo.url else otherwise
