"""Measure what it costs to register a member's picture in a gallery of up to a million: a new one, and a twin's; and
the report at the run's end.

`python -m benchmarks.shared_pictures`: random hashes, one thread, median and 95th percentile of several hundred.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np

from app.photos.shared_pictures import GREY_SIDE, SharedPictures
from app.records import Picture
from benchmarks.machine import check_machine, say

WANTED_MS = 1.0  # limit of issue 17, for the most members
NEW, TWIN = "new", "twin"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shared_pictures", description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[100_000, 300_000, 1_000_000], metavar="N")
    parser.add_argument("--repeat", type=int, default=300, metavar="N", help="pictures of each kind; default: 300")
    return parser.parse_args()


def random_pictures(number: int, seed: int) -> Iterator[Picture]:
    """Yield pictures of different hashes. All have the same grey pixels, which are compared for like hashes only."""
    grey = np.random.default_rng(1).integers(0, 256, GREY_SIDE**2, np.uint8).tobytes()
    for bits in np.random.default_rng(seed).integers(0, 2**64, number, np.uint64):
        yield Picture(int(bits), grey)


def measure(members: int, repeat: int) -> tuple[dict[str, list[float]], float]:
    """Return the milliseconds of each registration, new ones and twins in turns, and the seconds of the report."""
    known = {str(number): picture for number, picture in enumerate(random_pictures(members, seed=0))}
    pictures = SharedPictures(known, {})
    took: dict[str, list[float]] = {NEW: [], TWIN: []}
    for number, new in enumerate(random_pictures(repeat, seed=1)):
        other = known[str(number * members // repeat)]
        twin = Picture(other.perceptual_hash ^ 1, other.grey)
        for kind, picture in ((NEW, new), (TWIN, twin)):
            started = time.perf_counter()
            group = pictures.register(f"{kind}{number}", picture)
            took[kind].append((time.perf_counter() - started) * 1000)
            assert (group is None) == (kind == NEW)
    started = time.perf_counter()
    assert sum(1 for _ in pictures.groups_to_report(known)) == repeat
    return took, time.perf_counter() - started


def main() -> None:
    options = parse_arguments()
    check_machine()
    middle = 0.0
    for members in options.members:
        registrations, report_s = measure(members, options.repeat)
        for kind, took in registrations.items():
            middle, late = np.quantile(took, [0.5, 0.95])
            say(f"{members:>9} pictures, {kind:<4}: {middle:.2f} ms, 95 % within {late:.2f} ms")
        say(f"{members:>9} pictures, report of {options.repeat} twins: {report_s:.2f} s")
    word = "reached" if middle <= WANTED_MS else "NOT REACHED"
    print(f"a twin among the most: {middle:.2f} ms, at most {WANTED_MS:g}: {word}")


if __name__ == "__main__":
    main()
