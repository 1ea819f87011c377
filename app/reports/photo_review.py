"""A run as HR works through it: what happened, whose photos need attention and why, and what changed since the run
before. Every text is Spanish and free of control characters."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeGuard

from app.core.text import printable
from app.errors import Audience, LowQuality, SharedPhoto, kind_of
from app.faces.quality import COMPONENTS, REJECT, WARN, Component, Grade, Limits, grade
from app.records import CrewMember, Failed, Outcome, PhotoAnalysis, Skipped, Stored
from app.reports.run_summary import say_what_happened, say_why_cut_short
from app.runs.outcomes import Outcomes
from app.runs.result import RunCounts, RunResult

# Kinds of entries, in the order in which they are shown.
RETAKE, SHARED, IMPROVE, TECHNICAL = KINDS = ("retake", "shared", "improve", "technical")
NEW, OPEN = "new", "open"

Scores = defaultdict[Component, "array[int]"]
Box = tuple[float, float, float, float]  # x, y, width, height as fractions of the photo's width and height


@dataclass(frozen=True, slots=True)
class Entry:
    """One person's photo: its defect in plain words and what to do. `change` is NEW, OPEN or empty; `recognised`: a
    vector of the person is in use, of a failed one that of an earlier photo; `thumbnail` is a JPEG, perhaps empty."""

    crew_id: str
    full_name: str
    photo_name: str
    kind: str
    code: str
    title: str
    detail: str
    advice: str
    change: str = ""
    recognised: bool = True
    thumbnail: bytes = b""
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Distribution:
    """A quality component's scores (0 to 100) over the photos of the run, and below which it warns and rejects."""

    name: str
    defect: str
    scores: tuple[int, ...]
    warn: float
    reject: float


@dataclass(frozen=True, slots=True)
class Changes:
    """Since the run before: who was fixed (as shown), and how many failures are new or still open."""

    fixed: tuple[str, ...]
    new: int
    open: int


@dataclass(frozen=True, slots=True)
class Review:
    """What the report shows. `changes` is None when there was no run to compare with; `error` says why the run
    ended early, empty when it did not; `held_back`: the mass changes that were not made, in sentences."""

    started_at: datetime
    sentence: str
    error: str
    counts: RunCounts
    entries: tuple[Entry, ...]
    changes: Changes | None
    distributions: tuple[Distribution, ...]
    held_back: tuple[str, ...] = ()


def build_review(result: RunResult, limits: Limits) -> Review:
    """Return the review of a run. Entries are in the order of KINDS, within it by defect and then by name."""
    counts = result.count()
    graded, scores = _grade_all(result.outcomes, limits)
    distributions = [
        Distribution(component.name, component.defect, tuple(values), *limits[component.name])
        for component, values in scores.items()
    ]
    entries = list(_failures(graded, result))
    changes = None if result.previous is None else _changes(result.outcomes, entries, result.previous)
    entries += [
        _entry(member, SHARED, SharedPhoto.code, (SharedPhoto.title, detail, SharedPhoto.advice))
        for member, detail in result.reported  # in the gallery, although another member has the photo, too
    ]
    entries += [*_improvables(graded), *_still_improvable(result)]
    entries.sort(key=lambda each: (KINDS.index(each.kind), each.title, each.full_name.casefold(), each.crew_id))
    return Review(
        result.started_at,
        say_what_happened(counts, result.error),
        say_why_cut_short(counts, result.error),
        counts,
        tuple(entries),
        changes,
        tuple(distributions),
        tuple(map(printable, result.blocked)),
    )


def _grade_all(outcomes: Iterable[Outcome], limits: Limits) -> tuple[list[tuple[Outcome, list[Grade]]], Scores]:
    """Return the failures and what has bad grades, with these, and all scores: a long roster's good photos would take
    much memory."""
    graded, scores = [], Scores(lambda: array("B"))
    for outcome in outcomes:
        quality = outcome.analysis.quality if outcome.analysis else None
        grades = [] if quality is None else grade(quality, limits)
        for assessed in grades:
            if assessed.score is not None:
                scores[assessed.component].append(assessed.score)
        bad = [each for each in grades if each.verdict in (REJECT, WARN)]
        if bad or isinstance(outcome, Failed):
            graded.append((outcome, bad))
    return graded, scores


def _entry(
    member: CrewMember, kind: str, code: str, words: tuple[str, str, str], seen: PhotoAnalysis | None = None
) -> Entry:
    """Return an entry; `words`: title, detail and advice; `seen`: the photo that is shown."""
    crew_id, full_name, photo_name = map(printable, (member.crew_id, member.full_name, member.photo_name))
    title, detail, advice = words
    entry = Entry(crew_id, full_name, photo_name, kind, code, title, printable(detail), advice)
    return entry if seen is None else replace(entry, thumbnail=seen.thumbnail, box=_fractions(seen))


def _fractions(seen: PhotoAnalysis) -> Box | None:
    if seen.box is None:
        return None
    (width, height), (x, y, box_width, box_height) = seen.size, seen.box
    return x / width, y / height, box_width / width, box_height / height


def _failures(graded: Iterable[tuple[Outcome, list[Grade]]], result: RunResult) -> Iterator[Entry]:
    enrolled = result.still_enrolled
    for outcome, grades in graded:
        if isinstance(outcome, Failed):
            rejected = _worst_first(grades, REJECT) if outcome.code == LowQuality.code else []
            kind = kind_of(outcome.code)
            words = _words_of(rejected) if rejected else (kind.title, outcome.detail, kind.advice)
            seen = outcome.analysis
            if outcome.recalled and not (seen and seen.thumbnail):
                seen = result.illustrations.get(outcome.member.crew_id, seen)
            entry = _entry(outcome.member, _kind(outcome.code), outcome.code, words, seen)
            recognised = outcome.crew_id in enrolled
            yield replace(entry, change=_change(outcome, result.previous), recognised=recognised)


def _improvables(graded: Iterable[tuple[Outcome, list[Grade]]]) -> Iterator[Entry]:
    for outcome, grades in graded:
        warned = [*_worst_first(grades, REJECT), *_worst_first(grades, WARN)]
        if not isinstance(outcome, Failed) and warned:
            yield _entry(outcome.member, IMPROVE, warned[0].component.name, _words_of(warned), outcome.analysis)


def _still_improvable(result: RunResult) -> Iterator[Entry]:
    known = {component.name: component for component in COMPONENTS}
    for member, name in result.improvable:
        if name in known:
            words = (known[name].defect, "", known[name].advice)
            yield _entry(member, IMPROVE, name, words, result.illustrations.get(member.crew_id))


def _kind(code: str) -> str:
    if kind_of(code).audience is Audience.TECHNICIAN:
        return TECHNICAL
    return SHARED if code == SharedPhoto.code else RETAKE


def _words_of(grades: Sequence[Grade]) -> tuple[str, str, str]:
    """Return title, detail and advice: the worst component's, and the names of the others' defects."""
    worst, *others = [found.component for found in grades]
    return worst.defect, "; ".join(component.defect for component in others), worst.advice


def _worst_first(grades: Iterable[Grade], verdict: str) -> list[Grade]:
    return sorted((found for found in grades if found.verdict == verdict), key=lambda found: found.score or 0)


def _change(failure: Failed, previous: Collection[str] | None) -> str:
    if failure.recalled:
        return OPEN
    if previous is None:
        return ""
    return OPEN if failure.member.crew_id in previous else NEW


def _changes(outcomes: Outcomes, failures: Sequence[Entry], previous: Collection[str]) -> Changes:
    in_order = (crew_id for crew_id in outcomes.crew_ids() if crew_id in previous)  # outcomes are read in groups
    fixed = [each.member for each in map(outcomes.get, in_order) if _is_fine(each)]
    new = sum(entry.change == NEW for entry in failures)
    return Changes(tuple(sorted(map(_shown_name, fixed))), new, len(failures) - new)


def _is_fine(outcome: Outcome | None) -> TypeGuard[Stored | Skipped]:
    """Return whether the photo was stored, or looked at and is the one that was enrolled: a failure is over."""
    return isinstance(outcome, Stored) or (isinstance(outcome, Skipped) and outcome.photo is not None)


def _shown_name(member: CrewMember) -> str:
    return printable(f"{member.full_name} ({member.crew_id})" if member.full_name else member.crew_id)
