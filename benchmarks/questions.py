"""Ask the gallery about labelled photos through the front door, and compare every answer with others' arithmetic.

`python -m benchmarks.questions --photos DIR`: the folder holds photos and `labels.csv` (file,person). Of half of the
people one photo each is enrolled; the others' photos are strangers'. Candidates, distances and rates of `--match` and
`--operating-point --probes` are compared with scikit-learn's and with a double loop in float64 on the same vectors.
The model is the trained Dlib.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_curve
from sklearn.neighbors import NearestNeighbors

from benchmarks.accuracy import Vectors, program_vectors
from benchmarks.front_door import PROGRAM
from benchmarks.machine import child_environment
from benchmarks.photos import read_labels
from benchmarks.processes import run_process, tail
from benchmarks.recognition import Floats
from benchmarks.weights import DLIB_MODEL, dlib_home, link_into

THRESHOLD = 0.07  # DeepFace's for Dlib
TOLERANCE = 1.01e-6  # documents have six decimals


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.questions", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="default: DIR/labels.csv")
    return parser.parse_args()


def ask(crew: Path, home: Path, *words: str) -> dict[str, Any]:
    """Run one command on the folder and return its document."""
    folder = crew.parent
    output, document = folder / "program.txt", folder / "document.json"
    document.unlink(missing_ok=True)
    places = {"DEEPFACE_HOME": home, "LOG_DIR": folder / "logs", "TEMP_DIR": folder / "temp_uploads"}
    settings = {"FACE_DISTANCE_THRESHOLD": THRESHOLD, "MAX_FACE_MATCHES": 100}
    words = (*PROGRAM, "--photos", str(crew), "--model", DLIB_MODEL, "--json", str(document), *words)
    run_process(words, child_environment(places | settings), output)
    if not document.exists():
        raise SystemExit(tail(output))
    found: dict[str, Any] = json.loads(document.read_text())
    return found


def double_loop(probes: Sequence[Sequence[float]], gallery: Sequence[Sequence[float]]) -> Floats:
    """Compute all cosine distances one number at a time."""

    def distance(one: Sequence[float], other: Sequence[float]) -> float:
        dot = math.fsum(a * b for a, b in zip(one, other, strict=True))
        return 1 - dot / (math.sqrt(math.fsum(a * a for a in one)) * math.sqrt(math.fsum(b * b for b in other)))

    return np.array([[distance(probe, each) for each in gallery] for probe in probes])


def stored(vectors: Vectors, names: Sequence[str]) -> Floats:
    """Return the vectors as the gallery holds them, float32, in float64."""
    return np.array([vectors[name] for name in names], np.float32).astype(np.float64)


def compare_candidates(document: dict[str, Any], names: Sequence[str], gallery: Floats, probes: Floats) -> float:
    """Compare the answers to the photos with scikit-learn's and the loop's; return the largest difference."""
    neighbours = NearestNeighbors(n_neighbors=len(gallery), metric="cosine", algorithm="brute").fit(gallery)
    distances, places = neighbours.kneighbors(probes)
    loop = double_loop(probes.tolist(), gallery.tolist())
    worst = 0.0
    by_photo = {Path(face["photo"]).name: face["candidates"] for face in document["faces"]}
    for row, name in enumerate(names):
        candidates = by_photo[name]
        assert [int(each["crew_id"]) for each in candidates] == places[row].tolist(), name
        given = np.array([each["distance"] for each in candidates])
        worst = max(worst, np.abs(given - distances[row]).max(), np.abs(given - np.sort(loop[row])).max())
    return worst


def compare_rates(document: dict[str, Any], own: Sequence[int], gallery: Floats, probes: Floats) -> float:
    """Compare the rates at each threshold with the loop's and scikit-learn's; return the largest difference."""
    loop = double_loop(probes.tolist(), gallery.tolist()).round(6)
    members = np.array(own)
    genuine = members[:, None] == np.arange(len(gallery))
    strangers = members < 0
    worst = 0.0
    false_positives, hits, limits = roc_curve(genuine.ravel(), -loop.ravel(), drop_intermediate=False)
    for row in document["genuine"]["rows"]:
        threshold = row["distance"]
        fnmr, fmr = float((loop[genuine] > threshold).mean()), float((loop[~genuine] <= threshold).mean())
        first = loop.argmin(axis=1) == members
        near = loop.min(axis=1) <= threshold
        fnir = 1 - float((first & near)[~strangers].mean())
        fpir = float(near[strangers].mean())
        expected = {"fnmr": fnmr, "fnir": fnir, "fpir": fpir}
        worst = max(
            worst, *(abs(row[name]["value"] - value) for name, value in expected.items()), abs(row["fmr"] - fmr)
        )
        accepted = np.flatnonzero(-limits <= threshold)  # scikit-learn's point with the same pairs accepted
        if len(accepted):
            point = accepted[np.argmax(-limits[accepted])]
            worst = max(worst, abs(fmr - false_positives[point]), abs(fnmr - (1 - hits[point])))
    return worst


def main() -> None:
    options = parse_arguments()
    labels = read_labels(options.labels or options.photos / "labels.csv")
    people = sorted(set(labels.values()))
    enrolled = people[: len(people) - len(people) // 2]
    first = {person: next(file for file, who in labels.items() if who == person) for person in enrolled}
    probes = [file for file in labels if file not in first.values()]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        home = dlib_home(folder).folder
        vectors = program_vectors([options.photos / file for file in labels], home, folder / "all")
        crew = folder / "some" / "crew"
        for number, person in enumerate(enrolled):
            link_into(crew / str(number), [options.photos / first[person]])
        ask(crew, home, "--all")
        gallery, asked = stored(vectors, list(first.values())), stored(vectors, probes)
        matched = ask(crew, home, "--match", *(str(options.photos / file) for file in probes))
        candidates = compare_candidates(matched, probes, gallery, asked)
        own = [enrolled.index(labels[file]) if labels[file] in enrolled else -1 for file in probes]
        labelled = folder / "labelled"
        for file, member in zip(probes, own, strict=True):
            link_into(labelled / (str(member) if member >= 0 else labels[file]), [options.photos / file])
        point = ask(crew, home, "--operating-point", "--probes", str(labelled))
        rates = compare_rates(point, own, gallery, asked)
    verdicts = [face["verdict"] for face in matched["faces"]]
    print(f"{len(enrolled)} people enrolled, {len(probes)} photos asked about, {own.count(-1)} of them strangers'")
    print("verdicts: " + ", ".join(f"{verdicts.count(each)} {each}" for each in sorted(set(verdicts))))
    print(f"rank-1 {point['genuine']['rank_1']['value']:.3f}")
    print(f"largest difference of a distance {candidates:.1e}, of a rate {rates:.1e}")
    raise SystemExit(int(candidates > TOLERANCE or rates > TOLERANCE))


if __name__ == "__main__":
    main()
