"""Measure how time and memory grow with the roster's length: time per member, a run with nothing to do, memory.

`python -m benchmarks.scale`: real MariaDB, real web server, small photos. Time is measured with stand-ins for the nets
that take no time (see without_nets), memory with the real nets.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2

from benchmarks.front_door import PROGRAM, STAND_INS, FrontDoor, ProgramRun, open_front_door
from benchmarks.machine import check_machine, say
from benchmarks.measures import BATCH
from benchmarks.weights import facenet_home
from tests.support.pictures import package_file, read_picture, write_picture

PHOTO, SMALL_SIDE_PX = "foto.jpg", 160
FACE_ROWS, FACE_COLUMNS = slice(0, 330), slice(60, 390)  # of the astronaut's portrait
MAX_TIMES, MAX_GROWTH, MAX_IDLE_S = 1.1, 1.05, 10  # limits of issue 3
PARTS = ("time", "memory")


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one run, or of the middle one of several."""

    what: str
    members: int
    wall_s: float
    ms_each: float
    steady_ms_each: float | None
    peak_mb: float


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--few", type=int, default=1_000, metavar="N", help="default: 1000")
    parser.add_argument("--many", type=int, default=100_000, metavar="N", help="for time; default: 100000")
    parser.add_argument("--more", type=int, default=20_000, metavar="N", help="for memory; default: 20000")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="runs with few members; default: 3")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def write_small_portrait(folder: Path) -> None:
    """Write the small portrait that is every member's photo."""
    face = read_picture(package_file("skimage", "data", "astronaut.png"))[FACE_ROWS, FACE_COLUMNS]
    small = cv2.resize(face, (SMALL_SIDE_PX, SMALL_SIDE_PX), interpolation=cv2.INTER_AREA)
    write_picture(folder / PHOTO, small)


@contextmanager
def open_door() -> Iterator[FrontDoor]:
    """Start the servers, with one small portrait for all members; stop them on leaving."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        write_small_portrait(folder / "served")
        with open_front_door(folder, folder / "served", facenet_home(folder).folder) as door:
            yield door


def describe(what: str, run: ProgramRun) -> Row:
    wall_s, peak_mb = run.process.wall_s, run.process.peak_mb
    row = Row(what, run.members, wall_s, run.ms_each, run.steady_ms_each(BATCH), peak_mb)
    say(f"  {what}, {row.members} members: {wall_s:.1f} s, {row.ms_each:.2f} ms each, {peak_mb:.0f} MB")
    return row


def run_new(door: FrontDoor, members: int, program: Sequence[str], what: str) -> Row:
    """Run the program on a new roster of so many members."""
    door.enrol([PHOTO], members)
    run = door.run("--all", program=program)
    assert run.document["summary"]["stored"] == members
    return describe(what, run)


def run_again(door: FrontDoor, program: Sequence[str]) -> Row:
    """Run the program again on a roster whose members are all stored already."""
    run = door.run("--all", program=program)
    assert run.document["summary"]["skipped"] == run.members
    return describe("all stored already", run)


def middle(rows: Sequence[Row]) -> Row:
    return sorted(rows, key=lambda row: row.wall_s)[len(rows) // 2]


def measure_time(door: FrontDoor, options: argparse.Namespace) -> list[Row]:
    few = [run_new(door, options.few, STAND_INS, "no nets") for _ in range(options.repeat)]
    many = run_new(door, options.many, STAND_INS, "no nets")
    return [middle(few), many, run_again(door, PROGRAM)]


def measure_memory(door: FrontDoor, options: argparse.Namespace) -> list[Row]:
    few = [run_new(door, options.few, PROGRAM, "real nets") for _ in range(options.repeat)]
    return [middle(few), run_new(door, options.more, PROGRAM, "real nets")]


MEASURES: dict[str, Callable[[FrontDoor, argparse.Namespace], list[Row]]] = {
    "time": measure_time,
    "memory": measure_memory,
}


def figures(rows: dict[str, list[Row]]) -> dict[str, tuple[float, float]]:
    """Return each figure of issue 3 as (measured, limit)."""
    found = {}
    if "time" in rows:
        few, many, again = rows["time"]
        found["time a member, whole process, many against few"] = (many.ms_each / few.ms_each, MAX_TIMES)
        if few.steady_ms_each and many.steady_ms_each:
            times = many.steady_ms_each / few.steady_ms_each
            found["time a member, without start and end, many against few"] = (times, MAX_TIMES)
        found["nothing to do, s"] = (again.wall_s, MAX_IDLE_S)
    if "memory" in rows:
        few, more = rows["memory"]
        found["memory, more against few"] = (more.peak_mb / few.peak_mb, MAX_GROWTH)
    return found


def print_result(rows: dict[str, list[Row]]) -> None:
    print(f"\n{'':<22}{'members':>9}{'s':>9}{'ms each':>9}{'steady ms':>11}{'peak MB':>9}")
    for row in (row for part in rows.values() for row in part):
        steady = "" if row.steady_ms_each is None else f"{row.steady_ms_each:.2f}"
        cells = f"{row.members:>9}{row.wall_s:>9.1f}{row.ms_each:>9.2f}{steady:>11}{row.peak_mb:>9.0f}"
        print(f"{row.what:<22}{cells}")
    print()
    for name, (measured, wanted) in figures(rows).items():
        print(f"{name}: {measured:.2f}, at most {wanted:g}: {'reached' if measured <= wanted else 'NOT REACHED'}")


def as_document(machine: dict[str, object], rows: dict[str, list[Row]]) -> dict[str, Any]:
    return {
        "machine": machine,
        "rows": {part: [asdict(row) for row in found] for part, found in rows.items()},
        "figures": {name: {"measured": pair[0], "at_most": pair[1]} for name, pair in figures(rows).items()},
    }


def main() -> None:
    options, machine = parse_arguments(), check_machine()
    with open_door() as door:
        rows = {part: MEASURES[part](door, options) for part in PARTS if options.only in (None, part)}
    print_result(rows)
    if options.json:
        options.json.write_text(json.dumps(as_document(machine, rows), indent=2) + "\n")


if __name__ == "__main__":
    main()
