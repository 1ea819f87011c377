"""What made each vector: embeddings and the contract come in, rows of `face_vectors` and `face_contracts` go out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Table, delete, insert, inspect, select, update

from app.core.database import Database
from app.gallery.own_tables import CONTRACTS, VECTORS
from app.gallery.photo_records import has_room, picture_columns, storable
from app.gallery.remembered import read_picture
from app.records import Embedding, EmbeddingSpec, Photo, Picture


class Provenance:
    """The provenance of the gallery's rows, under the contract of this run. Raises DatabaseUnavailable."""

    def __init__(self, database: Database, contract: EmbeddingSpec) -> None:
        self._database = database
        self.contract = contract

    def declare(self, now: datetime) -> None:
        """What the contract's digest stands for, once."""
        meaning = orjson.dumps(dataclasses.asdict(self.contract)).decode()
        row = {"digest": self.contract.digest, "meaning": meaning, "first_used_at": now}

        def write(connection: Connection) -> None:
            known = select(CONTRACTS.c.digest).where(CONTRACTS.c.digest == self.contract.digest)
            if connection.execute(known.with_for_update()).first() is None:
                connection.execute(insert(CONTRACTS), row)

        self._database.transaction(write)

    def meanings(self) -> dict[str, Mapping[str, Any]]:
        """digest -> the contract's parts, of all contracts that ever were."""
        rows = self._database.transaction(lambda connection: connection.execute(select(CONTRACTS)).all())
        return {str(row.digest): orjson.loads(row.meaning) for row in rows}

    def record(self, connection: Connection, made: Sequence[tuple[Embedding, int]], *, staged: bool = False) -> None:
        """In the transaction that writes the vectors: (embedding, row id)."""
        rows = [self._row(embedding, row_id) | {"staged": staged} for embedding, row_id in made]
        self.replace(connection, rows)

    def adopt(self, rows: Mapping[int, str]) -> None:
        """Rows (id -> crew id) that another program made: their contract stays unknown."""
        unknown = dict.fromkeys(column.name for column in VECTORS.columns) | {"staged": False}
        adopted = [unknown | {"embedding_id": row_id, "crew_id": _owner(crew)} for row_id, crew in rows.items()]
        self._database.in_chunks(adopted, self.replace)

    def replace(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write whole rows over those of the same embeddings."""
        if rows:
            self.forget(connection, [row["embedding_id"] for row in rows])
            connection.execute(insert(VECTORS), rows)

    def same_picture(self, connection: Connection, row_id: int, photo: Photo) -> None:
        """The row's picture is in another file now."""
        known = update(VECTORS).where(VECTORS.c.embedding_id == row_id)
        connection.execute(known.values(sha256=photo.sha256))

    def await_nothing(self) -> None:
        """What was laid aside under this contract is not to be switched to any more: its vectors are in use."""
        waiting = update(VECTORS).where(VECTORS.c.staged, VECTORS.c.contract == self.contract.digest)
        self._database.transaction(lambda connection: connection.execute(waiting.values(staged=False)))

    def forget(self, connection: Connection, row_ids: Sequence[int]) -> None:
        connection.execute(delete(VECTORS).where(VECTORS.c.embedding_id.in_(row_ids)))

    def pictures(self, row_ids: Sequence[int]) -> dict[int, Picture]:
        """By row id, as far as they are known."""
        columns = VECTORS.c
        found: dict[int, Picture] = {}

        def read(connection: Connection, chunk: Sequence[int]) -> None:
            query = select(columns.embedding_id, columns.perceptual_hash, columns.grey).where(
                columns.embedding_id.in_(chunk), columns.grey.is_not(None)
            )
            rows = connection.execute(query).all()
            found.update((int(row.embedding_id), read_picture(row.perceptual_hash, row.grey)) for row in rows)

        self._database.in_chunks(row_ids, read)
        return found

    def active_pictures(self, table: Table) -> dict[str, Picture]:
        """By crew id, the picture of each active row, as far as it is known."""
        columns, rows = VECTORS.c, table.c
        query = (
            select(rows.crew_id, columns.perceptual_hash, columns.grey)
            .join_from(table, VECTORS, columns.embedding_id == rows.id)
            .where(rows.active, columns.grey.is_not(None))
        )
        found = self._database.transaction(lambda connection: connection.execute(query).all())
        return {str(row.crew_id): read_picture(row.perceptual_hash, row.grey) for row in found}

    def _row(self, embedding: Embedding, row_id: int) -> dict[str, Any]:
        return {
            "embedding_id": row_id,
            "crew_id": _owner(embedding.member.crew_id),
            "contract": self.contract.digest,
            "sha256": embedding.photo.sha256,
        } | picture_columns(embedding.analysis)


def _owner(crew_id: str) -> str:
    """The id as the column can hold it; a row is found by its number where that is not the whole id."""
    return storable(crew_id) if has_room(crew_id) else ""


def known_spec(database: Database, contract: EmbeddingSpec) -> EmbeddingSpec:
    """The last one in use that is the same but for the weights, which nobody has here yet; this one when there is none.

    Raises DatabaseUnavailable.
    """

    def read(connection: Connection) -> Sequence[Any]:
        known = inspect(connection).has_table(CONTRACTS.name)
        return connection.execute(select(CONTRACTS).order_by(CONTRACTS.c.first_used_at.desc())).all() if known else ()

    for row in database.transaction(read):
        other = EmbeddingSpec(**orjson.loads(row.meaning))
        if dataclasses.replace(other, weights_sha256="") == contract:
            return other
    return contract
