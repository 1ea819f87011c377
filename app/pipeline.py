"""The order of the stages, and nothing else: members come in, exactly one outcome for each goes out.

    member -> fetch -> decode -> find -> embed -> store
              (download threads)
                       (worker threads)  (worker threads, in batches)
                                                  (this thread, in batches)

A fixed number of members is under way at any time, whatever the roster's length; each finishes when it is ready.
One thread for each core does whatever comes next, a photo or a batch: none waits for another, and none competes.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from typing import Any

from app.core.logs import RUN_LOGGER
from app.errors import ItemError, RunError, Unexpected
from app.records import (
    SKIPPED_INTERRUPTED,
    CrewMember,
    Embedding,
    Face,
    Failed,
    Outcome,
    Photo,
    Portrait,
    Skipped,
    Stored,
)

log = logging.getLogger(__name__)
run_log = logging.getLogger(RUN_LOGGER)

# A batch that is not full is taken all the same when nothing came for this long: the processor would idle.
BATCH_WAIT_S = 0.05

Batch = list["Journey"]


@dataclass(frozen=True, slots=True)
class Stages:
    """What is done to a member, as callables. Each raises ItemError for what costs one member, RunError for what
    ends the run; `discard` is told when a photo's file is no longer needed."""

    fetch: Callable[[CrewMember], Photo]
    decode: Callable[[Photo], Portrait]
    find: Callable[[Portrait], Face]
    embed: Callable[[Sequence[Face]], list[Embedding]]
    store: Callable[[Sequence[Embedding]], list[int]]
    discard: Callable[[Photo], None]


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """How many threads download, how many decode and detect, and how many faces make a batch."""

    download_threads: int
    worker_threads: int
    batch_size: int

    @property
    def in_flight(self) -> int:
        """Enough that a batch fills while another is computed and every thread has work; no more than that."""
        return 2 * self.batch_size + self.download_threads + self.worker_threads


@dataclass(eq=False, slots=True)
class Journey:
    """One member on the way: what it has become so far, what each stage took, and why it ended early."""

    member: CrewMember
    item: Any = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    failure: Failed | None = None

    def step(self, stage: str, call: Callable[[Any], Any]) -> None:
        """Take the member through one stage, unless it failed before. This is the border where one member's
        trouble ends: anything but a RunError becomes its outcome."""
        if self.failure is not None:
            return
        started = time.perf_counter()
        try:
            self.item = call(self.item)
        except ItemError as error:
            self._fail(error, error.stage)
        except RunError:
            raise
        except Exception as error:
            log.exception("%s: error inesperado en la etapa %s", self.member.crew_id, stage)
            self._fail(Unexpected(f"{type(error).__name__}: {error}"), stage)
        self.took(stage, time.perf_counter() - started)

    def took(self, stage: str, seconds: float) -> None:
        self.timings_ms[stage] = round(seconds * 1000, 3)
        state = "bien" if self.failure is None else f"{self.failure.code} {self.failure.detail}".strip()
        run_log.info("%s %s %.1f ms: %s", self.member.crew_id, stage, seconds * 1000, state)

    def _fail(self, error: ItemError, stage: str) -> None:
        self.item = None  # a decoded photo is large, and a failed member may wait long for its turn
        self.failure = Failed(self.member, stage, error.code, error.detail, self.timings_ms)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do: it failed, or has become the id of its row."""
        return self.failure is not None or isinstance(self.item, int)

    def outcome(self) -> Outcome:
        return self.failure or Stored(self.member, self.item, self.timings_ms)


class Pipeline:
    """Runs members through the stages. `stop`, set from outside, ends the run after what is being written."""

    def __init__(self, stages: Stages, options: PipelineOptions, stop: threading.Event | None = None) -> None:
        self._stages = stages
        self._options = options
        self._stop = stop or threading.Event()
        # Back from the worker threads: a member ready for the network, or a batch that has been through it.
        self._ready: queue.SimpleQueue[Journey | Batch | RunError] = queue.SimpleQueue()
        self._under_way: dict[Journey, None] = {}  # a set that keeps its order

    def run(self, members: Iterable[CrewMember]) -> Iterator[Outcome]:
        """One outcome for each member, in the order in which they finish. A RunError is raised after them."""
        waiting = iter(members)
        trouble: RunError | None = None
        # Daemon threads: an interrupted run does not wait for a server that keeps a download hanging.
        downloads, workers = ThreadPool(self._options.download_threads), ThreadPool(self._options.worker_threads)
        try:
            yield from self._work_off(waiting, downloads, workers)
        except RunError as error:
            self._stop.set()
            trouble = error
        finally:
            downloads.terminate()
            workers.terminate()
            workers.join()  # a net still computing while the interpreter goes away would abort the process
        left = [journey.member for journey in self._under_way]
        yield from (Skipped(member, SKIPPED_INTERRUPTED) for member in itertools.chain(left, waiting))
        if trouble is not None:
            raise trouble

    def _work_off(self, waiting: Iterator[CrewMember], downloads: ThreadPool, workers: ThreadPool) -> Iterator[Outcome]:
        batch: Batch = []
        while not self._stop.is_set():
            free = self._options.in_flight - len(self._under_way)
            for member in itertools.islice(waiting, free):
                self._start(Journey(member), downloads, workers)
            if not self._under_way:
                return
            ready = self._next_ready(patient=not batch)
            if isinstance(ready, list):
                yield from self._write(ready)
            elif ready is not None and ready.failure is not None:
                yield self._finish(ready)
            elif ready is not None:
                batch.append(ready)
            if batch and (ready is None or len(batch) == self._options.batch_size):
                workers.apply_async(self._handing_over_errors, (self._embed, batch))
                batch = []

    def _start(self, journey: Journey, downloads: ThreadPool, workers: ThreadPool) -> None:
        def fetch() -> None:
            journey.step("download", lambda _: self._stages.fetch(journey.member))
            workers.apply_async(self._handing_over_errors, (prepare,))

        def prepare() -> None:
            photo = journey.item
            journey.step("decode", self._stages.decode)
            journey.step("detect", self._stages.find)
            if photo is not None:
                self._discard(photo)
            self._ready.put(journey)

        self._under_way[journey] = None
        downloads.apply_async(self._handing_over_errors, (fetch,))

    def _discard(self, photo: Photo) -> None:
        try:
            self._stages.discard(photo)
        except OSError:  # the file goes with the folder, at the latest when the next run begins
            log.warning("No se pudo borrar %s", photo.path.name, exc_info=True)

    def _embed(self, batch: Batch) -> None:
        _in_batch(batch, "embed", self._stages.embed)
        self._ready.put(batch)

    def _handing_over_errors(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except RunError as error:
            self._ready.put(error)

    def _next_ready(self, *, patient: bool) -> Journey | Batch | None:
        """What is prepared or embedded next; None when nothing came in time, or when the run is to stop."""
        while not self._stop.is_set():
            try:
                ready = self._ready.get(timeout=BATCH_WAIT_S)
            except queue.Empty:
                if patient:
                    continue
                return None
            if isinstance(ready, RunError):
                raise ready
            return ready
        return None

    def _write(self, batch: Batch) -> Iterator[Outcome]:
        trouble: RunError | None = None
        try:
            _in_batch([journey for journey in batch if journey.failure is None], "store", self._stages.store)
        except RunError as error:
            trouble = error
        for journey in batch:
            if journey.is_done:
                yield self._finish(journey)
        if trouble is not None:
            raise trouble

    def _finish(self, journey: Journey) -> Outcome:
        del self._under_way[journey]
        return journey.outcome()


def _in_batch(batch: Batch, stage: str, call: Callable[[list[Any]], list[Any]]) -> None:
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
        journey.item = result
        journey.took(stage, share)
