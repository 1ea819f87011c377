"""The gallery with all that belongs to it: a database, a contract and a time come in, its parts go out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table, func, select

from app.core.database import Database
from app.gallery.crash_suspects import CrashSuspects
from app.gallery.embeddings_table import open_table
from app.gallery.enrolments import Enrolment, read_enrolments
from app.gallery.golden_vector import GoldenVector
from app.gallery.own_tables import VECTORS
from app.gallery.photo_records import PhotoRecords
from app.gallery.provenance import Provenance
from app.gallery.row_status import RowStatus
from app.gallery.run_history import RunHistory
from app.gallery.schema_migrations import open_own_tables
from app.gallery.vector_writer import OwnTables, VectorWriter
from app.records import EmbeddingSpec


@dataclass(frozen=True, slots=True)
class Gallery:
    """One run's way into the gallery. Its methods raise DatabaseUnavailable."""

    database: Database
    table: Table
    provenance: Provenance
    photo_records: PhotoRecords
    writer: VectorWriter
    row_status: RowStatus
    crash_suspects: CrashSuspects
    history: RunHistory
    golden_vector: GoldenVector

    def enrolments(self, crew_id: str | None = None) -> dict[str, Enrolment]:
        """What the gallery holds, by crew id: of all, or of one."""
        return read_enrolments(self.database, self.table, crew_id)

    def people(self) -> int:
        """How many have an active row."""
        columns = self.table.c
        query = select(func.count(func.distinct(columns.crew_id))).where(columns.active)
        return int(self.database.transaction(lambda connection: connection.execute(query).scalar()) or 0)

    def other_models_in_use(self, crew_id: str | None) -> set[str]:
        """The models of the active rows that this contract's vectors cannot be compared with, when they are the most.
        This member's own rows do not count."""
        ids = set(self.incomparable())
        columns = self.table.c
        query = select(columns.id, columns.crew_id, columns.modelo).where(columns.active)
        rows = self.database.transaction(lambda connection: connection.execute(query).all())
        others = [row for row in rows if str(row.crew_id) != crew_id]
        strange = [str(row.modelo or "") for row in others if int(row.id) in ids]
        return set(strange) if 2 * len(strange) > len(others) else set()

    def incomparable(self) -> list[int]:
        """The ids of the active rows that this contract's vectors cannot be compared with."""
        strangers = [
            digest
            for digest, meaning in self.provenance.meanings().items()
            if not self.provenance.contract.is_comparable(meaning)
        ]
        columns = self.table.c
        made_otherwise = select(VECTORS.c.embedding_id).where(VECTORS.c.contract.in_(strangers))
        other = func.coalesce(columns.modelo, "") != self.provenance.contract.model
        query = select(columns.id).where(columns.active, other | columns.id.in_(made_otherwise))
        rows = self.database.transaction(lambda connection: connection.execute(query).all())
        return [int(row.id) for row in rows]


def open_gallery(database: Database, contract: EmbeddingSpec, judged_by: str, now: datetime) -> Gallery:
    """The gallery as this run works with it; tables that are missing are made. Raises DatabaseUnavailable."""
    table = open_table(database)
    open_own_tables(database)
    vectors, photo_records = Provenance(database, contract), PhotoRecords(database, judged_by, now)
    return Gallery(
        database,
        table,
        vectors,
        photo_records,
        VectorWriter(database, table, OwnTables(vectors, photo_records)),
        RowStatus(database, table, vectors, photo_records),
        CrashSuspects(database),
        RunHistory(database),
        GoldenVector(database, contract),
    )
