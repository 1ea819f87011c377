"""Measure the `face_recognition` package's loop in a process of its own, as its README writes it.

`python -m benchmarks.face_recognition_worker JOB RESULT`. A job has `warm_up`, `photos` and `passes`, as that of
`deepface_worker`. The package would have `dlib` compiled: `pip install --no-deps face_recognition` takes `dlib-bin`'s.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import face_recognition


def embed(photo: str) -> int:
    """Compute the vectors of all faces in a photo; return how many there are."""
    return len(face_recognition.face_encodings(face_recognition.load_image_file(photo)))


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do the job; return the seconds of each pass, and how many photos of the last one had a face."""
    embed(job["warm_up"])
    passes_s, stored = [], 0
    for _ in range(job["passes"]):
        started = time.perf_counter()
        stored = sum(embed(photo) > 0 for photo in job["photos"])
        passes_s.append(time.perf_counter() - started)
    return {"passes_s": passes_s, "stored": stored}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(work(json.loads(Path(sys.argv[1]).read_text()))))
