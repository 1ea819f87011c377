"""Measure the lower bound in a process of its own: nothing but Facenet512 on ONNX Runtime, on prepared batches.

`python -m benchmarks.floor_worker JOB RESULT`. A job has `weights` (the .onnx), `threads`, `batch`, `batches` and
`passes`. Each way of using the cores is measured; the caller takes the fastest. `cpu_ms`: of a core, for a face.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

INPUT = (160, 160, 3)
Batches = list[NDArray[np.float32]]


def open_session(weights: str, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


def all_cores_on_each_batch(job: dict[str, Any]) -> Callable[[Batches], object]:
    session = open_session(job["weights"], job["threads"])
    return lambda batches: [forward(session, batch) for batch in batches]


def one_core_for_each_batch(job: dict[str, Any]) -> Callable[[Batches], object]:
    session, pool = open_session(job["weights"], 1), ThreadPool(job["threads"])
    return lambda batches: pool.map(lambda batch: forward(session, batch), batches, chunksize=1)


WAYS = {"all cores on each batch": all_cores_on_each_batch, "one core for each batch": one_core_for_each_batch}


def forward(session: ort.InferenceSession, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(session.run(None, {session.get_inputs()[0].name: batch})[0])


def measure(run: Callable[[Batches], object], job: dict[str, Any], batches: Batches) -> tuple[list[float], float]:
    """Measure the milliseconds per face of each pass, and the processor's milliseconds of all passes."""
    run(batches[: job["threads"]])
    faces = len(batches) * job["batch"]
    taken, cpu_before = [], time.process_time()
    for _ in range(job["passes"]):
        started = time.perf_counter()
        run(batches)
        taken.append((time.perf_counter() - started) * 1000 / faces)
    return taken, (time.process_time() - cpu_before) * 1000 / faces / job["passes"]


def work(job: dict[str, Any]) -> dict[str, Any]:
    random = np.random.default_rng(0)
    batches = [random.random((job["batch"], *INPUT), dtype=np.float32) for _ in range(job["batches"])]
    found = {name: measure(prepare(job), job, batches) for name, prepare in WAYS.items()}
    return {
        "ways_ms": {name: taken for name, (taken, _) in found.items()},
        "cpu_ms": {name: cpu for name, (_, cpu) in found.items()},
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(work(json.loads(Path(sys.argv[1]).read_text()))))
