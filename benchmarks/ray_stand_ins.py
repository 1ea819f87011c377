"""Run the program with stand-ins for its nets, for `ray_engine`: `python -m benchmarks.ray_stand_ins ARGUMENTS`.

With WAIT_S in the environment each stage waits so long and finds tiny faces; without it, nothing takes any time. With
MEMORY_FILE in it, the process's own memory is written there at every second, as seconds and MB.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from app.cli.arguments import parse_arguments
from app.cli.main import LoadFaces, run
from benchmarks.ray_memory import private_mb
from benchmarks.without_nets import build_stand_ins
from tests.support.tiny_faces import TinyLoader

WAIT_S, MEMORY_FILE = "STAND_INS_WAIT_S", "STAND_INS_MEMORY_FILE"
SAMPLE_S = 1.0


@dataclass(frozen=True)
class Wait:
    """Waits in each stage; travels to the workers."""

    wait_s: float

    def __call__(self, _stage: str, _crew_id: str) -> None:
        time.sleep(self.wait_s)


def choose_stand_ins() -> LoadFaces:
    """Return what loads the stand-ins that the environment asks for."""
    wait_s = os.environ.get(WAIT_S)
    return TinyLoader(Wait(float(wait_s))) if wait_s else build_stand_ins


def write_memory(file: Path) -> None:
    """Write this process's memory into the file until the process ends."""
    started = time.perf_counter()
    with file.open("w", buffering=1) as target:
        while True:
            target.write(f"{time.perf_counter() - started:.1f} {private_mb():.1f}\n")
            time.sleep(SAMPLE_S)


def main() -> int:
    if MEMORY_FILE in os.environ:
        file = Path(os.environ[MEMORY_FILE])
        threading.Thread(target=write_memory, args=(file,), daemon=True).start()
    return run(parse_arguments(), choose_stand_ins())


if __name__ == "__main__":
    sys.exit(main())
