"""Compare what became of each file with what is right for it, and print a row of the table for each kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.vectors import cosine_distance
from benchmarks.field_album import Album, Case, Floats

MAX_DISTANCE = 0.07  # cosine distance from the right vector; other people's begin at about 0.08
FIT_SHARE = 0.95  # of the fit files that must be stored
STORED, REFUSED, LOST, UNMARKED, WRONG_CODE, WRONG_VECTOR = RESULTS = (
    "stored right",
    "refused right",
    "lost",
    "unmarked",  # the right vector, without the warning that HR should see
    "wrong code",
    "wrong vector",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the program did with a file: its vector or its error code, and whether the report calls it improvable."""

    vector: Floats | None = None
    code: str = ""
    detail: str = ""
    improvable: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one file. `distance`: of the stored vector from the right one, or from the drawn photo's;
    `fit`: the file should be stored; `reported`: code and detail of a refusal, or the nearest person."""

    file: str
    result: str
    fit: bool = False
    improvable: bool = False
    distance: float | None = None
    reported: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind's row of the table. `share`: of its files that may get a wrong vector."""

    kind: str
    verdicts: Sequence[Verdict]
    share: float = 0.0

    @property
    def counts(self) -> Counter[str]:
        return Counter(verdict.result for verdict in self.verdicts)

    @property
    def improvable(self) -> int:
        return sum(verdict.improvable for verdict in self.verdicts)

    @property
    def fit(self) -> int:
        return sum(verdict.fit for verdict in self.verdicts)

    @property
    def fit_stored(self) -> int:
        return sum(verdict.fit and verdict.result in (STORED, UNMARKED) for verdict in self.verdicts)

    @property
    def farthest(self) -> float | None:
        return max((verdict.distance for verdict in self.verdicts if verdict.distance is not None), default=None)

    @property
    def failures(self) -> list[str]:
        """List the requirements of issue 13 that this row does not meet."""
        found = []
        if self.counts[WRONG_VECTOR] > self.share * len(self.verdicts):
            found.append("wrong vectors")
        if self.fit_stored < (1.0 if self.kind == "untouched" else FIT_SHARE) * self.fit:
            found.append("too few stored")
        if self.counts[UNMARKED] > (1 - FIT_SHARE) * len(self.verdicts):
            found.append("too many unmarked")
        return found


def judge(case: Case, seen: Seen, album: Album) -> Verdict:
    """Compare what the program did with what is right."""
    if seen.vector is not None:
        return _judge_stored(case, seen, seen.vector, album)
    accepted = seen.code in case.codes and re.search(case.detail, seen.detail, re.IGNORECASE) is not None
    result = REFUSED if accepted else LOST if case.fit else WRONG_CODE
    return Verdict(case.name, result, case.fit, reported=f"{seen.code}: {seen.detail}")


def _judge_stored(case: Case, seen: Seen, vector: Floats, album: Album) -> Verdict:
    right = case.photo and is_right(vector, case.photo, album)
    is_marked = seen.improvable or not case.flagged
    result = WRONG_VECTOR if not right else STORED if is_marked else UNMARKED
    source = case.photo or case.drawn_from  # how far a drawing's vector is says how wrong it is
    distance = cosine_distance(vector, album.vectors[source]) if source else None
    reported = f"nearest to {nearest(vector, album)}"
    return Verdict(case.name, result, case.fit, seen.improvable, distance, reported)


def is_right(vector: Floats, photo: str, album: Album) -> bool:
    """Tell whether the vector is close to DeepFace's own of that photo and nearest to a photo of the same person."""
    close = cosine_distance(vector, album.vectors[photo]) <= MAX_DISTANCE
    return close and album.person(nearest(vector, album)) == album.person(photo)


def nearest(vector: Floats, album: Album) -> str:
    """Return the photo whose vector is the nearest."""
    return min(album.vectors, key=lambda file: cosine_distance(vector, album.vectors[file]))


TITLES = (*RESULTS, "improvable", "farthest", "fit stored")
HEAD = f"{'kind':<15}{'files':>6}{''.join(f'{title:>14}' for title in TITLES)}  verdict"


def line(row: Row) -> str:
    """Format a row of the table."""
    cells = [*(row.counts[result] for result in RESULTS), row.improvable]
    cells += ["" if row.farthest is None else f"{row.farthest:.3f}"]
    cells += [f"{row.fit_stored} of {row.fit}" if row.fit else ""]
    verdict = f"FAIL: {', '.join(row.failures)}" if row.failures else "ok"
    return f"{row.kind:<15}{len(row.verdicts):>6}{''.join(f'{cell:>14}' for cell in cells)}  {verdict}"


def bad_lines(rows: Iterable[Row], shown: int) -> list[str]:
    """Describe the first `shown` files of each kind that went wrong."""
    lines = []
    for row in rows:
        bad = [each for each in row.verdicts if each.result in (LOST, UNMARKED, WRONG_CODE, WRONG_VECTOR)]
        for each in bad[:shown]:
            distance = "" if each.distance is None else f" at {each.distance:.3f}"
            lines.append(f"{row.kind}: {each.file}: {each.result}{distance} ({each.reported})")
        if len(bad) > shown:
            lines.append(f"{row.kind}: and {len(bad) - shown} more")
    return lines


def as_document(row: Row) -> dict[str, Any]:
    verdicts = [{name: getattr(each, name) for name in Verdict.__slots__} for each in row.verdicts]
    return {"kind": row.kind, "counts": dict(row.counts), "failures": row.failures, "files": verdicts}
