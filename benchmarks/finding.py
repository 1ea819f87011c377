"""Count the faces found in photos made worse, and false faces in pictures without one: plain MTCNN, DeepFace, ours.

`python -m benchmarks.finding --photos DIR`. All three sides get the same copies, whose longer side is at most 640
pixels before they are made worse. DeepFace's side is its own `mtcnn` detector, called as DeepFace calls it.
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
from app.faces.face_search import FACE, FaceSearch
from app.faces.mtcnn import Mtcnn
from app.faces.orientation import OrientationJudge
from app.faces.regions import turn_points_back
from app.records import Image
from benchmarks.machine import describe_machine
from benchmarks.perturbations import PERTURBATIONS, Box, carry_box, faceless_pictures
from benchmarks.photos import list_photos

MAX_SIDE_PX = 640
MIN_OVERLAP = 0.4  # intersection over union with the true face
PLAIN, DEEPFACE, OURS = "plain", "DeepFace", "ours"


@dataclass(frozen=True, slots=True)
class Found:
    """The boxes that a side found in one copy, in the copy's pixels, and by which search variant (ours only)."""

    boxes: list[Box]
    variant: str = ""


Find = Callable[[Image], Found]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finding", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--skip-deepface", action="store_true", help="DeepFace takes seconds for each copy")
    return parser.parse_args()


def build_sides(*, deepface: bool) -> dict[str, Find]:
    """Load the nets of each side to compare."""
    mtcnn = build_detector(DetectionOptions(), Mtcnn())
    sides = {PLAIN: with_detector(mtcnn), OURS: with_search(FaceSearch(mtcnn, OrientationJudge(Mtcnn())))}
    if deepface:
        sides[DEEPFACE] = with_detector(build_detector(DetectionOptions(LIBRARY_MTCNN), Mtcnn()))
    return sides


def with_detector(detector: Detector) -> Find:
    """Find faces by one pass of a detector."""
    return lambda image: Found([box_of(region) for region in detector.detect_faces(image)])


def with_search(search: FaceSearch) -> Find:
    """Find faces by all search variants, as the program does."""

    def find(image: Image) -> Found:
        seen = search.search(image)
        regions = [] if seen.doubt == FACE else seen.regions
        boxes = [unturned(box_of(region), seen.quarter_turns, image) for region in regions]
        return Found(boxes, seen.variant if boxes else "none")

    return find


def box_of(region: FacialAreaRegion) -> Box:
    return np.array([region.x, region.y, region.x + region.w, region.y + region.h], np.float64)


def unturned(box: Box, quarter_turns: int, image: Image) -> Box:
    """Return the box in pixels of the image before it was turned."""
    corners = turn_points_back(box.reshape(2, 2), quarter_turns, image.shape)
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def overlap(one: Box, other: Box) -> float:
    """Compute intersection over union."""
    shared = np.prod(np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0))
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return float(shared / (sum(areas) - shared))


def read_bounded(path: Path) -> Image:
    return bounded(np.asarray(cv2.imread(str(path)), np.uint8))


def bounded(image: Image) -> Image:
    """Reduce the image until its longer side is at most MAX_SIDE_PX."""
    scale = MAX_SIDE_PX / max(image.shape[:2])
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def largest(boxes: Sequence[Box]) -> Box:
    return max(boxes, key=lambda box: float(np.prod(box[2:] - box[:2])))


def measure_found(photos: Sequence[Path], sides: dict[str, Find]) -> dict[str, Any]:
    """Count, for each perturbation and side, the photos whose largest face was found, and by which search variants."""
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
    """Count in how many images one side finds the face, and time it."""
    started = time.perf_counter()
    all_found = [find(image) for image in images]
    seconds = time.perf_counter() - started
    hits = [
        any(overlap(box, face) >= MIN_OVERLAP for box in found.boxes)
        for found, face in zip(all_found, faces, strict=True)
    ]
    variants = [found.variant for found in all_found if found.variant]
    return {
        "found": sum(hits),
        "ms_a_photo": round(seconds / len(images) * 1000, 1),
        "variants": {variant: variants.count(variant) for variant in sorted({*variants})},
    }


def measure_false(sides: dict[str, Find]) -> dict[str, Any]:
    """List, for each side, the pictures without a face in which it found one."""
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
