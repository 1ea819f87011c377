"""Measure reading photos and finding their faces in a process of its own, on one thread or on several.

`python -m benchmarks.prepare_worker JOB RESULT`. A job has `home` (the folder with weights), `photos` (paths),
`threads` and `passes`. The result: how long a thread takes for a photo (`ms`), the best of the passes.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from benchmarks.stages import find_face, open_stages


def work(job: dict[str, Any]) -> dict[str, float]:
    stages, photos, threads = open_stages(Path(job["home"])), [Path(name) for name in job["photos"]], job["threads"]
    taken = []
    with ThreadPool(threads) as pool:
        pool.map(partial(find_face, stages), photos, chunksize=1)
        for _ in range(job["passes"]):
            started = time.perf_counter()
            pool.map(partial(find_face, stages), photos * threads, chunksize=1)
            taken.append((time.perf_counter() - started) * 1000 / len(photos))
    return {"ms": min(taken)}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(work(json.loads(Path(sys.argv[1]).read_text()))))
