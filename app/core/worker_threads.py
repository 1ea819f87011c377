"""A thread pool that can give up threads that hang, and a thread that repeats a task.

Native code cannot be interrupted: a thread that hangs in it keeps running, another takes its slot, and `leave` ends the
process all the same.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from app.errors import RunError

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Task:
    """Work for `subject`. The pool then calls `notify` with its RunError, or None. `begun_at`: monotonic clock."""

    work: Callable[[], None]
    notify: Callable[[RunError | None], None]
    subject: Any = None
    begun_at: float | None = None
    is_done: bool = False
    is_given_up: bool = False

    def has_taken(self, seconds: float) -> bool:
        """Tell whether the task is running and has been for longer than that."""
        return self.begun_at is not None and not self.is_done and time.monotonic() - self.begun_at > seconds


class Worker(threading.Thread):
    """One thread of a WorkerPool."""


class WorkerPool:
    """A pool of `slots` threads. A thread that hangs can be replaced; it then no longer counts. `given_up` counts the
    tasks that were given up."""

    def __init__(self, slots: int) -> None:
        self.given_up = 0
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._working: dict[Task, Worker] = {}
        self._workers: set[Worker] = set()
        for _ in range(slots):
            self._start_worker()

    def hand(self, task: Task) -> None:
        self._tasks.put(task)

    def slow(self, seconds: float) -> list[Task]:
        """List the tasks that have held a slot for longer than that."""
        with self._guard:
            return [task for task in self._working if task.has_taken(seconds)]

    def replace(self, task: Task) -> bool:
        """Give the task's slot to a new thread; the old thread ends after the task. Return False if it is done."""
        with self._guard:
            worker = self._working.pop(task, None)
        if worker is None:
            return False
        self._workers.remove(worker)
        self._start_worker()
        return True

    def give_up(self, task: Task) -> bool:
        """Stop waiting for the task and never call its `notify`. Return False if it is done."""
        with self._guard:
            if task.is_done:
                return False
            task.is_given_up = True
        self.given_up += 1
        self.replace(task)
        return True

    def stop(self) -> None:
        """Drop the queued tasks. Threads that are at work end after their task."""
        with suppress(queue.Empty):
            while True:
                self._tasks.get_nowait()
        for _ in self._workers:
            self._tasks.put(None)

    def join(self, within_s: float) -> None:
        """Wait at most so long for the stopped threads, and not for replaced ones."""
        until = time.monotonic() + within_s
        for worker in self._workers:
            worker.join(max(0.0, until - time.monotonic()))

    def _start_worker(self) -> None:
        worker = Worker(target=lambda: self._serve(worker), daemon=True)
        self._workers.add(worker)
        worker.start()

    def _serve(self, worker: Worker) -> None:
        has_slot = True
        while has_slot and (task := self._tasks.get()) is not None:
            with self._guard:
                self._working[task] = worker
            error: RunError | None = None
            try:
                task.begun_at = time.monotonic()
                task.work()
            except RunError as raised:
                error = raised
            with self._guard:
                task.is_done = True
                has_slot = self._working.pop(task, None) is not None
            if not task.is_given_up:
                task.notify(error)


@contextmanager
def periodic_task(every_s: float, task: Callable[[], object]) -> Iterator[None]:
    """Call `task` at this interval, in a thread of its own, until the block ends. Its errors go into the log."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(every_s):
            try:
                task()
            except Exception:
                log.exception("Falló una tarea periódica")

    thread = threading.Thread(target=repeat, name="periodic", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def leave(exit_code: int) -> NoReturn:
    """End the process with this code, even while a net is computing: the interpreter's shutdown would then abort the
    process and lose the code."""
    if not any(isinstance(thread, Worker) for thread in threading.enumerate()):
        sys.exit(exit_code)
    logging.shutdown()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: the caller's shell closed it
        with suppress(OSError, ValueError):  # the reader has closed it
            stream.flush()
    os._exit(exit_code)
