"""Staged vectors: inactive rows that `--migrate` made of another model, and the switch to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, select, update

from app.core.database import ITEMS_AT_ONCE, Database
from app.gallery.own_tables import VECTORS
from app.gallery.reading import read_rows


@dataclass(frozen=True, slots=True)
class StagedVector:
    """A vector that waits for the switch: its row, and the URL and SHA-256 of its photo."""

    row_id: int
    url: str
    sha256: str


class StagedVectors:
    """Reads and activates the vectors staged under one spec (its digest). All methods raise DatabaseUnavailable."""

    def __init__(self, database: Database, table: Table, spec_digest: str) -> None:
        self._database = database
        self._table = table
        self._spec_digest = spec_digest

    def waiting(self) -> dict[str, StagedVector]:
        """Return the newest staged vector of each member by crew id."""
        rows = read_rows(self._database, self._query())
        return {str(row.crew_id): StagedVector(int(row.id), str(row.imagen_path), row.sha256 or "") for row in rows}

    def vectors(self, row_ids: Sequence[int]) -> NDArray[np.float32]:
        """Return the vectors as (rows, dimensions), in the order of the ids."""
        columns = self._table.c
        found: dict[int, NDArray[np.float32]] = {}

        def read(connection: Connection, ids: Sequence[int]) -> None:
            query = select(columns.id, columns.embedding).where(columns.id.in_(ids))
            rows = connection.execute(query)
            found.update((int(row.id), np.array(orjson.loads(row.embedding), np.float32)) for row in rows)

        self._database.in_chunks(row_ids, read)
        return np.stack([found[row_id] for row_id in row_ids])

    def switch(self, row_ids: Sequence[int], retired: Sequence[int]) -> None:
        """Activate these rows and deactivate the `retired` ones, in one transaction: no reader sees a mixture."""

        def work(connection: Connection) -> None:
            for ids, active in ((retired, False), (row_ids, True)):
                for start in range(0, len(ids), ITEMS_AT_ONCE):
                    chunk = ids[start : start + ITEMS_AT_ONCE]
                    connection.execute(update(self._table).where(self._table.c.id.in_(chunk)).values(active=active))
            connection.execute(update(VECTORS).where(VECTORS.c.contract == self._spec_digest).values(staged=False))

        self._database.transaction(work)

    def _query(self) -> Any:
        columns = self._table.c
        return (
            select(columns.id, columns.crew_id, columns.imagen_path, VECTORS.c.sha256)
            .join_from(self._table, VECTORS, VECTORS.c.embedding_id == columns.id)
            .where(VECTORS.c.staged, VECTORS.c.contract == self._spec_digest)
            .order_by(columns.id)
        )
