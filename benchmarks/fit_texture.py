"""Fit `app/faces/texture.csv`, the weights of drawing.py's scores for pencil strokes and for painted patches.

`python -m benchmarks.fit_texture --photographs DIR --strokes DIR --painted DIR`: files as for `fit_drawing`. Prints the
highest scores that photographs get from a fit without their source (the file's name up to the first `_` or `--`: a
person), and what part of each filter's drawings exceeds the limits.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from app.faces.drawing import FULL_FACE_PX, FURTHEST, LINES, NUMBERS, TEXTURE_TABLE, measure_all, prepare_face
from app.faces.mtcnn import Mtcnn
from app.faces.texture import Texture
from benchmarks.fit_drawing import Floats, fit_line, score_left_out

KINDS = {"strokes": (5.0, 50.0), "painted": (10.0, 333.0)}  # as in fit_drawing
SHOWN = 8  # photographs


def read_faces(folder: Path, texture: Texture) -> tuple[list[Path], Floats]:
    """Measure the faces that are wide enough for these scores; return their files and `measure_all`'s numbers but the
    bias."""
    files, rows = [], []
    for path in sorted(folder.iterdir()):
        face = cv2.imread(str(path))
        if face is not None and face.shape[1] >= FULL_FACE_PX:
            files.append(path)
            rows.append(measure_all(*prepare_face(np.asarray(face, np.uint8)), texture)[:-1])
    return files, np.array(rows)


def report(kind: str, files: list[Path], drawn: Floats, scores: Floats) -> None:
    photographs = np.where(drawn > 0, -np.inf, scores)
    highest = np.argsort(-photographs)[:SHOWN]
    print(f"{kind}: highest photographs {', '.join(f'{files[at].stem} {scores[at]:.2f}' for at in highest)}")
    line = getattr(LINES, kind)
    print(f"{kind}: above {line}: {(photographs > line).sum()} of {(drawn == 0).sum()} photographs; of drawings:")
    filters: dict[str, list[bool]] = defaultdict(list)
    for path, score, is_drawn in zip(files, scores, drawn, strict=True):
        if is_drawn:
            filters[path.stem.partition("--")[2]].append(bool(score > line))
    print(", ".join(f"{name} {np.mean(above):.0%} of {len(above)}" for name, above in sorted(filters.items())))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_texture", description=__doc__)
    for name in ("photographs", *KINDS):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DIR")
    options, texture = parser.parse_args(), Texture(Mtcnn())
    photographs = read_faces(options.photographs, texture)
    drawings = {kind: read_faces(getattr(options, kind), texture) for kind in KINDS}
    every = np.vstack([photographs[1], *(numbers for _, numbers in drawings.values())])
    mean, scale = every.mean(0), every.std(0) + 1e-6
    columns = [np.append(mean, 0.0), np.append(scale, 1.0)]
    for kind, (files, numbers) in drawings.items():
        both = [*photographs[0], *files]
        places = np.clip((np.vstack([photographs[1], numbers]) - mean) / scale, -FURTHEST, FURTHEST)
        drawn = np.repeat([0.0, 1.0], [len(photographs[0]), len(files)])
        people = [path.stem.partition("--")[0].partition("_")[0] for path in both]
        report(kind, both, drawn, score_left_out(places, drawn, people, *KINDS[kind]))
        columns.append(np.append(*fit_line(places, drawn, *KINDS[kind])))
    rows = (
        f"{name},{','.join(f'{value:.5g}' for value in row)}\n" for name, *row in zip(NUMBERS, *columns, strict=True)
    )
    TEXTURE_TABLE.write_text("number,mean,deviation,strokes,painted\n" + "".join(rows))


if __name__ == "__main__":
    main()
