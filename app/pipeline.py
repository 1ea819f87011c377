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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from typing import Any

from app.errors import RunError
from app.journey import Batch, Journey, take_batch
from app.records import SKIPPED_INTERRUPTED, CrewMember, Embedding, Face, Failed, Outcome, Photo, Portrait, Skipped

log = logging.getLogger(__name__)

# A batch that is not full is taken all the same when nothing came for this long: the processor would idle.
BATCH_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Stages:
    """What is done to a member, as callables. Each raises ItemError for what costs one member, RunError for what
    ends the run; `discard` is told when a photo's file is no longer needed. `fetch` and `decode` may find that nothing
    more is to be done. Until `may_store` says so nothing is stored, unless there is nobody else to wait for."""

    fetch: Callable[[CrewMember], Photo | Skipped | Failed]
    decode: Callable[[Photo], Portrait | Skipped]
    find: Callable[[Portrait], Face]
    embed: Callable[[Sequence[Face]], list[Embedding]]
    store: Callable[[Sequence[Embedding]], list[int]]
    discard: Callable[[Photo], None]
    may_store: Callable[[], bool] = lambda: True


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


class Pipeline:
    """Runs members through the stages. `stop`, set from outside, ends the run after what is being written."""

    def __init__(self, stages: Stages, options: PipelineOptions, stop: threading.Event | None = None) -> None:
        self._stages = stages
        self._options = options
        self._stop = stop or threading.Event()
        # Back from the worker threads: a member ready for the network, or a batch that has been through it.
        self._ready: queue.SimpleQueue[Journey | Batch | RunError] = queue.SimpleQueue()
        self._under_way: dict[Journey, None] = {}  # a set that keeps its order
        self._held: list[Batch] = []  # through the network, and not to be stored yet

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
            for member in itertools.islice(waiting, self._options.in_flight - self._busy):
                self._start(Journey(member), downloads, workers)
            if not self._busy:  # nobody else to wait for
                yield from self._write_held()
                return
            ready = self._next_ready(patient=not batch)
            if isinstance(ready, Journey) and ready.is_done:
                yield self._finish(ready)
            elif isinstance(ready, Journey):
                batch.append(ready)
            elif ready is not None:
                self._held.append(ready)
            if batch and (ready is None or len(batch) == self._options.batch_size):
                workers.apply_async(self._handing_over_errors, (self._embed, batch))
                batch = []
            yield from self._write_held() if self._stages.may_store() else ()

    @property
    def _busy(self) -> int:
        """How many are under way, without those who only wait to be stored."""
        return len(self._under_way) - sum(len(batch) for batch in self._held)

    def _start(self, journey: Journey, downloads: ThreadPool, workers: ThreadPool) -> None:
        def fetch() -> None:
            journey.step("download", lambda _: self._stages.fetch(journey.member))
            workers.apply_async(self._handing_over_errors, (prepare,))

        def prepare() -> None:
            journey.step("decode", self._stages.decode)
            journey.step("detect", self._stages.find)
            if journey.photo is not None:
                self._discard(journey.photo)
            self._ready.put(journey)

        self._under_way[journey] = None
        downloads.apply_async(self._handing_over_errors, (fetch,))

    def _discard(self, photo: Photo) -> None:
        try:
            self._stages.discard(photo)
        except OSError:  # the file goes with the folder, at the latest when the next run begins
            log.warning("No se pudo borrar %s", photo.path.name, exc_info=True)

    def _embed(self, batch: Batch) -> None:
        take_batch(batch, "embed", self._stages.embed)
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

    def _write_held(self) -> Iterator[Outcome]:
        while self._held and not self._stop.is_set():
            yield from self._write(self._held.pop(0))

    def _write(self, batch: Batch) -> Iterator[Outcome]:
        trouble: RunError | None = None
        try:
            take_batch([journey for journey in batch if journey.failure is None], "store", self._stages.store)
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
