"""What a run knows before it asks the photo server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.gallery.crash_suspects import CrashSuspect
from app.gallery.enrolments import Enrolment
from app.gallery.photo_records import PhotoRecord
from app.records import CrewMember, Failed

RosterEntry = CrewMember | Failed


@dataclass(frozen=True, slots=True)
class Survey:
    """`entries` are the roster's, all of it when `whole`; the mappings are by crew id."""

    entries: Sequence[RosterEntry]
    whole: bool
    enrolments: Mapping[str, Enrolment]
    photo_records: Mapping[str, PhotoRecord]
    suspects: Mapping[str, CrashSuspect]

    @property
    def gallery_size(self) -> int:
        """How many people have an active row."""
        return sum(enrolment.active for enrolment in self.enrolments.values())
