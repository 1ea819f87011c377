"""Reads the templates: the vectors of the gallery that may be compared with each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from app.core.database import ITEMS_AT_ONCE
from app.gallery.gallery import Gallery
from app.gallery.reading import read_rows_of
from app.gallery.vector_writer import from_json
from app.records import Enrolment


@dataclass(frozen=True, slots=True, eq=False)
class Templates:
    """The newest comparable vector of each member, in the order of their ids.

    `vectors`: float32 (members, dimensions), as stored, not normalised. `row_ids` are those of `face_embeddings`.
    `urls` and `sha256s` are of the photos; a digest is empty where it is unknown. `foreign`: how many of the vectors
    another program wrote. Left out are `incompatible` active rows, of another model or spec, and the rows of the
    `unreadable` members, which hold no vector of this length. `several`: the members with several active rows, which
    another program left, perhaps of two people; only the newest takes part.
    """

    crew_ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    row_ids: tuple[int, ...]
    urls: tuple[str, ...]
    sha256s: tuple[str, ...]
    foreign: int = 0
    incompatible: int = 0
    unreadable: tuple[str, ...] = ()
    several: tuple[str, ...] = ()


def read_templates(gallery: Gallery, crew_ids: Collection[str]) -> Templates:
    """Read the templates of these members. Raises DatabaseUnavailable."""
    incompatible = set(gallery.incompatible_rows())
    wanted = set(crew_ids)
    enrolled = {crew_id: each for crew_id, each in gallery.enrolments().items() if each.active and crew_id in wanted}
    comparable = {crew_id: each for crew_id, each in enrolled.items() if each.row_id not in incompatible}
    vectors = _read_vectors(gallery, comparable)
    length = _usual_length(vectors)
    kept = sorted(crew_id for crew_id, vector in vectors.items() if len(vector) == length)
    return Templates(
        crew_ids=tuple(kept),
        vectors=np.stack([vectors[crew_id] for crew_id in kept]) if kept else np.empty((0, 0), np.float32),
        row_ids=tuple(comparable[crew_id].row_id for crew_id in kept),
        urls=tuple(comparable[crew_id].url for crew_id in kept),
        sha256s=tuple(comparable[crew_id].sha256 for crew_id in kept),
        foreign=sum(comparable[crew_id].spec_digest is None for crew_id in kept),
        incompatible=len(enrolled) - len(comparable),
        unreadable=tuple(sorted(comparable.keys() - set(kept))),
        several=tuple(sorted(crew_id for crew_id, each in enrolled.items() if len(each.active_ids) > 1)),
    )


def _read_vectors(gallery: Gallery, members: Mapping[str, Enrolment]) -> dict[str, NDArray[np.float32]]:
    """Return the vectors that have a direction, by crew id. The rows are read a part at a time: as text they take five
    times as much memory."""
    columns = gallery.table.c
    owners = {enrolment.row_id: crew_id for crew_id, enrolment in members.items()}
    row_ids, found = list(owners), {}
    for start in range(0, len(row_ids), ITEMS_AT_ONCE):
        query = select(columns.id, columns.embedding)
        for row in read_rows_of(gallery.database, query, columns.id, row_ids[start : start + ITEMS_AT_ONCE]):
            vector = from_json(row.embedding)
            if vector.ndim == 1 and np.isfinite(vector).all() and vector.any():
                found[owners[int(row.id)]] = vector
    return found


def _usual_length(vectors: Mapping[str, NDArray[np.float32]]) -> int:
    """Return the length that most vectors have; 0 without any."""
    lengths = [len(vector) for vector in vectors.values()]
    return max(set(lengths), key=lengths.count, default=0)
