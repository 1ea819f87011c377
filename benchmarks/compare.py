"""Compare the program's speed and memory with DeepFace's, in one run on the same photos.

`python -m benchmarks.compare --photos DIR`: prints a table; writes JSON and the picture of docs/rendimiento.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from app.core.config import PROJECT_DIR
from benchmarks import measures
from benchmarks.front_door import FrontDoor, open_front_door
from benchmarks.machine import check_machine, say
from benchmarks.measures import Workbench
from benchmarks.photos import list_photos, megapixels
from benchmarks.picture import LABELS, draw_comparison, spanish
from benchmarks.report import Report, report_lines
from benchmarks.weights import facenet_home, link_into

MEASURES = {
    "a": measures.measure_loop,
    "b": measures.measure_shrunk,
    "c": measures.measure_list,
    "d": measures.measure_program,
    "e": measures.measure_floor,
    "f": measures.measure_face_recognition,
    "g": measures.measure_default,
}
COLD, LARGE = "cold", "large"
PARTS = (*MEASURES, COLD, LARGE)
NEED_DEEPFACE = {"a", "b", "c", COLD}  # at its best settings
PICTURE = PROJECT_DIR / "docs" / "benchmark.png"
DEFAULT_MEMBERS = 1200  # so many that start and end take a twentieth of the run


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="passes of each side; default: 3")
    parser.add_argument("--members", type=int, default=DEFAULT_MEMBERS, metavar="N", help="roster's length in (d)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help=f"default, when all sides ran: {PICTURE}")
    parser.add_argument("--only", metavar="A,B", type=_parts, default=PARTS, help=f"of: {','.join(PARTS)}")
    return parser.parse_args()


def _parts(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    unknown = set(chosen) - set(PARTS)
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return chosen


@contextmanager
def open_workbench(options: argparse.Namespace) -> Iterator[Workbench]:
    """Prepare weights, servers and photos in a temporary folder; remove them on leaving."""
    photos = list_photos(options.photos)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        served = folder / "served"
        link_into(served, photos)
        home = facenet_home(folder)
        with open_front_door(folder, served, home.folder) as door:
            found = photos_with_face(door, photos)
            small = min(found, key=megapixels)
            yield Workbench(found, small, folder, served, home, door, options.repeat, options.members, say)


def photos_with_face(door: FrontDoor, photos: list[Path]) -> list[Path]:
    """Return the photos in which the program finds a face. Only these are measured, on every side: one photo without a
    face makes DeepFace's whole list fail."""
    door.enrol([photo.name for photo in photos], len(photos))
    run = door.run("--all")
    stored = {int(member["crew_id"]) for member in run.document["members"] if member["outcome"] == "stored"}
    left_out = [photo.name for number, photo in enumerate(photos) if number not in stored]
    if left_out:
        say(f"without a face, left out on all sides: {', '.join(left_out)}")
    return [photo for number, photo in enumerate(photos) if number in stored]


def measure(bench: Workbench, machine: dict[str, object], parts: tuple[str, ...]) -> Report:
    """Measure each part; one that fails is noted in the report and the others go on."""
    ways_ms = {}
    if NEED_DEEPFACE & set(parts):
        say("DeepFace's best settings")
        ways_ms = measures.try_ways(bench)
    way = min(ways_ms, key=ways_ms.__getitem__, default="")
    bench = dataclasses.replace(bench, way=way)
    report = Report(machine, describe_setting(bench) | {"deepface": way, "deepface_ways_ms": ways_ms})
    for part in parts:
        say(part)
        try:
            take_part(report, bench, part)
        except RuntimeError as error:  # the results of the other parts must not be lost
            say(f"  failed: {error}")
            report.failures[part] = str(error)
    return report


def take_part(report: Report, bench: Workbench, part: str) -> None:
    if part == COLD:
        report.cold_s = measures.measure_cold_starts(bench)
    elif part == LARGE:
        report.large = measures.measure_large(bench)
    else:
        report.measures[part] = MEASURES[part](bench)
        say(f"  {report.measures[part].ms:.1f} ms a photo")


def describe_setting(bench: Workbench) -> dict[str, object]:
    sizes = [megapixels(photo) for photo in bench.photos]
    return {
        "photos": len(bench.photos),
        "megapixels_min": min(sizes),
        "megapixels_median": median(sizes),
        "megapixels_max": max(sizes),
        "repeat": bench.repeat,
        "members": bench.members,
        "trained_weights": bench.home.trained,
    }


def draw(report: Report, path: Path) -> None:
    versions = report.machine["versions"]
    subtitle = (
        f"{report.machine['processor']}, {report.machine['cores']} núcleos; {report.setting['photos']} fotos de "
        f"{spanish(report.setting['megapixels_min'])} a {spanish(report.setting['megapixels_max'])} megapíxeles; "
        f"DeepFace {versions['deepface']} sobre {report.setting['deepface'].partition(',')[0]}"
    )
    draw_comparison({key: report.measures[key].per_second for key in LABELS if key in report.measures}, subtitle, path)


def main() -> None:
    options = parse_arguments()
    started = time.perf_counter()
    machine = check_machine()
    with open_workbench(options) as bench:
        report = measure(bench, machine, options.only)
    print("\n".join(["", *report_lines(report), "", f"took {(time.perf_counter() - started) / 60:.1f} minutes"]))
    if options.json:
        options.json.write_text(json.dumps(report.as_document(), indent=2) + "\n")
    picture = options.picture or (PICTURE if options.only == PARTS else None)
    if picture and report.measures:
        draw(report, picture)


if __name__ == "__main__":
    main()
