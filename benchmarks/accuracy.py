"""Compare the program's vectors with plain DeepFace's, by the trained Dlib model: drift, rank-1, TAR at FAR 1 %.

`python -m benchmarks.accuracy --photos DIR`: the folder holds photos and `labels.csv` (file,person).
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from app.cli.settings import FOLDER_DATABASE
from benchmarks.front_door import PROGRAM
from benchmarks.machine import child_environment, describe_machine
from benchmarks.measures import KEEP_MEMORY
from benchmarks.photos import list_photos, read_labels
from benchmarks.processes import following, run_process, run_worker, tail
from benchmarks.recognition import Floats, Rates, drift, rates
from benchmarks.weights import DLIB_MODEL, dlib_home, link_into

FAR = 0.01
MAX_DRIFT, MAX_TAR_LOSS = 0.008, 0.02  # limits of issue 3
Vectors = dict[str, list[float]]  # by the photo's file name


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="default: DIR/labels.csv")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def program_vectors(photos: Sequence[Path], home: Path, folder: Path) -> Vectors:
    """Run the whole program on a folder with one crew member for each photo; read the vectors from its database."""
    crew = folder / "crew"
    for number, photo in enumerate(photos):
        link_into(crew / str(number), [photo])
    output = folder / "program.txt"
    places = {"DEEPFACE_HOME": home, "LOG_DIR": folder / "logs", "TEMP_DIR": folder / "temp_uploads"}
    words = [*PROGRAM, "--all", "--photos", str(crew), "--model", DLIB_MODEL]
    run_process(words, child_environment(places), output)
    database = crew / FOLDER_DATABASE
    if not database.exists():
        raise SystemExit(tail(output))
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT crew_id, embedding FROM face_embeddings WHERE active").fetchall()
    return {photos[int(crew_id)].name: json.loads(embedding) for crew_id, embedding in rows}


def deepface_vectors(photos: Sequence[Path], home: Path, folder: Path) -> Vectors:
    """Compute the photos' vectors with DeepFace, in a process of its own."""
    progress = folder / "progress.txt"
    job = {"model": DLIB_MODEL, "warm_up": str(min(photos, key=lambda photo: photo.stat().st_size)), "passes": 1}
    job |= {"photos": [str(photo) for photo in photos], "as_list": False, "keep_vectors": True}
    # Dlib does not use DeepFace's engine; ONNX is the one that starts fastest.
    environment = child_environment({"DEEPFACE_HOME": home, "DEEPFACE_BACKEND_ENGINE": "onnx"} | KEEP_MEMORY)
    with following(progress):
        result = run_worker("deepface_worker", job | {"progress": str(progress)}, environment, folder)
    return {Path(photo).name: vector for photo, vector in result["vectors"].items()}


def compare(ours: Vectors, theirs: Vectors, labels: dict[str, str]) -> dict[str, Any]:
    """Compute the drift over all photos in which both sides found a face, and the rates over the labelled ones."""
    shared = [name for name in theirs if name in ours]
    drifts = drift(_stack(ours, shared), _stack(theirs, shared))
    labelled = [name for name in shared if name in labels]
    people = [labels[name] for name in labelled]
    sides = {"program": ours, "deepface": theirs}
    found = {side: rates(_stack(vectors, labelled), people, FAR) for side, vectors in sides.items()}
    return {
        "photos": len(shared),
        "labelled": len(labelled),
        "only_program": sorted(ours.keys() - theirs.keys()),
        "only_deepface": sorted(theirs.keys() - ours.keys()),
        "drift_median": float(np.median(drifts)),
        "drift_max": float(drifts.max()),
        "drift": dict(zip(shared, map(float, drifts), strict=True)),
        "program": asdict(found["program"]),
        "deepface": asdict(found["deepface"]),
        "reached": reached(float(np.median(drifts)), found["program"], found["deepface"]),
    }


def _stack(vectors: Vectors, names: Sequence[str]) -> Floats:
    return np.array([vectors[name] for name in names], np.float64)


def reached(median_drift: float, ours: Rates, theirs: Rates) -> dict[str, bool]:
    """Tell for each of issue 3's requirements whether it is met."""
    return {
        "drift": median_drift <= MAX_DRIFT,
        "rank_1": ours.rank_1 >= theirs.rank_1,
        "tar": ours.tar >= theirs.tar - MAX_TAR_LOSS,
    }


def print_result(result: dict[str, Any]) -> None:
    program, deepface = result["program"], result["deepface"]
    print(f"\n{result['photos']} photos, {result['labelled']} labelled; model {DLIB_MODEL} (trained weights)")
    print(f"pairs: {program['genuine_pairs']} genuine, {program['impostor_pairs']} impostor")
    for side in ("only_program", "only_deepface"):
        if result[side]:
            print(f"a face in {side.replace('_', ' ')}: {', '.join(result[side])}")
    print(f"drift (cosine distance): median {result['drift_median']:.4f}, max {result['drift_max']:.4f}")
    print(f"{'':<16}{'program':>10}{'DeepFace':>10}")
    for title, key in (("rank-1", "rank_1"), ("TAR at FAR 1 %", "tar"), ("threshold", "threshold")):
        print(f"{title:<16}{program[key]:>10.3f}{deepface[key]:>10.3f}")
    for name, good in result["reached"].items():
        print(f"{name}: {'reached' if good else 'NOT REACHED'}")


def main() -> None:
    options = parse_arguments()
    photos, labels = list_photos(options.photos), read_labels(options.labels or options.photos / "labels.csv")
    machine, started = describe_machine(), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        home = dlib_home(folder).folder
        ours = program_vectors(photos, home, folder)
        theirs = deepface_vectors(photos, home, folder)
    result = compare(ours, theirs, labels) | {"machine": machine}
    print_result(result)
    print(f"took {(time.perf_counter() - started) / 60:.1f} minutes")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
