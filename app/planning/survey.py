"""What a run knows before it plans: roster, gallery and earlier runs, read once and given in parts that fit into
memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.core.spool import Partition, SpoolFile
from app.gallery.gallery import Gallery
from app.gallery.photo_records import records_of
from app.planning.rules import Request, Rules
from app.records import CrashSuspect, CrewMember, Enrolment, Failed, PhotoRecord
from app.roster.database import DatabaseRoster, one_entry_each
from app.roster.folder import FolderRoster

Row = TypeVar("Row")

RosterEntry = CrewMember | Failed
Placed = tuple[int, RosterEntry]  # an entry of the roster, after its place in it


@dataclass(frozen=True, slots=True)
class Part:
    """All that roster and gallery hold of some people. The mappings are by crew id."""

    entries: Sequence[Placed]
    enrolments: Mapping[str, Enrolment]
    photo_records: Mapping[str, PhotoRecord]


@dataclass(frozen=True, slots=True)
class Survey:
    """What roster and gallery hold, in parts of different people, to be gone through once. The entries are the whole
    roster if `whole`. `suspects`: by crew id; `passed_over`: files in a folder of photos that are none
    (`FolderRoster.passed_over`)."""

    parts: Iterable[Part]
    whole: bool
    suspects: Mapping[str, CrashSuspect]
    passed_over: Sequence[str] = ()


def take_survey(
    request: Request, rules: Rules, gallery: Gallery, roster: DatabaseRoster | FolderRoster, folder: Path
) -> Survey:
    """Read what roster and gallery hold of the requested members. A long roster's rows wait in a file in `folder`.

    Raises RunError, as does going through the parts.
    """
    file = SpoolFile(folder)

    def divide(rows: Iterable[tuple[str, Row]]) -> Partition[Row]:
        divided = Partition[Row](file)
        for crew_id, row in rows:
            divided.add(crew_id, row)
        return divided

    # The gallery before the roster: a member hired meanwhile has not departed.
    rows = gallery.fold_rows(lambda found: divide((row.crew_id, row) for row in found), request.crew_id)
    records = gallery.photo_records.fold_rows(
        lambda found: divide((row[0], row) for row in found), rules.now - rules.recheck
    )
    suspects = gallery.crash_suspects.suspects(gallery.history.living(request.now))

    def place(found: Iterable[RosterEntry]) -> Partition[Placed]:
        return divide((entry.crew_id, (number, entry)) for number, entry in enumerate(found))

    entries = roster.fold_rows(place) if request.crew_id is None else place([roster.find(request.crew_id)])

    def parts() -> Iterator[Part]:
        for mine, made, seen in zip(entries, rows, records, strict=True):
            part = Part(list(_one_each(mine)), gallery.enrolments_of(made), records_of(seen))
            yield _failed_only(part, suspects) if request.retry_failed else part

    passed_over = request.folder.passed_over if request.folder else ()
    return Survey(parts(), request.is_whole, suspects, passed_over)


def _one_each(rows: Iterable[Placed]) -> Iterator[Placed]:
    """Yield one entry for each member, at the place of the member's first row."""
    places: dict[str, int] = {}
    found = []
    for place, entry in rows:
        places.setdefault(entry.crew_id, place)
        found.append(entry)
    return ((places[entry.crew_id], entry) for entry in one_entry_each(found))


def _failed_only(part: Part, suspects: Mapping[str, CrashSuspect]) -> Part:
    """Leave only the entries of members whose photo failed, or with whom a run crashed."""
    failed = {crew_id for crew_id, photo in part.photo_records.items() if photo.code} | suspects.keys()
    entries = [(place, entry) for place, entry in part.entries if entry.crew_id in failed]
    return Part(entries, part.enrolments, part.photo_records)
