"""What made each vector: the rows of `face_vectors` and the embedding specs of `face_contracts`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Table, delete, insert, select, update

from app.core.database import Database
from app.gallery.photo_records import has_room, picture_columns, read_picture, read_pictures, storable
from app.gallery.reading import read_folded, read_rows, read_rows_of
from app.gallery.tables import CONTRACTS, VECTORS
from app.records import Embedding, EmbeddingSpec, Photo, Picture


class Provenance:
    """Reads and writes the provenance of vectors that one spec makes. All methods raise DatabaseUnavailable."""

    def __init__(self, database: Database, spec: EmbeddingSpec) -> None:
        self._database = database
        self.spec = spec

    def declare(self, now: datetime) -> None:
        """Record what the spec's digest stands for, once."""
        meaning = orjson.dumps(dataclasses.asdict(self.spec)).decode()
        row = {"digest": self.spec.digest, "meaning": meaning, "first_used_at": now}

        def write(connection: Connection) -> None:
            known = select(CONTRACTS.c.digest).where(CONTRACTS.c.digest == self.spec.digest)
            if connection.execute(known.with_for_update()).first() is None:
                connection.execute(insert(CONTRACTS), row)

        self._database.transaction(write)

    def meanings(self) -> dict[str, Mapping[str, Any]]:
        """Return the parts of every recorded spec by digest."""
        return {str(row.digest): orjson.loads(row.meaning) for row in read_rows(self._database, select(CONTRACTS))}

    def record(self, connection: Connection, made: Sequence[tuple[Embedding, int]], *, staged: bool = False) -> None:
        """Record what made these rows (embedding, row id), in the transaction that writes them."""
        self.replace(connection, [self._row(embedding, row_id) | {"staged": staged} for embedding, row_id in made])

    def adopt(self, rows: Mapping[int, str]) -> None:
        """Record rows (id -> crew id) that another program made, without a spec."""
        unknown = dict.fromkeys(column.name for column in VECTORS.columns) | {"staged": False}
        adopted = [unknown | {"embedding_id": row_id, "crew_id": _owner(crew)} for row_id, crew in rows.items()]
        self._database.in_chunks(adopted, self.replace)

    def replace(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write whole rows over those of the same embeddings."""
        if rows:
            self.delete(connection, [row["embedding_id"] for row in rows])
            connection.execute(insert(VECTORS), rows)

    def update_file(self, connection: Connection, row_id: int, photo: Photo) -> None:
        """Record that the row's picture is in another file now."""
        mine = update(VECTORS).where(VECTORS.c.embedding_id == row_id)
        connection.execute(mine.values(sha256=photo.sha256))

    def unstage(self, connection: Connection) -> None:
        """Let no later switch use the vectors that are staged under this spec: newer ones are in use."""
        staged = update(VECTORS).where(VECTORS.c.staged, VECTORS.c.contract == self.spec.digest)
        connection.execute(staged.values(staged=False))

    def delete(self, connection: Connection, row_ids: Sequence[int]) -> None:
        """Delete the provenance of these rows."""
        connection.execute(delete(VECTORS).where(VECTORS.c.embedding_id.in_(row_ids)))

    def pictures(self, row_ids: Sequence[int]) -> dict[int, Picture]:
        """Return the recorded pictures of these rows by row id."""
        columns = VECTORS.c
        query = select(columns.embedding_id, columns.perceptual_hash, columns.grey).where(columns.grey.is_not(None))
        rows = read_rows_of(self._database, query, columns.embedding_id, row_ids)
        return {int(row.embedding_id): read_picture(row.perceptual_hash, row.grey) for row in rows}

    def active_pictures(self, table: Table) -> dict[str, Picture]:
        """Return the recorded pictures of the active rows by crew id."""
        columns, rows = VECTORS.c, table.c
        query = (
            select(rows.crew_id, columns.perceptual_hash, columns.grey)
            .join_from(table, VECTORS, columns.embedding_id == rows.id)
            .where(rows.active, columns.grey.is_not(None))
        )
        return read_folded(self._database, query, read_pictures)

    def _row(self, embedding: Embedding, row_id: int) -> dict[str, Any]:
        return {
            "embedding_id": row_id,
            "crew_id": _owner(embedding.member.crew_id),
            "contract": self.spec.digest,
            "sha256": embedding.photo.sha256,
        } | picture_columns(embedding.analysis.picture)


def _owner(crew_id: str) -> str:
    """Return the id as the column holds it: empty when it is too long, so that the row's number alone identifies it."""
    return storable(crew_id) if has_room(crew_id) else ""


def known_spec(database: Database, spec: EmbeddingSpec) -> EmbeddingSpec:
    """Complete a spec whose weights are not downloaded yet: return the latest recorded one that is otherwise the same.
    Return the given spec where it is complete already, or where none is recorded.

    Raises DatabaseUnavailable.
    """
    if spec.weights_sha256:
        return spec
    for row in read_rows(database, select(CONTRACTS).order_by(CONTRACTS.c.first_used_at.desc())):
        recorded = EmbeddingSpec(**orjson.loads(row.meaning))
        if dataclasses.replace(recorded, weights_sha256="") == spec:
            return recorded
    return spec
