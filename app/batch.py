"""One run: settings and what was asked for come in, outcomes are told to the observer as they happen."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from app.core.config import Settings
from app.core.database import Database
from app.errors import RunError
from app.gallery.reconcile import Entry, split_current
from app.gallery.store import GalleryStore
from app.photos.source import photo_url
from app.pipeline import Pipeline
from app.records import CrewMember, Failed, Outcome
from app.roster.folder import FolderRoster
from app.stages import build_face_stages, build_roster, open_stages, pipeline_options

log = logging.getLogger(__name__)


class Roster(Protocol):
    """Who is to be in the gallery."""

    def active(self) -> list[Entry]: ...

    def find(self, crew_id: str) -> Entry: ...


class Observer(Protocol):
    """Is told what happens and steers nothing."""

    def begin(self, pending: int, current: int) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...

    def download(self, name: str, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: everyone or one `crew_id`; `force` regenerates what is current; a `folder` roster
    instead of the table; `debug` keeps intermediate files while the run lasts."""

    crew_id: str | None = None
    force: bool = False
    folder: FolderRoster | None = None
    debug: bool = False


@dataclass(slots=True)
class RunResult:
    """How the run went: an outcome for each member that entered, and the error that ended it, if any."""

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    error: RunError | None = None


def run_batch(settings: Settings, request: Request, observer: Observer, stop: threading.Event) -> RunResult:
    """Bring the gallery up to the roster. Never raises RunError: it is in the result, after what was done."""
    result = RunResult()
    started = time.perf_counter()
    try:
        for outcome in _outcomes(settings, request, observer, stop):
            result.outcomes.append(outcome)
    except RunError as error:
        log.error("%s", error, exc_info=request.debug)
        result.error = error
    result.seconds = time.perf_counter() - started
    return result


def _outcomes(settings: Settings, request: Request, observer: Observer, stop: threading.Event) -> Iterator[Outcome]:
    database = Database(settings, stop)
    store = GalleryStore(database)
    roster: Roster = request.folder or build_roster(settings, database)
    entries = roster.active() if request.crew_id is None else [roster.find(request.crew_id)]
    stored_urls = {} if request.force else store.current(settings.FACE_MODEL)
    pending, current = split_current(entries, stored_urls, lambda member: photo_url(settings.IMAGE_BASE_URL, member))
    observer.begin(len(pending), len(current))
    yield from current
    done = 0
    for outcome in _process(settings, request, observer, stop, store, pending):
        observer.outcome(outcome)
        done += 1
        yield outcome
    assert done == len(pending), f"{len(pending)} members in, {done} outcomes out"


def _process(
    settings: Settings,
    request: Request,
    observer: Observer,
    stop: threading.Event,
    store: GalleryStore,
    pending: list[Entry],
) -> Iterator[Outcome]:
    yield from (entry for entry in pending if isinstance(entry, Failed))
    members = [entry for entry in pending if isinstance(entry, CrewMember)]
    if not members:
        return
    faces = build_face_stages(settings, observer.download)
    with open_stages(settings, faces, store, stop, keep_processed=request.debug) as stages:
        yield from Pipeline(stages, pipeline_options(settings), stop).run(members)
