"""One member on the way through the stages: a call's result or error comes in, in the end one outcome goes out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from app.core.logs import RUN_LOGGER, Personal
from app.core.redaction import redacted
from app.errors import ItemError, RunError, Unexpected
from app.records import CrewMember, Failed, Outcome, Photo, PhotoAnalysis, Skipped, Stored

log = logging.getLogger(__name__)
run_log = logging.getLogger(RUN_LOGGER)


@dataclass(eq=False, slots=True)
class Journey:
    """One member on the way: what it has become so far, what each stage took, and why it ended early."""

    member: CrewMember
    stage: str = ""
    item: Any = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    failure: Failed | None = None
    analysis: PhotoAnalysis | None = None
    photo: Photo | None = None

    def step(self, stage: str, call: Callable[[Any], Any]) -> None:
        """Take the member through one stage, unless it has an outcome already. This is the border where one member's
        trouble ends: anything but a RunError becomes its outcome."""
        if self.is_done:
            return
        self.stage = stage
        started = time.perf_counter()
        try:
            self.advance(call(self.item))
        except ItemError as error:
            self._fail(error, error.stage)
        except RunError:
            raise
        except Exception as error:
            log.exception("%s: error inesperado en la etapa %s", self.member.crew_id, stage)
            self._fail(Unexpected(redacted(f"{type(error).__name__}: {error}")), stage)
        self.took(stage, time.perf_counter() - started)

    def advance(self, item: Any) -> None:
        """To the next stage, with what it saw of the photo. A stage that finds that nothing is to be done, or that the
        failure is a known one, gives the outcome itself."""
        self.photo = item if isinstance(item, Photo) else getattr(item, "photo", None) or self.photo
        if isinstance(item, Failed):
            self.failure, item = replace(item, timings_ms=self.timings_ms, photo=self.photo), None
        self.item = item
        self.analysis = getattr(item, "analysis", None) or self.analysis

    def took(self, stage: str, seconds: float) -> None:
        self.timings_ms[stage] = round(seconds * 1000, 3)
        code, detail = (self.failure.code, self.failure.detail) if self.failure else ("bien", "")
        run_log.info("%s %s %.1f ms: %s %s", self.member.crew_id, stage, seconds * 1000, code, Personal(detail))

    def give_up(self, error: ItemError) -> None:
        """The stage that it is in does not come to an end: what it still says changes nothing any more."""
        log.error("%s: %s en la etapa %s", self.member.crew_id, error.code, self.stage)
        seen = self.analysis
        self.failure = Failed(
            self.member, self.stage, error.code, error.detail, dict(self.timings_ms), seen, self.photo
        )

    def _fail(self, error: ItemError, stage: str) -> None:
        self.item = None  # a decoded photo is large, and a failed member may wait long for its turn
        seen = error.analysis or self.analysis
        self.failure = Failed(self.member, stage, error.code, error.detail, self.timings_ms, seen, self.photo)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do: it failed, is as good as ever, or has become the id of its row."""
        return self.failure is not None or isinstance(self.item, int | Skipped)

    def outcome(self) -> Outcome:
        if self.failure is not None:
            return self.failure
        if isinstance(self.item, Skipped):
            return replace(self.item, timings_ms=self.timings_ms, photo=self.photo)
        return Stored(self.member, self.item, self.timings_ms, self.analysis, self.photo)


Batch = list[Journey]


def take_batch(batch: Batch, stage: str, call: Callable[[list[Any]], list[Any]]) -> None:
    """Take all through a stage at once; a batch that fails is taken item by item, so that one bad face costs
    one row."""
    if not batch:
        return
    started = time.perf_counter()
    try:
        results = call([journey.item for journey in batch])
    except RunError:
        raise
    except Exception:
        log.debug("El lote de %d falló en la etapa %s: uno a uno", len(batch), stage, exc_info=True)
        for journey in batch:
            journey.step(stage, lambda item: call([item])[0])
        return
    share = (time.perf_counter() - started) / len(batch)
    for journey, result in zip(batch, results, strict=True):
        journey.advance(result)
        journey.took(stage, share)
