"""What happens in the workers of a test: hooks of `TinyLoader` that can travel to them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from app.scale.supervisor import Supervisor

HOARD_STEP = 2**27


class Unbuildable(Supervisor):
    """A worker whose node lacks something."""

    def __init__(self, *_: object) -> None:
        raise OSError("no space left")


@dataclass(frozen=True)
class Come:
    """A member that came to be decoded, and in whose child process and worker."""

    crew_id: str
    child: int
    worker: int


@dataclass(frozen=True)
class Witness:
    """Writes down who comes to be decoded, and then takes `wait_s`."""

    journal: Path
    wait_s: float = 0.0

    def __call__(self, stage: str, crew_id: str) -> None:
        if stage == "decode":
            with self.journal.open("a") as journal:
                journal.write(f"{crew_id} {os.getpid()} {os.getppid()}\n")
            self.befall(crew_id)
            time.sleep(self.wait_s)

    def befall(self, crew_id: str) -> None:
        """Let the member through."""

    def seen(self) -> list[Come]:
        """Read who has come so far."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        words = (line.split() for line in lines)
        return [Come(crew_id, int(child), int(worker)) for crew_id, child, worker in words]


@dataclass(frozen=True)
class Crash(Witness):
    """Kills the process that decodes one of these."""

    crew_ids: frozenset[str] = frozenset()

    def befall(self, crew_id: str) -> None:
        if crew_id in self.crew_ids:
            os.kill(os.getpid(), signal.SIGKILL)


def kill_worker() -> None:
    """Kill this process's worker, and with it this process."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(30)  # the system ends this process before


@dataclass(frozen=True)
class KillWorker(Witness):
    """Kills the worker, and with it this process, when this member comes for the first time."""

    crew_id: str = ""

    def befall(self, crew_id: str) -> None:
        if crew_id == self.crew_id and sum(come.crew_id == crew_id for come in self.seen()) == 1:
            kill_worker()


@dataclass(frozen=True)
class KillEveryWorker(Witness):
    """Kills each worker at its first member."""

    def befall(self, crew_id: str) -> None:
        kill_worker()


@dataclass(frozen=True)
class Hoard(Witness):
    """Fills the memory, up to `most_bytes`, when this member comes for the first time, and waits to be killed."""

    crew_id: str = ""
    most_bytes: int = 0

    def befall(self, crew_id: str) -> None:
        if crew_id == self.crew_id and sum(come.crew_id == crew_id for come in self.seen()) == 1:
            hoard = [bytearray(os.urandom(1)) * HOARD_STEP for _ in range(self.most_bytes // HOARD_STEP)]
            time.sleep(30)
            raise AssertionError(f"nobody ended a process with {len(hoard) * HOARD_STEP} bytes")
