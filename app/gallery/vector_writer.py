"""Writes the rows of `face_embeddings`: one active row for each member; inactive ones are staged for a switch."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, Table, bindparam, func, insert, select, update

from app.core.database import ITEMS_AT_ONCE, MIN_PACKET_BYTES, Database
from app.core.redaction import redacted
from app.core.shown_text import ShownText
from app.core.vectors import cosine_distance
from app.errors import RowRefused, ValueRefused
from app.gallery.photo_records import NewPhotoRecord, PhotoRecords
from app.gallery.provenance import Provenance
from app.gallery.reading import change_rows_of
from app.gallery.tables import VECTORS
from app.records import Embedding, Photo

CONFIDENCE_DECIMALS = 2  # the column is DECIMAL(3,2)
UNMOVED = 0.002  # cosine distance up to which a vector counts as the same; other photos of the person begin at 0.01
UPDATED_COLUMNS = ("embedding", "modelo", "confidence", "imagen_path")
TEXTS = ("embedding", "modelo", "imagen_path")
INSERTED_BYTES = MIN_PACKET_BYTES // 2  # of vectors in one statement


def to_json(vector: NDArray[np.float32]) -> str:
    """Return a JSON array whose numbers are the shortest text that reads back to the same float32."""
    return orjson.dumps(np.ascontiguousarray(vector), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def from_json(text: str) -> NDArray[np.float32]:
    """Return the vector of a row's text; an empty one when the text is not a JSON array of numbers."""
    try:
        return np.asarray(orjson.loads(text), np.float32)
    except (ValueError, TypeError):
        return np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class SavedRow:
    """A member's row. `unmoved`: the new vector is the same, so that the row keeps the one it held."""

    row_id: int
    unmoved: bool = False


PutRows = Callable[[Connection, Sequence[dict[str, Any]]], list[SavedRow]]


class VectorWriter:
    """Writes rows, and in the same transaction their provenance and photo records. Raises DatabaseUnavailable."""

    def __init__(self, database: Database, table: Table, provenance: Provenance, photo_records: PhotoRecords) -> None:
        self._database = database
        self._table = table
        self._provenance = provenance
        self._photo_records = photo_records
        self._replaced: dict[str, tuple[bytes, dict[str, Any] | None]] = {}
        self._expected: dict[str, int] = {}

    def expect(self, rows: Mapping[str, int]) -> None:
        """Set the members' active rows (crew id -> row id) as this run has read them. `save` refuses to write over any
        other: another run activated it meanwhile, perhaps with another model."""
        self._expected = dict(rows)

    def save(self, embeddings: Sequence[Embedding], *, rewrite: bool = False) -> list[SavedRow]:
        """Write a batch in one transaction; return the rows in the same order. Without `rewrite`, a row keeps a vector
        that has not moved.

        Raises RowRefused.
        """
        return self._write(
            embeddings, lambda connection, rows: self._upsert(connection, rows, embeddings, rewrite=rewrite)
        )

    def stage(self, embeddings: Sequence[Embedding]) -> list[SavedRow]:
        """Write a batch into new, inactive rows for `switch`. Raises RowRefused."""
        return self._write(
            embeddings,
            lambda connection, rows: [*map(SavedRow, self._insert(connection, rows, active=False))],
            staged=True,
        )

    def switch(self, row_ids: Sequence[int], retired: Sequence[int]) -> None:
        """Activate staged rows and deactivate the `retired` ones, in one transaction: no reader sees a mixture."""

        def write(connection: Connection) -> None:
            for ids, active in ((retired, False), (row_ids, True)):
                for start in range(0, len(ids), ITEMS_AT_ONCE):
                    mine = update(self._table).where(self._table.c.id.in_(ids[start : start + ITEMS_AT_ONCE]))
                    connection.execute(mine.values(active=active))
            self._provenance.unstage(connection)

        self._database.transaction(write)

    def withdraw(self, crew_id: str, row_id: int) -> None:
        """Undo the save of a member whose photo another member has, too: restore what the row held before this run, or
        deactivate a new row, and delete the member's photo record."""
        packed, provenance = self._replaced.get(crew_id, (b"", None))
        values = orjson.loads(zlib.decompress(packed)) if packed else {"active": False}

        def write(connection: Connection) -> None:
            connection.execute(update(self._table).where(self._table.c.id == row_id).values(values))
            self._photo_records.delete(connection, [crew_id])
            self._provenance.delete(connection, [row_id])
            if provenance is not None:
                self._provenance.replace(connection, [provenance])

        self._database.transaction(write)
        self._replaced.pop(crew_id, None)

    def keep(self, photos: Mapping[int, Photo]) -> None:
        """Update URL and file of rows (by id) whose vector stays although the photo was fetched. Leaves `active` alone:
        the recognition service, or another run, may have changed it meanwhile."""
        self._database.in_chunks(list(photos.items()), self._keep)

    def _keep(self, connection: Connection, photos: Sequence[tuple[int, Photo]]) -> None:
        room = getattr(self._table.c.imagen_path.type, "length", None)
        for row_id, photo in photos:
            if room is None or len(photo.url) <= room:
                mine = update(self._table).where(self._table.c.id == row_id)
                connection.execute(mine.values(imagen_path=photo.url))
            self._provenance.update_file(connection, row_id, photo)
            self._photo_records.move(connection, [NewPhotoRecord(photo.member.crew_id, photo.url, photo, None)])

    def set_active(self, row_ids: Sequence[int], *, active: bool) -> None:
        """Activate or deactivate rows without a new vector."""
        change_rows_of(self._database, update(self._table).values(active=active), self._table.c.id, row_ids)

    def _columns(self, embedding: Embedding) -> dict[str, Any]:
        row = {
            "crew_id": embedding.member.crew_id,
            "embedding": to_json(embedding.vector),
            "modelo": embedding.model,
            "confidence": round(embedding.analysis.confidence, CONFIDENCE_DECIMALS),
            "imagen_path": embedding.photo.url,
        }
        reasons = [self.refusal(embedding.member.crew_id), *(self._too_long(name, str(row[name])) for name in TEXTS)]
        reason = next(filter(None, reasons), "")
        if reason:
            raise RowRefused(reason)
        return row

    def refusal(self, crew_id: str) -> str:
        """Return why the table can hold no row of this member (Spanish), or nothing."""
        column = self._table.c.crew_id
        if isinstance(column.type, ShownText) and not column.type.keeps(crew_id):
            return f"crew_id es {column.type.stored} y no puede guardar «{crew_id}» tal cual"
        return self._too_long("crew_id", crew_id)

    def _too_long(self, name: str, text: str) -> str:
        """Return that the column is too short for the text: SQLite would keep it."""
        length = getattr(self._table.c[name].type, "length", None)
        is_too_long = length is not None and len(text) > length
        return f"{name} tiene {len(text)} caracteres y caben {length}" if is_too_long else ""

    def _write(self, embeddings: Sequence[Embedding], put: PutRows, *, staged: bool = False) -> list[SavedRow]:
        rows = [self._columns(embedding) for embedding in embeddings]

        def write(connection: Connection) -> list[SavedRow]:
            saved = put(connection, rows)
            row_ids = [row.row_id for row in saved]
            self._provenance.record(connection, list(zip(embeddings, row_ids, strict=True)), staged=staged)
            seen = [
                NewPhotoRecord(each.member.crew_id, each.photo.url, each.photo, each.analysis) for each in embeddings
            ]
            self._photo_records.record(connection, seen)
            return saved

        try:
            return self._database.transaction(write)
        except ValueRefused as error:
            raise RowRefused(redacted(str(getattr(error.__cause__, "orig", error)))) from error

    def _upsert(
        self, connection: Connection, rows: Sequence[dict[str, Any]], embeddings: Sequence[Embedding], *, rewrite: bool
    ) -> list[SavedRow]:
        newest, further = self._lock(connection, [row["crew_id"] for row in rows])
        columns = self._table.c
        if further:
            connection.execute(update(self._table).where(columns.id.in_(further)).values(active=False))
        unmoved = set() if rewrite or not newest else self._unmoved(connection, embeddings, newest)
        changed = [row for row in rows if row["crew_id"] in newest and row["crew_id"] not in unmoved]
        if changed:
            replaced = {row["crew_id"]: newest[row["crew_id"]] for row in changed}
            self._keep_replaced(connection, embeddings, replaced)
            values = [
                {name: row[name] for name in UPDATED_COLUMNS} | {"row_id": newest[row["crew_id"]]} for row in changed
            ]
            statement = update(self._table).where(columns.id == bindparam("row_id"))
            if "updated_at" in columns:
                statement = statement.values(updated_at=func.current_timestamp())
            connection.execute(statement, values)
        new = [row for row in rows if row["crew_id"] not in newest]
        inserted = self._insert(connection, new, active=True) if new else []
        newest |= zip((row["crew_id"] for row in new), inserted, strict=True)
        return [SavedRow(newest[row["crew_id"]], row["crew_id"] in unmoved) for row in rows]

    def _unmoved(self, connection: Connection, embeddings: Sequence[Embedding], newest: Mapping[str, int]) -> set[str]:
        """Return the members whose row, made by this spec, holds the new vector already; update the URL of that row."""
        columns, made = self._table.c, VECTORS.c
        query = (
            select(columns.crew_id, columns.id, columns.embedding, columns.imagen_path)
            .join_from(self._table, VECTORS, made.embedding_id == columns.id)
            .where(columns.id.in_(newest.values()), made.contract == self._provenance.spec.digest)
        )
        held = {row.crew_id: row for row in connection.execute(query)}
        found = set()
        for embedding in embeddings:
            row = held.get(embedding.member.crew_id)
            if row is None or cosine_distance(from_json(row.embedding), embedding.vector) > UNMOVED:
                continue
            found.add(embedding.member.crew_id)
            if row.imagen_path != embedding.photo.url:
                here = update(self._table).where(columns.id == row.id)
                connection.execute(here.values(imagen_path=embedding.photo.url))
        return found

    def _insert(self, connection: Connection, rows: Sequence[dict[str, Any]], *, active: bool) -> list[int]:
        """Insert rows of different members; return their ids in the same order. Raises RowRefused if it is not certain
        which id is whose; of one row alone it is."""
        if len(rows) == 1:
            return [int(connection.execute(insert(self._table).values(**rows[0], active=active)).lastrowid)]
        columns, crew_ids = self._table.c, [row["crew_id"] for row in rows]
        theirs = select(columns.id, columns.crew_id).where(columns.crew_id.in_(crew_ids))
        before = {found.id for found in connection.execute(theirs)}
        for chunk in _in_packets([row | {"active": active} for row in rows]):
            connection.execute(insert(self._table), chunk)
        # MySQL tells one id for many rows, and not by how much the others differ. Another's rows the transaction does
        # not see: what is new is its own.
        new = [(str(found.crew_id), int(found.id)) for found in connection.execute(theirs) if found.id not in before]
        if sorted(crew_id for crew_id, _ in new) != sorted(crew_ids):
            raise RowRefused("la base no guardó exactamente una fila nueva por persona")
        ids = dict(new)
        return [ids[crew_id] for crew_id in crew_ids]

    def _keep_replaced(self, connection: Connection, embeddings: Sequence[Embedding], newest: dict[str, int]) -> None:
        """Keep what the save of another photo is about to overwrite, for `withdraw`."""
        ids = list(newest.values())
        made = connection.execute(select(VECTORS).where(VECTORS.c.embedding_id.in_(ids))).mappings()
        provenance = {int(row["embedding_id"]): dict(row) for row in made}
        changed = {
            newest[each.member.crew_id]: each.member.crew_id
            for each in embeddings
            if each.member.crew_id in newest
            and provenance.get(newest[each.member.crew_id], {}).get("sha256") != each.photo.sha256
        }
        if not changed:
            return
        columns = [self._table.c[name] for name in ("id", *UPDATED_COLUMNS)]
        for row in connection.execute(select(*columns).where(self._table.c.id.in_(list(changed)))).mappings():
            before = orjson.dumps({name: row[name] for name in UPDATED_COLUMNS}, default=float)  # of a DECIMAL
            self._replaced[changed[int(row["id"])]] = (zlib.compress(before), provenance.get(int(row["id"])))

    def _lock(self, connection: Connection, crew_ids: list[str]) -> tuple[dict[str, int], list[int]]:
        """Lock the members' active rows. Return the newest of each by crew id, and the ids of all others.

        Raises RowRefused.
        """
        columns = self._table.c
        query = select(columns.id, columns.crew_id).where(columns.active).order_by(columns.id).with_for_update()
        found = list(connection.execute(query.where(columns.crew_id.in_(crew_ids))))
        unseen = set(crew_ids) & self._expected.keys() - {row.crew_id for row in found}
        if unseen:  # ` A1` is not found by `A1`
            found += connection.execute(query.where(columns.id.in_([self._expected[each] for each in unseen])))
        newest: dict[str, int] = {}
        further: list[int] = []
        for row_id, crew_id in found:
            if crew_id not in crew_ids:
                # The column compares without case, or as numbers: another row would be this member's second active one.
                raise RowRefused(f"para la base es igual que «{crew_id}», que ya tiene la fila {row_id}")
            if crew_id in newest:
                further.append(newest[crew_id])
            newest[crew_id] = int(row_id)
        for crew_id, row_id in newest.items():
            if self._expected.get(crew_id, row_id) != row_id:
                raise RowRefused(f"otra ejecución puso en uso la fila {row_id} mientras tanto")
        return newest, further


def _in_packets(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows in as few groups as every server takes in one statement."""
    chunk: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        size += len(row["embedding"])
        if chunk and size > INSERTED_BYTES:
            yield chunk
            chunk, size = [], len(row["embedding"])
        chunk.append(row)
    yield chunk
