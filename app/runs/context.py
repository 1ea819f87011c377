"""What the parts of one run work with, and what comes of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.core.config import Settings
from app.errors import RunError
from app.gallery.gallery import Gallery
from app.gallery.run_history import RunEnd
from app.gallery.vector_writer import SavedRow
from app.photos.sources import Source
from app.pipeline.face_extractor import FaceExtractor
from app.planning.request import Request
from app.planning.rules import Rules
from app.records import (
    Embedding,
)
from app.runs.observer import Observer
from app.runs.result import RunResult

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
