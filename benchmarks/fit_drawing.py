"""Fit the table of `app/faces/drawing.py` to faces of photographs and of drawings, and print it.

`python -m benchmarks.fit_drawing --photographs DIR --flat DIR --sketches DIR`: PNG or JPEG files, each one face cut out
by MTCNN's box and named `SOURCE--VARIANT.ext`. The limits of drawing.py come from the scores that photographs get from
a fit without their source; all variants of one source are left out together.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.faces.drawing import FURTHEST, measure_traits, prepare_face

Floats = NDArray[np.float64]
Face = tuple[str, dict[str, float]]

FOLDS = 5
# Of each kind: a photograph's weight against a drawing's 1; the penalty on the squared weights, halved.
KINDS = {"flat": (10.0, 3.3), "sketches": (10.0, 3.3)}
STEPS = 30  # of Newton's method, which converges within ten


def read_faces(folder: Path) -> Iterator[Face]:
    """Yield each face's source and traits."""
    for path in sorted(folder.iterdir()):
        face = cv2.imread(str(path))
        if face is not None:
            yield path.stem.partition("--")[0], measure_traits(*prepare_face(np.asarray(face, np.uint8)))


def fit_line(places: Floats, drawn: Floats, photograph: float, strength: float) -> tuple[Floats, float]:
    """Fit a logistic regression; return its weights and its bias. For the last two see KINDS."""
    with_one = np.hstack([places, np.ones((len(places), 1))])
    counts = np.where(drawn > 0, 1.0, photograph)
    penalty = np.diag([strength] * places.shape[1] + [1e-6])
    weights = np.zeros(with_one.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(with_one @ weights, -30, 30)))
        slope = with_one.T @ (counts * (chance - drawn)) + penalty @ weights
        bend = (with_one * (counts * chance * (1 - chance))[:, None]).T @ with_one + penalty
        weights -= np.linalg.solve(bend, slope)
    return weights[:-1], float(weights[-1])


def score_left_out(places: Floats, drawn: Floats, sources: list[str], photograph: float, strength: float) -> Floats:
    """Score each face by a regression that was fitted without its source."""
    folds = np.array([zlib.crc32(source.encode()) % FOLDS for source in sources])
    scores = np.zeros(len(places))
    for fold in range(FOLDS):
        weights, bias = fit_line(places[folds != fold], drawn[folds != fold], photograph, strength)
        scores[folds == fold] = places[folds == fold] @ weights + bias
    return scores


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_drawing", description=__doc__)
    for name in ("photographs", *KINDS):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DIR")
    return parser.parse_args()


def stack(faces: list[Face]) -> Floats:
    return np.array([list(traits.values()) for _, traits in faces])


def main() -> None:
    options = parse_arguments()
    photographs = list(read_faces(options.photographs))
    drawings = {kind: list(read_faces(getattr(options, kind))) for kind in KINDS}
    every = stack([*photographs, *chain.from_iterable(drawings.values())])
    mean, scale = every.mean(0), every.std(0) + 1e-6
    columns, biases = [mean, scale], []
    for kind, faces in drawings.items():
        both = [*photographs, *faces]
        places = np.clip((stack(both) - mean) / scale, -FURTHEST, FURTHEST)
        drawn = np.array([0.0] * len(photographs) + [1.0] * len(faces))
        scores = score_left_out(places, drawn, [source for source, _ in both], *KINDS[kind])
        highest = scores[drawn == 0].max()
        print(f"# {kind}: highest photograph {highest:.2f}; above it {(scores[drawn > 0] > highest).mean():.0%}")
        weights, bias = fit_line(places, drawn, *KINDS[kind])
        columns.append(weights)
        biases.append(bias)
    for name, *row in zip(photographs[0][1], *columns, strict=True):
        print(f'    "{name}": ({", ".join(f"{value:.4g}" for value in row)}),')
    print(f"BIASES = ({', '.join(f'{bias:.3f}' for bias in biases)})")


if __name__ == "__main__":
    main()
