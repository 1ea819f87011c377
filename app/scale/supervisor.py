"""A worker of the cluster: keeps a child process with the nets, and outlives the photos that crash it.

Runs as a Ray actor. It imports no net: what the driver sends goes to the child unread, and the child's results back. A
child that dies, or is silent and killed, leaves suspects, those whom it had begun and not ended; each then goes alone
to a new one. Who costs it twice alone is set aside, and no neighbour with them.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, cast

from app.core.config import PROJECT_DIR
from app.errors import WorkersLost
from app.scale.contract import Contract
from app.scale.messages import (
    BEAT_S,
    BEGUN,
    ENDED,
    HELLO,
    LOG,
    MEMBER,
    STOP,
    TROUBLE,
    Assignment,
    Delivery,
    Ended,
    Introduction,
    LogLine,
    receive,
    send,
)

ALONE_DEATHS = 2  # of the child with one member under way, after which nothing else can have caused them
USELESS_STARTS = 3  # children in a row that died before they ended a member, and with nobody under way
LEAVE_S = 6.0  # for the child to end what it computes: longer than the pipeline waits
DIE_S = 30.0  # for the system to end a child that was killed: one that waits for a disk or a driver does not


class Supervisor:
    """Processes the members that it is given, in a child. The driver calls its methods, from several threads.

    The child may take `start_s` to load its nets; then it is killed when nothing was heard of it for `silent_s`.
    """

    def __init__(self, setup: bytes, start_s: float, silent_s: float) -> None:
        self._setup = setup
        self._start_s, self._silent_s = start_s, silent_s
        self._changed = threading.Condition()
        self._waiting: deque[Assignment] = deque()
        self._suspects: deque[Assignment] = deque()
        self._given: dict[int, Assignment] = {}  # to the child, without an outcome
        self._begun: set[int] = set()
        self._alone: int | None = None
        self._deaths: Counter[int] = Counter()
        self._deaths_alone: Counter[int] = Counter()
        self._useless_starts = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._loaded = False  # the child has its nets
        self._heard_at = self._started_at = 0.0  # of the child
        self._killed_at: float | None = None
        self._contract: bytes | None = None
        self._ended: list[Ended] = []
        self._aside: list[Ended] = []  # who killed the child, until another member is done: it may be the machine
        self._log: list[LogLine] = []
        self._trouble: bytes | None = None
        self._leaving = self._is_over = False
        # The system ends the child with the thread that started it: this one lasts as long as the worker.
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()

    def here(self) -> None:
        """Answer as soon as this worker has its place on the node."""

    def introduce(self) -> Introduction:
        """Return the child's contract as soon as its nets are loaded, or why they cannot be."""
        with self._changed:
            self._changed.wait_for(lambda: self._contract is not None or self._trouble is not None)
            return Introduction(self._contract, self._trouble)

    def exchange(self, members: Sequence[Assignment]) -> Delivery:
        """Take these members; return the outcomes since the last call as soon as there is one, or after BEAT_S."""
        with self._changed:
            for member in members:
                (self._suspects if member.suspect else self._waiting).append(member)
            self._feed()
            if not self._changed.wait_for(lambda: self._ended or self._is_over, BEAT_S):
                self._watch()
            if not (self._given or self._waiting or self._suspects):
                self._ended += self._aside
                self._aside.clear()
            ended, self._ended = self._ended, []
            log, self._log = self._log, []
            return Delivery(tuple(ended), tuple(log), self._trouble, self._is_over)

    def stop(self) -> None:
        """Let the child end at once, and say of those under way what it has seen of them."""
        with self._changed:
            self._leaving = True
            if self._child is not None:
                with suppress(OSError):
                    send(_input(self._child), STOP)

    def leave(self) -> None:
        """End the child in good order: it removes its files."""
        with self._changed:
            self._leaving = True
            if self._child is not None:
                with suppress(OSError):
                    _input(self._child).close()
        self._server.join(LEAVE_S)

    # The thread that serves

    def _serve(self) -> None:
        while self._trouble is None and not self._leaving:
            with self._changed:
                self._started_at = time.monotonic()
            try:
                child = _start()
                send(_input(child), self._setup)
            except OSError as error:
                self._give_up(f"No se puede poner en marcha el proceso de trabajo ({error.strerror})")
                return
            with self._changed:
                self._child, self._killed_at = child, None
                self._heard_at = time.monotonic()
                if self._leaving:
                    child.kill()
            for kind, *values in receive(_output(child)):
                with self._changed:
                    self._heard_at = time.monotonic()
                    self._take(kind, values)
                    self._feed()
                    self._changed.notify_all()
            status = child.wait()
            with self._changed:
                self._child, self._loaded = None, False
                self._bury(status)
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _take(self, kind: str, values: list[object]) -> None:
        if kind == HELLO:
            self._meet(cast(bytes, values[0]))
        elif kind == BEGUN:
            self._begun.add(cast(int, values[0]))
        elif kind == ENDED:
            for number, result in cast(list[tuple[int, bytes]], values[0]):
                self._end(Ended(number, result))
        elif kind == LOG:
            self._log.append(cast(LogLine, tuple(values)))
        elif kind == TROUBLE:
            self._trouble = cast(bytes, values[0])

    def _watch(self) -> None:
        """Kill a child that is silent: those whom it has begun become suspects. Give up if one does not get ready."""
        now = time.monotonic()
        if self._killed_at is not None:
            if now - self._killed_at > DIE_S:
                self._give_up("El proceso de trabajo está bloqueado y el sistema no lo termina")
        elif not self._loaded:
            if now - self._started_at > self._start_s:
                if self._child is not None:
                    self._child.kill()
                self._give_up("El proceso de trabajo no termina de ponerse en marcha")
        elif self._child is not None and now - self._heard_at > self._silent_s:
            self._killed_at = now
            self._child.kill()

    def _meet(self, contract: bytes) -> None:
        """Take a child that has its nets, unless it computes something else than the one before it."""
        ours: Contract = pickle.loads(self._contract or contract)  # noqa: S301  # our children's, both
        differences = ours.differences(pickle.loads(contract))  # noqa: S301
        if differences:
            self._trouble = pickle.dumps(WorkersLost(f"Cambió durante la ejecución: {differences}"))
        else:
            self._contract, self._loaded = contract, True

    def _end(self, ended: Ended) -> None:
        self._useless_starts = 0
        self._ended += [*self._aside, ended]
        self._aside.clear()
        self._given.pop(ended.number, None)
        self._begun.discard(ended.number)
        self._deaths.pop(ended.number, None)
        self._deaths_alone.pop(ended.number, None)
        if ended.number == self._alone:
            self._alone = None

    def _feed(self) -> None:
        """Give the child who waits; a suspect only when nobody else is under way."""
        if not self._loaded or self._alone is not None or self._leaving:
            return
        if self._suspects:
            if not self._given:
                self._give(self._suspects.popleft())
                self._alone = next(iter(self._given))
            return
        while self._waiting:
            self._give(self._waiting.popleft())

    def _give(self, member: Assignment) -> None:
        self._given[member.number] = member
        if self._child is not None:
            with suppress(OSError):  # it has just died: whom it had is taken up again when its output ends
                send(_input(self._child), MEMBER, member.number, member.decision)

    def _bury(self, status: int) -> None:
        """Take up the members of a child that has ended: those whom it had begun are suspects."""
        given, alone = list(self._given.values()), self._alone
        begun = [each for each in given if each.number in self._begun]
        not_begun = [each for each in given if each.number not in self._begun]
        self._given.clear()
        self._begun.clear()
        self._alone = None
        if self._leaving or self._trouble is not None:
            return
        why = "no daba señales y se cerró" if self._killed_at is not None else f"se cerró (código {status})"
        line = f"El proceso de un trabajador {why} con {len(begun)} fotos en curso; otro sigue con ellas"
        self._log.append((__name__, logging.WARNING, line))
        (self._waiting if alone is None else self._suspects).extendleft(reversed(not_begun))
        if not begun:
            self._useless_starts += 1
            if self._useless_starts == USELESS_STARTS:
                self._give_up(f"El proceso de trabajo se cierra sin ninguna foto en curso (código {status})")
            return
        self._deaths.update(each.number for each in begun)
        if alone is not None:
            self._deaths_alone[alone] += 1
        if alone is not None and self._deaths_alone[alone] >= ALONE_DEATHS:
            self._aside.append(Ended(alone, None, self._deaths[alone]))
            if len(self._aside) == USELESS_STARTS:
                self._aside.clear()
                self._give_up(f"El proceso de trabajo se cierra con cualquier foto (código {status})")
        else:
            self._suspects.extendleft(reversed(begun))

    def _give_up(self, why: str) -> None:
        with self._changed:
            self._trouble, self._is_over = pickle.dumps(WorkersLost(why)), True
            self._changed.notify_all()


def _start() -> subprocess.Popen[bytes]:
    """Start a child; its output holds frames. Raises OSError."""
    folders = [str(PROJECT_DIR), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-m", "app.scale.child", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=PROJECT_DIR,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
        start_new_session=True,
    )


def _input(child: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast(IO[bytes], child.stdin)


def _output(child: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast(IO[bytes], child.stdout)
