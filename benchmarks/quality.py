"""Where each quality component notices what spoils recognition: photos spoilt step by step, and how far the trained
Dlib vector then is from the person's other photos. The default limits of quality come from here.

`python -m benchmarks.quality --photos DIR`: the folder holds photos and `labels.csv` (file,person).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.core.config import QualitySettings
from app.core.image_scaling import reduce
from app.faces.quality import COMPONENTS, REJECT, SCORES, WARN, Values, grade, worst
from app.faces.quality_measures import FaceView, measure
from app.records import Image
from benchmarks.accuracy import MODEL, read_labels
from benchmarks.degradations import DEGRADATIONS, Degradation, shrink
from benchmarks.machine import describe_machine
from benchmarks.recognition import Floats, cosine_distances
from benchmarks.weights import dlib_home

SIDE_PX = 900  # what the program decodes a photo to, at least
BEGINS, SERIOUS = 1.1, 1.5  # times the undegraded distance to the person's other photos
NAMES = [component.name for component in COMPONENTS]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A photo's face: `vector` is Dlib's (128,)."""

    view: FaceView
    values: Values
    vector: Floats


class Eyes:
    """The program's own way from an image to values and a vector."""

    def __init__(self) -> None:
        # DeepFace reads DEEPFACE_HOME at import.
        from app.faces import alignment, detector, embedder, mtcnn  # noqa: PLC0415

        self._alignment = alignment
        self._detector = detector.BoundedMtcnn(detector.DetectionOptions(), mtcnn.Mtcnn())
        self._network = embedder.DeepFaceNetwork(MODEL)

    def see(self, image: Image, reduction: int = 1) -> Seen | None:
        """The largest face, or None."""
        regions = sorted(self._detector.detect_faces(image), key=lambda region: -region.w * region.h)
        if not regions:
            return None
        face, size = regions[0], self._network.input_size
        points = np.float32([face.right_eye, face.left_eye, face.nose, face.mouth_right, face.mouth_left])
        areas = tuple(float(region.w * region.h) for region in regions)
        view = FaceView(image, (face.x, face.y, face.w, face.h), points, reduction, areas)
        pixels = self._alignment.letterbox(self._alignment.align_face(image, face, max(size)), size)
        return Seen(view, measure(view), self._network.forward(pixels[None])[0].astype(np.float64))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="default: DIR/labels.csv")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def look_at_all(eyes: Eyes, photos: Sequence[Path]) -> dict[str, Seen]:
    """The photos as they are, by file name; those without a face are left out."""
    found = {}
    for photo in photos:
        image = np.asarray(cv2.imread(str(photo)), np.uint8)
        factor = max(1, max(image.shape[:2]) // SIDE_PX)
        seen = eyes.see(reduce(image, factor), factor)
        if seen is not None:
            found[photo.name] = seen
    return found


def spoil_all(eyes: Eyes, intact: Mapping[str, Seen], degradation: Degradation, strength: float) -> dict[str, Seen]:
    found = {}
    for name, seen in intact.items():
        spoilt = degradation.spoil(seen.view, strength)
        reduction = 1 if degradation.spoil is shrink else seen.view.reduction
        again = eyes.see(np.ascontiguousarray(spoilt), reduction)
        if again is not None:
            found[name] = again
    return found


def compare(spoilt: Mapping[str, Seen], intact: Mapping[str, Seen], labels: Mapping[str, str]) -> dict[str, Any]:
    """One step: how many were found, each component's mean score, and what became of recognition."""
    if not spoilt:
        return {"found": 0.0, "warned": 0.0, "rejected": 0.0}
    names, gallery = list(spoilt), list(intact)
    distances = cosine_distances(_vectors(spoilt), _vectors(intact))
    distances[np.equal.outer(names, gallery)] = np.nan
    people = [labels[name] for name in gallery]
    same = np.equal.outer([labels[name] for name in names], people)
    genuine = np.nanmedian(np.where(same, distances, np.nan), axis=1)
    nearest = np.nanargmin(distances, axis=1)
    scores = np.array([_scores(seen.values) for seen in spoilt.values()])
    limits = QualitySettings().quality_limits()
    verdicts = [worst(grade(seen.values, limits)).verdict for seen in spoilt.values()]
    return {
        "found": len(spoilt) / len(intact),
        "warned": verdicts.count(WARN) / len(intact),
        "rejected": verdicts.count(REJECT) / len(intact),
        "distance": float(np.median(genuine)),
        "rank_1": float(same[np.arange(len(names)), nearest].mean()),
        "scores": dict(zip(NAMES, map(float, np.nanmean(scores, axis=0)), strict=True)),
        "lowest": dict(zip(NAMES, map(float, np.nanmin(scores, axis=0)), strict=True)),
    }


def _vectors(seen: Mapping[str, Seen]) -> Floats:
    return np.array([one.vector for one in seen.values()])


def _scores(values: Values) -> list[float]:
    pairs = zip(NAMES, values, strict=True)
    return [float(np.clip(SCORES[name](float(value)), 0, 100)) for name, value in pairs]


def walk(
    eyes: Eyes, intact: Mapping[str, Seen], labels: Mapping[str, str], degradation: Degradation
) -> Iterator[dict[str, Any]]:
    """The steps of one degradation, from the untouched photos on."""
    start = compare(intact, intact, labels)
    yield start | {"strength": None, "ratio": 1.0}
    for strength in degradation.strengths:
        step = compare(spoil_all(eyes, intact, degradation, strength), intact, labels)
        yield step | {"strength": strength, "ratio": step.get("distance", np.nan) / start["distance"]}


def score_at(steps: Sequence[Mapping[str, Any]], component: str, ratio: float) -> float | None:
    """The component's mean score where the distance has first grown by that ratio, between two steps linearly."""
    for before, after in itertools.pairwise(steps):
        if after["ratio"] >= ratio:
            share = (ratio - before["ratio"]) / (after["ratio"] - before["ratio"])
            one, other = before["scores"][component], after["scores"][component]
            return round(float(one + share * (other - one)), 1)
    return None


def print_steps(name: str, degradation: Degradation, steps: Sequence[Mapping[str, Any]]) -> None:
    print(
        f"\n{name} ({degradation.unit})\n{'':>8}{'found':>7}{'warned':>8}{'rejected':>10}{'distance':>10}{'rank-1':>8}",
        end="",
    )
    print("".join(f"{component[:14]:>16}" for component in degradation.components))
    for step in steps:
        strength = "-" if step["strength"] is None else f"{step['strength']:g}"
        shares = f"{step['found']:>7.0%}{step['warned']:>8.0%}{step['rejected']:>10.0%}"
        if not step["found"]:
            print(f"{strength:>8}{shares}")
            continue
        scores = "".join(f"{step['scores'][component]:>16.1f}" for component in degradation.components)
        print(f"{strength:>8}{shares}{step['ratio']:>9.2f}x{step['rank_1']:>8.2f}{scores}")
    for component in degradation.components:
        begins, serious = score_at(steps, component, BEGINS), score_at(steps, component, SERIOUS)
        print(f"  {component}: {BEGINS:g}x at score {begins}, {SERIOUS:g}x at score {serious}")


def main() -> None:
    options = parse_arguments()
    labels, started = read_labels(options.labels or options.photos / "labels.csv"), time.perf_counter()
    cv2.setNumThreads(1)
    result: dict[str, Any] = {"machine": describe_machine(), "degradations": {}}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        os.environ["DEEPFACE_HOME"] = str(dlib_home(Path(name)).folder)
        eyes = Eyes()
        intact = look_at_all(eyes, [options.photos / file for file in labels])
        print(f"{len(intact)} labelled photos with a face; model {MODEL} (trained weights)")
        for title, degradation in DEGRADATIONS.items():
            steps = list(walk(eyes, intact, labels, degradation))
            print_steps(title, degradation, steps)
            result["degradations"][title] = steps
    print(f"\ntook {(time.perf_counter() - started) / 60:.1f} minutes")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
