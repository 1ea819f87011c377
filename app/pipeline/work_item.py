"""One member under way through the stages. An error that costs one member is caught here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from app.core.logs import RUN_LOGGER, Personal
from app.core.redaction import redacted
from app.errors import ItemError, RunError, Unexpected
from app.planning.decisions import Decision
from app.records import Embedding, Face, Failed, Photo, PhotoAnalysis, Portrait, Skipped

log = logging.getLogger(__name__)
run_log = logging.getLogger(RUN_LOGGER)

Value = TypeVar("Value")
Embed = Callable[[Sequence[Face]], list[Embedding]]
Result = Embedding | Failed | Skipped


@dataclass(frozen=True, slots=True)
class Processed:
    """One member's decision and result."""

    decision: Decision
    result: Result


@dataclass(frozen=True, slots=True)
class StageFailure:
    """A stage's error for one member. `stage` is the error's own stage, which may be another than the one that ran."""

    stage: str
    error: ItemError


def run_stage(crew_id: str, stage: str, call: Callable[[], Value]) -> tuple[Value | StageFailure, float]:
    """Run one stage for one member and log it; return its value or why it failed, and the milliseconds it took.

    Raises RunError, and no other error.
    """
    started = time.perf_counter()
    found: Value | StageFailure
    try:
        found = call()
    except ItemError as error:
        found = StageFailure(error.stage, error)
    except RunError:
        raise
    except Exception as error:
        log.exception("%s: error inesperado en la etapa %s", crew_id, stage)
        found = StageFailure(stage, Unexpected(redacted(f"{type(error).__name__}: {error}")))
    milliseconds = (time.perf_counter() - started) * 1000
    log_stage(crew_id, stage, milliseconds, found)
    return found, round(milliseconds, 3)


def log_stage(crew_id: str, stage: str, milliseconds: float, found: object) -> None:
    """Write one line about a member's stage to the run's log."""
    code, detail = "bien", ""
    if isinstance(found, StageFailure):
        code, detail = found.error.code, found.error.detail
    elif isinstance(found, Failed):
        code, detail = found.code, found.detail
    run_log.info("%s %s %.1f ms: %s %s", crew_id, stage, milliseconds, code, Personal(detail))


@dataclass(eq=False, slots=True)
class WorkItem:
    """One member under way: the decision, what each stage took, what is known of the photo, and in the end the result.

    Once set, the result never changes, even if a thread that the run has given up finishes later.
    """

    decision: Decision
    stage: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)
    photo: Photo | None = None
    analysis: PhotoAnalysis | None = None
    face: Face | None = None
    result: Result | None = None

    def run(self, stage: str, call: Callable[[], Value]) -> Value | None:
        """Run a stage and return its value; None if the member has a result, from before or by this stage."""
        if self.result is not None:
            return None
        self.stage = stage
        found, milliseconds = run_stage(self.decision.member.crew_id, stage, call)
        self.timings_ms[stage] = milliseconds
        if isinstance(found, StageFailure):
            self._fail(found.error, found.stage)
            return None
        self._note(found)
        return None if self.result is not None else found

    def embedded(self, embedding: Embedding, milliseconds: float) -> None:
        """Set the result of a member of a batch; `milliseconds` is this member's share."""
        self.timings_ms["embed"] = round(milliseconds, 3)
        log_stage(self.decision.member.crew_id, "embed", milliseconds, embedding)
        self._note(embedding)

    def give_up(self, error: ItemError) -> None:
        """Fail a member whose stage does not end."""
        log.error("%s: %s en la etapa %s", self.decision.member.crew_id, error.code, self.stage)
        self._fail(error, self.stage)

    def processed(self) -> Processed:
        """Return the decision and the result, which must be set."""
        assert self.result is not None, self.decision.member.crew_id
        return Processed(self.decision, self.result)

    def _note(self, found: object) -> None:
        if isinstance(found, Photo):
            self.photo = found
        elif isinstance(found, Portrait):
            self.analysis = found.analysis
        elif isinstance(found, Face):
            self.face, self.analysis = found, found.analysis
        elif isinstance(found, Failed | Skipped):
            self.photo = found.photo or self.photo
            self._end(replace(found, timings_ms=dict(self.timings_ms), photo=self.photo))
        elif isinstance(found, Embedding):
            self._end(replace(found, timings_ms=dict(self.timings_ms)))

    def _fail(self, error: ItemError, stage: str) -> None:
        seen = error.analysis or self.analysis
        timings = dict(self.timings_ms)
        self._end(Failed(self.decision.member, stage, error.code, error.detail, timings, seen, self.photo))

    def _end(self, result: Result) -> None:
        if self.result is None:
            self.result = result
        self.face = None  # its pixels are large


def embed_batch(items: Sequence[WorkItem], embed: Embed) -> None:
    """Embed the faces of several members at once, and one by one if that fails: one bad face must cost one member."""
    faces = [item.face for item in items if item.face is not None]
    started = time.perf_counter()
    try:
        embeddings = embed(faces)
    except RunError:
        raise
    except Exception:
        log.debug("El lote de %d falló en la etapa %s: uno a uno", len(items), "embed", exc_info=True)
        for item, face in zip(items, faces, strict=True):
            item.run("embed", partial(_embed_one, embed, face))
        return
    share = (time.perf_counter() - started) * 1000 / len(items)
    for item, embedding in zip(items, embeddings, strict=True):
        item.embedded(embedding, share)


def _embed_one(embed: Embed, face: Face) -> Embedding:
    return embed([face])[0]
