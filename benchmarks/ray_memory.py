"""The memory of a run's driver while a Ray cluster of this machine processes very many members.

`python -m benchmarks.ray_memory JOB RESULT` (a process of its own, so that nothing else is in it) feeds the members to
`RayPipeline` as they are drawn, with the real staff, ledger, messages, supervisors and children; photos and nets are
stand-ins. It counts what comes back and writes down its own memory at each tenth.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.config import Settings, load_settings
from app.faces.embedding_spec import describe_spec
from app.faces.weights import open_weights
from app.photos.urls import photo_url
from app.planning.decisions import NEW, Case, Decision
from app.planning.rules import Request, make_rules
from app.records import CrewMember
from app.scale.cluster import connected, import_ray
from app.scale.contract import Contract, installed_versions
from app.scale.ray_pipeline import RayPipeline
from app.scale.setup import Setup
from app.scale.staff import Staff, StaffOptions
from benchmarks.machine import child_environment, cores, say
from benchmarks.processes import run_worker
from benchmarks.scale import PHOTO, write_small_portrait
from benchmarks.without_nets import build_stand_ins

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
TENTHS = 10
LEAVE_S = 8.0


def private_mb() -> float:
    """Read this process's memory less what it shares: program files, and the object store that Ray maps."""
    _, resident, shared = Path("/proc/self/statm").read_text().split()[:3]
    return (int(resident) - int(shared)) * PAGE_MB


@dataclass(frozen=True, slots=True)
class Curve:
    """A driver's memory (MB): before it connects, then at each tenth of the members, from none to all."""

    members: int
    seconds: float
    start_mb: float
    tenths_mb: list[float]
    results: dict[str, int]

    @property
    def above_start_mb(self) -> float:
        return max(self.tenths_mb) - self.start_mb

    @property
    def growth_mb(self) -> float:
        """How much more the most is than the memory at a tenth; what is under a few MB is noise."""
        return max(self.tenths_mb[1:]) - self.tenths_mb[1]


def measure_pipeline(folder: Path, members: int) -> Curve:
    """Let a driver of its own process so many members; return its memory."""
    write_small_portrait(folder / "photos")
    job = {"folder": str(folder), "members": members, "cores": cores()}
    found = run_worker("ray_memory", job, child_environment({}), folder)
    return Curve(**{name: found[name] for name in Curve.__dataclass_fields__})


# The process of its own


def draw_members(settings: Settings, folder: Path, members: int) -> Iterator[Decision]:
    """Yield new members, one after the other as they are taken, each with a folder that leads to the one photo."""
    for number in range(members):
        member = CrewMember(str(number), PHOTO)
        (folder / member.crew_id).symlink_to("../photos")
        yield Decision(NEW, "", Case(member, photo_url(settings.IMAGE_BASE_URL, member)))


@contextmanager
def open_pipeline(settings: Settings) -> Iterator[RayPipeline]:
    """Hire workers with stand-ins on a cluster of this machine's cores, as a run does."""
    ray, spec = import_ray(), describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, open_weights(settings))
    setup = Setup(settings, make_rules(settings, Request(), spec), build_stand_ins, False, False, False)
    with closing(build_stand_ins(settings)) as faces:
        ours = Contract(spec, faces.golden_vector(), installed_versions())
    stop = threading.Event()
    with connected(ray, None, cores()):
        staff = Staff(ray, setup, StaffOptions(1, 0.0, settings.DOWNLOAD_THREADS), ours, say)
        try:
            staff.wait_for_first(stop)
            yield RayPipeline(staff, stop)
        finally:
            staff.leave(LEAVE_S)


def follow(groups: Iterable[list[Any]], members: int) -> tuple[list[float], Counter[str]]:
    """Count the results, and read the memory at each tenth of them."""
    tenths_mb, results, done = [private_mb()], Counter[str](), 0
    for group in groups:
        results.update(type(each.result).__name__ for each in group)
        done += len(group)
        while len(tenths_mb) <= TENTHS and done >= len(tenths_mb) * members / TENTHS:
            tenths_mb.append(private_mb())
            say(f"  {done} members: {tenths_mb[-1]:.0f} MB")
    return tenths_mb, results


def main(job: dict[str, Any]) -> dict[str, Any]:
    folder, members = Path(job["folder"], "members"), job["members"]
    folder.mkdir()
    settings = load_settings(None, DB_URL="sqlite://", IMAGE_BASE_URL=folder.as_uri(), WORKER_THREADS=1)
    import_ray()
    start_mb = private_mb()
    with open_pipeline(settings) as pipeline:
        started = time.perf_counter()
        tenths_mb, results = follow(pipeline.run(draw_members(settings, folder, members)), members)
        seconds = time.perf_counter() - started
    return {
        "members": members,
        "seconds": seconds,
        "start_mb": start_mb,
        "tenths_mb": tenths_mb,
        "results": dict(results),
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
