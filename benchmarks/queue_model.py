"""Simulate how the members of a run queue: for the photo server, a download, a core, the driver, the one writer.

    roster -> download (a place at the photo server, its line) -> decode, find -> a batch of faces -> embed
           -> driver -> a transaction of the one writer        (worker threads)

Costs are milliseconds as measured (`benchmarks.capacity`); what waits for what is the program's own order:
`app/pipeline/thread_pipeline.py` for one machine's threads, `app/scale/ray_pipeline.py` for a cluster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

import simpy

from app.pipeline.thread_pipeline import BATCH_WAIT_S
from app.scale.ray_pipeline import UNDER_WAY

MS = 1000.0
SLICE_MS = 5.0  # a core goes from thread to thread in such turns
STEADY_FROM, STEADY_TO = 0.1, 0.9  # of the members: start and end, when not everybody has work, are left out
Steps = Iterator[Any]  # of a SimPy process


@dataclass(frozen=True, slots=True)
class Costs:
    """Milliseconds of one member. `prepare`: decoding and finding, of different photos, in turn. `fetch`: the client's
    processor time of a download, `serve` the server's. `drive`: the driver's beside storing. A transaction takes
    `commit`, and `row` for each of its rows. `photo_mb` megabytes come over the server's line."""

    prepare: Sequence[float]
    embed: float
    fetch: float = 0.0
    serve: float = 0.0
    drive: float = 0.0
    row: float = 0.0
    commit: float = 0.0
    photo_mb: float = 0.0


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run takes place: `workers` with so many `threads` each, on `machines` of so many `cores`; `downloads` is
    the total. `cluster`: the driver is another process than the workers. `one_machine`: photo server, driver and
    database use the same cores, of which other programs take the share `others`. While a second core of the machine is
    busy, decoding and finding take `prepare_slowdown` times longer, other work `slowdown` times. `row_wait_ms`: what
    the database waits for with each row."""

    workers: int = 1
    threads: int = 1
    machines: int = 1
    cores: int = 1
    downloads: int = 8
    batch: int = 8
    cluster: bool = False
    one_machine: bool = False
    slowdown: float = 1.0
    prepare_slowdown: float = 1.0
    others: float = 0.0
    row_wait_ms: float = 0.0
    latency_ms: float = 0.0
    server_places: float = inf
    line_mb_s: float = inf

    @property
    def in_flight(self) -> int:
        """Members between a worker's first download thread and its last batch."""
        return 2 * self.batch + max(1, self.downloads // self.workers) + self.threads

    @property
    def under_way(self) -> int:
        """Members that a worker has at a time."""
        return UNDER_WAY if self.cluster else self.in_flight

    @property
    def full(self) -> int:
        """Rows of the largest transaction."""
        return UNDER_WAY if self.cluster else self.batch


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulated run did: when each member was stored, and which share of the time each part was busy."""

    stored_at_s: list[float]
    busy: dict[str, float]

    @property
    def rate(self) -> float:
        return steady_rate(self.stored_at_s)

    @property
    def bottleneck(self) -> str:
        return max(self.busy, key=lambda part: self.busy[part])


def steady_rate(stored_at_s: Sequence[float]) -> float:
    """Return the members a second between the first tenth and the last."""
    times = sorted(stored_at_s)
    first, last = times[int(len(times) * STEADY_FROM)], times[int(len(times) * STEADY_TO)]
    return sum(first < time <= last for time in times) / (last - first)  # those of a batch have one time


@dataclass(slots=True)
class _Worker:
    """The queues of one worker: what its threads do next, and what its main thread looks at. `load`: members that it
    has, of whom so many are `inside` its pipeline, others `given` and not begun, or `ended` and not yet fetched."""

    cores: simpy.Resource
    waiting: simpy.Store
    tasks: simpy.Store
    ready: simpy.Store
    given: deque[int] = field(default_factory=deque)
    load: int = 0
    inside: int = 0
    ended: int = 0


class _Run:
    def __init__(self, costs: Costs, site: Site, members: int) -> None:
        self.env = env = simpy.Environment()
        self.over = env.event()
        self.stored_at_s: list[float] = []
        self.busy_ms: dict[str, float] = {}
        self._costs, self._site = costs, site
        self._members, self._begun = members, 0
        self._machines = [simpy.Resource(env, site.cores) for _ in range(site.machines)]
        self._places = simpy.Resource(env, site.server_places)
        self._line = simpy.Resource(env, 1)
        self._arrived = simpy.Store(env)  # workers who have something for the driver of a cluster
        for number in range(site.workers):
            self._employ(number)
        if site.others:
            env.process(self._disturb())
        if site.cluster:
            env.process(self._drive())

    def _employ(self, number: int) -> None:
        """Start a worker's threads and give it its first members."""
        env, site = self.env, self._site
        worker = _Worker(self._machines[number % site.machines], *(simpy.Store(env) for _ in range(3)))
        each, more = divmod(site.downloads, site.workers)
        for _ in range(each + (number < more)):
            env.process(self._download(worker))
        for _ in range(site.threads):
            env.process(self._work(worker))
        env.process(self._lead(worker))
        self._hand_out(worker)

    def _disturb(self) -> Steps:
        """Be the other programs on a machine: take turns at its cores as they come."""
        every_ms = SLICE_MS / self._site.others / self._site.cores
        while True:
            self.env.process(self._compute(self._machines[0], SLICE_MS))
            yield self.env.timeout(every_ms)

    def _hand_out(self, worker: _Worker) -> None:
        while worker.load < self._site.under_way and self._begun < self._members:
            worker.given.append(self._begun)
            worker.load += 1
            self._begun += 1
        while worker.given and worker.inside < self._site.in_flight:
            worker.waiting.put(worker.given.popleft())
            worker.inside += 1

    def _download(self, worker: _Worker) -> Steps:
        costs, site = self._costs, self._site
        while True:
            member = yield worker.waiting.get()
            with self._places.request() as place:
                yield place
                began = self.env.now
                yield self.env.timeout(site.latency_ms)
                yield from self._elsewhere(costs.serve)
                yield from self._send()
                self._count("photo server's places", began, site.server_places)
            yield from self._compute(worker.cores, costs.fetch)
            self._count("download threads", began, site.downloads)
            worker.tasks.put(member)

    def _send(self) -> Steps:
        if self._site.line_mb_s < inf and self._costs.photo_mb:
            with self._line.request() as turn:
                yield turn
                began = self.env.now
                yield self.env.timeout(self._costs.photo_mb / self._site.line_mb_s * MS)
                self._count("photo server's line", began, 1)

    def _work(self, worker: _Worker) -> Steps:
        """Be one worker thread: a photo or a batch, whichever comes next."""
        costs, site = self._costs, self._site
        while True:
            task = yield worker.tasks.get()
            if isinstance(task, list):
                yield from self._compute(worker.cores, costs.embed * len(task))
            else:
                cost = costs.prepare[task % len(costs.prepare)]
                yield from self._compute(worker.cores, cost, site.prepare_slowdown)
            worker.ready.put(task)

    def _lead(self, worker: _Worker) -> Steps:
        """Be the pipeline's main thread: collect faces to batches and pass on what is ended."""
        batch: list[int] = []
        ready = worker.ready.get()
        while True:
            yield ready | self.env.timeout(BATCH_WAIT_S * MS) if batch else ready
            item = ready.value if ready.triggered else None
            if item is not None:
                ready = worker.ready.get()
            if isinstance(item, list):
                yield from self._deliver(worker, len(item))
            elif item is not None:
                batch.append(item)
            if batch and (item is None or len(batch) == self._site.batch):
                worker.tasks.put(batch)
                batch = []

    def _deliver(self, worker: _Worker, members: int) -> Steps:
        worker.ended += members
        worker.inside -= members
        if self._site.cluster:
            self._hand_out(worker)
            self._arrived.put(worker)
        else:
            yield from self._store(worker)

    def _drive(self) -> Steps:
        """Be the driver of a cluster: one worker's members after the other's, all that have come meanwhile at once."""
        while True:
            worker = yield self._arrived.get()
            if worker.ended:
                yield from self._store(worker)

    def _store(self, worker: _Worker) -> Steps:
        costs, members, began = self._costs, worker.ended, self.env.now
        worker.ended = 0
        yield from self._elsewhere(costs.commit + members * (costs.drive + costs.row))
        yield self.env.timeout(members * self._site.row_wait_ms)
        # Busy as if each transaction were full: since the driver takes all that has come, it is else never idle.
        elastic_ms = costs.commit * (1 - min(1.0, members / self._site.full))
        self._count("driver and writer", began, 1, elastic_ms)
        self.stored_at_s += [self.env.now / MS] * members
        worker.load -= members
        self._hand_out(worker)
        if len(self.stored_at_s) == self._members:
            self.over.succeed()

    def _elsewhere(self, cost_ms: float) -> Steps:
        """Take the time of the photo server, or of driver and database: on our cores, or on a machine of their own."""
        if self._site.one_machine:
            yield from self._compute(self._machines[0], cost_ms)
        else:
            yield self.env.timeout(cost_ms)

    def _compute(self, cores: simpy.Resource, cost_ms: float, slowdown: float | None = None) -> Steps:
        slowdown = slowdown or self._site.slowdown
        while cost_ms > 0:
            turn_ms = min(cost_ms, SLICE_MS)
            with cores.request() as turn:
                yield turn
                began = self.env.now
                longer = slowdown if cores.count > 1 else 1.0
                yield self.env.timeout(turn_ms * longer)
                self._count("cores", began, self._site.cores * self._site.machines)
            cost_ms -= turn_ms

    def _count(self, part: str, began: float, places: float, less_ms: float = 0.0) -> None:
        self.busy_ms[part] = self.busy_ms.get(part, 0.0) + (self.env.now - began - less_ms) / places


def simulate(costs: Costs, site: Site, members: int) -> Simulated:
    """Simulate a run of so many members from its first download to its last row; starting is not part of it."""
    run = _Run(costs, site, members)
    run.env.run(until=run.over)
    return Simulated(run.stored_at_s, {part: busy / run.env.now for part, busy in run.busy_ms.items()})
