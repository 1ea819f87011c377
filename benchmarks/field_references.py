"""Compute DeepFace's own vector and face of each photo in a process of its own, as a JSON file asks.

`python -m benchmarks.field_references JOB RESULT`. A job has `model`, `photos` and `progress` (a file to append to).
The result holds the largest face of each photo: its vector, its box (x, y, width, height in pixels of the upright
photo) and its eyes, left to right as they are seen.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.deepface_worker import largest_face, represent, say

Result = dict[str, Any]


def reference(photo: str, model: str) -> Result:
    face = largest_face(represent(photo, model))
    area = face["facial_area"]
    return {
        "vector": face["embedding"],
        "box": [area[side] for side in ("x", "y", "w", "h")],
        "eyes": sorted([area["left_eye"], area["right_eye"]]),
    }


def work(job: Result) -> Result:
    found = {}
    for number, photo in enumerate(job["photos"], start=1):
        found[Path(photo).name] = reference(photo, job["model"])
        say(job, f"DeepFace, {number} of {len(job['photos'])}: {Path(photo).name}")
    return {"references": found}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(work(json.loads(Path(sys.argv[1]).read_text()))))
