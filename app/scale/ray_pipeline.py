"""Run members through the stages on a cluster; yield one result for each, as `Pipeline` does on threads.

    decision -> Ledger -> worker's supervisor -> child: fetch -> decode -> find -> embed -> result -> Ledger
    (the driver: this process)       (each node)                                            (decides each once)

At most UNDER_WAY members are with a worker; each call gives a worker new ones and returns what has become of others.
The caller stores the vectors; meanwhile nobody gets new members.
"""

from __future__ import annotations

import itertools
import logging
import pickle
import threading
import time
from collections.abc import Iterable, Iterator

from app.errors import Quarantined, RunError
from app.pipeline.work_item import Processed
from app.planning.decisions import Decision
from app.records import SKIPPED_INTERRUPTED, Failed, Skipped
from app.scale.ledger import Entry, Ledger
from app.scale.messages import Delivery, Ended
from app.scale.probation import Probation
from app.scale.staff import Staff, Worker

log = logging.getLogger(__name__)

UNDER_WAY = 64  # members of a worker, twice what is marked at a time
STOP_S = 8.0  # for workers to say what they have seen of members when the run is stopped


class RayPipeline:
    """Runs members through the stages on the staff's workers until `stop` is set."""

    def __init__(self, staff: Staff, stop: threading.Event) -> None:
        self._staff = staff
        self._stop = stop
        self._numbers = itertools.count()

    def run(self, decisions: Iterable[Decision], *, alone: bool = False) -> Iterator[list[Processed]]:
        """Yield one result for each member, in the order in which they arrive, several together. Each member that is to
        go `alone` has a process to itself.

        A RunError is raised after the results of all members, most of which are then `interrupted`.
        """
        ledger, probation = Ledger(decisions, alone=alone, numbers=self._numbers), Probation()
        trouble: RunError | None = None
        try:
            yield from filter(None, self._work_off(ledger, probation))
        except RunError as error:
            self._stop.set()
            trouble = error
        if self._stop.is_set():
            yield from filter(None, self._collect(ledger, probation))
        if self._stop.is_set() and len(self._staff.nodes) > 1:
            ledger.give_back(probation.give_up_all())  # it may be their node: the next run tells
        yield list(probation.release_all())
        for decision in ledger.rest():
            yield [Processed(decision, Skipped(decision.member, SKIPPED_INTERRUPTED))]
        if trouble is not None:
            raise trouble

    def _work_off(self, ledger: Ledger, probation: Probation) -> Iterator[list[Processed]]:
        staff = self._staff
        while not self._stop.is_set():
            yield self._set_aside_lost(ledger)
            staff.renew()
            self._hand_out(ledger, probation)
            if ledger.is_idle:
                return
            for worker, delivery in staff.answers():
                for entry, processed in self._receive(worker, delivery, ledger):
                    probation.admit(worker.node.node_id, entry, processed)
                yield list(probation.release(staff.nodes))
            yield list(probation.release(staff.nodes))  # a node may have gone without an answer
            self._close_nodes(ledger, probation)

    def _hand_out(self, ledger: Ledger, probation: Probation) -> None:
        for worker in self._staff.accepted():
            if worker.call is not None:
                continue
            node = worker.node.node_id
            room = 0 if probation.is_suspended(node) else UNDER_WAY - ledger.load(worker.name) - probation.held(node)
            members = ledger.take(worker.name, room)
            if self._stop.is_set():  # those drawn since may not be marked as under way
                return
            if members or ledger.load(worker.name):
                self._staff.hand(worker, members)

    def _receive(self, worker: Worker, delivery: Delivery, ledger: Ledger) -> Iterator[tuple[Entry, Processed]]:
        for name, level, line in delivery.log:
            logging.getLogger(name).log(level, "%s", line)
        for ended in delivery.ended:
            entry = ledger.settle(worker.name, ended.number)
            if entry is not None:
                yield entry, _processed(entry, ended)

    def _set_aside_lost(self, ledger: Ledger) -> list[Processed]:
        for worker in self._staff.take_lost():
            (ledger.recall if worker.is_recalled else ledger.lose)(worker.name)
        return [_set_aside(entry.decision, entry.losses) for entry in ledger.take_given_up()]

    def _close_nodes(self, ledger: Ledger, probation: Probation) -> None:
        ledger.give_back(probation.accuse())
        for node_id in probation.condemned():
            worker = next((each for each in self._staff.accepted() if each.node.node_id == node_id), None)
            if worker is not None:
                why = f"Las primeras fotos fallan todas en el nodo {worker.node.name}, y en otros no"
                self._staff.close_node(worker.node, why)

    def _collect(self, ledger: Ledger, probation: Probation) -> Iterator[list[Processed]]:
        """Take what the workers have ended, and what they have seen of those under way: another member may have the
        same picture."""
        staff, until = self._staff, time.monotonic() + STOP_S
        staff.stop()
        while time.monotonic() < until and any(ledger.load(worker.name) for worker in staff.accepted()):
            for worker in staff.accepted():
                if worker.call is None and ledger.load(worker.name):
                    staff.hand(worker, [])
            for worker, delivery in staff.answers():
                for entry, processed in self._receive(worker, delivery, ledger):
                    probation.admit(worker.node.node_id, entry, processed)
                yield list(probation.release(staff.nodes))
                if delivery.is_last:
                    ledger.lose(worker.name)


def _processed(entry: Entry, ended: Ended) -> Processed:
    if ended.result is None:
        return _set_aside(entry.decision, ended.deaths)
    return Processed(entry.decision, pickle.loads(ended.result))  # noqa: S301  # our worker's


def _set_aside(decision: Decision, deaths: int) -> Processed:
    """Return the failure of a member whose processing ended so many processes."""
    detail = f"{deaths} procesos murieron mientras se procesaba"
    return Processed(decision, Failed(decision.member, Quarantined.stage, Quarantined.code, detail))
