"""Extrapolate: what rosters of ten thousand to a hundred million members take on clusters, by the model of the queues.

The costs of a photo come from `benchmarks.capacity`; what is assumed beside them stands here, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import mean

from benchmarks.queue_model import MS, Costs, Simulated, Site, simulate

ROSTERS = (10_000, 1_000_000, 100_000_000)
CORES = (2, 16, 64, 84, 256, 1000)
MOST_DOWNLOADS = 64  # DOWNLOAD_THREADS is no larger, and there are no more workers than that
THREADS, MANY_THREADS = 4, 16  # of a worker; the second where 64 workers of four threads are too few
LATENCY_MS = 50.0  # assumed, from a worker to the photo server and back, with its disk
LINES_MB_S = {"1 Gbit/s": 125.0, "10 Gbit/s": 1250.0}  # assumed, of the photo server
EACH, LEAST = 40, 3000  # simulated members: for each core, and in all
RUN_CORES, RUNS = (2, 16, 64), (4, 16)
HOUR_S, DAY_H = 3600, 24
MB, GB = 1e6, 1e9


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of one member: its photo, its result on the way to the driver, its rows in the database with their indexes,
    what the driver remembers of it; and how many statements' rows are written for it."""

    photo: float
    result: float
    stored: float
    remembered: float
    rows: int = 5  # face_embeddings, face_vectors, face_photos; a mark in face_attempts, and its removal


def cluster_site(cores: int, line_mb_s: float) -> Site:
    """Return the site of a cluster of about so many cores, one machine for each worker."""
    threads = min(cores, THREADS if cores <= THREADS * MOST_DOWNLOADS else MANY_THREADS)
    workers = -(-cores // threads)
    return Site(
        workers=workers,
        threads=threads,
        machines=workers,
        cores=threads,
        downloads=MOST_DOWNLOADS,
        cluster=True,
        latency_ms=LATENCY_MS,
        line_mb_s=line_mb_s,
    )


def on_machines_of_their_own(costs: Costs, slowdown: float, prepare_slowdown: float) -> Costs:
    """Return the costs where all cores of a machine always work: of worker threads, that much longer."""
    longer = [each * prepare_slowdown for each in costs.prepare]
    return replace(costs, prepare=longer, embed=costs.embed * slowdown, fetch=costs.fetch * slowdown)


def core_ms(costs: Costs) -> float:
    """Return the milliseconds of a worker's core for a photo."""
    return mean(costs.prepare) + costs.embed + costs.fetch


def simulate_cluster(costs: Costs, cores: int, line_mb_s: float) -> tuple[Site, Simulated]:
    site = cluster_site(cores, line_mb_s)
    return site, simulate(costs, site, max(LEAST, EACH * cores))


def rate_lines(costs: Costs) -> Iterator[str]:
    """Yield the rows of the table of rates, by cores and by the photo server's line."""
    yield (
        "| cores | workers x threads | " + " | ".join(f"{name}: photos/s | what is full" for name in LINES_MB_S) + " |"
    )
    yield "| --- " * (2 + 2 * len(LINES_MB_S)) + "|"
    for cores in CORES:
        cells = []
        for line_mb_s in LINES_MB_S.values():
            site, simulated = simulate_cluster(costs, cores, line_mb_s)
            busy = simulated.busy[simulated.bottleneck]
            cells.append(f"{simulated.rate:,.0f} | {simulated.bottleneck} {busy:.0%}")
        yield f"| {cores} | {site.workers} x {site.threads} | {' | '.join(cells)} |"


def ceiling_lines(costs: Costs) -> Iterator[str]:
    """Yield what each part alone could do at most, photos a second."""
    driver = costs.drive + costs.row + costs.commit / 8
    yield f"a core of a worker: {MS / core_ms(costs):.1f}"
    for name, line_mb_s in LINES_MB_S.items():
        yield f"the photo server's line, {name}: {line_mb_s / costs.photo_mb:,.0f}"
    yield f"{MOST_DOWNLOADS} downloads of {LATENCY_MS:g} ms: {MOST_DOWNLOADS / (LATENCY_MS + costs.fetch) * MS:,.0f}"
    yield f"driver and writer, transactions of 8: {MS / driver:,.0f}"
    yield f"the same, transactions of 32: {MS / (costs.drive + costs.row + costs.commit / 32):,.0f}"


def roster_lines(costs: Costs, sizes: Sizes, price: float) -> Iterator[str]:
    """Yield the rows of the table of rosters; `price` is that of a core for an hour."""
    yield "| members | core hours | photos | results | rows written | stored | driver's memory | cores cost |"
    yield "| --- " * 8 + "|"
    for members in ROSTERS:
        hours = members * core_ms(costs) / MS / HOUR_S
        photos, result, stored, remembered = (
            members * each / GB for each in (sizes.photo, sizes.result, sizes.stored, sizes.remembered)
        )
        rows = members * sizes.rows
        yield (
            f"| {members:,} | {hours:,.1f} | {photos:,.0f} GB | {result:,.2f} GB | {rows:,} | {stored:,.2f} GB "
            f"| {remembered:,.2f} GB | {hours * price:,.2f} |"
        )


def time_lines(costs: Costs) -> Iterator[str]:
    """Yield how long each roster takes on the wider line: a run by its cores, and several runs at a time, each with a
    driver and a part of the roster, which share the line."""
    name, line_mb_s = list(LINES_MB_S.items())[-1]
    rates = {f"{cores} cores": simulate_cluster(costs, cores, line_mb_s)[1].rate for cores in RUN_CORES}
    each = rates[f"{RUN_CORES[-1]} cores"]
    for runs in RUNS:
        rates[f"{runs} runs of {RUN_CORES[-1]} cores"] = min(runs * each, line_mb_s / costs.photo_mb)
    yield f"| members, {name} | " + " | ".join(f"{where}: {rate:,.0f}/s" for where, rate in rates.items()) + " |"
    yield "| --- " * (1 + len(rates)) + "|"
    for members in ROSTERS:
        yield f"| {members:,} | " + " | ".join(as_time(members / rate) for rate in rates.values()) + " |"


def as_time(seconds: float) -> str:
    """Word a time in the unit that suits it."""
    hours = seconds / HOUR_S
    if hours < 1:
        return f"{seconds / 60:.1f} min"
    return f"{hours:.1f} h" if hours < 2 * DAY_H else f"{hours / DAY_H:.1f} days"
