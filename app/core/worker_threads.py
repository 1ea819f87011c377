"""Threads that can be given up: tasks come in and are done in order, a few at a time; whoever holds a place too long
can be replaced. Native code cannot be interrupted: a thread that hangs in it stays, and `leave` ends the process all
the same.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from app.errors import RunError


@dataclass(eq=False, slots=True)
class Task:
    """Something to do for `subject`; `tell` hears that it is done, and of the RunError if there was one. `begun_at` on
    the monotonic clock."""

    work: Callable[[], None]
    tell: Callable[[RunError | None], None]
    subject: Any = None
    begun_at: float | None = None
    is_done: bool = False
    is_given_up: bool = False

    def has_taken(self, seconds: float) -> bool:
        """Whether it has been at work for longer than that, and still is."""
        return self.begun_at is not None and not self.is_done and time.monotonic() - self.begun_at > seconds

    def do(self) -> RunError | None:
        self.begun_at = time.monotonic()
        try:
            self.work()
        except RunError as error:
            return error
        return None


class Worker(threading.Thread):
    """One thread of a WorkerPool."""


class WorkerPool:
    """`places` threads, no fewer and no more, but for those whose place went to another; so many tasks `given_up`."""

    def __init__(self, places: int) -> None:
        self.given_up = 0
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._working: dict[Task, Worker] = {}
        self._workers: set[Worker] = set()
        for _ in range(places):
            self._hire()

    def hand(self, task: Task) -> None:
        """To be done when its turn comes."""
        self._tasks.put(task)

    def slow(self, seconds: float) -> list[Task]:
        """What has held a place for longer than that."""
        with self._guard:
            return [task for task in self._working if task.has_taken(seconds)]

    def replace(self, task: Task) -> bool:
        """A fresh thread takes the place of the one that is at it, which goes when it is done. False: it is done."""
        with self._guard:
            worker = self._working.pop(task, None)
        if worker is None:
            return False
        self._workers.remove(worker)
        self._hire()
        return True

    def give_up(self, task: Task) -> bool:
        """Whatever becomes of it, nobody will be told, and nobody waits for it. False: it is done."""
        with self._guard:
            if task.is_done:
                return False
            task.is_given_up = True
        self.given_up += 1
        self.replace(task)
        return True

    def dismiss(self) -> None:
        """Nothing more is begun; whoever is at something goes when it is done."""
        with suppress(queue.Empty):
            while True:
                self._tasks.get_nowait()
        for _ in self._workers:
            self._tasks.put(None)

    def join(self, within_s: float) -> None:
        """Wait for those who were dismissed, but no longer than that, and not for those who were replaced."""
        until = time.monotonic() + within_s
        for worker in self._workers:
            worker.join(max(0.0, until - time.monotonic()))

    def _hire(self) -> None:
        worker = Worker(target=lambda: self._serve(worker), daemon=True)
        self._workers.add(worker)
        worker.start()

    def _serve(self, worker: Worker) -> None:
        has_place = True
        while has_place and (task := self._tasks.get()) is not None:
            with self._guard:
                self._working[task] = worker
            error = task.do()
            with self._guard:
                task.is_done = True
                has_place = self._working.pop(task, None) is not None
            if not task.is_given_up:
                task.tell(error)


def leave(exit_code: int) -> NoReturn:
    """End the process. While a thread of ours is still computing the interpreter cannot be taken down in good order: a
    net that is at work meanwhile aborts the process, and the exit code is lost."""
    if not any(isinstance(thread, Worker) for thread in threading.enumerate()):
        sys.exit(exit_code)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed by whoever reads it: nobody is left to be told
            stream.flush()
    os._exit(exit_code)
