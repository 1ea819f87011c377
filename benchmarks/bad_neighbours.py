"""Measure how much members whose photo server misbehaves delay all the others.

`python -m benchmarks.bad_neighbours`: real MariaDB and nets, and 200 members with a good photo: alone, and after 15
members, first in the roster, whose server misbehaves in 15 ways or never answers. Printed are the seconds until the
last good member is stored, and their ratio to the run alone in the same round: from the process's start, and without
the time of starting up (that of a run over one member). The last lines give the median of the rounds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.front_door import FrontDoor
from benchmarks.machine import describe_machine
from benchmarks.scale import PHOTO, write_small_portrait
from benchmarks.weights import facenet_home
from tests.support.mariadb import running_mariadb
from tests.support.webserver import Handler, serving_photos

MAX_TIMES = 1.1  # limit of issue 18
NEVER_S = 600.0
WAYS = (  # routes of tests/support/webserver.py, chosen by the crew id; none of them ends with a vector
    *("slow", "drip", "huge", "503", "500", "reset", "broken", "truncated"),
    *("cut", "loop", "elsewhere", "badmove", "html", "empty", "garbled"),
)
SILENT = tuple(f"silent{number:02}" for number in range(len(WAYS)))
CASES = {"alone": (), "15 ways to misbehave": WAYS, "15 that never answer": SILENT}


@contextmanager
def open_door(good: Sequence[str]) -> Iterator[FrontDoor]:
    """Start MariaDB and a web server that can misbehave; stop them on leaving."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        write_small_portrait(folder / "served")
        photo = (folder / "served" / PHOTO).read_bytes()
        with running_mariadb(folder) as server, serving_photos() as web:
            web.slow_s, web.redirect_target = NEVER_S, "http://127.0.0.2/"
            web.default_photo = photo
            web.photos |= {f"{crew_id}/{PHOTO}": photo + crew_id.encode() for crew_id in good}  # no two files are equal
            yield FrontDoor(server, web.base_url, folder, facenet_home(folder).folder)


def measure_once(door: FrontDoor, crew_ids: Sequence[str], good: int) -> float:
    """Return the seconds from the process's start until the last good member is stored."""
    door.enrol_as(crew_ids, [PHOTO])
    run = door.run("--all")
    assert len(run.stored_at_s) == run.document["summary"]["stored"] == good, run.document["summary"]
    return max(run.stored_at_s) - run.process.started_at


def measure_round(door: FrontDoor, good: Sequence[str]) -> dict[str, float]:
    """Return each case's time as a multiple of the run alone, without the time of starting up. All cases run in each
    round, since a machine's speed changes over the day."""
    started, alone, times = measure_once(door, good[:1], 1), 0.0, {}
    for case, bad in CASES.items():
        seconds = measure_once(door, [*bad, *good], len(good))
        alone = alone or seconds
        times[case] = (seconds - started) / (alone - started)
        ratios = f"{seconds / alone:.2f} times alone, {times[case]:.2f} without the {started:.2f} s of the start"
        print(f"{case:<22}{seconds:>7.2f} s  {ratios}", flush=True)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bad_neighbours", description=__doc__)
    parser.add_argument("--members", type=int, default=200, metavar="N", help="good ones; default: 200")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rounds; default: 3")
    options = parser.parse_args()
    print(describe_machine())
    Handler.ROUTES.update(dict.fromkeys(SILENT, Handler.ROUTES["slow"]))
    good = [f"z{number:06}" for number in range(options.members)]
    with open_door(good) as door:
        rounds = [measure_round(door, good) for _ in range(options.repeat)]
    for case in list(CASES)[1:]:
        times = median(one[case] for one in rounds)
        print(f"{case}: {times:.2f}, at most {MAX_TIMES:g}: {'reached' if times <= MAX_TIMES else 'NOT REACHED'}")


if __name__ == "__main__":
    main()
