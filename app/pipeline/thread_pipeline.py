"""Run members through the stages on threads; yield one result for each member.

    decision -> fetch -> decode -> find -> embed -> Embedding, Failed or Skipped
                (download threads)
                         (worker threads) (worker threads, in batches)

At most a fixed number of members is under way, and beside them the downloads that stall, whatever the roster's length.
One thread for each core takes the next photo or batch. A download that stalls lets the others pass; a photo in which a
thread hangs costs that member alone. The caller stores the vectors; meanwhile no new member begins.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from app.core.config import Settings
from app.core.worker_threads import Task, WorkerPool
from app.errors import ItemError, PhotoUnavailable, RunError, Stuck, TookTooLong
from app.faces.onnx_sessions import choose_batch_size, parse_providers
from app.pipeline.download_pool import DownloadPool
from app.pipeline.stages import Stages
from app.pipeline.work_item import Processed, WorkItem, embed_batch
from app.planning.decisions import Decision
from app.records import SKIPPED_INTERRUPTED, Failed, Photo, Skipped

log = logging.getLogger(__name__)

# After this long without a new face a batch is embedded although it is not full: the processor would idle.
BATCH_WAIT_S = 0.05
# Five times what a download takes in a local network. Where all take longer, DownloadPool waits longer.
STALL_S = 0.1
# Forty times what the largest photo allowed takes (100 megapixels, progressive: 8 s on a busy core): for weak machines,
# and for DeepFace's slow detectors, which take one photo at a time.
PHOTO_LIMIT_S = 300.0
FACES_IN_LIMIT = 100  # so many the slowest network embeds in the time that one photo is allowed
LOST_PER_THREAD = 3  # threads that hang: each holds a photo's memory and perhaps a core
LEAVE_S = 5.0  # longer than any usual photo


Batch = list[WorkItem]


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """`batch_size` is in faces. After `stall_s` a download holds up no other; after its limit the run gives up a
    download or photo; at its end it waits `leave_s` for what is under way."""

    download_threads: int
    worker_threads: int
    batch_size: int
    stall_s: float = STALL_S
    download_limit_s: float = PHOTO_LIMIT_S
    photo_limit_s: float = PHOTO_LIMIT_S
    leave_s: float = LEAVE_S

    @property
    def in_flight(self) -> int:
        """Just enough members that every thread has work and a batch fills while another is computed."""
        return 2 * self.batch_size + self.download_threads + self.worker_threads

    @classmethod
    def of(cls, settings: Settings) -> PipelineOptions:
        """Return the options that the settings ask for."""
        batch_size = settings.BATCH_SIZE or choose_batch_size(parse_providers(settings.ONNX_PROVIDERS))
        download_limit_s = max(PHOTO_LIMIT_S, 2 * settings.HTTP_TOTAL_TIMEOUT_S)
        return cls(settings.DOWNLOAD_THREADS, settings.WORKER_THREADS, batch_size, download_limit_s=download_limit_s)

    def batch_limit_s(self, faces: int) -> float:
        """Return the time that a batch of so many faces is allowed."""
        return self.photo_limit_s * (1 + faces / FACES_IN_LIMIT)


class Pipeline:
    """Runs members through the stages until `stop` is set."""

    def __init__(self, stages: Stages, options: PipelineOptions, stop: threading.Event | None = None) -> None:
        self._stages = stages
        self._options = options
        self._stop = stop or threading.Event()
        # From the worker threads: a member whose face is found, or a batch that was embedded.
        self._ready: queue.SimpleQueue[WorkItem | Batch | RunError] = queue.SimpleQueue()
        self._under_way: dict[WorkItem, None] = {}  # a set that keeps its order

    def run(self, decisions: Iterable[Decision | None]) -> Iterator[list[Processed]]:
        """Yield one result for each member, in the order in which they finish; those of a batch together. None among
        the decisions says that nobody waits at the moment.

        A RunError is raised after the results of all members, most of which are then `interrupted`.
        """
        waiting = iter(decisions)
        trouble: RunError | None = None
        downloads = DownloadPool(self._options.download_threads, self._options.stall_s)
        workers = WorkerPool(self._options.worker_threads)
        try:
            yield from self._work_off(waiting, downloads, workers)
        except RunError as error:
            self._stop.set()
            trouble = error
        finally:
            downloads.stop()  # without waiting: a server may keep one hanging
            workers.stop()
            workers.join(self._options.leave_s)  # `leave` takes care of threads that still hang
        for item in self._under_way:  # with the picture: another member may have it, too
            yield [Processed(item.decision, Skipped(item.decision.member, SKIPPED_INTERRUPTED, analysis=item.analysis))]
        for decision in filter(None, waiting):
            yield [Processed(decision, Skipped(decision.member, SKIPPED_INTERRUPTED))]
        if trouble is not None:
            raise trouble

    def _work_off(
        self, waiting: Iterator[Decision | None], downloads: DownloadPool, workers: WorkerPool
    ) -> Iterator[list[Processed]]:
        batch: Batch = []
        while not self._stop.is_set():
            yield from self._give_up_hanging(downloads, workers)
            self._begin_next(waiting, downloads, workers)
            if not self._under_way:
                return
            ready = self._next_ready()
            if isinstance(ready, list):
                yield self._finish(ready)
            elif ready is not None and ready.result is not None:
                yield self._finish([ready])
            elif ready is not None:
                batch.append(ready)
            if batch and (ready is None or len(batch) == self._options.batch_size):
                embed = partial(embed_batch, batch, self._stages.embed)
                workers.hand(Task(embed, partial(self._hand_over, batch), batch))
                batch = []

    def _begin_next(self, waiting: Iterator[Decision | None], downloads: DownloadPool, workers: WorkerPool) -> None:
        ahead = len(self._under_way) - downloads.make_room()
        for decision in itertools.islice(waiting, max(0, self._options.in_flight - ahead)):
            if decision is None:
                return
            item = WorkItem(decision)
            self._under_way[item] = None
            if not self._stop.is_set():  # else it may not be marked as under way
                self._start(item, downloads, workers)

    def _start(self, item: WorkItem, downloads: DownloadPool, workers: WorkerPool) -> None:
        def fetch() -> None:
            item.run("download", lambda: self._stages.fetch(item.decision))
            if not isinstance(item.result, Failed):
                downloads.went_well(item.timings_ms["download"] / 1000)

        def go_on(error: RunError | None) -> None:
            if error is None:
                workers.hand(Task(partial(self._prepare, item), partial(self._hand_over, item), item))
            else:
                self._hand_over(item, error)

        downloads.hand(Task(fetch, go_on, item))

    def _prepare(self, item: WorkItem) -> None:
        photo = item.photo
        if photo is None:
            return
        portrait = item.run("decode", lambda: self._stages.decode(photo))
        if portrait is not None:
            item.run("detect", lambda: self._stages.find(portrait))
        self._discard(photo)

    def _discard(self, photo: Photo) -> None:
        try:
            self._stages.discard(photo)
        except OSError:  # the file goes with the folder, at the latest when the next run begins
            log.warning("No se pudo borrar %s", photo.path.name, exc_info=True)

    def _hand_over(self, ready: WorkItem | Batch, error: RunError | None) -> None:
        self._ready.put(ready if error is None else error)

    def _next_ready(self) -> WorkItem | Batch | None:
        try:
            ready = self._ready.get(timeout=BATCH_WAIT_S)
        except queue.Empty:
            return None
        if isinstance(ready, RunError):
            raise ready
        return ready

    def _give_up_hanging(self, downloads: DownloadPool, workers: WorkerPool) -> Iterator[list[Processed]]:
        """Fail the members whose download or photo does not end. Raises Stuck when they are too many."""
        options = self._options
        for task in downloads.hanging(options.download_limit_s):
            if downloads.give_up(task):
                detail = f"la descarga no terminó en {options.download_limit_s:g} segundos"
                yield self._give_up(task.subject, PhotoUnavailable(detail))
        for task in workers.slow(options.photo_limit_s):
            if isinstance(task.subject, WorkItem) and workers.give_up(task):
                yield self._give_up(task.subject, TookTooLong(f"más de {options.photo_limit_s:g} segundos"))
            elif isinstance(task.subject, list) and task.has_taken(options.batch_limit_s(len(task.subject))):
                raise Stuck("El modelo no terminó de calcular")  # no photo causes this: all faces are of one size
        if workers.given_up >= LOST_PER_THREAD * options.worker_threads:
            raise Stuck(f"El programa se quedó colgado con {workers.given_up} fotos")
        if downloads.given_up >= LOST_PER_THREAD * options.download_threads:
            raise Stuck(f"{downloads.given_up} descargas no terminaron nunca")

    def _give_up(self, item: WorkItem, error: ItemError) -> list[Processed]:
        item.give_up(error)
        return self._finish([item])

    def _finish(self, items: Batch) -> list[Processed]:
        for item in items:
            del self._under_way[item]
        return [item.processed() for item in items]
