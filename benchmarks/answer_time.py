"""Measure the time from the gallery to the answer for one face: exported files against the table's rows of JSON.

`python -m benchmarks.answer_time`: made-up vectors of 512 numbers. Each way starts with nothing but the path of its
file, or with the rows in memory as the database returned them, and ends with the nearest member and the distance. The
files are read by the functions that docs/reconocimiento.md shows, from the machine's file cache.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet
from threadpoolctl import threadpool_limits

from app.faces.deepface_api import modeling
from app.gallery.vector_writer import to_json
from app.recognition.export.contents import Contents
from app.recognition.export.formats import name_for_deepface
from benchmarks.machine import check_machine, say
from tests.support.exports import EVERYBODY, documented_readers, export, make_contents
from tests.support.models import prepare_home

DIMENSIONS = 512
LEAST_TIMES = 300  # issue 16: .npy against the loop over rows
MOST_FOR_DEEPFACE = 10_000  # it makes a Python float of every number: 16 kB a member
LEAST_S = 0.3  # that each way is asked for, so that its median says something: an answer takes 0.3 ms
SAME = 2e-6  # two ways may give distances that differ by this: float32 and float64
JSON_ROWS, NPY = "loop over JSON rows (today)", ".npy, mapped"
Vector = NDArray[np.float64]
Answer = tuple[str, float]


@dataclass(frozen=True, slots=True)
class Row:
    """The times of one way with so many members: medians, in milliseconds. `times`: how often the loop over the rows
    takes as long, on the clock and in processor time."""

    way: str
    members: int
    wall_ms: float
    cpu_ms: float
    times: float = 1.0
    cpu_times: float = 1.0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answer_time", description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[1_000, 10_000, 100_000], metavar="N")
    parser.add_argument(
        "--repeat", type=int, default=15, metavar="N", help="times that each file is asked at least; default: 15"
    )
    parser.add_argument(
        "--rows-seconds", type=float, default=30, metavar="S", help="for the loop over rows; default: 30"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def loop_over_rows(rows: Sequence[tuple[str, str]], probe: Vector) -> Answer:
    """Find the nearest member as the recognition service does today: each row's text is parsed for each face."""
    length, nearest = np.linalg.norm(probe), ("", EVERYBODY)
    for crew_id, text in rows:
        vector = np.array(json.loads(text), np.float32)
        distance = float(1 - np.dot(vector, probe) / (np.linalg.norm(vector) * length))
        if distance < nearest[1]:
            nearest = crew_id, distance
    return nearest


def read_parquet(path: Path, probe: Vector) -> Answer:
    table = parquet.read_table(path)
    vectors = table["embedding"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(probe)
    distances = 1 - vectors @ probe.astype(np.float32) / lengths
    row = int(distances.argmin())
    return table["crew_id"][row].as_py(), float(distances[row])


def ways(folder: Path, contents: Contents, probe: Vector) -> Iterator[tuple[str, Callable[[], Answer]]]:
    """Export the contents in each format, and yield how a service gets its answer from it."""
    readers = documented_readers()
    store = folder / name_for_deepface(contents.spec.model, "skip")
    paths = [folder / f"g{suffix}" for suffix in (".npy", ".faiss", ".parquet")]
    for path in (*paths, store):
        export(path, contents)
    npy, faiss_file, parquet_file = paths
    opened = readers.Galeria(npy)

    def ask_faiss() -> Answer:
        crew_id, _, distance = readers.con_faiss(*readers.abrir_faiss(faiss_file), probe, 1)[0]
        return crew_id, distance

    def ask_deepface() -> Answer:
        from deepface.modules import representation  # noqa: PLC0415  # after deepface_api has chosen the engine

        answer = {"embedding": list(probe)}
        with patch.object(representation, "represent", lambda **_: [answer]):  # without the network's own time
            found = readers.con_deepface(np.zeros((9, 9, 3), np.uint8), str(folder), EVERYBODY, "Facenet512", "skip")
        return found[0][0]

    texts = map(to_json, contents.templates.vectors)
    rows = list(zip(contents.templates.crew_ids, texts, strict=True))
    yield JSON_ROWS, lambda: loop_over_rows(rows, probe)
    yield NPY, lambda: readers.Galeria(npy).quien_es(probe, 1)[0][::2]
    yield ".npy, already open", lambda: opened.quien_es(probe, 1)[0][::2]
    yield ".faiss, read_index", ask_faiss
    yield ".parquet, read_table", lambda: read_parquet(parquet_file, probe)
    if contents.shape[0] <= MOST_FOR_DEEPFACE:
        yield ".npz, DeepFace.find without the network", ask_deepface


def measure(ask: Callable[[], Answer], repeat: int, patience_s: float) -> tuple[float, float, Answer]:
    """Ask once, then so often and for LEAST_S at least, or until patience ends; return the medians of wall and
    processor milliseconds without the first, and the answer."""
    answer = ask()  # imports what it needs
    began, wall, cpu = time.perf_counter(), [], []
    passed_s = 0.0
    while passed_s < (patience_s if len(wall) < repeat else LEAST_S):
        start, start_cpu = time.perf_counter(), time.process_time()
        ask()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
        passed_s = time.perf_counter() - began
    return statistics.median(wall) * 1000, statistics.median(cpu) * 1000, answer


def compare(members: int, options: argparse.Namespace) -> list[Row]:
    """Measure every way with so many members. Raises AssertionError when two give different answers."""
    contents = make_contents(members, DIMENSIONS)
    probe = np.random.default_rng(members).normal(0, 1, DIMENSIONS)
    rows: list[Row] = []
    truth: Answer | None = None
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        for way, ask in ways(Path(name), contents, probe):
            wall_ms, cpu_ms, answer = measure(ask, options.repeat, options.rows_seconds)
            first = rows[0] if rows else Row(way, members, wall_ms, cpu_ms)
            rows.append(Row(way, members, wall_ms, cpu_ms, first.wall_ms / wall_ms, first.cpu_ms / cpu_ms))
            truth = truth or answer
            assert answer[0] == truth[0] and abs(answer[1] - truth[1]) <= SAME, f"{way}: {answer}, {truth}"
            say(f"  {way}, {members} members: {wall_ms:.2f} ms")
    return rows


def print_result(rows: Sequence[Row]) -> None:
    print(f"\n{'':<42}{'members':>9}{'ms':>11}{'CPU ms':>11}{'times':>9}{'CPU times':>11}")
    for row in rows:
        cells = f"{row.wall_ms:>11.2f}{row.cpu_ms:>11.2f}{row.times:>9.0f}{row.cpu_times:>11.0f}"
        print(f"{row.way:<42}{row.members:>9}{cells}")
    print()
    for row in (row for row in rows if row.way == NPY):
        verdict = "reached" if row.times >= LEAST_TIMES else "NOT REACHED"
        print(f"{NPY}, {row.members} members: {row.times:.0f} times as fast, at least {LEAST_TIMES}: {verdict}")


def main() -> None:
    options, machine = parse_arguments(), check_machine()
    os.environ["DEEPFACE_HOME"] = str(prepare_home())  # DeepFace.find loads the network, although it is not asked
    modeling.build_model("facial_recognition", "Facenet512")
    with threadpool_limits(1, "blas"):  # like the loop over rows; on a shared machine threads wait for each other
        rows = [row for members in options.members for row in compare(members, options)]
    print_result(rows)
    if options.json:
        document = {"machine": machine, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
