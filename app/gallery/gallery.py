"""The gallery with all that belongs to it: a database, a contract and a time come in, its parts go out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table, func, select

from app.core.database import Database
from app.gallery.crash_suspects import Attempts
from app.gallery.embeddings_table import open_table
from app.gallery.enrolments import Holding, read_holdings
from app.gallery.golden_vector import Golden
from app.gallery.own_tables import VECTORS
from app.gallery.photo_records import Ledger, QualityNote
from app.gallery.provenance import Vectors
from app.gallery.row_status import Upkeep
from app.gallery.run_history import Runs
from app.gallery.schema_migrations import open_companions
from app.gallery.vector_writer import Companions, GalleryStore
from app.records import Contract, Sighting

Judge = Callable[[Sighting], QualityNote | None]


@dataclass(frozen=True, slots=True)
class Gallery:
    """One run's way into the gallery. Its methods raise DatabaseUnavailable."""

    database: Database
    table: Table
    vectors: Vectors
    ledger: Ledger
    store: GalleryStore
    upkeep: Upkeep
    attempts: Attempts
    runs: Runs
    golden: Golden

    def holdings(self, crew_id: str | None = None) -> dict[str, Holding]:
        """What the gallery holds, by crew id: of all, or of one."""
        return read_holdings(self.database, self.table, crew_id)

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
            for digest, meaning in self.vectors.meanings().items()
            if not self.vectors.contract.is_comparable(meaning)
        ]
        columns = self.table.c
        made_otherwise = select(VECTORS.c.embedding_id).where(VECTORS.c.contract.in_(strangers))
        other = func.coalesce(columns.modelo, "") != self.vectors.contract.model
        query = select(columns.id).where(columns.active, other | columns.id.in_(made_otherwise))
        rows = self.database.transaction(lambda connection: connection.execute(query).all())
        return [int(row.id) for row in rows]


def open_gallery(database: Database, contract: Contract, judge: Judge, judged_by: str, now: datetime) -> Gallery:
    """The gallery as this run works with it; tables that are missing are made. Raises DatabaseUnavailable."""
    table = open_table(database)
    open_companions(database)
    vectors, ledger = Vectors(database, contract), Ledger(database, judge, judged_by, now)
    return Gallery(
        database,
        table,
        vectors,
        ledger,
        GalleryStore(database, table, Companions(vectors, ledger)),
        Upkeep(database, table, vectors, ledger),
        Attempts(database),
        Runs(database),
        Golden(database, contract),
    )
