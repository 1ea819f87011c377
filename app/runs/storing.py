"""Turn the stages' results into outcomes: ask the abort guard, check for shared photos, write the vectors."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from app.errors import RunError
from app.gallery.vector_writer import SavedRow
from app.pipeline.known_photos import skip_unmoved
from app.pipeline.work_item import Processed, StageFailure, log_stage, run_stage
from app.planning.decisions import Decision
from app.records import SKIPPED_INTERRUPTED, Embedding, Failed, Outcome, Skipped, Stored
from app.runs.abort_guard import AbortGuard
from app.runs.shared_photos import SharedPhotoCheck

log = logging.getLogger(__name__)
STORE = "store"
Vector = tuple[Decision, Embedding]


@dataclass(slots=True)
class Storing:
    """Stores the vectors of one run: holds them until the guard is satisfied, or no more results come.

    `give_up` is called with the RunError that ends the run; `stop` ends it after the batch that is being written.
    """

    guard: AbortGuard
    shared: SharedPhotoCheck
    store: Callable[[Sequence[Embedding]], list[SavedRow]]
    give_up: Callable[[RunError], None]
    stop: threading.Event
    _held: list[list[Vector]] = field(default_factory=list, init=False)

    def outcomes(self, results: Iterator[list[Processed]]) -> Iterator[Outcome]:
        """Yield one outcome for each member, as soon as it is final. Raises the pipeline's RunError after the last."""
        trouble: RunError | None = None
        try:
            for group in results:
                yield from self._receive(group)
                yield from self._store_held() if self._may_store() else ()
            yield from self._store_held()
        except RunError as error:
            trouble = error
        for decision, _ in (vector for batch in self._held for vector in batch):
            yield Skipped(decision.member, SKIPPED_INTERRUPTED)
        self._held.clear()
        if trouble is not None:
            raise trouble

    def _receive(self, group: list[Processed]) -> Iterator[Outcome]:
        batch: list[Vector] = []
        for processed in group:
            result = self.shared.admit(processed)
            if isinstance(result, Embedding):
                self.guard.embedded(result.photo)
                batch.append((processed.decision, result))
            else:
                yield result
        if batch:
            self._held.append(batch)

    def _may_store(self) -> bool:
        try:
            return self.guard.is_satisfied()
        except RunError as error:
            self.give_up(error)
            return False

    def _store_held(self) -> Iterator[Outcome]:
        while self._held and not self.stop.is_set():
            yield from self._store_batch(self._held.pop(0))

    def _store_batch(self, batch: list[Vector]) -> Iterator[Outcome]:
        alone: list[Vector] = []
        for vector in batch:  # another member with the picture may have come since
            refused = self.shared.refuse(vector[1])
            if refused is None:
                alone.append(vector)
            else:
                yield refused
        done = 0
        try:
            for outcome in self._write(alone):
                done += 1
                yield outcome
        except RunError as error:
            self.give_up(error)
            for decision, _ in alone[done:]:
                yield Skipped(decision.member, SKIPPED_INTERRUPTED)

    def _write(self, batch: list[Vector]) -> Iterator[Outcome]:
        """Write a batch in one transaction, and one by one if that fails: one bad row must cost one member. Raises
        RunError, after the outcomes of what was written."""
        if not batch:
            return
        started = time.perf_counter()
        try:
            saved = self.store([embedding for _, embedding in batch])
        except RunError:
            raise
        except Exception:
            log.debug("El lote de %d falló en la etapa %s: uno a uno", len(batch), STORE, exc_info=True)
            for vector in batch:
                yield self._write_one(*vector)
            return
        share = (time.perf_counter() - started) * 1000 / len(batch)
        for (decision, embedding), row in zip(batch, saved, strict=True):
            log_stage(decision.member.crew_id, STORE, share, row)
            yield _outcome(decision, _timed(embedding, share), row)

    def _write_one(self, decision: Decision, embedding: Embedding) -> Outcome:
        row, milliseconds = run_stage(decision.member.crew_id, STORE, lambda: self.store([embedding])[0])
        embedding = _timed(embedding, milliseconds)
        if not isinstance(row, StageFailure):
            return _outcome(decision, embedding, row)
        error = row.error
        seen = error.analysis or embedding.analysis
        return Failed(decision.member, row.stage, error.code, error.detail, embedding.timings_ms, seen, embedding.photo)


def _timed(embedding: Embedding, milliseconds: float) -> Embedding:
    return dataclasses.replace(embedding, timings_ms={**embedding.timings_ms, STORE: round(milliseconds, 3)})


def _outcome(decision: Decision, embedding: Embedding, row: SavedRow) -> Outcome:
    if row.unmoved:
        return skip_unmoved(embedding, decision)
    return Stored(decision.member, row.row_id, embedding.timings_ms, embedding.analysis, embedding.photo)
