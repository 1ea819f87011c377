"""The order of the stages, and nothing else: members come in, exactly one outcome for each goes out.

    member -> fetch -> decode -> find -> embed -> store
              (download threads)
                       (worker threads)  (worker threads, in batches)
                                                  (this thread, in batches)

A fixed number of members is under way at any time, whatever the roster's length; each finishes when it is ready.
One thread for each core does whatever comes next, a photo or a batch: none waits for another, and none competes.
A download that stalls lets the others pass; a photo that a thread does not come back from costs that member alone.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from app.core.worker_threads import Task, WorkerPool
from app.errors import ItemError, PhotoUnavailable, RunError, Stuck, TookTooLong
from app.pipeline.download_pool import DownloadPool
from app.pipeline.work_item import Batch, Journey, take_batch
from app.records import SKIPPED_INTERRUPTED, CrewMember, Embedding, Face, Failed, Outcome, Photo, Portrait, Skipped

log = logging.getLogger(__name__)

# A batch that is not full is taken all the same when nothing came for this long: the processor would idle.
BATCH_WAIT_S = 0.05
# A photo's download holds up nobody after this long; most take a tenth of it.
STALL_S = 0.5
# Forty times what the largest photo allowed takes (100 megapixels, progressive: 8 s on a busy core): for weak machines,
# and for DeepFace's slow detectors, which take one photo at a time. Whoever takes longer does not come back.
PHOTO_LIMIT_S = 300.0
FACES_IN_LIMIT = 100  # so many go through the slowest network in the time that one photo is allowed
LOST_PER_THREAD = 3  # threads that hang: each holds a photo's memory and perhaps a core, and all of them is no accident
LEAVE_S = 5.0  # how long the end of a run waits for what is being computed: longer than any usual photo


@dataclass(frozen=True, slots=True)
class Stages:
    """What is done to a member, as callables. Each raises ItemError for what costs one member, RunError for what
    ends the run; `discard` is told when a photo's file is no longer needed. `fetch` may find that nothing more is to be
    done, `store` that the row holds the vector already. Until `may_store` says so nothing is stored, unless there is
    nobody else to wait for."""

    fetch: Callable[[CrewMember], Photo | Skipped | Failed]
    decode: Callable[[Photo], Portrait]
    find: Callable[[Portrait], Face]
    embed: Callable[[Sequence[Face]], list[Embedding]]
    store: Callable[[Sequence[Embedding]], list[int | Skipped]]
    discard: Callable[[Photo], None]
    may_store: Callable[[], bool] = lambda: True


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """How many threads download, how many decode and detect, and how many faces make a batch. After `stall_s` a
    download holds up nobody; after its limit a photo is given up; the end waits `leave_s` for what is under way."""

    download_threads: int
    worker_threads: int
    batch_size: int
    stall_s: float = STALL_S
    download_limit_s: float = PHOTO_LIMIT_S
    photo_limit_s: float = PHOTO_LIMIT_S
    leave_s: float = LEAVE_S

    @property
    def in_flight(self) -> int:
        """Enough that a batch fills while another is computed and every thread has work; no more than that."""
        return 2 * self.batch_size + self.download_threads + self.worker_threads

    def batch_limit_s(self, faces: int) -> float:
        """What a batch of them is allowed."""
        return self.photo_limit_s * (1 + faces / FACES_IN_LIMIT)


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
        downloads = DownloadPool(self._options.download_threads, self._options.stall_s)
        workers = WorkerPool(self._options.worker_threads)
        try:
            yield from self._work_off(waiting, downloads, workers)
        except RunError as error:
            self._stop.set()
            trouble = error
        finally:
            downloads.dismiss()  # and not waited for: a server may keep one hanging
            workers.stop()
            workers.join(self._options.leave_s)  # who is not back by then is for `leave` to see
        left = [journey.member for journey in self._under_way]
        yield from (Skipped(member, SKIPPED_INTERRUPTED) for member in itertools.chain(left, waiting))
        if trouble is not None:
            raise trouble

    def _work_off(
        self, waiting: Iterator[CrewMember], downloads: DownloadPool, workers: WorkerPool
    ) -> Iterator[Outcome]:
        batch: Batch = []
        while not self._stop.is_set():
            yield from self._give_up_on_hanging(downloads, workers)
            ahead = self._busy - downloads.make_room()
            for member in itertools.islice(waiting, max(0, self._options.in_flight - ahead)):
                self._start(Journey(member), downloads, workers)
            if not self._busy:  # nobody else to wait for
                yield from self._write_held()
                return
            ready = self._next_ready()
            if isinstance(ready, Journey) and ready.is_done:
                yield self._finish(ready)
            elif isinstance(ready, Journey):
                batch.append(ready)
            elif ready is not None:
                self._held.append(ready)
            if batch and (ready is None or len(batch) == self._options.batch_size):
                workers.hand(self._embed(batch))
                batch = []
            yield from self._write_held() if self._stages.may_store() else ()

    @property
    def _busy(self) -> int:
        """How many are under way, without those who only wait to be stored."""
        return len(self._under_way) - sum(len(batch) for batch in self._held)

    def _start(self, journey: Journey, downloads: DownloadPool, workers: WorkerPool) -> None:
        def fetch() -> None:
            journey.step("download", lambda _: self._stages.fetch(journey.member))
            if journey.failure is None:
                downloads.went_well(journey.timings_ms["download"] / 1000)

        def prepare() -> None:
            journey.step("decode", self._stages.decode)
            journey.step("detect", self._stages.find)
            if journey.photo is not None:
                self._discard(journey.photo)

        def go_on(error: RunError | None) -> None:
            if error is None:
                workers.hand(Task(prepare, partial(self._hand_over, journey), journey))
            else:
                self._hand_over(journey, error)

        self._under_way[journey] = None
        downloads.start(Task(fetch, go_on, journey))

    def _discard(self, photo: Photo) -> None:
        try:
            self._stages.discard(photo)
        except OSError:  # the file goes with the folder, at the latest when the next run begins
            log.warning("No se pudo borrar %s", photo.path.name, exc_info=True)

    def _embed(self, batch: Batch) -> Task:
        return Task(partial(take_batch, batch, "embed", self._stages.embed), partial(self._hand_over, batch), batch)

    def _hand_over(self, ready: Journey | Batch, error: RunError | None) -> None:
        self._ready.put(ready if error is None else error)

    def _next_ready(self) -> Journey | Batch | None:
        """What is prepared or embedded next; None when nothing came in time."""
        try:
            ready = self._ready.get(timeout=BATCH_WAIT_S)
        except queue.Empty:
            return None
        if isinstance(ready, RunError):
            raise ready
        return ready

    def _give_up_on_hanging(self, downloads: DownloadPool, workers: WorkerPool) -> Iterator[Outcome]:
        """Raises Stuck when they are too many."""
        options = self._options
        for task in downloads.hanging(options.download_limit_s):
            if downloads.give_up(task):
                detail = f"la descarga no terminó en {options.download_limit_s:g} segundos"
                yield self._give_up(task.subject, PhotoUnavailable(detail))
        for task in workers.slow(options.photo_limit_s):
            if isinstance(task.subject, Journey) and workers.give_up(task):
                yield self._give_up(task.subject, TookTooLong(f"más de {options.photo_limit_s:g} segundos"))
            elif isinstance(task.subject, list) and task.has_taken(options.batch_limit_s(len(task.subject))):
                raise Stuck("El modelo no terminó de calcular")  # nobody's fault: all faces are of one size
        if workers.given_up >= LOST_PER_THREAD * options.worker_threads:
            raise Stuck(f"El programa se quedó colgado con {workers.given_up} fotos")
        if downloads.given_up >= LOST_PER_THREAD * options.download_threads:
            raise Stuck(f"{downloads.given_up} descargas no terminaron nunca")

    def _give_up(self, journey: Journey, error: ItemError) -> Outcome:
        journey.give_up(error)
        return self._finish(journey)

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
