"""One run: settings and what was asked for come in, outcomes are told to the observer as they happen."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from app.core.config import Settings
from app.core.database import Database
from app.core.logs import RUN_LOGGER
from app.errors import BadName, RunError
from app.gallery.ledger import Ledger, Remembered
from app.gallery.reconcile import Entry, split_current
from app.gallery.store import GalleryStore
from app.photos.source import photo_url
from app.pipeline import Pipeline
from app.records import CrewMember, Failed, Outcome, Skipped, Stored
from app.roster.folder import FolderRoster
from app.screening import Screening, note_quality, open_pictures
from app.stages import build_face_stages, build_roster, open_stages, pipeline_options

log = logging.getLogger(__name__)
run_log = logging.getLogger(RUN_LOGGER)


class Roster(Protocol):
    """Who is to be in the gallery."""

    def active(self) -> list[Entry]: ...

    def find(self, crew_id: str) -> Entry: ...


class Observer(Protocol):
    """Is told what happens and steers nothing."""

    def begin(self, pending: int, current: int) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...

    def withdrawn(self, outcome: Stored) -> None: ...

    def download(self, name: str, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: everyone or one `crew_id`; `force` regenerates what is current; a `folder` roster
    instead of the table; `accept_low_quality` stores photos below the limits; `thumbnails` for the report; `debug`
    keeps intermediate files while the run lasts."""

    crew_id: str | None = None
    force: bool = False
    folder: FolderRoster | None = None
    accept_low_quality: bool = False
    thumbnails: bool = True
    debug: bool = False


@dataclass(slots=True)
class RunResult:
    """How the run went: an outcome for each member that entered, and the error that ended it, if any. `reported` are
    members in the gallery whose photo somebody else has, too; `improvable` those up to date whose photo could be
    better, with the component's name; `previous` those that failed in the run before."""

    started_at: datetime
    outcomes: list[Outcome] = field(default_factory=list)
    reported: list[tuple[CrewMember, str]] = field(default_factory=list)
    improvable: list[tuple[CrewMember, str]] = field(default_factory=list)
    previous: frozenset[str] | None = None
    seconds: float = 0.0
    error: RunError | None = None


def run_batch(settings: Settings, request: Request, observer: Observer, stop: threading.Event) -> RunResult:
    """Bring the gallery up to the roster. Never raises RunError: it is in the result, after what was done."""
    result = RunResult(datetime.now().astimezone())
    started = time.perf_counter()
    try:
        _Run(settings, request, observer, stop).execute(result)
    except RunError as error:
        log.error("%s", error, exc_info=request.debug)
        result.error = error
    result.seconds = time.perf_counter() - started
    return result


class _Run:
    """What the steps of one run share."""

    def __init__(self, settings: Settings, request: Request, observer: Observer, stop: threading.Event) -> None:
        self._settings = settings
        self._request = request
        self._observer = observer
        self._stop = stop
        self._limits = settings.quality_limits()
        self._database = Database(settings, stop)
        self._ledger = Ledger(self._database, lambda sighting: note_quality(sighting, self._limits))
        self._store = GalleryStore(self._database, self._ledger)

    def execute(self, result: RunResult) -> None:
        """An outcome for each member of the roster that was asked for."""
        stored_urls = {} if self._request.force else self._stored_urls()
        pending, current = split_current(self._entries(), stored_urls, self._url_of)
        remembered = self._ledger.remembered()
        result.previous = (
            frozenset(crew_id for crew_id, photo in remembered.items() if photo.code) if remembered else None
        )
        seen = ((skipped.member, remembered.get(skipped.member.crew_id)) for skipped in current)
        result.improvable = [(member, photo.improvable) for member, photo in seen if photo and photo.improvable]
        members = [entry for entry in pending if isinstance(entry, CrewMember)]
        screening = self._screening(members, self._of_roster(remembered, [*pending, *current]))
        with self._pipeline(members, screening) as processed:
            self._observer.begin(len(pending), len(current))
            result.outcomes += current
            try:
                for outcome in itertools.chain(_unprocessable(pending), processed):
                    self._observer.outcome(outcome)
                    result.outcomes.append(outcome)
                    self._withdraw_late(screening, result)
            finally:
                screening.settle(result.outcomes)
        if result.error is not None:
            raise result.error
        done = len(result.outcomes) - len(current)
        assert done == len(pending), f"{len(pending)} members in, {done} outcomes out"
        result.reported = list(screening.reported(result.outcomes))
        self._ledger.absolve([each.member.crew_id for each in current if self._failed_before(each, remembered)])
        self._ledger.record_failures([each for each in result.outcomes if isinstance(each, Failed)], self._known_url)

    def _stored_urls(self) -> dict[str, str]:
        return self._store.current(self._settings.FACE_MODEL, self._request.crew_id)

    def _entries(self) -> list[Entry]:
        roster: Roster = self._request.folder or build_roster(self._settings, self._database)
        return roster.active() if self._request.crew_id is None else [roster.find(self._request.crew_id)]

    def _url_of(self, member: CrewMember) -> str:
        return photo_url(self._settings.IMAGE_BASE_URL, member)

    def _known_url(self, member: CrewMember) -> str:
        """The photo's URL, empty for a name that makes none."""
        try:
            return self._url_of(member)
        except BadName:
            return ""

    @staticmethod
    def _failed_before(skipped: Skipped, remembered: Mapping[str, Remembered]) -> bool:
        photo = remembered.get(skipped.member.crew_id)
        return photo is not None and bool(photo.code)

    def _of_roster(
        self, remembered: Mapping[str, Remembered], entries: Sequence[Entry | Skipped]
    ) -> dict[str, Remembered]:
        """Whoever has left the roster shares a picture with nobody; a run for one person does not know who has."""
        if self._request.crew_id is not None:
            return dict(remembered)
        ids = {entry.crew_id if isinstance(entry, CrewMember) else entry.member.crew_id for entry in entries}
        return {crew_id: photo for crew_id, photo in remembered.items() if crew_id in ids}

    def _screening(self, members: list[CrewMember], remembered: Mapping[str, Remembered]) -> Screening:
        urls = {member.crew_id: self._known_url(member) for member in members}
        return Screening(
            open_pictures(remembered, urls),
            self._limits,
            reject=self._settings.SHARED_PHOTOS == "reject",
            thumbnails=self._request.thumbnails,
        )

    def _withdraw_late(self, screening: Screening, result: RunResult) -> None:
        """When the database fails in this, the run stops, but not before everybody has an outcome."""
        try:
            for place, stored in screening.take_late(result.outcomes):
                self._store.withdraw(stored.member.crew_id, stored.embedding_id)
                result.outcomes[place] = screening.withdrawn(stored)
                self._observer.withdrawn(stored)
        except RunError as error:
            result.error = error
            self._stop.set()

    @contextmanager
    def _pipeline(self, members: list[CrewMember], screening: Screening) -> Iterator[Iterator[Outcome]]:
        """The members' outcomes to come. What they need is made ready before anybody is counted in: without it
        nobody is processed."""
        if not members:
            yield iter(())
            return
        settings, request, stop = self._settings, self._request, self._stop
        faces = build_face_stages(
            settings, self._observer.download, stop, accept_low_quality=request.accept_low_quality
        )
        with open_stages(settings, faces, self._store, screening, stop, keep_processed=request.debug) as stages:
            yield Pipeline(stages, pipeline_options(settings), stop).run(members)


def _unprocessable(pending: Iterable[Entry]) -> Iterator[Failed]:
    for entry in pending:
        if isinstance(entry, Failed):
            run_log.info("%s %s: %s %s", entry.member.crew_id, entry.stage, entry.code, entry.detail)
            yield entry
