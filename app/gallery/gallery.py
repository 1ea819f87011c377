"""Opens the gallery: `face_embeddings` and the program's own tables, for reading or for writing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Table, func, select

from app.core.database import Database
from app.gallery.crash_suspects import CrashSuspects
from app.gallery.embeddings_table import define_table
from app.gallery.enrolments import EnrolmentRow, Rows, enrolments_of, fold_rows, read_enrolments
from app.gallery.golden_vector import GoldenVector
from app.gallery.photo_records import PhotoRecords
from app.gallery.provenance import Provenance
from app.gallery.reading import read_rows, read_rows_of
from app.gallery.run_history import RunHistory
from app.gallery.tables import VECTORS, check_version, open_own_tables
from app.gallery.vector_writer import VectorWriter
from app.records import EmbeddingSpec, Enrolment


class Gallery:
    """The gallery's parts, as one run uses them. All methods raise DatabaseUnavailable."""

    def __init__(
        self, database: Database, table: Table, spec: EmbeddingSpec, now: datetime, rules_digest: str = ""
    ) -> None:
        self.database = database
        self.table = table
        self.spec = spec
        self.provenance = Provenance(database, spec)
        self.photo_records = PhotoRecords(database, rules_digest, now)
        self.writer = VectorWriter(database, table, self.provenance, self.photo_records)
        self.crash_suspects = CrashSuspects(database)
        self.history = RunHistory(database)
        self.golden_vector = GoldenVector(database, spec)

    def enrolments(self, crew_id: str | None = None) -> dict[str, Enrolment]:
        """Return the enrolments of all members, or of one, by crew id."""
        return read_enrolments(self.database, self.table, crew_id)

    def fold_rows(self, fold: Callable[[Iterator[EnrolmentRow]], Rows], crew_id: str | None = None) -> Rows:
        """Return what `fold` makes of the rows of all members, or of one, for `enrolments_of`."""
        return fold_rows(self.database, self.table, fold, crew_id)

    def enrolments_of(self, rows: Iterable[EnrolmentRow]) -> dict[str, Enrolment]:
        """Return the enrolments that the rows make, by crew id."""
        return enrolments_of(self.database, self.table, rows)

    def staged(self) -> dict[str, Enrolment]:
        """Return the newest row of each member that waits for the switch to this spec, by crew id: its id, model, URL
        and SHA-256 of the photo."""
        columns = self.table.c
        query = (
            select(columns.id, columns.crew_id, columns.imagen_path, VECTORS.c.sha256)
            .join_from(self.table, VECTORS, VECTORS.c.embedding_id == columns.id)
            .where(VECTORS.c.staged, VECTORS.c.contract == self.spec.digest)
            .order_by(columns.id)
        )
        return {
            row.crew_id: Enrolment(int(row.id), self.spec.model, row.imagen_path or "", sha256=row.sha256 or "")
            for row in read_rows(self.database, query)
        }

    def vectors(self, row_ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors as (rows, dimensions), in the order of the ids."""
        columns = self.table.c
        rows = read_rows_of(self.database, select(columns.id, columns.embedding), columns.id, row_ids)
        found = {int(row.id): np.array(orjson.loads(row.embedding), np.float32) for row in rows}
        return np.stack([found[row_id] for row_id in row_ids])

    def people(self) -> int:
        """Count the members with an active row."""
        columns = self.table.c
        query = select(func.count(func.distinct(columns.crew_id))).where(columns.active)
        return sum(row[0] for row in read_rows(self.database, query))

    def majority_incompatible_models(self, crew_id: str | None) -> set[str]:
        """Return the models of incompatible active rows if they are more than half of all others, otherwise an empty
        set. The rows of `crew_id` do not count."""
        incompatible = set(self.incompatible_rows())
        columns = self.table.c
        query = select(columns.id, columns.crew_id, columns.modelo).where(columns.active)
        others = [row for row in read_rows(self.database, query) if row.crew_id != crew_id]
        models = [row.modelo or "" for row in others if int(row.id) in incompatible]
        return set(models) if 2 * len(models) > len(others) else set()

    def incompatible_rows(self) -> list[int]:
        """Return the ids of the active rows whose vectors cannot be compared with those of this spec."""
        specs = self.provenance.meanings().items()
        incompatible = [digest for digest, meaning in specs if not self.spec.is_comparable(meaning)]
        columns = self.table.c
        made_otherwise = select(VECTORS.c.embedding_id).where(VECTORS.c.contract.in_(incompatible))
        other_model = func.coalesce(columns.modelo, "") != self.spec.model
        query = select(columns.id).where(columns.active, other_model | columns.id.in_(made_otherwise))
        return [int(row.id) for row in read_rows(self.database, query)]


def open_for_reading(database: Database, table: Table | None, spec: EmbeddingSpec, now: datetime) -> Gallery:
    """Open the gallery for a plan or a check: creates nothing, and a missing table (`find_table`) counts as empty.

    Raises DatabaseUnavailable, also for the tables of a newer program.
    """
    check_version(database)
    return Gallery(database, define_table(mysql=database.is_mysql) if table is None else table, spec, now)


def open_for_writing(
    database: Database, table: Table, spec: EmbeddingSpec, rules_digest: str, now: datetime
) -> Gallery:
    """Open the gallery for a run on the table that `open_table` has found or made; own tables that are missing are
    created. `rules_digest` stands for the rules that this run rejects photos by.

    Raises DatabaseUnavailable.
    """
    open_own_tables(database)
    return Gallery(database, table, spec, now, rules_digest)
