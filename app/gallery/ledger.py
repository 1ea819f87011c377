"""What is remembered of each member's photo beside the vector: embeddings and failures come in, rows of `face_photos`
go out, and at the next run what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import Connection, delete, insert, select, update

from app.core.database import Database
from app.gallery.schema import MAX_ID_CHARACTERS, open_ledger
from app.records import CrewMember, Embedding, Failed, Picture, Sighting

HASH_DIGITS = 16
ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class QualityNote:
    """A photo's quality as the ledger keeps it: the verdict, the component it is owed to (None when it passed), and
    all of them for JSON."""

    verdict: str
    component: str | None
    components: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an earlier run saw of a member's photo; `code` of its failure, empty when it is in the gallery; the
    component of quality that could be better, empty when none was warned of."""

    url: str
    picture: Picture | None
    code: str
    improvable: str = ""


class Ledger:
    """The table `face_photos`. Raises DatabaseUnavailable."""

    def __init__(self, database: Database, judge: Callable[[Sighting], QualityNote | None]) -> None:
        self._database = database
        self._judge = judge
        self._table = open_ledger(database)

    def remembered(self) -> dict[str, Remembered]:
        """By crew id."""
        columns = self._table.c
        names = ("crew_id", "url", "perceptual_hash", "grey", "code", "quality_component")
        query = select(*(columns[name] for name in names))
        rows = self._database.transaction(lambda connection: connection.execute(query).all())
        return {str(row.crew_id): _remember(row) for row in rows}

    def record_stored(self, connection: Connection, stored: Sequence[tuple[Embedding, int]]) -> None:
        """In the transaction that writes the vectors."""
        rows = [
            self._row(embedding.member.crew_id, embedding.sighting)
            | {"url": embedding.photo.url, "embedding_id": row_id}
            for embedding, row_id in stored
        ]
        self._replace(connection, rows)

    def record_failures(self, failures: Sequence[Failed], url_of: Callable[[CrewMember], str]) -> None:
        """After the run, when it is known what became of everybody."""
        rows = {
            row["crew_id"]: row
            for row in (
                self._row(failure.member.crew_id, failure.sighting)
                | {"url": url_of(failure.member), "code": failure.code, "detail": _storable(failure.detail)}
                for failure in failures
            )
            if len(row["crew_id"]) <= MAX_ID_CHARACTERS
        }
        waiting = iter(rows.values())
        while chunk := list(islice(waiting, ROWS_AT_ONCE)):
            self._database.transaction(partial(self._replace, rows=chunk))

    def absolve(self, crew_ids: Sequence[str]) -> None:
        """Whoever failed in an earlier run, and is up to date all the same, has nothing to be corrected."""
        columns = self._table.c
        for start in range(0, len(crew_ids), ROWS_AT_ONCE):
            chunk = crew_ids[start : start + ROWS_AT_ONCE]
            statement = update(self._table).where(columns.crew_id.in_(chunk)).values(code=None, detail=None)
            self._database.transaction(partial(Connection.execute, statement=statement))

    def forget(self, connection: Connection, crew_id: str) -> None:
        """As if the photo had never been seen."""
        connection.execute(delete(self._table).where(self._table.c.crew_id == crew_id))

    def _replace(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        ids = [row["crew_id"] for row in rows]
        connection.execute(delete(self._table).where(self._table.c.crew_id.in_(ids)))
        connection.execute(insert(self._table), rows)

    def _row(self, crew_id: str, sighting: Sighting | None) -> dict[str, Any]:
        names = (column.name for column in self._table.columns if column.server_default is None)
        empty: dict[str, Any] = dict.fromkeys(names) | {"crew_id": _storable(crew_id)}
        return empty if sighting is None else empty | self._seen(sighting)

    def _seen(self, sighting: Sighting) -> dict[str, Any]:
        note = self._judge(sighting)
        return {
            "sha256": sighting.sha256,
            "perceptual_hash": sighting.picture and f"{sighting.picture.perceptual_hash:0{HASH_DIGITS}x}",
            "grey": sighting.picture and sighting.picture.grey.hex(),
            "width": sighting.size[0],
            "height": sighting.size[1],
            "faces_seen": sighting.faces_seen,
            "box": sighting.box and orjson.dumps(sighting.box).decode(),
            "attempt": sighting.attempt or None,
            "confidence": round(sighting.confidence, 3) if sighting.box else None,
            "quality": note and orjson.dumps(note.components).decode(),
            "quality_verdict": note and note.verdict,
            "quality_component": note and note.component,
        }


def _remember(row: Any) -> Remembered:
    picture = Picture(int(row.perceptual_hash, 16), bytes.fromhex(row.grey)) if row.grey else None
    improvable = "" if row.code else str(row.quality_component or "")
    return Remembered(str(row.url or ""), picture, str(row.code or ""), improvable)


def _storable(text: str) -> str:
    """A folder's name may hold bytes that are no text."""
    return text.encode("utf-8", "replace").decode()
