"""Run programs as processes of their own; measure time, CPU time and the peak memory of the whole process tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.config import PROJECT_DIR

SAMPLE_S = 0.05
PROGRESS_S = 0.5
KB_PER_MB = 1000 / 1.024  # /proc counts in KiB; a MB is a million bytes
SHOWN_LINES = 20  # of a program that failed


@dataclass(frozen=True, slots=True)
class Finished:
    """Figures of a finished process. `started_at`: wall clock (seconds since 1970) just before it began; `cpu_s`: time
    on all cores, with that of the children that it waited for; `threads_s`: time of each of its own threads, the first
    one first, to within a sample."""

    started_at: float
    wall_s: float
    cpu_s: float
    peak_mb: float
    exit_code: int
    threads_s: tuple[float, ...] = ()


class PeakMemory:
    """Sample the memory of a process and all its descendants, as a context manager.

    `peak_mb` is the highest sum over the tree. For the process itself it takes the kernel's high-water mark, so that
    none of its peaks falls between two samples.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak_kb = 0
        self._known: set[int] = set()
        self._threads_s: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def peak_mb(self) -> float:
        return self._peak_kb / KB_PER_MB

    @property
    def threads_s(self) -> tuple[float, ...]:
        """The processor time of each thread of the process itself, in the order of their ids."""
        return tuple(self._threads_s[thread] for thread in sorted(self._threads_s))

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self._sample()

    def _sample(self) -> None:
        self._threads_s |= {int(each): _cpu_s(f"{self._pid}/task/{each}") for each in _threads(self._pid)}
        tree = process_tree(self._pid)
        # A child counts from its second sample on: until it starts its own program it shares its parent's memory.
        grown_up = [pid for pid in tree[1:] if pid in self._known]
        self._known = set(tree)
        own_kb, children_kb = memory_kb(self._pid), [memory_kb(pid)["VmRSS"] for pid in grown_up]
        self._peak_kb = max(self._peak_kb, own_kb["VmHWM"], own_kb["VmRSS"] + sum(children_kb))


def process_tree(pid: int) -> list[int]:
    """List the process and its living descendants."""
    found = [pid]
    for parent in found:  # grows while it is walked
        for thread in _threads(parent):
            found += [int(child) for child in _read(Path(f"/proc/{parent}/task/{thread}/children")).split()]
    return found


def memory_kb(pid: int) -> dict[str, int]:
    """Read a process's memory now (VmRSS) and its highest so far (VmHWM), in KiB; zeros when it has ended."""
    found = {"VmRSS": 0, "VmHWM": 0}
    for line in _read(Path(f"/proc/{pid}/status")).splitlines():
        name, _, value = line.partition(":")
        if name in found:
            found[name] = int(value.split()[0])
    return found


def command_line(pid: int) -> str:
    """Read the words that a process was started with; empty when it has ended."""
    return _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ")


def cpu_s(pid: int) -> float:
    """Read the processor time that a process has taken so far; 0 when it has ended."""
    return _cpu_s(str(pid))


def _cpu_s(task: str) -> float:
    fields = _read(Path(f"/proc/{task}/stat")).rpartition(")")[2].split()  # its name may hold blanks
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def busy_s() -> float:
    """Read for how long this machine's cores have been busy in all, whoever used them."""
    fields = [int(each) for each in _read(Path("/proc/stat")).splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")  # less idle, and waiting for the disk


def _threads(pid: int) -> list[str]:
    try:
        return [path.name for path in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # the process has just ended
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def run_process(
    words: Sequence[str], environment: Mapping[str, str], output: Path, folder: Path = PROJECT_DIR
) -> Finished:
    """Run `python WORDS` in a folder to its end; stdout and stderr go to a file."""
    with output.open("wb") as target:
        started_at, started = time.time(), time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words], env=dict(environment), cwd=folder, stdout=target, stderr=subprocess.STDOUT
        )
        with PeakMemory(process.pid) as memory:
            _, status, usage = os.wait4(process.pid, 0)  # like process.wait(), but with resource usage
            wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    return Finished(started_at, wall_s, cpu, memory.peak_mb, process.returncode, memory.threads_s)


def run_worker(module: str, job: Mapping[str, Any], environment: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Run one of the benchmark's own programs on a job; return its result with `peak_mb`, `started_at` and `wall_s`.

    Raises RuntimeError with the end of its output when it failed.
    """
    request, result, output = (folder / f"{module}.{ending}" for ending in ("job.json", "result.json", "txt"))
    request.write_text(json.dumps(job))
    result.unlink(missing_ok=True)
    finished = run_process(["-m", f"benchmarks.{module}", str(request), str(result)], environment, output)
    if finished.exit_code or not result.exists():
        raise RuntimeError(f"benchmarks.{module}: {tail(output)}")
    measured = {"peak_mb": finished.peak_mb, "started_at": finished.started_at, "wall_s": finished.wall_s}
    return json.loads(result.read_text()) | measured


def tail(output: Path) -> str:
    """Return the last lines of a program's output."""
    return "\n".join(output.read_text(errors="replace").splitlines()[-SHOWN_LINES:])


@contextmanager
def following(file: Path) -> Iterator[None]:
    """Print the lines that another process appends to a file, until the context is left."""
    file.write_text("")
    over = threading.Event()

    def follow() -> None:
        with file.open() as lines:
            while not over.wait(PROGRESS_S):
                print(lines.read(), end="", flush=True)
            print(lines.read(), end="", flush=True)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
