"""What the parts of a run share: what was asked for, who is told, what it works with and what comes of it."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from app.core.config import Settings
from app.errors import RunError
from app.gallery.gallery import Gallery
from app.gallery.run_history import RunEnd
from app.gallery.vector_writer import SavedRow
from app.pipeline.stages import FaceExtractor, Source
from app.planning.decisions import Rules
from app.planning.plan import Plan
from app.records import Embedding, Outcome, Stored
from app.roster.folder import FolderRoster
from app.runs.result import RunResult

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: everyone, one `crew_id`, or those that failed (`retry_failed`); `force` regenerates what is
    current, `compare` looks at all photos' content; a `folder` roster instead of the table; `plan_only` writes nothing;
    `migrate` lays new vectors aside and switches at the end; `accept_low_quality` stores photos below the limits;
    `thumbnails` for the report; `debug` keeps intermediate files while the run lasts. `now` is the run's time, UTC."""

    crew_id: str | None = None
    retry_failed: bool = False
    force: bool = False
    compare: bool = False
    plan_only: bool = False
    migrate: bool = False
    purge_after_days: int | None = None
    allow_mass_change: bool = False
    folder: FolderRoster | None = None
    accept_low_quality: bool = False
    thumbnails: bool = True
    debug: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0))

    @property
    def is_whole(self) -> bool:
        """Whether the whole roster is looked at, so that whoever is missing has left."""
        return self.crew_id is None and not self.retry_failed and not self.migrate

    def options(self) -> dict[str, Any]:
        """What the history keeps of it."""
        given = dataclasses.asdict(dataclasses.replace(self, folder=None))
        kept = {name: value for name, value in given.items() if name not in ("now", "folder", "thumbnails", "debug")}
        return {name: value for name, value in kept.items() if value is not None and value is not False}


class Observer(Protocol):
    """Is told what happens and steers nothing."""

    def checking(self, done: int, total: int) -> None: ...

    def planned(self, plan: Plan, rules: Rules) -> None: ...

    def begin(self, pending: int, current: int) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...

    def withdrawn(self, outcome: Stored) -> None: ...

    def download(self, name: str, done: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Means:
    """What a plan is carried out with. `store` writes a batch of vectors, `load_faces` loads the nets."""

    settings: Settings
    gallery: Gallery
    source: Source
    rules: Rules
    store: Callable[[Sequence[Embedding]], list[SavedRow]]
    load_faces: Callable[[], FaceExtractor]
    observer: Observer
    stop: threading.Event
    run_id: int
    allow_mass_change: bool = False
    thumbnails: bool = True
    keep_processed: bool = False


def clear_suspicion(result: RunResult) -> None:
    """The run ends in good order: whoever it did not come to has killed nothing."""
    if result.gallery is None or result.run_id is None:
        return
    try:
        result.gallery.crash_suspects.end(result.run_id)
    except RunError:
        log.exception("No se pudo anotar quién quedó sin procesar")


def close_run(result: RunResult, request: Request, end: RunEnd) -> None:
    """Complete the run's row in the history. That this fails is said in the log: the run itself is over."""
    gallery, run_id = result.gallery, result.run_id
    if gallery is None or run_id is None:
        return
    try:
        gallery.history.end(run_id, request.now + timedelta(seconds=round(result.seconds)), end)
    except RunError:
        log.exception("No se pudo anotar el final de la ejecución")
