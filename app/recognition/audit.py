"""Audit a gallery: who has the same photo, who is too near to somebody else, and who is confused with most people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from app.photos.shared_pictures import is_same_or_mirrored
from app.recognition.distances import UnitTemplates, exact_distances
from app.recognition.scan import GalleryScan, Pairs
from app.recognition.set_aside import connected
from app.records import Picture

SAME_FILE, SAME_PICTURE, NEAR = KINDS = ("same_file", "same_picture", "near")
# Cosine distance up to which two vectors are of one picture saved twice: a vector moves by 0.003 at most when its photo
# is saved again, and other photos of the person begin at 0.01 (docs/quality.md).
SAME_VECTOR = 0.004
MOST_NEAR = 10_000  # pairs that are listed: nobody looks through more

ReadPictures = Callable[[Collection[int]], Mapping[int, Picture]]


@dataclass(frozen=True, slots=True)
class Finding:
    """Members (by place in the gallery, ascending) with the same photo, or two who are NEAR; `distance` is the largest
    among them."""

    kind: str
    places: tuple[int, ...]
    distance: float


@dataclass(frozen=True, slots=True)
class Confused:
    """A member (by place), and how many others are within the threshold."""

    place: int
    within: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit of so many `members` found within `threshold`, the most suspicious first. `most_confused`: all who
    are within it of others. `accepted` findings were looked at by a person before; `left_out` pairs lie within the
    threshold and were too many to list."""

    members: int
    threshold: float
    findings: tuple[Finding, ...]
    most_confused: tuple[Confused, ...]
    accepted: int = 0
    left_out: int = 0

    @property
    def pairs(self) -> int:
        return self.members * (self.members - 1) // 2

    def finding_of(self, places: tuple[int, int]) -> Finding | None:
        """Return the finding that both members are part of, if there is one."""
        return next((each for each in self.findings if set(places) <= set(each.places)), None)

    def duplicates(self) -> Iterator[tuple[int, int]]:
        """Yield pairs of members who have the same photo: to the statistics they are one person."""
        same = (each.places for each in self.findings if each.kind != NEAR)
        return ((places[0], other) for places in same for other in places[1:])


def audit_gallery(
    gallery: UnitTemplates,
    scan: GalleryScan,
    sha256s: Sequence[str],
    threshold: float,
    read_pictures: ReadPictures,
    accepted: Iterable[tuple[int, int]] = (),
) -> Audit:
    """Judge the pairs of a scan whose grid has the threshold.

    `sha256s`: of the photos, empty where unknown; `read_pictures` returns the recorded pictures of members (by place);
    the `accepted` pairs are not reported again.
    """
    near = scan.pairs.within(min(threshold, scan.pairs.complete_to))
    listed = list(islice(_each(near), MOST_NEAR))
    pictures = read_pictures({place for one, other, _ in listed for place in (one, other)})
    kinds = {pair[:2]: _kind_of(pair, sha256s, pictures) for pair in listed}
    known = set(accepted)
    groups: dict[str, Iterable[tuple[int, ...]]] = {
        SAME_FILE: _groups_of_files(sha256s),
        SAME_PICTURE: connected(pair for pair, kind in kinds.items() if kind == SAME_PICTURE),
        NEAR: (pair for pair, kind in kinds.items() if kind == NEAR),
    }
    findings = [(kind, places) for kind in KINDS for places in groups[kind]]
    reported = [each for each in findings if not _is_accepted(each[1], known)]
    described = [Finding(kind, places, _widest(gallery, places)) for kind, places in reported]
    return Audit(
        members=len(gallery),
        threshold=threshold,
        findings=tuple(sorted(described, key=lambda each: (KINDS.index(each.kind), each.distance))),
        most_confused=tuple(_most_confused(scan, threshold)),
        accepted=len(findings) - len(reported),
        left_out=int(scan.degrees_at(threshold).sum()) // 2 - len(listed),
    )


def _each(pairs: Pairs) -> Iterator[tuple[int, int, float]]:
    return zip(pairs.first.tolist(), pairs.second.tolist(), pairs.distances.tolist(), strict=True)


def _kind_of(pair: tuple[int, int, float], sha256s: Sequence[str], pictures: Mapping[int, Picture]) -> str:
    one, other, distance = pair
    if sha256s[one] and sha256s[one] == sha256s[other]:
        return SAME_FILE
    known = one in pictures and other in pictures
    is_same = distance <= SAME_VECTOR or (known and is_same_or_mirrored(pictures[one], pictures[other]))
    return SAME_PICTURE if is_same else NEAR


def _groups_of_files(sha256s: Sequence[str]) -> Iterator[tuple[int, ...]]:
    owners: dict[str, list[int]] = defaultdict(list)
    for place, sha256 in enumerate(sha256s):
        if sha256:
            owners[sha256].append(place)
    return (tuple(places) for places in owners.values() if len(places) > 1)


def _is_accepted(places: tuple[int, ...], accepted: Collection[tuple[int, int]]) -> bool:
    return all(pair in accepted for pair in combinations(places, 2))


def _widest(gallery: UnitTemplates, places: tuple[int, ...]) -> float:
    """Return the largest distance from the first member to the others."""
    others = np.array(places[1:], np.intp)
    return float(exact_distances(gallery, np.full_like(others, places[0]), gallery, others).max())


def _most_confused(scan: GalleryScan, threshold: float) -> Iterator[Confused]:
    """Yield all members who are within the threshold of others, those with most of them first."""
    degrees = scan.degrees_at(threshold)
    order = np.lexsort((np.arange(len(degrees)), -degrees))
    return (Confused(int(place), int(degrees[place])) for place in order if degrees[place])
