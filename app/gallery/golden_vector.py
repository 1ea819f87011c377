"""Notices an upgrade that changes vectors before a row is written, by the vector of a built-in face."""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime

import numpy as np
import orjson
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select, update

from app.core.database import Database
from app.core.vectors import SAME_VECTOR, cosine_distance
from app.errors import VectorsChanged
from app.gallery.reading import read_rows
from app.gallery.tables import CONTRACTS, VECTORS
from app.records import DIGEST_DIGITS, EmbeddingSpec

log = logging.getLogger(__name__)

Vector = NDArray[np.float32]


class GoldenVector:
    """Reads and writes the golden vector of one spec. All methods raise DatabaseUnavailable."""

    def __init__(self, database: Database, spec: EmbeddingSpec) -> None:
        self._database = database
        self._spec = spec

    def recorded(self) -> Vector | None:
        """Return the recorded vector; None when there is none yet."""
        rows = read_rows(self._database, select(CONTRACTS.c.golden).where(CONTRACTS.c.digest == self._spec.digest))
        return next((np.array(orjson.loads(row.golden), np.float32) for row in rows if row.golden), None)

    def confirm(self, vector: Vector, now: datetime, *, renew: bool = False) -> None:
        """Compare the vector with the recorded one, or record the first.

        With `renew` a vector that changed is recorded, and all vectors made so far get another digest, so that the
        run makes them again. Otherwise raises VectorsChanged.
        """
        recorded = self.recorded()
        if recorded is None:
            self._database.transaction(lambda connection: self._record(connection, vector))
        elif not renew:
            _refuse_moved(vector, recorded)
        elif cosine_distance(vector, recorded) > SAME_VECTOR:
            log.warning("Rostro de control renovado: se movió %.4f", cosine_distance(vector, recorded))
            self._database.transaction(lambda connection: self._retire(connection, vector, now))

    def compare(self, vector: Vector) -> None:
        """Compare the vector with the recorded one, if there is one, and record nothing. Raises VectorsChanged."""
        recorded = self.recorded()
        if recorded is not None:
            _refuse_moved(vector, recorded)

    def _record(self, connection: Connection, vector: Vector) -> None:
        mine = update(CONTRACTS).where(CONTRACTS.c.digest == self._spec.digest)
        connection.execute(mine.values(golden=orjson.dumps(vector.tolist()).decode()))

    def _retire(self, connection: Connection, vector: Vector, now: datetime) -> None:
        mine = select(CONTRACTS).where(CONTRACTS.c.digest == self._spec.digest)
        former = dict(connection.execute(mine).mappings().one())
        text = f"{former['digest']} until {now.isoformat()}"
        retired = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]
        connection.execute(insert(CONTRACTS), former | {"digest": retired})
        made = update(VECTORS).where(VECTORS.c.contract == former["digest"])
        connection.execute(made.values(contract=retired))
        self._record(connection, vector)


def _refuse_moved(vector: Vector, recorded: Vector) -> None:
    moved = cosine_distance(vector, recorded)
    if moved > SAME_VECTOR:
        raise VectorsChanged(
            f"Los vectores que calcula esta instalación ya no son los de antes: el del rostro de control se movió "
            f"{moved:.4f} (límite {SAME_VECTOR:g}). No se escribe nada",
            "Vuelva a las versiones anteriores de los paquetes (pip) o del programa. Si el cambio es querido: "
            "--force, que regenera a todos.",
        )
