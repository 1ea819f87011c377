"""Check that hanging threads can be given up, and that a process with such threads ends."""

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

pool = WorkerPool(2)
for _ in range(2 if AT_WORK else 0):
    pool.hand(Task(look_for_ever, print))
time.sleep(0.5)
pool.stop()
pool.join(0.1)
print("what was said last", end="")
leave(7)
"""


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


class Recorder:
    """Make tasks, and record what their `notify` is called with."""

    def __init__(self) -> None:
        self.notified: list[tuple[str, RunError | None]] = []
        self.changed = threading.Condition()

    def task(self, name: str, wait_for: threading.Event | None = None, error: RunError | None = None) -> Task:
        def work() -> None:
            assert wait_for is None or wait_for.wait(60)
            if error is not None:
                raise error

        def notify(reported: RunError | None) -> None:
            with self.changed:
                self.notified.append((name, reported))
                self.changed.notify_all()

        return Task(work, notify, name)

    def names(self, count: int) -> list[str]:
        """Return the names of the finished tasks once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.notified) >= count, PATIENCE_S)
            return [name for name, _ in self.notified]


def wait_until_slow(pool: WorkerPool, count: int) -> list[Task]:
    end = time.monotonic() + PATIENCE_S
    while len(slow := pool.slow(0.05)) < count:
        assert time.monotonic() < end
        time.sleep(0.005)
    return slow


def test_tasks_are_done_in_order_and_their_run_errors_reported() -> None:
    recorder, pool, departed = Recorder(), WorkerPool(1), DatabaseUnavailable("gone")
    for task in (recorder.task("a"), recorder.task("b", error=departed), recorder.task("c")):
        pool.hand(task)
    assert recorder.names(3) == ["a", "b", "c"]
    assert recorder.notified == [("a", None), ("b", departed), ("c", None)]
    pool.stop()
    pool.join(PATIENCE_S)


def test_a_replaced_task_reports_its_end_and_a_given_up_task_does_not(release: threading.Event) -> None:
    recorder, pool = Recorder(), WorkerPool(2)
    replaced, given_up = recorder.task("replaced", release), recorder.task("given up", release)
    for task in (replaced, given_up, recorder.task("a"), recorder.task("b")):
        pool.hand(task)
    assert wait_until_slow(pool, 2) == [replaced, given_up]
    assert (pool.replace(replaced), pool.give_up(given_up)) == (True, True)
    assert sorted(recorder.names(2)) == ["a", "b"]
    assert (pool.slow(0), pool.given_up) == ([], 1)
    release.set()
    assert recorder.names(3)[2] == "replaced"
    end = time.monotonic() + PATIENCE_S
    while not given_up.is_done:
        assert time.monotonic() < end
        time.sleep(0.005)
    pool.stop()
    pool.join(PATIENCE_S)
    assert (pool.replace(replaced), pool.give_up(replaced)) == (False, False)
    assert len(recorder.notified) == 3


def test_a_stopped_pool_begins_nothing_and_does_not_wait_for_a_thread_that_hangs(release: threading.Event) -> None:
    recorder, pool = Recorder(), WorkerPool(1)
    pool.hand(recorder.task("hangs", release))
    pool.hand(recorder.task("never"))
    wait_until_slow(pool, 1)
    pool.stop()
    pool.join(0.05)
    assert recorder.notified == []
    release.set()
    pool.join(PATIENCE_S)
    assert recorder.notified == [("hangs", None)]


@pytest.mark.parametrize("at_work", [True, False])
def test_the_process_leaves_with_its_exit_code_while_threads_are_still_computing(*, at_work: bool) -> None:
    """With `sys.exit` alone the nets at work abort the process: it ends with code 134 instead of 7."""
    script = LEFT_AT_WORK.replace("AT_WORK", str(at_work))
    words = [sys.executable, "-c", script]
    environment = os.environ | {"PYTHONUNBUFFERED": ""}  # what is not flushed would be lost
    done = subprocess.run(
        words, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "what was said last", "")


def test_so_it_does_where_the_caller_closed_its_streams() -> None:
    script = LEFT_AT_WORK.replace("AT_WORK", "True").replace("leave(7)", "sys.stdout = sys.stderr = None\nleave(7)")
    words = [sys.executable, "-c", f"import sys\n{script}"]
    done = subprocess.run(words, cwd=PROJECT_DIR, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (7, b"")
