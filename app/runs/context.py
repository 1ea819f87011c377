"""What the parts of one run work with, and what comes of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.core.config import Settings
from app.errors import RunError
from app.gallery.gallery import Gallery
from app.gallery.run_history import PastRun, RunEnd
from app.gallery.vector_writer import SavedRow
from app.photos.sources import Source
from app.pipeline.face_extractor import FaceExtractor
from app.planning.plan import Plan
from app.planning.request import Request
from app.planning.rules import Rules
from app.records import (
    SKIPPED_INTERRUPTED,
    SKIPPED_REACTIVATED,
    CrewMember,
    Embedding,
    Outcome,
    PhotoAnalysis,
    Skipped,
)
from app.runs.observer import Observer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What one run works with. `store` writes a batch of vectors; `load_faces` loads the nets; `stop` ends the run."""

    settings: Settings
    request: Request
    gallery: Gallery
    source: Source
    rules: Rules
    store: Callable[[Sequence[Embedding]], list[SavedRow]]
    load_faces: Callable[[], FaceExtractor]
    observer: Observer
    stop: threading.Event
    run_id: int


@dataclass(slots=True)
class Results:
    """What came of it: an outcome for each member of the roster; who was deactivated and deleted, and how many rows of
    the deleted are left; `reported` are members in the gallery whose photo somebody else has, too; the error that ended
    it, if any. `switched`: how many new vectors `--migrate` put into use; `unswitched`: it ended before that."""

    outcomes: list[Outcome] = field(default_factory=list)
    deactivated: list[str] = field(default_factory=list)
    purged: list[str] = field(default_factory=list)
    rows_left: int | None = None
    switched: int | None = None
    unswitched: bool = False
    reported: list[tuple[CrewMember, str]] = field(default_factory=list)
    error: RunError | None = None

    @property
    def reactivated(self) -> list[str]:
        skipped = [each for each in self.outcomes if isinstance(each, Skipped)]
        return [each.member.crew_id for each in skipped if each.code == SKIPPED_REACTIVATED]

    @property
    def complete(self) -> bool:
        return self.error is None and not any(
            isinstance(outcome, Skipped) and outcome.code == SKIPPED_INTERRUPTED for outcome in self.outcomes
        )


@dataclass(slots=True)
class RunResult(Results):
    """How the run went. `plan` and `rules` are None when it ended before there was a plan; `previous` those that failed
    in the run before; `retired` rows of other models were deactivated, `mixed` ones left in use since they are too
    many; `out_of_time`: stopped by --max-minutes; `died_before`: the run before, which did not come to its end."""

    started_at: datetime = field(default_factory=lambda: datetime.now().astimezone())
    plan: Plan | None = None
    rules: Rules | None = None
    previous: frozenset[str] | None = None
    retired: int = 0
    mixed: int = 0
    out_of_time: bool = False
    died_before: PastRun | None = None
    illustrations: dict[str, PhotoAnalysis] = field(default_factory=dict)
    seconds: float = 0.0
    gallery: Gallery | None = None
    run_id: int | None = None

    @property
    def improvable(self) -> list[tuple[CrewMember, str]]:
        """The members whose photo was not looked at in this run, is good enough and could be better, with the
        component's name."""
        photo_record = {
            each.member.crew_id: each.case.photo_record for each in (self.plan.decisions if self.plan else ())
        }
        skipped = (each for each in self.outcomes if isinstance(each, Skipped) and each.code != SKIPPED_INTERRUPTED)
        seen = ((each.member, photo_record.get(each.member.crew_id)) for each in skipped if each.analysis is None)
        return [(member, photo.improvable) for member, photo in seen if photo and photo.improvable]

    @property
    def blocked(self) -> list[str]:
        """What the caps on mass changes held back, in sentences."""
        return list(self.plan.blocked) if self.plan else []


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
