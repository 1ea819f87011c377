"""The provenance of vectors: whole rows of `face_vectors` and `face_contracts`."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection

from app.core.database import Database
from app.gallery.embeddings_table import open_table
from app.gallery.provenance import Provenance
from app.gallery.tables import open_own_tables
from app.records import CrewMember, Embedding, EmbeddingSpec, Photo, PhotoAnalysis, Picture
from tests.support.databases import Row, run_sql
from tests.support.together import all_at_once

CONTRACT = EmbeddingSpec("Facenet512", "a1", "mtcnn", "aligned", "base", "bgr", 1)
OTHER = dataclasses.replace(CONTRACT, weights_sha256="b2")
NOW, LATER = datetime(2026, 3, 1, 2), datetime(2026, 3, 2, 2)
PICTURE = Picture(0xFEDCBA9876543210, b"\x00\xff")
KNOWN = (CONTRACT.digest, "ab" * 32, "fedcba9876543210", "00ff", False)
UNKNOWN = (None, None, None, None, False)


@pytest.fixture
def vectors(database: Database) -> Provenance:
    open_own_tables(database)
    return Provenance(database, CONTRACT)


def embedding(crew_id: str, picture: Picture | None = PICTURE) -> Embedding:
    photo = photo_of(crew_id, "ab" * 32)
    return Embedding(photo, np.ones(3, np.float32), "Facenet512", PhotoAnalysis((640, 480), picture))


def photo_of(crew_id: str, sha256: str) -> Photo:
    return Photo(CrewMember(crew_id, "a.jpg"), "u", Path("a.jpg"), sha256=sha256)


def rows(database: Database) -> list[Row]:
    query = (
        "SELECT embedding_id, crew_id, contract, sha256, perceptual_hash, grey, staged "
        "FROM face_vectors ORDER BY embedding_id"
    )
    return [(*row[:-1], bool(row[-1])) for row in run_sql(database, query)]


def record(database: Database, vectors: Provenance, *made: tuple[Embedding, int], staged: bool = False) -> None:
    def write(connection: Connection) -> None:
        vectors.record(connection, made, staged=staged)

    database.transaction(write)


def test_a_contract_is_declared_once_with_its_first_date(database: Database, vectors: Provenance) -> None:
    vectors.declare(NOW)
    vectors.declare(LATER)
    Provenance(database, OTHER).declare(LATER)
    found = run_sql(database, "SELECT digest, first_used_at FROM face_contracts ORDER BY first_used_at")
    assert [(digest, str(date)[:19]) for digest, date in found] == [
        (CONTRACT.digest, str(NOW)),
        (OTHER.digest, str(LATER)),
    ]
    assert vectors.meanings() == {each.digest: dataclasses.asdict(each) for each in (CONTRACT, OTHER)}
    ((meaning,),) = run_sql(database, "SELECT meaning FROM face_contracts WHERE digest = :d", {"d": OTHER.digest})
    assert EmbeddingSpec(**json.loads(meaning)).digest == OTHER.digest


def test_two_runs_may_declare_the_same_contract_at_once(database: Database, vectors: Provenance) -> None:
    contracts = [dataclasses.replace(CONTRACT, preprocessing=number) for number in range(8)]
    for contract in contracts:
        assert all_at_once(lambda contract=contract: Provenance(database, contract).declare(NOW)) == []
    assert vectors.meanings().keys() == {contract.digest for contract in contracts}


def test_a_vector_s_row_says_what_made_it_and_a_new_one_takes_its_place(
    database: Database, vectors: Provenance
) -> None:
    record(database, vectors, (embedding("a1"), 7), (embedding("A1", None), 8))
    record(database, vectors, (embedding("3"), 9), staged=True)
    assert rows(database) == [
        (7, "a1", *KNOWN),
        (8, "A1", CONTRACT.digest, "ab" * 32, None, None, False),
        (9, "3", *KNOWN[:-1], True),
    ]
    record(database, Provenance(database, OTHER), (embedding("A1"), 8), (embedding("3"), 9))
    newer = (OTHER.digest, *KNOWN[1:])
    assert rows(database) == [(7, "a1", *KNOWN), (8, "A1", *newer), (9, "3", *newer)]


def test_adopted_rows_are_there_and_unknown_however_many(database: Database, vectors: Provenance) -> None:
    vectors.adopt({})
    vectors.adopt({row_id: str(row_id) for row_id in range(1, 1202)})
    assert rows(database) == [(row_id, str(row_id), *UNKNOWN) for row_id in range(1, 1202)]


def test_ids_of_any_length_and_bytes_that_are_no_text_are_adopted(database: Database, vectors: Provenance) -> None:
    vectors.adopt({1: "x" * 191, 2: "x" * 192, 3: "\udcff"})
    assert rows(database) == [(1, "x" * 191, *UNKNOWN), (2, "", *UNKNOWN), (3, "?", *UNKNOWN)]


def test_the_same_picture_in_another_file_changes_the_file_s_sum_and_nothing_else(
    database: Database, vectors: Provenance
) -> None:
    record(database, vectors, (embedding("1"), 7), (embedding("2"), 8))
    database.transaction(lambda connection: vectors.update_file(connection, 7, photo_of("1", "cd" * 32)))
    database.transaction(lambda connection: vectors.update_file(connection, 99, photo_of("9", "cd" * 32)))
    assert rows(database) == [(7, "1", KNOWN[0], "cd" * 32, *KNOWN[2:]), (8, "2", *KNOWN)]


def test_forgotten_are_the_rows_that_were_named(database: Database, vectors: Provenance) -> None:
    record(database, vectors, (embedding("1"), 7), (embedding("2"), 8))
    database.transaction(lambda connection: vectors.delete(connection, [7, 99]))
    assert rows(database) == [(8, "2", *KNOWN)]


def test_pictures_are_read_by_row_as_far_as_they_are_known(database: Database, vectors: Provenance) -> None:
    record(database, vectors, (embedding("1"), 7), (embedding("2", None), 8), (embedding("3"), 1200))
    vectors.adopt({9: "4"})
    assert vectors.pictures(range(1, 1201)) == {7: PICTURE, 1200: PICTURE}
    assert vectors.pictures([8, 9]) == {}


def test_active_pictures_are_those_of_active_rows(database: Database, vectors: Provenance) -> None:
    table = open_table(database)
    insert = "INSERT INTO face_embeddings (id, crew_id, embedding, active) VALUES (:i, :c, '[1]', :a)"
    people = [(1, "a1", 1), (2, "A1", 1), (3, "3", 0), (4, "4", 1), (5, "5", 1)]
    run_sql(database, insert, *(dict(zip("ica", person, strict=True)) for person in people))
    lighter = Picture(1, b"\x01")
    made = [(embedding("a1"), 1), (embedding("A1", lighter), 2), (embedding("3"), 3), (embedding("4", None), 4)]
    record(database, vectors, *made)
    assert vectors.active_pictures(table) == {"a1": PICTURE, "A1": lighter}
