"""What members whose photo server misbehaves cost all the others.

`python -m benchmarks.bad_neighbours`: real MariaDB, real nets, 200 members with a good photo: alone, and behind 15
whose server misbehaves in as many ways, or never answers; those stand first in the roster. Told are the seconds until
the last good one was stored, and how many times those of the run alone in the same round: from the process's start, and
without the time that it takes to get going (what a run over one member takes). The last line is the middle round's.
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

MAX_TIMES = 1.2  # what issue 6 asks for
NEVER_S = 600.0
WAYS = (  # routes of tests/webserver.py, which a crew id chooses; none of them ends with a vector
    *("slow", "drip", "huge", "503", "500", "reset", "broken", "truncated"),
    *("cut", "loop", "elsewhere", "badmove", "html", "empty", "garbled"),
)
SILENT = tuple(f"silent{number:02}" for number in range(len(WAYS)))
CASES = {"alone": (), "15 ways to misbehave": WAYS, "15 that never answer": SILENT}


@contextmanager
def open_door(good: Sequence[str]) -> Iterator[FrontDoor]:
    """The program's surroundings, with a web server that has bad ways."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        write_small_portrait(folder / "served")
        photo = (folder / "served" / PHOTO).read_bytes()
        with running_mariadb(folder) as server, serving_photos() as web:
            web.slow_s, web.redirect_target = NEVER_S, "http://127.0.0.2/"
            web.default_photo = photo
            web.photos |= {f"{crew_id}/{PHOTO}": photo + crew_id.encode() for crew_id in good}  # no two of one file
            yield FrontDoor(server, web.base_url, folder, facenet_home(folder).folder)


def measure_once(door: FrontDoor, crew_ids: Sequence[str], good: int) -> float:
    """Seconds from the process's start until the last good one was stored."""
    door.enrol_as(crew_ids, [PHOTO])
    run = door.run("--all")
    assert len(run.stored_at_s) == run.document["summary"]["stored"] == good, run.document["summary"]
    return max(run.stored_at_s) - run.process.started_at


def measure_round(door: FrontDoor, good: Sequence[str]) -> dict[str, float]:
    """How many times as long as alone each case takes, without the start; all at about the same time, since a machine
    is not the same all day."""
    started, alone, times = measure_once(door, good[:1], 1), 0.0, {}
    for case, bad in CASES.items():
        seconds = measure_once(door, [*bad, *good], len(good))
        alone = alone or seconds
        times[case] = (seconds - started) / (alone - started)
        told = f"{seconds / alone:.2f} times alone, {times[case]:.2f} without the {started:.2f} s of the start"
        print(f"{case:<22}{seconds:>7.2f} s  {told}", flush=True)
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
        times = median(each[case] for each in rounds)
        print(f"{case}: {times:.2f}, at most {MAX_TIMES:g}: {'reached' if times <= MAX_TIMES else 'NOT REACHED'}")


if __name__ == "__main__":
    main()
