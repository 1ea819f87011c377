"""The measures of `compare`: each runs on the workbench and returns figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.front_door import FrontDoor, ProgramRun
from benchmarks.machine import child_environment, cores
from benchmarks.photos import enlarge, megapixels, shrink_all
from benchmarks.processes import following, run_worker
from benchmarks.weights import ENGINE_FILES, Home

MODEL = "Facenet512"
BATCH = 8  # the fastest of 1 to 32 on two cores, and the program's own
SHRUNK_SIDE_PX = 640
LARGE_MEGAPIXELS = 20.0
LARGE_MEMBERS = 128  # at least: several batches
FLOOR_BATCHES = 8  # in each pass
TRIAL_PASSES = 2  # to find DeepFace's best settings
COLD_STARTS = 5
# By default the C library returns large arrays to the system at once and requests new ones. Where page faults are slow,
# as on many virtual machines, that takes half of DeepFace's time. With these settings it keeps the memory.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "200000000",
}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: milliseconds per photo of each repetition, peak memory, and details."""

    key: str
    title: str
    ms_each: list[float]
    peak_mb: float
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ms(self) -> float:
        return median(self.ms_each)

    @property
    def per_second(self) -> float:
        return 1000 / self.ms


@dataclass(frozen=True, slots=True)
class Workbench:
    """What all measures share. `photos`: each with a face; `small`: the photo for cold starts; `served`: the web
    server's folder; `way`: the fastest of `deepface_ways`."""

    photos: list[Path]
    small: Path
    folder: Path
    served: Path
    home: Home
    door: FrontDoor
    repeat: int
    members: int
    say: Say
    way: str = ""

    @property
    def names(self) -> list[str]:
        return [photo.name for photo in self.photos]

    @property
    def progress(self) -> Path:
        """The file to which DeepFace's process appends its progress."""
        return self.folder / "progress.txt"


def deepface_ways(engines: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the ways of running DeepFace that are tried, each as environment variables."""
    plain = {engine: {"DEEPFACE_BACKEND_ENGINE": engine} for engine in engines}
    return plain | {f"{engine}, memory kept": values | KEEP_MEMORY for engine, values in plain.items()}


def run_deepface(bench: Workbench, photos: Sequence[Path], way: str, **job: Any) -> dict[str, Any]:
    """Run DeepFace on these photos in a process of its own; see `deepface_worker`."""
    given = {"model": MODEL, "warm_up": str(bench.small), "photos": [str(photo) for photo in photos], "passes": 1}
    given |= {"as_list": False, "keep_vectors": False, "progress": str(bench.progress)} | job
    values = {"DEEPFACE_HOME": bench.home.folder} | deepface_ways(bench.home.engines)[way]
    return run_worker("deepface_worker", given, child_environment(values), bench.folder)


def try_ways(bench: Workbench) -> dict[str, float]:
    """Measure the milliseconds per photo of each way of running DeepFace, on a small, a middling and a median photo."""
    ordered = sorted(bench.photos, key=megapixels)
    photos = [ordered[0], ordered[len(ordered) // 4], ordered[len(ordered) // 2]]
    taken = {}
    for way in deepface_ways(bench.home.engines):
        result = run_deepface(bench, photos, way, passes=TRIAL_PASSES)
        taken[way] = min(result["passes_s"]) * 1000 / len(photos)
        bench.say(f"  {way}: {taken[way]:.0f} ms a photo")
    return taken


def measure_loop(bench: Workbench) -> Measure:
    return _measure_deepface(bench, "a", "DeepFace, one photo after the other", bench.photos)


def measure_shrunk(bench: Workbench) -> Measure:
    shrunk = shrink_all(bench.photos, bench.folder / "shrunk", SHRUNK_SIDE_PX)
    return _measure_deepface(bench, "b", f"DeepFace, photos shrunk to {SHRUNK_SIDE_PX} px before", shrunk)


def measure_list(bench: Workbench) -> Measure:
    return _measure_deepface(bench, "c", "DeepFace, a list of photos (its batch)", bench.photos, as_list=True)


def measure_default(bench: Workbench) -> Measure:
    """Measure DeepFace as it runs where nobody chose an engine for it."""
    return _measure_deepface(bench, "g", "DeepFace on TensorFlow, as it is installed", bench.photos, way="tensorflow")


def measure_face_recognition(bench: Workbench) -> Measure:
    """Measure the `face_recognition` package: Dlib's detector and net, one photo after the other."""
    job = {"warm_up": str(bench.small), "photos": [str(photo) for photo in bench.photos], "passes": bench.repeat}
    result = run_worker("face_recognition_worker", job, child_environment({}), bench.folder)
    ms_each = [seconds * 1000 / len(bench.photos) for seconds in result["passes_s"]]
    details = {"photos": len(bench.photos), "without_face": len(bench.photos) - result["stored"]}
    return Measure("f", "face_recognition (Dlib), one photo after the other", ms_each, result["peak_mb"], details)


def _measure_deepface(
    bench: Workbench, key: str, title: str, photos: Sequence[Path], *, as_list: bool = False, way: str = ""
) -> Measure:
    way = way or bench.way
    with following(bench.progress):
        result = run_deepface(bench, photos, way, passes=bench.repeat, as_list=as_list)
    details = {"way": way, "photos": len(photos), "without_face": len(photos) - result["stored"]}
    ms_each = [seconds * 1000 / len(photos) for seconds in result["passes_s"]]
    return Measure(key, title, ms_each, result["peak_mb"], details)


def measure_program(bench: Workbench) -> Measure:
    """Measure the whole program, each time on an empty gallery."""
    runs = [_enrol_and_run(bench, bench.names, bench.members) for _ in range(bench.repeat)]
    steady = [ms for run in runs if (ms := run.steady_ms_each(BATCH)) is not None]
    details = {
        "members": bench.members,
        "failed": runs[-1].document["summary"]["failed"],
        "steady_ms_each": steady,
        "stages_ms": median_of_stages(runs),
    }
    title = "this program: web server, MariaDB, files and all"
    return Measure("d", title, [run.ms_each for run in runs], max(run.process.peak_mb for run in runs), details)


def _enrol_and_run(bench: Workbench, names: Sequence[str], members: int) -> ProgramRun:
    bench.door.enrol(names, members)
    run = bench.door.run("--all", "--force")
    bench.say(f"  {members} members in {run.process.wall_s:.1f} s, {run.process.peak_mb:.0f} MB")
    return run


def median_of_stages(runs: Sequence[ProgramRun]) -> dict[str, float]:
    return {stage: round(median(run.stages_ms[stage] for run in runs), 2) for stage in runs[0].stages_ms}


def measure_floor(bench: Workbench) -> Measure:
    """Measure the network alone: the lower bound of any program."""
    job = {"weights": str(bench.home.weights / ENGINE_FILES["onnx"]), "threads": cores(), "batch": BATCH}
    job |= {"batches": FLOOR_BATCHES * cores(), "passes": bench.repeat}
    result = run_worker("floor_worker", job, child_environment({}), bench.folder)
    ways: dict[str, list[float]] = result["ways_ms"]
    best = min(ways, key=lambda way: median(ways[way]))
    details = {"way": best, "ways_ms": ways}
    return Measure("e", f"floor: {MODEL} alone, batches of {BATCH}", ways[best], result["peak_mb"], details)


def measure_cold_starts(bench: Workbench) -> dict[str, list[float]]:
    """Measure seconds from process start: of the program to its exit with the row stored, of DeepFace to its first
    vector."""
    bench.door.enrol([bench.small.name], 1)
    bench.door.run("--crew-id", "0", "--force")  # makes the tables and records the weights' hash
    ours = [bench.door.run("--crew-id", "0", "--force") for _ in range(COLD_STARTS)]
    assert all(run.document["summary"]["stored"] == 1 for run in ours)
    taken = {"program": [run.process.wall_s for run in ours], "deepface": []}
    for _ in range(COLD_STARTS):
        result = run_deepface(bench, [], bench.way, passes=0)
        taken["deepface"].append(result["first_vector_at"] - result["started_at"])
    bench.say(f"  program {median(taken['program']):.2f} s, DeepFace {median(taken['deepface']):.2f} s")
    return taken


def measure_large(bench: Workbench) -> Measure:
    """Measure the program with every second photo of 20 megapixels: its highest memory."""
    largest = max(bench.photos, key=lambda photo: photo.stat().st_size)
    large = enlarge(largest, bench.served / "large.jpg", LARGE_MEGAPIXELS)
    names = [name for photo in bench.names for name in (large.name, photo)]
    run = _enrol_and_run(bench, names, max(len(names), LARGE_MEMBERS))
    details = {"megapixels": LARGE_MEGAPIXELS, "failed": run.document["summary"]["failed"], "stages_ms": run.stages_ms}
    return Measure(
        "large", f"every second photo of {LARGE_MEGAPIXELS:.0f} megapixels", [run.ms_each], run.process.peak_mb, details
    )
