"""Measure a run in which nothing has changed, the usual case of every hour and every night.

`python -m benchmarks.nothing_changed`: 10,000 members stored already, real MariaDB, a real web server with ETags in a
process of its own. Printed are seconds, peak memory and the requests to the server of a run whose checks are not due,
of one that asks about every photo, of one that compares every photo's content, and of `--plan`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.front_door import PROGRAM, FrontDoor, open_front_door
from benchmarks.machine import describe_machine
from benchmarks.scale import PHOTO, STAND_INS, write_small_portrait
from benchmarks.weights import facenet_home

MAX_IDLE_S = 3.0  # limit of issue 5
CASES: dict[str, tuple[Sequence[str], Sequence[str], float]] = {  # program, arguments, PHOTO_RECHECK_HOURS
    "checks not due": (PROGRAM, ("--all",), 20),
    "all photos asked about": (PROGRAM, ("--all",), 0),
    "plan of the same": (PROGRAM, ("--plan",), 0),
    "all contents compared": (STAND_INS, ("--all", "--refresh", "full"), 20),
}


def measure(door: FrontDoor, case: str, repeat: int) -> tuple[float, float, Counter[str]]:
    """Run one case; return the median seconds, the peak megabytes and the requests of the last run."""
    program, words, recheck = CASES[case]
    seconds, peaks, asked = [], [], Counter[str]()
    for _ in range(repeat):
        before = door.requests()
        run = door.run(*words, program=program, PHOTO_RECHECK_HOURS=recheck)
        asked = door.requests() - before
        seconds.append(run.process.wall_s)
        peaks.append(run.process.peak_mb)
    return median(seconds), max(peaks), asked


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nothing_changed", description=__doc__)
    parser.add_argument("--members", type=int, default=10_000, metavar="N", help="default: 10000")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="default: 3")
    options = parser.parse_args()
    print(describe_machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        write_small_portrait(folder / "served")
        with open_front_door(folder, folder / "served", facenet_home(folder).folder) as door:
            door.enrol([PHOTO], options.members)
            door.run("--all", program=STAND_INS)
            print(f"{'':<26}{'s':>8}{'peak MB':>9}  requests")
            for case in CASES:
                seconds, peak_mb, asked = measure(door, case, options.repeat)
                listed = ", ".join(f"{number} {what}" for what, number in sorted(asked.items())) or "none"
                print(f"{case:<26}{seconds:>8.2f}{peak_mb:>9.0f}  {listed}", flush=True)
                if case == "checks not due":
                    print(f"{'':<26}at most {MAX_IDLE_S:g}: {'reached' if seconds <= MAX_IDLE_S else 'NOT REACHED'}")


if __name__ == "__main__":
    main()
