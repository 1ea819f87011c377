"""The workers of a run: hired on the cluster's nodes, refused where they compute something else, replaced when lost."""

from __future__ import annotations

import itertools
import logging
import math
import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from app.core.config import MAX_WORKER_THREADS
from app.core.redaction import redacted
from app.core.spanish import inflect
from app.errors import Defect, RunError, WorkersLost
from app.scale.cluster import Node, discard, is_head_there, living_nodes
from app.scale.contract import Contract
from app.scale.messages import Assignment, Delivery, Introduction
from app.scale.setup import Setup
from app.scale.supervisor import Supervisor

log = logging.getLogger(__name__)

START_S = 600.0  # for a worker to load its nets, and perhaps to download their weights
PATIENCE_S = 30.0  # for cores that another job has, after which the user is told, and other nodes are tried
SILENT_S = 60.0  # without an answer a worker is given up, and a worker's child without a sign: both come every second
LOSSES = 4  # workers of one node in a row, without any outcome, after which it gets no other
LOOK_EVERY_S = 2.0  # for nodes to hire on
HEAD_S = 10.0  # without an answer of the cluster's head node, which may have been started again, the run ends
SAID = 300  # characters of Ray's own words that are repeated
CALLS = 4  # of the driver that a worker answers at a time
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class StaffOptions:
    """`worker_cpus`: cores of a worker at least, `worker_gpus`: graphics cards, also a part of one; `downloads`: the
    photo server's total. The rest are limits on time."""

    worker_cpus: int
    worker_gpus: float
    downloads: int
    start_s: float = START_S
    silent_s: float = SILENT_S
    patience_s: float = PATIENCE_S


@dataclass(eq=False, slots=True)
class Worker:
    """A hired worker. `downloads`: its share of the photo server; `placed`: a call that is answered once it has its
    cores; `call`: what it was asked and has not answered."""

    name: str
    node: Node
    downloads: int
    actor: Any
    placed: Any
    call: Any
    hired_at: float = field(default_factory=time.monotonic)
    called_at: float = field(default_factory=time.monotonic)
    is_placed: bool = False
    is_accepted: bool = False
    is_recalled: bool = False  # by us, to hire others in its place

    def ask(self, call: Any) -> None:
        """Remember what it was asked."""
        self.call, self.called_at = call, time.monotonic()


def divide(downloads: int, workers: int) -> list[int]:
    """Divide the photo server's total among so many workers."""
    each, more = divmod(downloads, max(1, workers))
    return [each + (number < more) for number in range(workers)]


def _cause(error: Exception) -> str:
    """Return what Ray says of a worker that is gone: a traceback, or a few lines about its node, whose last counts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {redacted(lines[-1])[:SAID]}" if lines else type(error).__name__


class Staff:
    """Hires and watches the workers of one run. `ours` is the driver's contract; `tell` prints a line for the user."""

    def __init__(
        self, ray: ModuleType, setup: Setup, options: StaffOptions, ours: Contract, tell: Callable[[str], None]
    ) -> None:
        self._ray = ray
        self._setup = setup
        self._options = options
        self._ours = ours
        self._tell = tell
        self._workers: list[Worker] = []
        self._lost: list[Worker] = []
        self._losses: Counter[str] = Counter()  # by node, since its last outcome
        self._lost_at: dict[str, float] = {}  # by node: its last loss that counted
        self._closed_nodes: set[str] = set()
        self._waited_at: dict[str, float] = {}  # by node: when a worker last waited there for cores in vain
        self._trouble: RunError | None = None
        self._numbers = itertools.count(1)
        self._looked_at = 0.0
        self._head_missed_at: float | None = None
        self._polled_at = time.monotonic()
        self._told = ""
        places = min(sum(map(self._places, living_nodes(ray))), options.downloads)
        self._shares = divide(options.downloads, places)  # of downloads, of workers yet to be hired

    def wait_for_first(self, stop: threading.Event) -> None:
        """Hire, and wait until a worker is accepted or `stop` is set. Raises RunError if none can be."""
        tell_at = time.monotonic() + self._options.patience_s
        while not (stop.is_set() or self.accepted()):
            self.renew()
            for _ in self.answers():
                pass
            if time.monotonic() > tell_at and not self.accepted() and self._is_head_there():
                self._tell_who_is_awaited()
                tell_at = math.inf

    def accepted(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.is_accepted]

    @property
    def nodes(self) -> set[str]:
        """The ids of the nodes where somebody works or will soon: who has waited long for cores may never."""
        now = time.monotonic()
        recently = now - self._options.patience_s
        staffed = {each.node.node_id for each in self._workers if each.is_placed or each.called_at > recently}
        replaced = {node_id for node_id, lost_at in self._lost_at.items() if now - lost_at < 2 * LOOK_EVERY_S}
        return staffed | (replaced - self._closed_nodes)

    def renew(self) -> None:
        """Hire where there is a place and downloads are left. Raises the RunError that left nobody to work."""
        if not self._workers or time.monotonic() - self._looked_at > LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            if self._is_head_there():
                self._hire_where_free()
        if not self._workers and self._head_missed_at is None:
            raise self._trouble or WorkersLost(
                "En el clúster de Ray no queda ningún nodo que pueda procesar fotos",
                "Compruebe con `ray status` que haya nodos con procesadores (y, con WORKER_GPUS, tarjetas) libres, y "
                "vuelva a ejecutar: continuará donde quedó.",
            )

    def _is_head_there(self) -> bool:
        """Tell whether the cluster's head node answers. Raises WorkersLost if it has not for too long."""
        if is_head_there(self._ray):
            self._head_missed_at = None
            return True
        self._head_missed_at = self._head_missed_at or time.monotonic()
        if time.monotonic() - self._head_missed_at < HEAD_S:
            return False
        raise WorkersLost(
            "El nodo principal del clúster de Ray ya no responde",
            "Compruebe con `ray status` que siga en marcha y vuelva a ejecutar: continuará donde quedó.",
        )

    def _hire_where_free(self) -> None:
        free = self._free_places()
        if free and not self._shares:
            self._make_room(free)
            free = self._free_places()
        for node in free[: len(self._shares)]:
            self._hire(node)

    def _free_places(self) -> list[Node]:
        """Return the nodes where workers can be hired, each once for each of them: each node's first place before any
        second, and last where others waited in vain."""
        taken = Counter(worker.node.node_id for worker in self._workers)
        nodes = living_nodes(self._ray)
        free = [(place, node) for node in nodes for place in range(taken[node.node_id], self._places(node))]
        free.sort(key=lambda each: (self._waited_at.get(each[1].node_id, 0.0), each[0]))
        return [node for _, node in free]

    def _make_room(self, free: list[Node]) -> None:
        """Let workers go whose downloads others can use at these places, when all were given out: those who wait for
        cores that another job has, else the one with most, where a node has joined. Others do its members again."""
        now = time.monotonic()
        patience_s = self._options.patience_s
        waiting = [each for each in self._workers if not each.is_placed and now - each.called_at > patience_s]
        for worker in waiting[: len(free)]:
            self._waited_at[worker.node.node_id] = now
            self._recall(worker)
        joined = [node for node in free if node.node_id not in self._waited_at]
        donor = max(self.accepted(), key=lambda worker: worker.downloads, default=None)
        if waiting or not joined or donor is None or donor.downloads == 1:
            return
        if self._ray.available_resources().get("CPU", 0) >= 1:  # else another job has the cores of the node
            self._recall(donor)
            self._shares = divide(donor.downloads, min(len(joined) + 1, donor.downloads))

    def _recall(self, worker: Worker) -> None:
        worker.is_recalled = True
        self._part_with(worker)

    def _places(self, node: Node) -> int:
        if node.cpus == 0 or node.node_id in self._closed_nodes:
            return 0
        places = max(1, node.cpus // self._options.worker_cpus)
        return min(places, int(node.gpus / self._options.worker_gpus)) if self._options.worker_gpus else places

    def _hire(self, node: Node) -> None:
        ray, options = self._ray, self._options
        cpus = min(MAX_WORKER_THREADS, node.cpus // max(1, node.cpus // options.worker_cpus))
        downloads = self._shares.pop(0)
        # Never restarted by Ray, which would do members again unseen: a lost worker is replaced here.
        actor_class = ray.remote(max_restarts=0, max_task_retries=0, max_concurrency=CALLS)(Supervisor)
        there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        placed = actor_class.options(num_cpus=cpus, num_gpus=options.worker_gpus, scheduling_strategy=there)
        setup = ray.cloudpickle.dumps(self._setup.of_worker(downloads, cpus))
        actor = placed.remote(setup, options.start_s, options.silent_s)  # never in runtime_env: Ray logs it
        calls = actor.here.remote(), actor.introduce.remote()
        self._workers.append(Worker(f"{node.name} #{next(self._numbers)}", node, downloads, actor, *calls))

    def hand(self, worker: Worker, members: list[Assignment]) -> None:
        """Give members to an idle worker, and ask what has become of all it has."""
        worker.ask(worker.actor.exchange.remote(members))

    def answers(self) -> Iterator[tuple[Worker, Delivery]]:
        """Wait a moment, and yield what accepted workers have sent. Who does not answer is lost."""
        answered, silent = self._wait()
        for worker in silent:  # before the caller takes its time with the answers
            if worker.call is not None:  # else dismissed a moment ago
                self._watch(worker)
        for worker in answered:
            answer = self._read(worker) if worker.call is not None else None
            if isinstance(answer, Introduction):
                self._meet(worker, answer)
            elif answer is not None:
                yield worker, answer
                self._judge(worker, answer)
        self._tell_who_works()

    def _wait(self) -> tuple[list[Worker], list[Worker]]:
        """Wait until a worker has answered, POLL_S at most; return who has and who has not."""
        calls = {worker.call: worker for worker in self._workers if worker.call is not None}
        now = time.monotonic()
        for worker in calls.values():  # what the caller did meanwhile is no silence: answers are fetched from now on
            worker.called_at += min(now - worker.called_at, now - self._polled_at)
        if not calls:
            time.sleep(POLL_S)
            return [], []
        self._ray.wait(list(calls), num_returns=1, timeout=POLL_S)
        ready, silent = self._ray.wait(list(calls), num_returns=len(calls), timeout=0)
        self._polled_at = time.monotonic()
        return [calls[call] for call in ready], [calls[call] for call in silent]

    def _judge(self, worker: Worker, delivery: Delivery) -> None:
        if delivery.ended:
            self._losses.pop(worker.node.node_id, None)
        if delivery.trouble is not None:
            self._part_with(worker)  # as lost: it may be a member's fault
            self._dismiss_for(worker, delivery.trouble)

    def _read(self, worker: Worker) -> Introduction | Delivery | None:
        call, worker.call = worker.call, None
        try:
            answer: Introduction | Delivery = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:  # raised by our code over there
            self._part_with(worker)
            self._refuse(worker, Defect.of(error, str(error.cause)))
            return None
        except self._ray.exceptions.RayError as error:  # the worker, its node, the way to it, or Ray's memory monitor
            self._lose(worker, _cause(error))
            return None
        self._note_place(worker)
        return answer

    def _note_place(self, worker: Worker) -> None:
        if not worker.is_placed:
            worker.is_placed, worker.called_at = True, time.monotonic()
            self._waited_at.pop(worker.node.node_id, None)

    def _watch(self, worker: Worker) -> None:
        if not worker.is_placed and not self._ray.wait([worker.placed], timeout=0)[0]:
            return  # it waits for cores that another job has: no fault of its node
        self._note_place(worker)
        limit_s = self._options.silent_s if worker.is_accepted else self._options.start_s
        if time.monotonic() - worker.called_at > limit_s:
            self._lose(worker, f"no responde desde hace {limit_s:g} segundos")

    def _lose(self, worker: Worker, why: str) -> None:
        log.warning("Se perdió el trabajador %s: %s", worker.name, why)
        self._tell(f"⚠️  Se perdió un trabajador de {worker.node.name}: sus fotos se hacen de nuevo")
        node_id = worker.node.node_id
        if worker.hired_at > self._lost_at.get(node_id, 0.0):  # those who are lost together count once
            self._losses[node_id] += 1
            self._lost_at[node_id] = time.monotonic()
        self._part_with(worker)
        if self._losses[node_id] >= LOSSES:
            self._trouble = WorkersLost(
                f"Los trabajadores del nodo {worker.node.name} se pierden uno tras otro: {why}",
                "Compruebe que al nodo no le falten memoria ni disco, y vuelva a ejecutar: continuará donde quedó.",
            )
            self.close_node(worker.node, f"En el nodo {worker.node.name} se pierden los trabajadores uno tras otro")

    def _part_with(self, worker: Worker) -> None:
        worker.call = None
        discard(self._ray, worker.actor)
        self._workers.remove(worker)
        self._lost.append(worker)
        self._shares.append(worker.downloads)

    def _meet(self, worker: Worker, introduction: Introduction) -> None:
        if introduction.contract is None:
            self._dismiss_for(worker, introduction.trouble or b"")
            return
        contract: Contract = pickle.loads(introduction.contract)  # noqa: S301  # our worker's
        differences = self._ours.differences(contract)
        if differences:
            self._refuse(
                worker,
                WorkersLost(
                    f"El nodo {worker.node.name} calcula otros vectores que este equipo: {differences}",
                    "Instale en todos los nodos los mismos paquetes y los mismos pesos, y vuelva a ejecutar.",
                ),
            )
            return
        worker.is_accepted = True

    def _dismiss_for(self, worker: Worker, trouble: bytes) -> None:
        error: RunError = pickle.loads(trouble)  # noqa: S301  # our worker's
        self._refuse(worker, type(error)(f"Nodo {worker.node.name}: {error}"), error.advice)

    def _refuse(self, worker: Worker, error: RunError, advice: str = "") -> None:
        """Hire nobody on the worker's node any more; `error` ends the run if no other node is left."""
        error.advice = advice or error.advice
        self._trouble = error
        self.close_node(worker.node, str(error))

    def close_node(self, node: Node, why: str) -> None:
        """Dismiss the node's workers and hire nobody there any more."""
        log.error("El nodo %s no trabaja más en esta ejecución: %s", node.name, why)
        self._tell(f"⚠️  {why}. Se sigue sin ese nodo")
        self._closed_nodes.add(node.node_id)
        for worker in [each for each in self._workers if each.node.node_id == node.node_id]:
            self._recall(worker)

    def take_lost(self) -> list[Worker]:
        """Return the workers who are gone since the last call, also those who were recalled."""
        lost, self._lost = self._lost, []
        return lost

    def _tell_who_is_awaited(self) -> None:
        total, free = self._ray.cluster_resources(), self._ray.available_resources()
        self._tell(
            "⏳ Todavía no hay ningún trabajador listo. Libres en el clúster: "
            f"{free.get('CPU', 0):g} de {total.get('CPU', 0):g} núcleos. Los que esperan entrarán en cuanto haya sitio."
        )

    def _tell_who_works(self) -> None:
        workers, nodes = len(self.accepted()), len({each.node.node_id for each in self.accepted()})
        line = f"🖥️  {inflect(nodes, '# nodo[s]')}, {inflect(workers, '# trabajador[es]')}"
        if workers and line != self._told:
            self._told = line
            self._tell(line)

    def stop(self) -> None:
        """Ask all workers to end at once, and to say what they have seen."""
        for worker in self.accepted():
            worker.actor.stop.remote()

    def leave(self, within_s: float) -> None:
        """Let the workers end in good order, and end them."""
        calls = [worker.actor.leave.remote() for worker in self.accepted()]
        if calls:
            self._ray.wait(calls, num_returns=len(calls), timeout=within_s)
        for worker in self._workers:
            discard(self._ray, worker.actor)
        self._workers.clear()
