"""Say where a photo's time goes from the file to the vector: reading, each step of finding the face, the network.

`python -m benchmarks.stages --photos DIR`: one thread, one process, the program's own stages without download and
database. Counts the thread's processor time, which other programs on the machine disturb little.
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from app.core.config import load_settings
from app.errors import ItemError
from app.faces import embedder, finder, mtcnn, orientation
from app.faces.detector import BoundedMtcnn
from app.faces.drawing import DrawingJudge
from app.faces.onnx_sessions import CPU_BATCH
from app.pipeline.face_extractor import FaceExtractor, open_face_extractor
from app.pipeline.stages import Stages
from app.records import CrewMember, Face, Photo
from benchmarks.machine import check_machine
from benchmarks.photos import enlarge, list_photos
from benchmarks.weights import facenet_home

NET = "Facenet512"
OTHER = "the rest of finding"
# Which functions are timed, and under which name. A function's own time leaves out those that it calls.
TIMED = (
    (FaceExtractor, "decode", "reading"),
    (FaceExtractor, "find", OTHER),
    (BoundedMtcnn, "detect_faces", "copy for MTCNN"),
    (mtcnn.Mtcnn, "detect", "copy for MTCNN"),
    (mtcnn.Mtcnn, "_propose", "P-Net"),
    (mtcnn.Mtcnn, "_refine", "R-Net"),
    (mtcnn.Mtcnn, "_describe", "O-Net"),
    (orientation.OrientationJudge, "is_plainly_upright", "orientation, glance"),
    (orientation.OrientationJudge, "judge", "orientation, closer"),
    (DrawingJudge, "is_drawing", "drawing"),
    (finder, "measure", "quality"),
    (finder, "note_quality", "quality"),
    (finder.FaceFinder, "_align", "alignment"),
    (finder, "letterbox", "alignment"),
    (Stages, "_described", "thumbnail, picture"),
    (embedder.Embedder, "embed", NET),
)
STEPS = tuple(dict.fromkeys(name for _, _, name in TIMED))


class Stopwatch:
    """Sums up by name each function's own milliseconds of this thread's processor time."""

    def __init__(self) -> None:
        self.taken_ms: dict[str, float] = defaultdict(float)
        self._inner_ms = [0.0]  # of each function under way, what those that it called took

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        self._inner_ms.append(0.0)
        started = time.thread_time()
        try:
            yield
        finally:
            whole_ms = (time.thread_time() - started) * 1000
            self.taken_ms[name] += whole_ms - self._inner_ms.pop()
            self._inner_ms[-1] += whole_ms

    def wrap(self, owner: Any, function: str, name: str) -> None:
        """Have every call of the owner's function timed."""
        called = getattr(owner, function)

        @functools.wraps(called)
        def timed(*values: Any, **named: Any) -> Any:
            with self.running(name):
                return called(*values, **named)

        setattr(owner, function, timed)

    def take(self) -> dict[str, float]:
        """Return the sums and begin anew."""
        taken, self.taken_ms = self.taken_ms, defaultdict(float)
        return taken


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--megapixels", type=float, metavar="N", help="enlarge or reduce all photos to this size first")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="passes; each figure is their median")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def open_stages(home: Path) -> Stages:
    """Load the nets. Nothing is fetched: the stages have no source, and no temporary folder."""
    settings = load_settings(
        None, DB_URL="sqlite://", IMAGE_BASE_URL="file:///", DEEPFACE_HOME=str(home), MULTIPLE_FACES="largest"
    )
    return Stages(None, open_face_extractor(settings), None, None)  # type: ignore[arg-type]


def find_face(stages: Stages, path: Path) -> Face | None:
    """Read a photo and find its face; None for a photo that is refused."""
    photo = Photo(CrewMember(path.stem, path.name), path.resolve().as_uri(), path, temporary=False)
    try:
        return stages.find(stages.decode(photo))
    except ItemError:
        return None


def measure_pass(stages: Stages, photos: Sequence[Path], watch: Stopwatch) -> dict[str, dict[str, float]]:
    """Take all photos through the stages once; return each photo's milliseconds by step."""
    taken: dict[str, dict[str, float]] = {}
    faces: list[Face] = []
    for photo in photos:
        face = find_face(stages, photo)
        taken[photo.name] = watch.take()
        faces += [face] if face else []
    for start in range(0, len(faces) - CPU_BATCH + 1, CPU_BATCH):  # full batches, as in a long run
        stages.faces.embedder.embed(faces[start : start + CPU_BATCH])
    embedded = len(faces) // CPU_BATCH * CPU_BATCH
    net_ms = watch.take()[NET] / max(1, embedded)
    return {name: {**steps, NET: net_ms} for name, steps in taken.items()}


def summarise(passes: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return each photo's median milliseconds by step over the passes."""
    return {name: {step: median(each[name].get(step, 0.0) for each in passes) for step in STEPS} for name in passes[0]}


def before_net(steps: dict[str, float]) -> float:
    return sum(taken for step, taken in steps.items() if step != NET)


def print_result(photos: dict[str, dict[str, float]]) -> float:
    """Print a line for each photo and each step; return the ratio of all steps before the network to the network."""
    for name, steps in photos.items():
        found = before_net(steps) - steps["reading"]
        print(f"{name:<28}reading {steps['reading']:6.1f}  finding {found:6.1f}  network {steps[NET]:6.1f} ms")
    print(f"\n{'ms a photo':<28}{'mean':>8}{'median':>8}")
    for step in STEPS:
        each = [steps[step] for steps in photos.values()]
        print(f"{step:<28}{sum(each) / len(each):8.2f}{median(each):8.2f}")
    before = [before_net(steps) for steps in photos.values()]
    net = [steps[NET] for steps in photos.values()]
    print(f"{'all before the network':<28}{sum(before) / len(before):8.2f}{median(before):8.2f}")
    ratio = sum(before) / sum(net)
    print(f"ratio to the network: {ratio:.2f} (median {median(before) / median(net):.2f})")
    return ratio


def main() -> None:
    options, machine = parse_arguments(), check_machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        photos = list_photos(options.photos)
        if options.megapixels:
            photos = [enlarge(photo, folder / "photos" / photo.name, options.megapixels) for photo in photos]
        stages = open_stages(facenet_home(folder).folder)
        watch = Stopwatch()
        for owner, function, step in TIMED:
            watch.wrap(owner, function, step)
        measure_pass(stages, photos[:CPU_BATCH], watch)
        passes = [measure_pass(stages, photos, watch) for _ in range(options.repeat)]
        stages.faces.close()
    summary = summarise(passes)
    ratio = print_result(summary)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "ratio": ratio, "photos": summary}, indent=2) + "\n")


if __name__ == "__main__":
    main()
