"""Measure DeepFace in a process of its own, as a JSON file asks; write times and vectors to another.

`python -m benchmarks.deepface_worker JOB RESULT`. A job has `model`, `warm_up` (a photo to load everything with),
`photos`, `passes`, `as_list` (all photos in one call), `keep_vectors`, and `progress` (a file to append lines to).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from deepface import DeepFace

Result = dict[str, Any]


def represent(photos: str | list[str], model: str) -> list[Any]:
    return DeepFace.represent(photos, model, detector_backend="mtcnn")


def largest_face(faces: list[Result]) -> Result:
    return max(faces, key=lambda face: face["facial_area"]["w"] * face["facial_area"]["h"])


def pass_one_by_one(job: Result, number: int) -> Result:
    """Compute each photo's vector in a call of its own; a photo without a face is left out."""
    vectors: Result = {}
    for index, photo in enumerate(job["photos"], start=1):
        started = time.perf_counter()
        try:
            vectors[photo] = largest_face(represent(photo, job["model"]))["embedding"]
        except ValueError as error:
            say(job, f"{Path(photo).name}: {str(error).splitlines()[0]}")
        seconds = time.perf_counter() - started
        say(job, f"pass {number}, {index} of {len(job['photos'])}: {Path(photo).name} {seconds:.2f} s")
    return vectors


def pass_as_list(job: Result, number: int) -> Result:
    """Compute the vectors of all photos in one call, DeepFace's batch. Raises ValueError for a photo without a face."""
    faces = represent(job["photos"], job["model"])
    faces = faces if len(job["photos"]) > 1 else [faces]  # a list of one comes back without the outer list
    say(job, f"pass {number}: {len(job['photos'])} photos in one call")
    return {photo: largest_face(found)["embedding"] for photo, found in zip(job["photos"], faces, strict=True)}


def say(job: Result, line: str) -> None:
    with open(job["progress"], "a") as file:
        print(f"  {line}", file=file)


def work(job: Result) -> Result:
    """Do the job; return the time of the first vector, the seconds of each pass, and the last pass's vectors."""
    represent(job["warm_up"], job["model"])
    result: Result = {"first_vector_at": time.time(), "passes_s": [], "vectors": {}}
    run_pass = pass_as_list if job["as_list"] else pass_one_by_one
    for number in range(1, job["passes"] + 1):
        started = time.perf_counter()
        vectors = run_pass(job, number)
        result["passes_s"].append(time.perf_counter() - started)
        result["stored"] = len(vectors)
        if job["keep_vectors"]:
            result["vectors"] = vectors
    return result


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(work(json.loads(Path(sys.argv[1]).read_text()))))
