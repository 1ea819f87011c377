"""Whole runs of `ray_engine`: the Ray engine against the threads of one process, and four nodes against one.

Real MariaDB and a real web server. What is measured is read from the times at which members were stored.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.front_door import PROGRAM, FrontDoor, ProgramRun, open_front_door
from benchmarks.machine import say
from benchmarks.measures import BATCH
from benchmarks.photos import list_photos
from benchmarks.ray_memory import TENTHS, Curve
from benchmarks.ray_stand_ins import MEMORY_FILE, SAMPLE_S, WAIT_S
from benchmarks.scale import PHOTO, write_small_portrait
from benchmarks.weights import facenet_home, link_into
from tests.support.clusters import running_cluster
from tests.support.mariadb import running_mariadb
from tests.support.tiny_pictures import draw
from tests.support.webserver import Handler, serving_photos

STAND_INS = ("-m", "benchmarks.ray_stand_ins")
ENGINES = ("local", "ray")
NODE_WAIT_S = 0.1  # of each stage of a member
NODES, MEMBERS_OF_NODE = 4, 120
SLOW_WAIT_S, SLOW_S, SLOW_EVERY = 0.005, 3.0, 50  # two of a hundred photos take three seconds
FIRST, LAST = 0.1, 0.9  # of the members: between them all workers have work
START_MEMBERS = BATCH


def rate_between(stored_at_s: Sequence[float], first: float = FIRST, last: float = LAST) -> float:
    """Compute the members stored in a second between two fractions of them."""
    times = sorted(stored_at_s)
    start, end = int(first * (len(times) - 1)), int(last * (len(times) - 1))
    return (end - start) / (times[end] - times[start])


def first_outcome_s(run: ProgramRun) -> float:
    """Return the seconds from the start of the process until the first member was stored."""
    return min(run.stored_at_s) - run.process.started_at


def in_turns(round_number: int) -> tuple[str, ...]:
    """Return the engines, the other one first in every second round."""
    return ENGINES if round_number % 2 == 0 else ENGINES[::-1]


@contextmanager
def open_photos(photos: Path | None) -> Iterator[tuple[FrontDoor, list[str]]]:
    """Start the servers with the folder's photos, or one small portrait, for runs with the real nets; yield the photos'
    names, too."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        served = list_photos(photos) if photos else []
        link_into(folder / "served", served)
        if not served:
            write_small_portrait(folder / "served")
        names = [photo.name for photo in served] or [PHOTO]
        with open_front_door(folder, folder / "served", facenet_home(folder).folder) as door:
            yield door, names


@contextmanager
def open_tiny(crew_ids: Sequence[str], slow: Sequence[str] = ()) -> Iterator[FrontDoor]:
    """Start MariaDB and a web server with a tiny face for each member, which comes SLOW_S late for the `slow`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        Handler.ROUTES.update(dict.fromkeys(slow, Handler.ROUTES["slow"]))
        with running_mariadb(folder) as server, serving_photos() as web:
            web.slow_s, web.default_photo = SLOW_S, draw(1)
            web.photos |= {f"{crew_id}/{PHOTO}": draw(1) + crew_id.encode() for crew_id in crew_ids}  # no two are equal
            yield FrontDoor(server, web.base_url, folder, facenet_home(folder).folder)


def name_members(count: int) -> list[str]:
    """Return crew ids of which none is a route of the web server."""
    return [f"P{number:06}" for number in range(count)]


def run_all(door: FrontDoor, *words: str, program: Sequence[str] = PROGRAM, **settings: object) -> ProgramRun:
    """Run the program over the whole roster, and make sure that it stored some."""
    run = door.run("--all", *words, program=program, **settings)
    assert run.stored_at_s, run.document["summary"]
    return run


def measure_overhead(photos: Path, members: int, repeat: int) -> list[tuple[float, float]]:
    """Return the milliseconds a member of both engines in each round, with the real nets and without the start."""
    rounds = []
    with open_photos(photos) as (door, names):
        for number in range(repeat):
            found = {}
            for engine in in_turns(number):
                door.enrol(names, members)
                found[engine] = run_all(door, "--engine", engine).steady_ms_each(BATCH) or 0.0
                say(f"  {engine}, {members} photos: {found[engine]:.2f} ms each")
            rounds.append((found["local"], found["ray"]))
    return rounds


def measure_start(repeat: int) -> tuple[float, float]:
    """Return the seconds from start to first outcome of both engines, with the real nets: the middle of the rounds."""
    found: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    with open_photos(None) as (door, names):
        door.enrol(names, START_MEMBERS)
        run_all(door)  # writes what is kept from run to run: the graphs of the nets
        for number in range(repeat):
            for engine in in_turns(number):
                door.enrol(names, START_MEMBERS)
                found[engine].append(first_outcome_s(run_all(door, "--engine", engine)))
                say(f"  {engine}: first outcome after {found[engine][-1]:.1f} s")
    return median(found["local"]), median(found["ray"])


def measure_nodes(members_of_node: int, wait_s: float, nodes: int = NODES) -> tuple[float, float]:
    """Return the members a second on one node and on several, with stages that wait instead of computing."""
    rates = []
    crew_ids = name_members(nodes * members_of_node)
    with open_tiny(crew_ids) as door:
        for count in (1, nodes):
            members = count * members_of_node
            door.enrol_as(crew_ids[:members], [PHOTO])
            with running_cluster(count) as cluster:
                words = ("--engine", "ray", "--ray-address", cluster.address)
                run = run_all(door, *words, program=STAND_INS, WORKER_THREADS=1, **{WAIT_S: wait_s})
            rates.append(rate_between(run.stored_at_s))
            say(f"  nodes: {count}, {members} members: {rates[-1]:.1f} a second, {run.process.wall_s:.0f} s in all")
    return rates[0], rates[1]


def measure_slow(members: int, repeat: int) -> list[tuple[float, float]]:
    """Return the seconds from the first batch to the last of both engines in each round, when 2 % of the downloads take
    SLOW_S."""
    crew_ids = name_members(members)
    rounds = []
    with open_tiny(crew_ids, crew_ids[::SLOW_EVERY]) as door:
        for number in range(repeat):
            found = {}
            for engine in in_turns(number):
                door.enrol_as(crew_ids, [PHOTO])
                run = run_all(door, "--engine", engine, program=STAND_INS, **{WAIT_S: SLOW_WAIT_S})
                found[engine] = max(run.stored_at_s) - min(run.stored_at_s)
                say(f"  {engine}, {members} members, 2 % slow: {found[engine]:.1f} s")
            rounds.append((found["local"], found["ray"]))
    return rounds


def measure_driver(members: int) -> dict[str, Curve]:
    """Return by engine the memory of a whole run's process: with plan, outcomes, shared pictures and all. Photos are
    small and nets stand-ins."""
    found = {}
    with open_photos(None) as (door, names), tempfile.TemporaryDirectory(prefix="bench-") as name:
        file = Path(name, "memory.txt")
        for engine in ENGINES:
            door.enrol(names, members)
            run = run_all(door, "--engine", engine, program=STAND_INS, **{MEMORY_FILE: file})
            found[engine] = curve_of(file, run)
    return found


def curve_of(file: Path, run: ProgramRun) -> Curve:
    """Read the samples of a run's memory at its start and at each tenth of the stored members."""
    samples = [tuple(map(float, line.split())) for line in file.read_text().splitlines()]
    times = sorted(run.stored_at_s)
    at_tenths = [times[int(tenth * (len(times) - 1) / TENTHS)] - run.process.started_at for tenth in range(TENTHS + 1)]
    tenths_mb = [_memory_at(samples, seconds) for seconds in at_tenths]
    return Curve(run.members, times[-1] - times[0], samples[0][1], tenths_mb, {"Stored": len(times)})


def _memory_at(samples: Sequence[tuple[float, ...]], seconds: float) -> float:
    return min(samples, key=lambda sample: abs(sample[0] - seconds + SAMPLE_S / 2))[1]
