"""Measure a run in which nothing has changed, the usual case of every hour and every night.

`python -m benchmarks.nothing_changed`: members stored already, real MariaDB, a real web server with ETags in a process
of its own. Printed are seconds, CPU seconds, peak memory and the requests to the server of a run whose checks are not
due (`idle`), of one that asks about every photo, of the plan of the latter, and of one that compares every photo's
content. `--against N` measures the first case with fewer members, too: what each further thousand costs, and how memory
grows.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.front_door import PROGRAM, STAND_INS, FrontDoor, open_front_door
from benchmarks.machine import describe_machine
from benchmarks.scale import PHOTO, write_small_portrait
from benchmarks.weights import facenet_home

MAX_IDLE_S, MAX_GROWTH = 0.12, 1.25  # for 1,000 more members, and of the memory: limits of issue 18
IDLE = "idle"
CASES: dict[str, tuple[Sequence[str], Sequence[str], float]] = {  # program, arguments, PHOTO_RECHECK_HOURS
    IDLE: (PROGRAM, ("--all",), 20),
    "asked": (PROGRAM, ("--all",), 0),
    "plan": (PROGRAM, ("--plan",), 0),
    "compared": (STAND_INS, ("--all", "--refresh", "full"), 20),
}


@dataclass(frozen=True, slots=True)
class Figures:
    """One case: median seconds and CPU seconds, the highest memory, the requests of the last run."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    asked: Counter[str]


def measure(door: FrontDoor, case: str, repeat: int) -> Figures:
    program, words, recheck = CASES[case]
    runs, asked = [], Counter[str]()
    for _ in range(repeat):
        before = door.requests()
        run = door.run(*words, program=program, PHOTO_RECHECK_HOURS=recheck)
        asked = door.requests() - before
        runs.append(run.process)
    wall_s, cpu_s = median(run.wall_s for run in runs), median(run.cpu_s for run in runs)
    return Figures(wall_s, cpu_s, max(run.peak_mb for run in runs), asked)


def show(title: str, found: Figures) -> None:
    listed = ", ".join(f"{number} {what}" for what, number in sorted(found.asked.items())) or "none"
    print(f"{title:<32}{found.wall_s:>8.2f}{found.cpu_s:>8.2f}{found.peak_mb:>9.0f}  {listed}", flush=True)


def compare(few: Figures, many: Figures, further: int) -> None:
    """Print what each further thousand members cost, and how memory grew."""
    thousands = further / 1000
    wall_s, cpu_s = (many.wall_s - few.wall_s) / thousands, (many.cpu_s - few.cpu_s) / thousands
    growth = many.peak_mb / few.peak_mb
    verdicts = ["reached" if ok else "NOT REACHED" for ok in (wall_s <= MAX_IDLE_S, growth <= MAX_GROWTH)]
    print(f"each further 1,000: {wall_s:.3f} s ({cpu_s:.3f} s CPU), at most {MAX_IDLE_S:g}: {verdicts[0]}")
    print(f"memory: {growth:.2f} times, at most {MAX_GROWTH:g}: {verdicts[1]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nothing_changed", description=__doc__)
    parser.add_argument("--members", type=int, default=10_000, metavar="N", help="default: 10000")
    parser.add_argument("--against", type=int, default=2_000, metavar="N", help="default: 2000; 0: none")
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES, metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="default: 3")
    options = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        write_small_portrait(folder / "served")
        with open_front_door(folder, folder / "served", facenet_home(folder).folder) as door:
            print(f"{'':<32}{'s':>8}{'CPU s':>8}{'peak MB':>9}  requests")
            few = None
            if options.against:
                door.enrol_stored(PHOTO, options.against)
                few = measure(door, IDLE, options.repeat)
                show(f"{IDLE}, {options.against} members", few)
            door.enrol_stored(PHOTO, options.members)
            for case in options.only:
                found = measure(door, case, options.repeat)
                show(case, found)
                if case == IDLE and few is not None:
                    compare(few, found, options.members - options.against)


if __name__ == "__main__":
    main()
