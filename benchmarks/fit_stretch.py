"""Fit `STRETCH_WEIGHTS` of app/faces/quality_measures.py, by which a photo looks stretched, and say how well they do.

`python -m benchmarks.fit_stretch --photos DIR`: turns each labelled photo by up to 30 degrees, stretches it and finds
the face again. Prints the weights, and by tilt how many unstretched copies would be marked and how many clearly
stretched ones would not, each judged with weights fitted without its person.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.faces.detector import BoundedMtcnn, DetectionOptions
from app.faces.mtcnn import Mtcnn
from app.faces.quality import STRETCH
from app.faces.quality_measures import stretch_signs
from app.faces.regions import landmarks_of
from app.records import Image
from benchmarks.field_album import label_photos
from benchmarks.field_geometry import squeeze, tilt

Floats = NDArray[np.float64]
SIDE_PX = 1000
TILTS_DEGREES, WIDTHS = range(-30, 31, 5), (0.6, 0.75, 0.87, 1.0, 1.15, 1.4, 1.7)
SHRUNK = 0.95  # so that no photo is marked as it is
CLEAR = 0.25  # logarithm of a stretch that should be marked
BANDS_DEGREES = ((0, 8), (8, 18), (18, 31))


def copies(image: Image) -> Iterator[tuple[int, float, Image]]:
    """Yield copies with their tilt (degrees) and stretch: the logarithm of how many times higher they are than wide."""
    for degrees, width in itertools.product(TILTS_DEGREES, WIDTHS):
        yield degrees, -math.log(width), squeeze(tilt(image, degrees), width)


def measure(photos: Path) -> tuple[list[str], Floats, Floats, Floats]:
    """Return of each copy whose face is found: the person, the tilt, the stretch, and the signs (n, 7)."""
    detector = BoundedMtcnn(DetectionOptions(), Mtcnn())
    people, rows = [], []
    for name, person in label_photos(photos, None).items():
        image = np.asarray(cv2.imread(str(photos / name)), np.uint8)
        scale = min(1.0, SIDE_PX / max(image.shape[:2]))
        small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        for degrees, stretch, copy in copies(small):
            face = max(detector.detect_faces(copy), key=lambda each: each.w * each.h, default=None)
            if face is not None:
                marks = landmarks_of(face)
                assert marks is not None, "MTCNN gives all"
                people.append(person)
                rows.append([degrees, stretch, *stretch_signs(marks, face.w, face.h)])
    table = np.array(rows)
    return people, table[:, 0], table[:, 1], table[:, 2:]


def fit(signs: Floats, stretches: Floats) -> Floats:
    return np.asarray(SHRUNK * np.linalg.lstsq(signs, stretches, rcond=None)[0])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_stretch", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    people, tilts, stretches, signs = measure(parser.parse_args().photos)
    seen, names = np.zeros_like(stretches), np.array(people)
    for person in set(people):
        apart = names == person
        seen[apart] = signs[apart] @ fit(signs[~apart], stretches[~apart])
    print(f"{len(people)} copies of {len(set(people))} people; weights: {fit(signs, stretches).round(3).tolist()}")
    limit = STRETCH[0]
    for least, below in BANDS_DEGREES:
        band = (abs(tilts) >= least) & (abs(tilts) < below)
        plain, clear = seen[band & (stretches == 0)], band & (abs(stretches) > CLEAR)
        missed = (np.sign(stretches[clear]) * seen[clear] < limit).mean()
        print(
            f"tilted by {least} to {below - 1} degrees: {(abs(plain) > limit).mean():.1%} of {len(plain)} unstretched "
            f"marked, farthest {abs(plain).max():.2f}; {missed:.1%} of {clear.sum()} stretched not marked"
        )


if __name__ == "__main__":
    main()
