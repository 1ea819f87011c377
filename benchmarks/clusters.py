"""Say with the model of the queues what larger rosters take on larger clusters, and which part is the first to be full.

Beyond one machine nothing was measured: costs are one machine's, line and latency of the photo server are assumed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.queue_model import Costs, Site, simulate

CORES = (2, 16, 64, 128, 256, 1024)
WORKER_CORES = 4  # WORKER_THREADS: four cores share the memory of one worker
ROSTERS = (10**4, 10**6, 10**8)
LATENCY_MS = 50.0  # of the photo server
LINE_MB_S = 1250.0  # 10 gigabits a second
DOWNLOADS_OF_CORE = 2
MEMBERS_OF_CORE = 100  # of a simulated run: enough for a steady middle
PRICE = 0.05  # of a core for an hour, in any currency: multiply by your own
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a cluster of so many cores does: photos a second, the part that is busiest and its share of the time."""

    cores: int
    rate: float
    busiest: str
    share: float

    def hours(self, members: int) -> float:
        return members / self.rate / HOUR_S

    def price(self, members: int) -> float:
        return self.hours(members) * self.cores * PRICE


def site_of(cores: int, slowdown: float) -> Site:
    """Return the site of a cluster of machines with WORKER_CORES cores and a worker each; two cores are one machine
    without a cluster."""
    workers = max(1, cores // WORKER_CORES)
    each = min(cores, WORKER_CORES)
    one = Site(threads=each, cores=each, slowdown=slowdown, latency_ms=LATENCY_MS, line_mb_s=LINE_MB_S)
    is_cluster = cores > WORKER_CORES
    downloads = max(one.downloads, DOWNLOADS_OF_CORE * cores)
    return replace(one, workers=workers, machines=workers, downloads=downloads, cluster=is_cluster)


def extrapolate(costs: Costs, slowdown: float) -> Iterator[Cluster]:
    """Simulate a run on each size of cluster."""
    for cores in CORES:
        found = simulate(costs, site_of(cores, slowdown), MEMBERS_OF_CORE * cores)
        yield Cluster(cores, found.rate, found.bottleneck, found.busy[found.bottleneck])


def show(clusters: list[Cluster]) -> list[dict[str, Any]]:
    """Print a table of hours and prices, and return its rows."""
    heads = "".join(f"{f'{members:.0e} h':>12}{'price':>10}" for members in ROSTERS)
    print(f"{'cores':>6}{'photos/s':>10}  {'busiest':<24}{heads}")
    for each in clusters:
        busiest = f"{each.busiest} {each.share:.0%}"
        columns = "".join(f"{each.hours(members):>12.2f}{each.price(members):>10.2f}" for members in ROSTERS)
        print(f"{each.cores:>6}{each.rate:>10.1f}  {busiest:<24}{columns}", flush=True)
    return [asdict(each) for each in clusters]
