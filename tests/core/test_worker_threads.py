"""Threads that can be given up, and the end of a process that has some left."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from app.core.config import PROJECT_DIR
from app.core.worker_threads import Task, WorkerPool
from app.errors import DatabaseUnavailable, RunError

PATIENCE_S = 20
LEFT_AT_WORK = """
import time
import numpy as np
from app.core.worker_threads import Task, WorkerPool, leave
from app.faces.detector import DetectionOptions, build_detector
from app.faces.mtcnn import Mtcnn

detector = build_detector(DetectionOptions("mtcnn", 640, 0.05), Mtcnn())
image = np.random.default_rng(1).integers(0, 255, (600, 600, 3), np.uint8)

def look_for_ever():
    while True:
        detector.detect_faces(image)

workforce = WorkerPool(2)
for _ in range(2 if AT_WORK else 0):
    workforce.hand(Task(look_for_ever, print))
time.sleep(0.5)
workforce.dismiss()
workforce.join(0.1)
print("what was said last", end="")
leave(7)
"""


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


class Told:
    """Tasks, and what was told of them."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, RunError | None]] = []
        self.came = threading.Condition()

    def task(self, name: str, wait_for: threading.Event | None = None, error: RunError | None = None) -> Task:
        def work() -> None:
            assert wait_for is None or wait_for.wait(60)
            if error is not None:
                raise error

        def tell(said: RunError | None) -> None:
            with self.came:
                self.heard.append((name, said))
                self.came.notify_all()

        return Task(work, tell, name)

    def names(self, count: int) -> list[str]:
        """Once so many were heard of."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.heard) >= count, PATIENCE_S)
            return [name for name, _ in self.heard]


def wait_until_slow(workforce: WorkerPool, count: int) -> list[Task]:
    end = time.monotonic() + PATIENCE_S
    while len(slow := workforce.slow(0.05)) < count:
        assert time.monotonic() < end
        time.sleep(0.005)
    return slow


def test_tasks_are_done_in_order_and_their_run_errors_told() -> None:
    told, workforce, departed = Told(), WorkerPool(1), DatabaseUnavailable("gone")
    for task in (told.task("a"), told.task("b", error=departed), told.task("c")):
        workforce.hand(task)
    assert told.names(3) == ["a", "b", "c"]
    assert told.heard == [("a", None), ("b", departed), ("c", None)]
    workforce.dismiss()
    workforce.join(PATIENCE_S)


def test_whoever_is_replaced_is_heard_and_whoever_is_given_up_is_not(release: threading.Event) -> None:
    told, workforce = Told(), WorkerPool(2)
    replaced, given_up = told.task("replaced", release), told.task("given up", release)
    for task in (replaced, given_up, told.task("a"), told.task("b")):
        workforce.hand(task)
    assert wait_until_slow(workforce, 2) == [replaced, given_up]
    assert (workforce.replace(replaced), workforce.give_up(given_up)) == (True, True)
    assert sorted(told.names(2)) == ["a", "b"]
    assert (workforce.slow(0), workforce.given_up) == ([], 1)
    release.set()
    assert told.names(3)[2] == "replaced"
    end = time.monotonic() + PATIENCE_S
    while not given_up.is_done:
        assert time.monotonic() < end
        time.sleep(0.005)
    workforce.dismiss()
    workforce.join(PATIENCE_S)
    assert (workforce.replace(replaced), workforce.give_up(replaced)) == (False, False)
    assert len(told.heard) == 3


def test_after_dismissal_nothing_is_begun_and_a_thread_that_hangs_is_not_waited_for(release: threading.Event) -> None:
    told, workforce = Told(), WorkerPool(1)
    workforce.hand(told.task("hangs", release))
    workforce.hand(told.task("never"))
    wait_until_slow(workforce, 1)
    workforce.dismiss()
    workforce.join(0.05)
    assert told.heard == []
    release.set()
    workforce.join(PATIENCE_S)
    assert told.heard == [("hangs", None)]


@pytest.mark.parametrize("at_work", [True, False])
def test_the_process_leaves_with_its_exit_code_whoever_is_still_computing(*, at_work: bool) -> None:
    """With `sys.exit` alone the nets at work abort it: exit code 134 of 7."""
    script = LEFT_AT_WORK.replace("AT_WORK", str(at_work))
    words = [sys.executable, "-c", script]
    environment = os.environ | {"PYTHONUNBUFFERED": ""}  # what is not flushed would be lost
    done = subprocess.run(
        words, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "what was said last", "")
