"""The document of a run for `--json`, with a summary and one object for each member."""

from __future__ import annotations

import dataclasses
from typing import Any

from app.core.text import as_utf8
from app.records import Failed, Outcome, Photo, PhotoAnalysis, Skipped
from app.reports.photo_review import Review
from app.reports.plan_report import describe_unchecked
from app.reports.run_summary import reason
from app.runs.result import RunResult


def run_document(result: RunResult, review: Review, model: str, exit_code: int) -> dict[str, Any]:
    """Return the document, ready for `write_document`, which goes through its members. Its keys are stable."""
    counts = review.counts
    return {
        "summary": {
            "model": model,
            "exit_code": exit_code,
            "error": as_utf8(str(result.error)) if result.error else None,
            "plan": counts.plan,
            "blocked": [*map(as_utf8, result.blocked)],
            "passed_over": [*map(as_utf8, result.plan.passed_over)] if result.plan else [],
            "held_back": [*map(as_utf8, result.plan.held_back)] if result.plan else [],
            "deactivated": [*map(as_utf8, result.deactivated)],
            "reactivated": [*map(as_utf8, result.reactivated)],
            "purged": [*map(as_utf8, result.purged)],
            "rows_left": result.rows_left,
            "retired": result.retired,
            "mixed": result.mixed,
            "switched": result.switched,
            "stored": counts.stored,
            "failed": counts.failed,
            "recalled": counts.recalled,
            "skipped": counts.skipped,
            "interrupted": counts.interrupted,
            "checks": counts.checks,
            "unchecked": describe_unchecked(result.unchecked),
            "redirected_to": result.redirected_to or None,
            "total": counts.total,
            "seconds": round(counts.seconds, 3),
            "errors_by_code": counts.by_code,
            "stages_ms": counts.stages_ms,
        },
        "report": describe_review(review),
        "members": map(describe, result.outcomes),
    }


def describe_review(review: Review) -> dict[str, Any]:
    """Return the list that HR works through, without its pictures."""
    names = ("crew_id", "full_name", "photo_name", "kind", "code", "title", "detail", "advice", "change")
    return {
        "started_at": review.started_at.isoformat(timespec="seconds"),
        "sentence": review.sentence,
        "changes": None if review.changes is None else dataclasses.asdict(review.changes),
        "entries": [
            {name: as_utf8(getattr(entry, name)) for name in names} | {"recognised": entry.recognised}
            for entry in review.entries
        ],
    }


def describe(outcome: Outcome) -> dict[str, Any]:
    """Return one member: which outcome, where and why it ended, and what was seen of the photo."""
    entry = {
        "crew_id": as_utf8(outcome.member.crew_id),
        "outcome": type(outcome).__name__.lower(),
        "stage": getattr(outcome, "stage", None),
        "code": getattr(outcome, "code", None),
        "detail": as_utf8(reason(outcome)) if isinstance(outcome, Failed) else None,
        "recalled": getattr(outcome, "recalled", None),
        "embedding_id": getattr(outcome, "embedding_id", None),
        "timings_ms": dict(outcome.timings_ms),
    }
    return entry if isinstance(outcome, Skipped) else entry | _describe_seen(outcome.photo, outcome.analysis)


def _describe_seen(photo: Photo | None, analysis: PhotoAnalysis | None) -> dict[str, Any]:
    """Return what was reached of photo, face and quality; boxes and points in pixels of the upright original."""
    width, height = analysis.size if analysis else (None, None)
    picture = analysis and analysis.picture
    shown = {
        "width": width,
        "height": height,
        "sha256": (photo and photo.sha256) or None,
        "perceptual_hash": picture and f"{picture.perceptual_hash:016x}",
    }
    if analysis is None:
        return {"photo": photo and shown, "face": None, "quality": None}
    face = {
        "box": analysis.box,
        "landmarks": None
        if analysis.landmarks is None
        else [[round(float(side), 1) for side in point] for point in analysis.landmarks],
        "confidence": round(analysis.confidence, 4),
        "attempt": analysis.attempt,
        "faces_seen": analysis.faces_seen,
    }
    note = analysis.quality_note
    return {"photo": shown, "face": face if analysis.box else None, "quality": note and dict(note.components)}
