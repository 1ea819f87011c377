"""Measure the Ray engine (`--engine ray`) against the threads of one process, each figure beside its goal.

`python -m benchmarks.ray_engine --photos DIR`: `overhead`, a member's time on this machine; `nodes`, four nodes against
one; `slow`, downloads of which 2 % take three seconds; `million`, the driver's memory; `start`, the time to the first
outcome. The engines take turns in each round; what is printed is the middle of the rounds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.machine import check_machine
from benchmarks.ray_memory import measure_pipeline
from benchmarks.ray_runs import (
    MEMBERS_OF_NODE,
    NODE_WAIT_S,
    NODES,
    measure_driver,
    measure_nodes,
    measure_overhead,
    measure_slow,
    measure_start,
)

MAX_OVERHEAD, MIN_NODES, MAX_SLOW, MAX_MB, FLAT_MB = 1.10, 3.4, 1.3, 150.0, 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside its goal, which is the most, or with `at_least` the least; None if it has none. `details` says
    what it is made of."""

    what: str
    measured: float
    goal: float | None
    details: str
    at_least: bool = False

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        is_reached = self.measured >= self.goal if self.at_least else self.measured <= self.goal
        return "reached" if is_reached else "NOT REACHED"

    @property
    def wanted(self) -> str:
        return "" if self.goal is None else f"{'>=' if self.at_least else '<='} {self.goal:g}"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_engine", description=__doc__)
    parser.add_argument("--only", metavar="PART,...", help=f"some of {','.join(PARTS)}; default: all")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rounds; default: 3")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="for overhead")
    parser.add_argument("--members", type=int, default=1_000_000, metavar="N", help="of million; default: 1000000")
    parser.add_argument("--few", type=int, default=2_000, metavar="N", help="of overhead and slow; default: 2000")
    parser.add_argument("--whole", type=int, default=0, metavar="N", help="of a whole run in million; default: none")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    options.parts = options.only.split(",") if options.only else list(PARTS)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if "overhead" in options.parts and options.photos is None:
        parser.error("overhead needs --photos")
    return options


def compare(what: str, rounds: list[tuple[float, float]], goal: float, unit: str) -> Row:
    """Return the middle of the rounds' ratios, of Ray to the threads."""
    ratios = [ray / local for local, ray in rounds]
    pairs = ", ".join(f"{ray:.1f}/{local:.1f}" for local, ray in rounds)
    return Row(what, median(ratios), goal, f"Ray/local, {unit}: {pairs}")


def overhead(options: argparse.Namespace) -> Iterator[Row]:
    rounds = measure_overhead(options.photos, options.few, options.repeat)
    yield compare(f"{options.few} photos, real nets", rounds, MAX_OVERHEAD, "ms a member")


def nodes(_options: argparse.Namespace) -> Iterator[Row]:
    one, several = measure_nodes(MEMBERS_OF_NODE, NODE_WAIT_S)
    yield Row(f"{NODES} nodes against one", several / one, MIN_NODES, f"{several:.1f}/{one:.1f} a second", True)


def slow(options: argparse.Namespace) -> Iterator[Row]:
    yield compare("2 % of downloads take 3 s", measure_slow(options.few, options.repeat), MAX_SLOW, "s")


def million(options: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        curve = measure_pipeline(Path(name), options.members)
    each = f"{curve.members} members, {curve.members / curve.seconds:.0f} a second"
    yield Row("driver's memory, MB above its start", curve.above_start_mb, MAX_MB, f"{each}; {show(curve.tenths_mb)}")
    yield Row("its growth from 10 % on, MB", curve.growth_mb, FLAT_MB, f"start {curve.start_mb:.0f} MB")
    for engine, whole in measure_driver(options.whole).items() if options.whole else ():
        details = f"{whole.members} members, start {whole.start_mb:.0f} MB; {show(whole.tenths_mb)}"
        yield Row(f"growth of a whole run's process, {engine}, MB", whole.growth_mb, None, details)


def show(tenths_mb: list[float]) -> str:
    return "MB at 0, 10 ... 100 %: " + " ".join(f"{mb:.0f}" for mb in tenths_mb)


def start(options: argparse.Namespace) -> Iterator[Row]:
    local, ray = measure_start(options.repeat)
    yield Row("start to first outcome, local, s", local, None, "real nets")
    yield Row("start to first outcome, Ray, s", ray, None, f"{ray - local:.1f} s more")


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "overhead": overhead,
    "nodes": nodes,
    "slow": slow,
    "million": million,
    "start": start,
}


def print_table(rows: list[Row]) -> None:
    print(f"\n{'':<42}{'measured':>10}{'goal':>10}")
    for row in rows:
        print(f"{row.what:<42}{row.measured:>10.2f}{row.wanted:>10}  {row.verdict:<12} {row.details}")


def main() -> None:
    options, machine = parse_arguments(), check_machine()
    rows = [row for part in options.parts for row in PARTS[part](options)]
    print_table(rows)
    if options.json:
        found = [asdict(row) | {"verdict": row.verdict} for row in rows]
        options.json.write_text(json.dumps({"machine": machine, "rows": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
