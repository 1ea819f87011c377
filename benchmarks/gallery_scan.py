"""Measure what comparing everyone with everyone costs beside the bare matrix product, in one run, and its memory.

`python -m benchmarks.gallery_scan`: simulated vectors of 512 numbers, pairs within 0.40, degrees at 0.005 to 0.50. Scan
and product take turns; each size in a process of its own. Memory is what the process grows by beyond its vectors.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from os import getpid
from pathlib import Path
from statistics import median

import numpy as np

from app.recognition.distances import UnitTemplates, chunks
from app.recognition.scan import scan_gallery
from app.recognition.search import nearest
from benchmarks.machine import check_machine, say
from benchmarks.processes import KB_PER_MB, memory_kb

SIZE, THRESHOLD, GRID = 512, 0.40, np.arange(1, 101) * 0.005
BLOCKS = (1_024, 4_096)  # of the bare product: the fastest on two cores
FEW = 10_000  # up to here the limit is of the whole product, above of half of it
TIMES_WHOLE, TIMES_HALF, MB_FEW, MB_MANY = 2.0, 1.6, 300, 1_000  # limits of issue 16
PROBES, CANDIDATES, SEARCH_S = 1_000, 5, 0.5


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds on the clock and of all cores."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured at one size. `product_s`: of the whole matrix, or of its upper half where `half`."""

    members: int
    half: bool
    scan_s: list[Took]
    product_s: list[Took]
    search_s: list[Took]
    beside_mb: float
    peak_mb: float
    pairs: int

    def times(self, which: str) -> float:
        """Return the middle ratio of scan to product, run by run, on the clock (`wall_s`) or of all cores (`cpu_s`)."""
        both = zip(self.scan_s, self.product_s, strict=True)
        return median(getattr(scan, which) / getattr(product, which) for scan, product in both)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gallery_scan", description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[10_000, 100_000], metavar="N")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="turns up to 10000 members; default: 5")
    parser.add_argument("--repeat-many", type=int, default=1, metavar="N", help="turns above; default: 1")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def make_vectors(members: int) -> np.ndarray:
    generator, vectors = np.random.default_rng(16), np.empty((members, SIZE), np.float32)
    spectrum = np.arange(1, SIZE + 1) ** -0.5
    for rows in chunks(members):
        vectors[rows] = generator.standard_normal((rows.stop - rows.start, SIZE)) * spectrum
    return vectors


def multiply(unit: np.ndarray, *, half: bool) -> None:
    """Compute all products in blocks, or those of the upper triangle, and drop them."""
    for rows in chunks(len(unit), BLOCKS[0]):
        for columns in chunks(len(unit), BLOCKS[1]):
            first = max(columns.start, rows.start) if half else columns.start
            if first < columns.stop:
                unit[rows] @ unit[first : columns.stop].T


def clock(act: Callable[[], object]) -> Took:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    act()
    return Took(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def measure(members: int, repeat: int) -> Figures:
    """Measure one size; to be called in a new process, for the memory."""
    vectors = make_vectors(members)
    before_kb, half = memory_kb(getpid())["VmRSS"], members > FEW
    templates, peak_kb = UnitTemplates.of(vectors), 0
    scans, pairs, products, searches = [], [], [], []
    for _ in range(repeat):
        scans.append(clock(lambda: pairs.append(len(scan_gallery(templates, THRESHOLD, GRID).pairs.within(THRESHOLD)))))
        peak_kb = peak_kb or memory_kb(getpid())["VmHWM"]  # of the scan, before anything else is measured
        products.append(clock(lambda: multiply(templates.unit, half=half)))
        probes = UnitTemplates.of(make_vectors(PROBES) + np.float32(0.01))
        searches.append(clock(lambda probes=probes: nearest(probes, templates, CANDIDATES)))
    beside_mb, peak_mb = (peak_kb - before_kb) / KB_PER_MB, peak_kb / KB_PER_MB
    return Figures(members, half, scans, products, searches, beside_mb, peak_mb, pairs[0])


def measure_apart(members: int, repeat: int) -> Figures:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, members, repeat).result()


def print_figures(figures: Figures) -> None:
    limit, what = (TIMES_HALF, "half the product") if figures.half else (TIMES_WHOLE, "the product")
    memory = f"{figures.beside_mb:.0f} MB beside the vectors (limit {MB_FEW})"
    if figures.half:
        memory = f"{figures.peak_mb:.0f} MB in all (limit {MB_MANY})"
    scan, product, search = (
        Took(median(each.wall_s for each in part), median(each.cpu_s for each in part))
        for part in (figures.scan_s, figures.product_s, figures.search_s)
    )
    print(f"\n{figures.members} members, {figures.pairs} pairs within {THRESHOLD}")
    print(
        f"  scan {scan.wall_s:.2f} s, {scan.cpu_s:.2f} CPU s; {what} {product.wall_s:.2f} s, {product.cpu_s:.2f} CPU s"
    )
    print(f"  times {what}: {figures.times('wall_s'):.2f}, by CPU {figures.times('cpu_s'):.2f} (limit {limit:g})")
    print(f"  memory: {memory}")
    limit_s = "" if figures.half else f" (limit {SEARCH_S} s)"
    print(f"  search of {PROBES} probes: {search.wall_s:.2f} s, {search.cpu_s:.2f} CPU s{limit_s}")


def main() -> None:
    options, machine, found = parse_arguments(), check_machine(), []
    for members in options.members:
        say(f"{members} members")
        found.append(measure_apart(members, options.repeat_many if members > FEW else options.repeat))
        print_figures(found[-1])
    if options.json:
        document = {"machine": machine, "sizes": [asdict(each) for each in found]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
