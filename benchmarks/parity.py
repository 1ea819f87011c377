"""Compare our MTCNN with the `mtcnn` library on every photo of a folder.

`python -m benchmarks.parity --photos DIR`: prints the largest differences, on the copy that the program looks at and at
full size; exit code 1 when any exceeds the limits of issue 3. tests/faces/test_mtcnn.py does the same on two portraits.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.core.image_scaling import reduce
from app.faces.detector import DetectionOptions
from app.faces.mtcnn import Mtcnn
from app.records import Image
from benchmarks.photos import list_photos

POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
MAX_PIXELS, MAX_CONFIDENCE = 1.0, 1e-3


def load_library() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of TensorFlow
        from mtcnn import MTCNN  # noqa: PLC0415  # takes seconds and hundreds of megabytes

        return MTCNN()


def differences(ours: Mtcnn, library: Any, image: Image) -> tuple[float, float] | None:
    """Return the largest difference in pixels (boxes and landmarks) and in confidence; None for unequal counts."""
    expected = library.detect_faces(image[:, :, ::-1], fit_to_image=False)
    found = ours.detect(image)
    if len(found) != len(expected):
        return None
    pixels, confidences = [0.0], [0.0]
    for face, reference in zip(found, expected, strict=True):
        x, y, width, height = reference["box"]
        landmarks = [reference["keypoints"][point] for point in POINTS]
        pixels += [np.abs(face.box - [x, y, x + width, y + height]).max(), np.abs(face.landmarks - landmarks).max()]
        confidences.append(abs(face.confidence - reference["confidence"]))
    return float(max(pixels)), float(max(confidences))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    ours, library = Mtcnn(), load_library()
    bad: Counter[str] = Counter()
    photos = list_photos(parser.parse_args().photos)
    for photo in photos:
        image = np.asarray(cv2.imread(str(photo)), np.uint8)
        copy = reduce(image, math.ceil(max(image.shape[:2]) / DetectionOptions().max_side_px))
        seen = {"copy": differences(ours, library, copy), "full size": differences(ours, library, image)}
        wrong = [size for size, found in seen.items() if not _is_equal(found)]
        bad.update(wrong)
        print(photo.name, *(f"{size}: {_say(found)};" for size, found in seen.items()), "NOT EQUAL" if wrong else "")
    print(
        *(f"{size}: {len(photos) - bad[size]} of {len(photos)} photos equal" for size in ("copy", "full size")),
        sep="\n",
    )
    return int(bool(bad))


def _is_equal(found: tuple[float, float] | None) -> bool:
    return found is not None and found[0] <= MAX_PIXELS and found[1] <= MAX_CONFIDENCE


def _say(found: tuple[float, float] | None) -> str:
    return "another number of faces" if found is None else f"{found[0]:.2f} px, confidence {found[1]:.6f}"


if __name__ == "__main__":
    sys.exit(main())
