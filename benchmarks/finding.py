"""Faces found in photos made worse on purpose, and false ones in pictures without a face: plain MTCNN, DeepFace, ours.

`python -m benchmarks.finding --photos DIR`. All three get the same copies, whose longer side is at most 640 pixels
before they are made worse; DeepFace is its own `mtcnn` detector, called as DeepFace calls it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.faces.deepface_api import Detector, FacialAreaRegion
from app.faces.detector import LIBRARY_MTCNN, DetectionOptions, build_detector
from app.faces.face_search import FACE, look, turn_back
from app.faces.mtcnn import Mtcnn
from app.faces.orientation import OrientationJudge
from app.records import Image
from benchmarks.machine import describe_machine
from benchmarks.perturbations import PERTURBATIONS, Box, carry_box, faceless_pictures
from benchmarks.photos import list_photos

MAX_SIDE_PX = 640
MIN_OVERLAP = 0.4  # intersection over union with the true face
PLAIN, DEEPFACE, OURS = "plain", "DeepFace", "ours"


@dataclass(frozen=True, slots=True)
class Found:
    """What a side found in one copy: boxes in its pixels, how often the side turned it, and by which attempt."""

    boxes: list[Box]
    attempt: str = ""
    quarter_turns: int = 0


Find = Callable[[Image], Found]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finding", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--skip-deepface", action="store_true", help="DeepFace takes seconds for each copy")
    return parser.parse_args()


def build_sides(*, deepface: bool) -> dict[str, Find]:
    mtcnn = build_detector(DetectionOptions(), Mtcnn())
    sides = {PLAIN: with_detector(mtcnn), OURS: with_attempts(mtcnn, OrientationJudge(Mtcnn()))}
    if deepface:
        sides[DEEPFACE] = with_detector(build_detector(DetectionOptions(LIBRARY_MTCNN), Mtcnn()))
    return sides


def with_detector(detector: Detector) -> Find:
    return lambda image: Found([box_of(region) for region in detector.detect_faces(image)])


def with_attempts(detector: Detector, judge: OrientationJudge) -> Find:
    def find(image: Image) -> Found:
        seen = look(detector, judge, image)
        regions = [] if seen.doubt == FACE else seen.regions
        boxes = [unturned(box_of(region), seen.quarter_turns, image) for region in regions]
        return Found(boxes, seen.attempt if boxes else "none", seen.quarter_turns)

    return find


def box_of(region: FacialAreaRegion) -> Box:
    return np.array([region.x, region.y, region.x + region.w, region.y + region.h], np.float64)


def unturned(box: Box, quarter_turns: int, image: Image) -> Box:
    corners = turn_back(box.reshape(2, 2), quarter_turns, image.shape)
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    shared = np.prod(np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0))
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return float(shared / (sum(areas) - shared))


def read_bounded(path: Path) -> Image:
    return bounded(np.asarray(cv2.imread(str(path)), np.uint8))


def bounded(image: Image) -> Image:
    scale = MAX_SIDE_PX / max(image.shape[:2])
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def largest(boxes: Sequence[Box]) -> Box:
    return max(boxes, key=lambda box: float(np.prod(box[2:] - box[:2])))


def measure_found(photos: Sequence[Path], sides: dict[str, Find]) -> dict[str, Any]:
    """By perturbation and side: of how many photos the largest face was found, and by which attempts."""
    images = [read_bounded(photo) for photo in photos]
    truths = [largest(sides[PLAIN](image).boxes) for image in images]
    rows: dict[str, Any] = {}
    for name, perturb in PERTURBATIONS.items():
        copies = [perturb(image) for image in images]
        faces = [carry_box(truth, copy.matrix) for truth, copy in zip(truths, copies, strict=True)]
        rows[name] = {side: count_found(find, [copy.image for copy in copies], faces) for side, find in sides.items()}
        print(f"{name:<32}" + "".join(f"{rows[name][side]['found']:>10}" for side in sides), flush=True)
    return rows


def count_found(find: Find, images: Sequence[Image], faces: Sequence[Box]) -> dict[str, Any]:
    started = time.perf_counter()
    all_found = [find(image) for image in images]
    seconds = time.perf_counter() - started
    hits = [
        any(overlap(box, face) >= MIN_OVERLAP for box in found.boxes)
        for found, face in zip(all_found, faces, strict=True)
    ]
    attempts = [found.attempt for found in all_found if found.attempt]
    return {
        "found": sum(hits),
        "ms_a_photo": round(seconds / len(images) * 1000, 1),
        "attempts": {attempt: attempts.count(attempt) for attempt in sorted({*attempts})},
    }


def measure_false(sides: dict[str, Find]) -> dict[str, Any]:
    """By side: the pictures without a face in which one was found."""
    pictures = [(name, bounded(image)) for name, image in faceless_pictures()]
    false = {side: [name for name, image in pictures if find(image).boxes] for side, find in sides.items()}
    print(f"{f'false faces, of {len(pictures)} pictures':<32}" + "".join(f"{len(false[side]):>10}" for side in sides))
    return {"pictures": len(pictures), "false": false}


def main() -> None:
    options = parse_arguments()
    photos, machine = list_photos(options.photos), describe_machine()
    sides = build_sides(deepface=not options.skip_deepface)
    print(f"{f'faces found, of {len(photos)} photos':<32}" + "".join(f"{side:>10}" for side in sides))
    result = {"photos": len(photos), "rows": measure_found(photos, sides), "faceless": measure_false(sides)}
    if options.json:
        options.json.write_text(json.dumps(result | {"machine": machine}, indent=2) + "\n")


if __name__ == "__main__":
    main()
