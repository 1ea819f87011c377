"""A run as HR works through it: outcomes come in; what happened, whose photos need attention and why, and what changed
since the run before go out. Every text is Spanish and free of control characters."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.core.text import printable
from app.errors import Audience, LowQuality, RunError, SharedPhoto, kind_of
from app.faces.quality import COMPONENTS, REJECT, WARN, Component, Grade, Limits, grade
from app.records import CrewMember, Failed, Outcome, PhotoAnalysis, Skipped, Stored
from app.reports.run_summary import Summary, summarise
from app.reports.sentences import say_what_happened, say_why_cut_short

# Kinds of entries, in the order in which they are shown.
RETAKE, SHARED, IMPROVE, TECHNICAL = KINDS = ("retake", "shared", "improve", "technical")
NEW, OPEN = "new", "open"

Scores = defaultdict[Component, "array[int]"]
Box = tuple[float, float, float, float]  # x, y, width, height as fractions of the photo's width and height


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to report of a member although nothing failed; `code` is that of an ItemError."""

    member: CrewMember
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the outcomes do not tell. `previous`: the crew_ids that had failed at the end of the run before, None
    when there was none to compare with; `improvable`: those up to date, with the component that was warned of;
    `illustrations`: what an earlier run saw of photos that this one did not look at, by crew_id."""

    started_at: datetime
    seconds: float
    error: RunError | None = None
    previous: Collection[str] | None = None
    notices: Sequence[Notice] = ()
    improvable: Sequence[tuple[CrewMember, str]] = ()
    illustrations: Mapping[str, PhotoAnalysis] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One person's photo: its defect in plain words and what to do. `change` is NEW, OPEN or empty; `thumbnail` is
    a JPEG, perhaps empty."""

    crew_id: str
    full_name: str
    photo_name: str
    kind: str
    code: str
    title: str
    detail: str
    advice: str
    change: str = ""
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
    ended early, empty when it did not."""

    started_at: datetime
    sentence: str
    error: str
    summary: Summary
    entries: tuple[Entry, ...]
    changes: Changes | None
    distributions: tuple[Distribution, ...]


def build_review(outcomes: Sequence[Outcome], facts: RunFacts, limits: Limits) -> Review:
    """The review of a run. Entries are in the order of KINDS, within it by defect and then by name."""
    summary = summarise(outcomes, facts.seconds)
    graded, scores = _grade_all(outcomes, limits)
    entries = list(_failures(graded, facts))
    changes = None if facts.previous is None else _changes(outcomes, entries, facts.previous)
    entries += [_of_notice(notice) for notice in facts.notices]
    failed = {outcome.member.crew_id for outcome in outcomes if isinstance(outcome, Failed)}
    entries += [*_improvables(graded), *_still_improvable(facts, failed)]
    return Review(
        facts.started_at,
        say_what_happened(summary, facts.error),
        say_why_cut_short(summary, facts.error),
        summary,
        tuple(sorted(entries, key=_place)),
        changes,
        _distributions(scores, limits),
    )


def _place(entry: Entry) -> tuple[int, str, str, str]:
    return KINDS.index(entry.kind), entry.title, entry.full_name.casefold(), entry.crew_id


def _grade_all(outcomes: Iterable[Outcome], limits: Limits) -> tuple[list[tuple[Outcome, list[Grade]]], Scores]:
    """Each outcome with the grades that are to be told of, and all scores: a long roster's good grades are not kept."""
    graded, scores = [], Scores(lambda: array("B"))
    for outcome in outcomes:
        grades = _grades(outcome, limits)
        for assessed in grades:
            if assessed.score is not None:
                scores[assessed.component].append(assessed.score)
        graded.append((outcome, [each for each in grades if each.verdict in (REJECT, WARN)]))
    return graded, scores


def _grades(outcome: Outcome, limits: Limits) -> list[Grade]:
    if outcome.analysis is None or outcome.analysis.quality is None:
        return []
    return grade(outcome.analysis.quality, limits)


def _entry(outcome: Outcome, kind: str, code: str, words: tuple[str, str, str]) -> Entry:
    """`words`: title, detail and advice."""
    return _illustrated(_plain_entry(outcome.member, kind, code, words), outcome.analysis)


def _illustrated(entry: Entry, seen: PhotoAnalysis | None) -> Entry:
    return entry if seen is None else replace(entry, thumbnail=seen.thumbnail, box=_fractions(seen))


def _plain_entry(member: CrewMember, kind: str, code: str, words: tuple[str, str, str]) -> Entry:
    crew_id, full_name, photo_name = map(printable, (member.crew_id, member.full_name, member.photo_name))
    title, detail, advice = words
    return Entry(crew_id, full_name, photo_name, kind, code, title, printable(detail), advice)


def _fractions(seen: PhotoAnalysis) -> Box | None:
    if seen.box is None:
        return None
    (width, height), (x, y, box_width, box_height) = seen.size, seen.box
    return x / width, y / height, box_width / width, box_height / height


def _failures(graded: Iterable[tuple[Outcome, list[Grade]]], facts: RunFacts) -> Iterator[Entry]:
    for outcome, grades in graded:
        if isinstance(outcome, Failed):
            rejected = _worst_first(grades, REJECT) if outcome.code == LowQuality.code else []
            words = _words_of(rejected) if rejected else _words_of_failure(outcome.code, outcome.detail)
            entry = _entry(outcome, _kind(outcome.code), outcome.code, words)
            if outcome.recalled and not entry.thumbnail:
                entry = _illustrated(entry, facts.illustrations.get(outcome.member.crew_id))
            yield replace(entry, change=_change(outcome, facts.previous))


def _improvables(graded: Iterable[tuple[Outcome, list[Grade]]]) -> Iterator[Entry]:
    """Those in the gallery whose photo was looked at, is good enough and could be better."""
    for outcome, grades in graded:
        warned = [*_worst_first(grades, REJECT), *_worst_first(grades, WARN)]
        if not isinstance(outcome, Failed) and warned:
            yield _entry(outcome, IMPROVE, warned[0].component.name, _words_of(warned))


def _still_improvable(facts: RunFacts, failed: Collection[str]) -> Iterator[Entry]:
    known = {component.name: component for component in COMPONENTS}
    for member, name in facts.improvable:
        if name in known and member.crew_id not in failed:
            entry = _plain_entry(member, IMPROVE, name, (known[name].defect, "", known[name].advice))
            yield _illustrated(entry, facts.illustrations.get(member.crew_id))


def _of_notice(notice: Notice) -> Entry:
    words = _words_of_failure(notice.code, notice.detail)
    return _plain_entry(notice.member, _kind(notice.code), notice.code, words)


def _kind(code: str) -> str:
    if kind_of(code).audience is Audience.TECHNICIAN:
        return TECHNICAL
    return SHARED if code == SharedPhoto.code else RETAKE


def _words_of_failure(code: str, detail: str) -> tuple[str, str, str]:
    kind = kind_of(code)
    return kind.title, detail, kind.advice


def _words_of(grades: Sequence[Grade]) -> tuple[str, str, str]:
    """The worst component says what is wrong and what to do; the others are named."""
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


def _changes(outcomes: Iterable[Outcome], failures: Sequence[Entry], previous: Collection[str]) -> Changes:
    fine = (outcome.member for outcome in outcomes if isinstance(outcome, Stored) or _is_kept(outcome))
    fixed = [member for member in fine if member.crew_id in previous]
    new = sum(entry.change == NEW for entry in failures)
    return Changes(tuple(sorted(_shown_name(member) for member in fixed)), new, len(failures) - new)


def _is_kept(outcome: Outcome) -> bool:
    """Whether the photo was looked at and is the one that was enrolled: a failure in between is over."""
    return isinstance(outcome, Skipped) and outcome.photo is not None


def _shown_name(member: CrewMember) -> str:
    return printable(f"{member.full_name} ({member.crew_id})" if member.full_name else member.crew_id)


def _distributions(scores: Scores, limits: Limits) -> tuple[Distribution, ...]:
    """One for each component that was assessed on some photo."""
    return tuple(
        Distribution(component.name, component.defect, tuple(values), *limits[component.name])
        for component, values in scores.items()
    )
