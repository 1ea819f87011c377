"""Run the program in several configurations, and measure what each stage costs the processor.

Costs are processor time, of each of the program's threads and of the two servers, so that other programs on the machine
change them little. How much of the cores those took is measured, too.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.front_door import FrontDoor, ProgramRun
from benchmarks.machine import child_environment, cores, say
from benchmarks.photo_server import serving
from benchmarks.photos import list_photos
from benchmarks.processes import busy_s, command_line, cpu_s, process_tree, run_worker
from benchmarks.queue_model import MS, Costs, Site, steady_rate
from benchmarks.single_writer import LIKE_SERVERS, embeddings, open_writer, store
from benchmarks.single_writer import measure as write_new
from benchmarks.weights import ENGINE_FILES, Home
from tests.support.clusters import running_cluster
from tests.support.mariadb import running_mariadb

PHOTO_SERVER, DATABASE_SERVER = "benchmarks.photo_server", "mariadbd"
BATCH = 8  # faces, on a processor
FULL = 32  # rows of a transaction when the driver is behind
WRITTEN = 400  # rows, to tell a transaction's cost from a row's
FLOOR = {"batch": BATCH, "batches": 16, "passes": 3}
PASSES = 7  # over all photos
LOOK_EVERY_S = 0.1
PATIENCE_S, CALM_S = 90.0, 3.0  # waiting for others to end, and how long they have to be quiet
QUIET = 0.05  # share of the cores that others may take in a run; else it is repeated
DISK = "disco"
STORED = (
    "SELECT SUM(data_length + index_length) / (SELECT COUNT(*) FROM face_embeddings) "
    "FROM information_schema.tables WHERE table_schema = DATABASE()"
)
NO_WORDS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One configuration: the model's site, and what the program and its servers are given for it."""

    name: str
    site: Site
    settings: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    row_wait_s: float = 0.0
    nodes: int = 0  # of a Ray cluster, with one core each
    longer: int = 1  # times as many members as the first case


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a case. `others`: the share of the cores that other programs took; processor seconds of the photo
    server and of the database."""

    run: ProgramRun
    others: float
    server_s: float
    database_s: float

    @property
    def rate(self) -> float:
        return steady_rate(self.run.stored_at_s)


def cases(slowdowns: dict[str, float]) -> list[Case]:
    """List the configurations; the model is calibrated on the first one only."""
    base = Site(cores=cores(), one_machine=True, batch=BATCH, **slowdowns)
    two = replace(base, threads=2)
    return [
        Case("one worker thread", base),
        Case("two worker threads", two, longer=2),
        Case("4 downloads, photos after 400 ms", replace(two, downloads=4, latency_ms=400), server={"delay_s": 0.4}),
        Case(
            "photo server with 3 places of 200 ms",
            replace(two, latency_ms=200, server_places=3),
            server={"delay_s": 0.2, "places": 3},
        ),
        Case("database takes 70 ms more for a row", replace(two, row_wait_ms=70), row_wait_s=0.07),
        Case("--engine ray, two nodes of one core", replace(base, workers=2, cluster=True), nodes=2, longer=3),
    ]


def measure(door: FrontDoor, case: Case, photos: Path, names: list[str], members: int) -> Measured:
    """Run the program on a new roster of so many members, all of whom are stored. The first one's run before makes the
    tables."""
    door.enrol(names, members)
    door.run("--crew-id", "0", program=("-m", "benchmarks.without_nets"))
    if case.row_wait_s:
        door.slow_down(case.row_wait_s)
    settings = {"WORKER_THREADS": case.site.threads, "DOWNLOAD_THREADS": case.site.downloads} | case.settings
    with ExitStack() as stack:
        if case.server:
            settings["IMAGE_BASE_URL"] = stack.enter_context(serving(photos, **case.server))
        words = stack.enter_context(ray_cluster(case.nodes)) if case.nodes else NO_WORDS
        measured = watched(lambda: door.run("--all", "--force", *words, **settings))
    failed = measured.run.document["summary"]["errors_by_code"]
    if failed:
        raise SystemExit(f"{case.name}: the model knows no failures: {failed}")
    return measured


def measure_quietly(
    door: FrontDoor, case: Case, photos: Path, names: list[str], members: int, tries: int = 3
) -> Measured:
    """Measure the case, again while other programs disturb it; return the run that was disturbed least."""
    runs: list[Measured] = []
    while len(runs) < tries and not (runs and runs[-1].others <= QUIET):
        wait_for_calm()
        runs.append(measure(door, case, photos, names, members * case.longer))
        say(f"  {case.name}: {runs[-1].rate:.2f} photos a second, others took {runs[-1].others:.0%} of the cores")
    return min(runs, key=lambda one: one.others)


def wait_for_calm(most_s: float = PATIENCE_S) -> None:
    """Wait until other programs leave the cores alone, at most so long."""
    until = time.monotonic() + most_s
    while time.monotonic() < until:
        before = busy_s()
        time.sleep(CALM_S)
        if busy_s() - before < QUIET * CALM_S * cores():
            return


def good_photos(door: FrontDoor, names: list[str]) -> list[str]:
    """Return the photos that are stored: the model knows no failures."""
    door.enrol(names, len(names))
    members = door.run("--all", "--force").document["members"]
    return [names[int(each["crew_id"])] for each in members if each["outcome"] == "stored"]


@contextmanager
def ray_cluster(nodes: int) -> Iterator[tuple[str, ...]]:
    """Start a Ray cluster of so many nodes with one core each on this machine; give the arguments that name it."""
    with running_cluster(nodes) as cluster:
        yield "--engine", "ray", "--ray-address", cluster.address


class Spending:
    """Adds up the processor time of this process and of all its descendants, as a context manager: in `seconds`, by
    which server they are. Looks again and again: a process that has ended says nothing."""

    def __init__(self) -> None:
        self.seconds = Counter[str]()
        self._of: dict[int, tuple[str, float]] = {}  # by process id
        self._before: dict[int, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Spending:
        self._look()
        self._before = {pid: seconds for pid, (_, seconds) in self._of.items()}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()
        for pid, (server, seconds) in self._of.items():
            self.seconds[server] += seconds - self._before.get(pid, 0.0)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            self._look()

    def _look(self) -> None:
        for pid in process_tree(os.getpid()):
            words, seconds = command_line(pid), cpu_s(pid)
            server = next((name for name in (PHOTO_SERVER, DATABASE_SERVER) if name in words), "")
            if seconds:  # else it has just ended
                self._of[pid] = server, seconds


def watched(call: Callable[[], ProgramRun]) -> Measured:
    """Run the program, and measure what its servers and other programs take of the cores meanwhile."""
    busy_before = busy_s()
    with Spending() as spending:
        run = call()
    others = max(0.0, busy_s() - busy_before - spending.seconds.total()) / (run.process.wall_s * cores())
    return Measured(run, others, spending.seconds[PHOTO_SERVER], spending.seconds[DATABASE_SERVER])


def costs_of(measured: Measured, start: Measured, transaction: tuple[float, float]) -> Costs:
    """Take the model's costs from a run with one worker thread, and from one with a single member, which costs what
    starting does. Each photo's share of the worker thread is as the stages' times say."""
    members = measured.run.members - start.run.members

    def each_ms(spent: Callable[[Measured], float]) -> float:
        return (spent(measured) - spent(start)) * MS / members

    timings = [member["timings_ms"] for member in measured.run.document["members"]]
    worker, main = each_ms(_worker_s), each_ms(lambda one: one.run.process.threads_s[0])
    stages = mean(each["decode"] + each["detect"] + each["embed"] for each in timings)
    commit, row = transaction
    return Costs(
        prepare=[(each["decode"] + each["detect"]) * worker / stages for each in timings],
        embed=mean(each["embed"] for each in timings) * worker / stages,
        fetch=each_ms(lambda one: one.run.process.cpu_s) - worker - main,
        serve=each_ms(lambda one: one.server_s),
        drive=max(0.0, main + each_ms(lambda one: one.database_s) - commit / BATCH - row),
        row=row,
        commit=commit,
    )


def driver_ms(measured: Measured, start: Measured) -> float:
    """Return the processor's milliseconds, for each member, of the driver of a run on Ray and of its database."""
    members = measured.run.members - start.run.members
    spent_s = [one.run.process.cpu_s + one.database_s for one in (measured, start)]
    return (spent_s[0] - spent_s[1]) * MS / members


def _worker_s(measured: Measured) -> float:
    return max(measured.run.process.threads_s[1:])


def measure_transaction(door: FrontDoor) -> tuple[float, float]:
    """Return the processor's milliseconds, of client and database, of a transaction and of each of its rows."""
    writer = open_writer(door.database_url)
    each_ms = {}
    for batch in (1, BATCH):
        found = list(embeddings([f"{batch}-{number}" for number in range(WRITTEN)], seed=batch))
        with Spending() as spending:
            store(writer, found, batch)
        each_ms[batch] = spending.seconds.total() * MS / WRITTEN
    row = (each_ms[BATCH] * BATCH - each_ms[1]) / (BATCH - 1)
    return each_ms[1] - row, row


def measure_disk() -> dict[str, float]:
    """Measure the milliseconds of a transaction and of a row, on a database that flushes every commit to the disk, and
    the bytes of a member's rows and their indexes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, running_mariadb(Path(name), *LIKE_SERVERS) as server:
        server.execute(f"CREATE DATABASE {DISK}")
        wait_for_calm()
        writer = open_writer(server.url(DISK).render_as_string(hide_password=False))
        each_ms = {batch: MS / write_new(writer, batch, WRITTEN, 3)[0] for batch in (BATCH, FULL)}
        server.execute("ANALYZE TABLE face_embeddings, face_vectors, face_photos", DISK)
        stored = float(server.execute(STORED, DISK)[0][0])
    commit = (each_ms[BATCH] - each_ms[FULL]) / (1 / BATCH - 1 / FULL)
    return {"commit": commit, "row": each_ms[BATCH] - commit / BATCH, "stored_bytes": stored}


def measure_slowdowns(home: Home, photos: Path, folder: Path) -> dict[str, float]:
    """Return how much longer Facenet512 alone takes while all cores work, and how much longer decoding and finding
    alone do, on as many threads of one process: they wait for Python's lock, too."""
    net = FLOOR | {"weights": str(home.weights / ENGINE_FILES["onnx"])}
    find = {"home": str(home.folder), "photos": [str(photo) for photo in list_photos(photos)], "passes": PASSES}
    wait_for_calm()

    def longer(worker: str, job: dict[str, Any], read: Callable[[dict[str, Any]], float]) -> float:
        alone, together = (
            read(run_worker(worker, job | {"threads": threads}, child_environment({}), folder))
            for threads in (1, cores())
        )
        say(f"  {worker}: {alone:.1f} ms of a core on one thread, {together:.1f} on each of {cores()}")
        return max(1.0, together / alone)

    return {
        "slowdown": longer("floor_worker", net, lambda found: found["cpu_ms"]["one core for each batch"]),
        "prepare_slowdown": longer("prepare_worker", find, lambda found: found["ms"]),
    }
