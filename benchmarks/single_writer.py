"""Measure how many members a second the run's one writer stores: vector, provenance and photo record of each.

`python -m benchmarks.single_writer`: real MariaDB, which flushes every commit to the disk, vectors of 512 numbers, one
thread. Each size of batch has members of its own: first they are new, then their vectors are made anew.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np

from app.core.config import DatabaseSettings
from app.core.database import Database
from app.gallery.embeddings_table import open_table
from app.gallery.photo_records import PhotoRecords
from app.gallery.provenance import Provenance
from app.gallery.tables import open_own_tables
from app.gallery.vector_writer import VectorWriter
from app.photos.shared_pictures import GREY_SIDE
from app.records import CrewMember, Embedding, EmbeddingSpec, Photo, PhotoAnalysis, Picture
from benchmarks.machine import check_machine, say
from tests.support.mariadb import running_mariadb

SPEC = EmbeddingSpec("Facenet512", "00", "mtcnn", "aligned", "base", "bgr", 1)
DATABASE, SIZE = "medida", 512
LIKE_SERVERS = ("--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=256M")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.single_writer", description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128, 512], metavar="N")
    parser.add_argument("--members", type=int, default=2_048, metavar="N", help="of each size; default: 2048")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="default: 3")
    return parser.parse_args()


def open_writer(url: str) -> VectorWriter:
    database = Database(DatabaseSettings(DB_URL=url))
    table = open_table(database)
    open_own_tables(database)
    return VectorWriter(database, table, Provenance(database, SPEC), PhotoRecords(database, "reglas", datetime.now()))


def embeddings(crew_ids: Sequence[str], seed: int) -> Iterator[Embedding]:
    """Yield a vector for each member, of a photo that no other has."""
    generator = np.random.default_rng(seed)
    for crew_id in crew_ids:
        photo = Photo(CrewMember(crew_id, "a.jpg"), f"http://fotos/{crew_id}/a.jpg", Path("a.jpg"), sha256="ab" * 32)
        picture = Picture(int(generator.integers(2**63)), generator.bytes(GREY_SIDE**2))
        analysis = PhotoAnalysis((640, 480), picture, 1, (200, 100, 180, 220), confidence=0.99)
        yield Embedding(photo, generator.normal(size=SIZE).astype(np.float32), SPEC.model, analysis)


def store(writer: VectorWriter, found: Sequence[Embedding], batch: int) -> float:
    """Store them all in batches of this size; return the members a second."""
    started = time.perf_counter()
    for start in range(0, len(found), batch):
        writer.save(found[start : start + batch])
    return len(found) / (time.perf_counter() - started)


def measure(writer: VectorWriter, batch: int, members: int, repeat: int) -> tuple[float, float]:
    """Return the members a second, new ones and those whose vectors are made anew: the middle of `repeat` turns."""
    new, again = [], []
    for turn in range(repeat):
        crew_ids = [f"{batch}-{turn}-{number:x}" for number in range(members)]
        new.append(store(writer, list(embeddings(crew_ids, seed=1)), batch))
        again.append(store(writer, list(embeddings(crew_ids, seed=2)), batch))
    return median(new), median(again)


def main() -> None:
    options = parse_arguments()
    check_machine()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        running_mariadb(Path(name), *LIKE_SERVERS) as server,
    ):
        server.execute(f"CREATE DATABASE {DATABASE}")
        writer = open_writer(server.url(DATABASE).render_as_string(hide_password=False))
        for batch in options.batches:
            new, again = measure(writer, batch, options.members, options.repeat)
            say(f"batches of {batch:>3}: {new:>6.0f} new members a second, {again:>6.0f} made anew")


if __name__ == "__main__":
    main()
