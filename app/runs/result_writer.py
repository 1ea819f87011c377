"""Write what became of each member while the run goes on, a few dozen at a time: a run that dies keeps most of it."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.errors import Quarantined, RunError
from app.gallery.gallery import Gallery
from app.gallery.photo_records import NewPhotoRecord
from app.planning.decisions import Decision
from app.records import SKIPPED_SAME_FILE, CrashSuspect, Failed, Outcome, Photo, Skipped, Version, is_interrupted

AT_ONCE = 32


@dataclass(slots=True)
class ResultWriter:
    """Writes the results of one run. `decisions` by crew id; `give_up` sets `stop`, for an error that ends the run."""

    gallery: Gallery
    run_id: int
    decisions: Mapping[str, Decision]
    give_up: Callable[[RunError], None]
    stop: threading.Event
    _waiting: list[Outcome] = field(default_factory=list, init=False)

    def mark_under_way(self, decisions: Iterable[Decision], at_once: int = AT_ONCE) -> Iterator[Decision]:
        """Yield the same decisions, after marking their members in the database: the members still marked after a crash
        are its suspects. Once `stop` is set nobody is marked: the caller begins with nobody."""
        waiting = iter(decisions)
        while chunk := list(itertools.islice(waiting, at_once)):
            if not self.stop.is_set():
                self._mark(chunk)
            yield from chunk

    def _mark(self, decisions: Sequence[Decision]) -> None:
        """Mark these members. If that fails, the run is given up; each member still gets an outcome."""
        cases = {each.member.crew_id: each.case for each in decisions}
        suspects: dict[str, CrashSuspect] = {each: case.suspect for each, case in cases.items() if case.suspect}
        urls = {each: case.url for each, case in cases.items()}
        try:
            self.gallery.crash_suspects.begin(urls, suspects, self.run_id)
        except RunError as error:
            self.give_up(error)

    def note(self, outcome: Outcome) -> None:
        """Note the outcome of a processed member. A suspect is cleared at once: the next one may crash the run."""
        self._waiting.append(outcome)
        is_suspect = self.decisions[outcome.member.crew_id].case.suspect is not None
        if is_suspect and not is_interrupted(outcome) and not _is_set_aside(outcome):
            self.gallery.crash_suspects.done([outcome.member.crew_id])

    def write_full(self) -> None:
        """Write what was noted, if it is worth a transaction."""
        if len(self._waiting) >= AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write everything that was noted so far."""
        waiting, self._waiting = self._waiting, []
        done = [outcome for outcome in waiting if not is_interrupted(outcome)]
        self.record_failures([outcome for outcome in done if isinstance(outcome, Failed)])
        self._keep([outcome for outcome in done if isinstance(outcome, Skipped)])
        set_aside = [outcome.member.crew_id for outcome in done if _is_set_aside(outcome)]
        self.gallery.crash_suspects.set_aside(set_aside)
        self.gallery.crash_suspects.done([each.member.crew_id for each in done if not _is_set_aside(each)])

    def record_failures(self, failures: Sequence[Failed]) -> None:
        """Write failures, whether the member was processed or not. A recalled one is written only if its file was
        fetched: the failure stays, the file is another one."""
        database, photo_records = self.gallery.database, self.gallery.photo_records
        database.in_chunks([self._entry(each) for each in failures if each.recalled and each.photo], photo_records.move)
        database.in_chunks([self._entry(each) for each in failures if not each.recalled], photo_records.record)

    def _keep(self, outcomes: Sequence[Skipped]) -> None:
        """Write members whose row stays. If file and URL are the same, as with most, only the time changes."""
        versions: dict[str, Version] = {}
        moved: dict[int, Photo] = {}
        for outcome in outcomes:
            case, photo = self.decisions[outcome.member.crew_id].case, outcome.photo
            if photo is None or case.enrolment is None or outcome.analysis is not None:
                continue  # with an analysis, the vector writer wrote it already
            seen = case.photo_record
            if outcome.code == SKIPPED_SAME_FILE and seen and not seen.code and seen.sha256 == photo.sha256:
                versions[outcome.member.crew_id] = photo.version
            else:
                moved[case.enrolment.row_id] = photo
        self.gallery.photo_records.mark_checked(versions.items())
        self.gallery.writer.keep(moved)

    def _entry(self, failure: Failed) -> NewPhotoRecord:
        case = self.decisions[failure.member.crew_id].case
        before = case.photo_record
        in_a_row = before.failures if before and before.code and before.url == case.url else 0
        seen = failure.analysis
        entry = NewPhotoRecord(failure.member.crew_id, case.url, failure.photo, seen, failure, in_a_row + 1)
        return dataclasses.replace(entry, failures=in_a_row) if failure.recalled else entry


def _is_set_aside(outcome: Outcome) -> bool:
    """Tell whether this run saw the member's photo end several processes, as suspects of earlier runs ended theirs."""
    return isinstance(outcome, Failed) and outcome.code == Quarantined.code and not outcome.recalled
