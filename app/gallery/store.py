"""The gallery: embeddings come in, rows go into `face_embeddings`, one active row for each member."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from app.core.database import Database
from app.errors import RowRefused
from app.gallery.ledger import Ledger
from app.gallery.schema import open_table
from app.records import Embedding

CONFIDENCE_DECIMALS = 2  # the column is DECIMAL(3,2)
UPDATED_COLUMNS = ("embedding", "modelo", "confidence", "imagen_path")


def to_json(vector: NDArray[np.float32]) -> str:
    """A JSON array whose numbers are the shortest text that reads back to the same float32."""
    return orjson.dumps(np.ascontiguousarray(vector), option=orjson.OPT_SERIALIZE_NUMPY).decode()


class GalleryStore:
    """Reads and writes the gallery. Raises DatabaseUnavailable when the database is not there, or not any more."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger
        self._table = open_table(database)

    def current(self, model: str, crew_id: str | None = None) -> dict[str, str]:
        """crew_id -> photo URL of the members (or of this one) whose one active row is of that model.

        A member with several active rows is not among them: writing the member anew leaves one.
        """
        columns = self._table.c
        query = select(columns.crew_id, columns.modelo, columns.imagen_path).where(columns.active)
        if crew_id is not None:
            query = query.where(columns.crew_id == crew_id)
        rows = self._database.transaction(lambda connection: connection.execute(query).all())
        counts = Counter(str(row.crew_id) for row in rows)
        mine = (row for row in rows if row.modelo == model and counts[str(row.crew_id)] == 1)
        return {str(row.crew_id): str(row.imagen_path) for row in mine}

    def save(self, embeddings: Sequence[Embedding]) -> list[int]:
        """Write a batch, and what the ledger says of it, in one transaction; the rows' ids in the same order.

        Raises RowRefused.
        """
        rows = [self._row(embedding) for embedding in embeddings]

        def write(connection: Connection) -> list[int]:
            ids = self._upsert(connection, rows)
            self._ledger.record_stored(connection, list(zip(embeddings, ids, strict=True)))
            return ids

        try:
            return self._database.transaction(write)
        except DBAPIError as error:
            raise RowRefused(str(error.orig)) from error

    def withdraw(self, crew_id: str, row_id: int) -> None:
        """Deactivate a row: its photo turned out to be somebody else's, too. The ledger no longer says it is stored."""
        statement = update(self._table).where(self._table.c.id == row_id).values(active=False)

        def write(connection: Connection) -> None:
            connection.execute(statement)
            self._ledger.forget(connection, crew_id)

        self._database.transaction(write)

    def _row(self, embedding: Embedding) -> dict[str, Any]:
        row = {
            "crew_id": embedding.member.crew_id,
            "embedding": to_json(embedding.vector),
            "modelo": embedding.model,
            "confidence": round(embedding.sighting.confidence, CONFIDENCE_DECIMALS),
            "imagen_path": embedding.photo.url,
        }
        for name, value in row.items():
            self._check_length(name, value)
        return row

    def _check_length(self, name: str, value: object) -> None:
        """SQLite keeps what does not fit; the service that reads the table may not."""
        length = getattr(self._table.c[name].type, "length", None)
        if isinstance(value, str) and length is not None and len(value) > length:
            raise RowRefused(f"{name} tiene {len(value)} caracteres y caben {length}")

    def _upsert(self, connection: Connection, rows: list[dict[str, Any]]) -> list[int]:
        newest, further = self._lock(connection, [row["crew_id"] for row in rows])
        columns = self._table.c
        if further:
            connection.execute(update(self._table).where(columns.id.in_(further)).values(active=False))
        known = [_as_update(row, newest[row["crew_id"]]) for row in rows if row["crew_id"] in newest]
        if known:
            connection.execute(self._update_statement(), known)
        for row in rows:
            if row["crew_id"] not in newest:
                result = connection.execute(insert(self._table).values(**row, active=True))
                newest[row["crew_id"]] = int(result.lastrowid)
        return [newest[row["crew_id"]] for row in rows]

    def _lock(self, connection: Connection, crew_ids: list[str]) -> tuple[dict[str, int], list[int]]:
        """Lock the members' active rows: the newest of each, which is kept, and the ids of all further ones."""
        columns = self._table.c
        query = (
            select(columns.id, columns.crew_id)
            .where(columns.crew_id.in_(crew_ids), columns.active)
            .order_by(columns.id)
            .with_for_update()
        )
        newest: dict[str, int] = {}
        further: list[int] = []
        for row_id, crew_id in connection.execute(query):
            if str(crew_id) not in crew_ids:
                # Without regard to case, or as a number: a row beside it would be the member's second active one.
                raise RowRefused(f"para la base es igual que «{crew_id}», que ya tiene la fila {row_id}")
            if str(crew_id) in newest:
                further.append(newest[str(crew_id)])
            newest[str(crew_id)] = int(row_id)
        return newest, further

    def _update_statement(self) -> Any:
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in UPDATED_COLUMNS}
        if "updated_at" in self._table.c:
            values["updated_at"] = func.current_timestamp()
        return update(self._table).where(self._table.c.id == bindparam("row_id")).values(values)


def _as_update(row: dict[str, Any], row_id: int) -> dict[str, Any]:
    return {"row_id": row_id} | {f"new_{name}": row[name] for name in UPDATED_COLUMNS}
