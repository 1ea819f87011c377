"""Run photo files as people send them, kind by kind, through the whole program; count which are stored right, refused
with the right code, or treated wrong.

`python -m benchmarks.field_pictures --photos DIR`: the folder holds photos and `labels.csv` (file,person). A photo that
the labels leave out counts as showing several people; without labels, each photo counts as another person's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.field_album import Album, Kind, Missing, label_photos, open_album
from benchmarks.field_judge import HEAD, RESULTS, Row, as_document, bad_lines, judge, line
from benchmarks.field_kinds import KINDS
from benchmarks.field_runs import Surroundings, corrected, saved_again, show
from benchmarks.front_door import open_front_door
from benchmarks.machine import child_environment, describe_machine
from benchmarks.measures import KEEP_MEMORY
from benchmarks.processes import following, run_worker
from benchmarks.weights import DLIB_MODEL, dlib_home

TWO_RUNS = {"corrected": corrected, "saved-again": saved_again}
NAMES = (*(kind.name for kind in KINDS), *TWO_RUNS)
SHOWN = 6  # wrong files printed for each kind; --json has all


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.field_pictures", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="default: DIR/labels.csv")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="KIND", help=", ".join(NAMES))
    parser.add_argument("--references", type=Path, metavar="FILE", help="DeepFace's vectors, kept for the next time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def read_album(options: argparse.Namespace, home: Path, folder: Path) -> Album:
    """Read the photos and DeepFace's vectors of them, from the file of --references or by computing them."""
    labels = label_photos(options.photos, options.labels)
    kept = options.references
    if kept and kept.exists():
        return open_album(options.photos, labels, json.loads(kept.read_text()))
    references = compute_references([str(options.photos / name) for name in labels], home, folder)
    if kept:
        kept.write_text(json.dumps(references))
    return open_album(options.photos, labels, references)


def compute_references(photos: list[str], home: Path, folder: Path) -> dict[str, Any]:
    """Compute DeepFace's vectors, boxes and eyes of the photos, in a process of its own; see `field_references`."""
    progress = folder / "progress.txt"
    job = {"model": DLIB_MODEL, "photos": photos, "progress": str(progress)}
    # Dlib does not use DeepFace's engine; ONNX is the one that starts fastest.
    environment = child_environment({"DEEPFACE_HOME": home, "DEEPFACE_BACKEND_ENGINE": "onnx"} | KEEP_MEMORY)
    with following(progress):
        return run_worker("field_references", job, environment, folder)["references"]


def measure(kind: Kind, album: Album, around: Surroundings) -> Row:
    """Build one kind's files and run the program on them; print what could not be built."""
    cases = []
    for built in kind.build(album):
        if isinstance(built, Missing):
            print(f"{kind.name}: left out: {built.reason}")
        else:
            cases.append(built)
    seen = show(cases, around, kind.settings) if cases else []
    return Row(kind.name, [judge(*pair, album) for pair in zip(cases, seen, strict=True)], kind.share)


def measure_all(names: list[str], album: Album, around: Surroundings) -> Iterator[Row]:
    for kind in KINDS:
        if kind.name in names:
            yield measure(kind, album, around)
    for name, check in TWO_RUNS.items():
        if name in names:
            yield Row(name, list(check(album, around)))


def print_end(rows: list[Row], started: float) -> None:
    total = Row("all", list(chain.from_iterable(row.verdicts for row in rows)), share=1.0)
    print(f"{line(total)}\n")
    print("\n".join(bad_lines(rows, SHOWN)))
    failed = [row.kind for row in rows if row.failures] + ["all"] * bool(total.failures)
    verdict = f"FAIL: {', '.join(failed)}" if failed else "PASS"
    print(f"\n{verdict}; took {(time.perf_counter() - started) / 60:.1f} minutes")


def main() -> None:
    options, started, rows = parse_arguments(), time.perf_counter(), []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        home, served = dlib_home(folder).folder, folder / "served"
        served.mkdir()
        album = read_album(options, home, folder)
        with open_front_door(folder, served, home) as door:
            print(HEAD)
            for row in measure_all(options.only, album, Surroundings(door, served)):
                print(line(row), flush=True)
                rows.append(row)
    print_end(rows, started)
    if options.json:
        document = {"machine": describe_machine(), "results": RESULTS, "kinds": [as_document(row) for row in rows]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
