"""Changes of rows without a new vector: whole tables before and after, on a real MariaDB and SQLite."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.core.database import Database
from app.gallery.embeddings_table import open_table
from app.gallery.erasure import erase
from app.gallery.gallery import Gallery, open_for_writing
from app.gallery.photo_records import records_of
from app.records import CrewMember, EmbeddingSpec, Photo, Version
from tests.support.databases import Row, run_sql

CONTRACT = EmbeddingSpec("Facenet512", "a1", "mtcnn", "aligned", "base", "bgr", 1)
OTHER_WEIGHTS = EmbeddingSpec("Facenet512", "b2", "mtcnn", "aligned", "base", "bgr", 1)
OTHER_DETECTOR = EmbeddingSpec("Facenet512", "a1", "yunet", "aligned", "base", "bgr", 1)
NOW = datetime(2026, 3, 1, 2)
# id, crew_id, modelo, imagen_path, active: two who differ in case only, one with two rows, one of another model.
ROWS = [
    (1, "a1", "Facenet512", "u1", True),
    (2, "A1", "Facenet512", "u2", True),
    (3, "3", "Facenet512", "u3", False),
    (4, "3", "Facenet512", "u4", True),
    (5, "5", "Dlib", "u5", False),
]
IDS = ["3", "5", "A1", "a1"]
TABLES = {"face_embeddings": "crew_id", "face_vectors": "crew_id", "face_photos": "crew_id", "face_attempts": "crew_id"}


@pytest.fixture
def gallery(database: Database) -> Gallery:
    """Return a gallery with ROWS and their rows in all other tables."""
    opened = open_for_writing(database, open_table(database), CONTRACT, "reglas", NOW)
    insert = "INSERT INTO face_embeddings (id, crew_id, embedding, modelo, imagen_path, active) VALUES (:a, :b, '[1]', "
    fill(database, f"{insert}:c, :d, :e)", *ROWS)
    vectors = "INSERT INTO face_vectors (embedding_id, crew_id, contract, sha256) VALUES (:a, :b, 'digest', 'ab')"
    fill(database, vectors, *(row[:2] for row in ROWS))
    fill(
        database, "INSERT INTO face_photos (crew_id, url, sha256) VALUES (:a, :b, 'ab')", *((each, "u") for each in IDS)
    )
    fill(
        database, "INSERT INTO face_attempts (crew_id, url, deaths) VALUES (:a, :b, 0)", *((each, "u") for each in IDS)
    )
    return opened


def fill(database: Database, insert: str, *rows: tuple[Any, ...]) -> None:
    run_sql(database, insert, *(dict(zip("abcde", row, strict=False)) for row in rows))


def rows(gallery: Gallery) -> list[Row]:
    found = run_sql(
        gallery.database, "SELECT id, crew_id, modelo, imagen_path, active FROM face_embeddings ORDER BY id"
    )
    return [(*row[:-1], bool(row[-1])) for row in found]


def left_of(gallery: Gallery) -> dict[str, list[str]]:
    """Return whose rows there are, by table."""
    return {
        table: sorted(str(row[0]) for row in run_sql(gallery.database, f"SELECT {column} FROM {table}"))  # noqa: S608
        for table, column in TABLES.items()
    }


def whose(*crew_ids: str, vectors: tuple[str, ...]) -> dict[str, list[str]]:
    """Return what `left_of` returns when these people are left, with these rows of vectors."""
    remembered = sorted(crew_ids)
    made = sorted(vectors)
    return {"face_embeddings": made, "face_vectors": made, "face_photos": remembered, "face_attempts": remembered}


EVERYBODY = whose(*IDS, vectors=("a1", "A1", "3", "3", "5"))


def kept(crew_id: str, url: str) -> Photo:
    return Photo(CrewMember(crew_id, "a.jpg"), url, Path("a.jpg"), sha256="cd", version=Version('"e"'))


# ----------------------------------------------------------------------------------------------- asleep and awake


def test_only_the_rows_that_were_named_are_deactivated_and_reactivated(gallery: Gallery) -> None:
    gallery.writer.set_active([2, 99], active=False)
    assert rows(gallery) == [ROWS[0], (*ROWS[1][:4], False), *ROWS[2:]]
    gallery.writer.set_active([], active=False)
    gallery.writer.set_active([2, 3], active=True)
    assert rows(gallery) == [*ROWS[:2], (*ROWS[2][:4], True), *ROWS[3:]]
    assert left_of(gallery) == EVERYBODY


def test_more_rows_than_one_statement_takes_are_deactivated(gallery: Gallery) -> None:
    more = [(row_id, "x", "Facenet512", "u", True) for row_id in range(10, 1300)]
    insert = "INSERT INTO face_embeddings (id, crew_id, embedding, modelo, imagen_path, active) VALUES (:a, :b, '[1]', "
    fill(gallery.database, f"{insert}:c, :d, :e)", *more)
    gallery.writer.set_active([row[0] for row in more], active=False)
    assert rows(gallery) == [*ROWS, *((*row[:4], False) for row in more)]


def test_who_left_and_who_returned_is_dated_by_the_exact_id(gallery: Gallery) -> None:
    gallery.photo_records.mark_departed(["A1", "3", "nueva"])
    gallery.photo_records.mark_returned(["3"])
    left = {crew_id: seen.left_at for crew_id, seen in gallery.photo_records.fold_rows(records_of).items()}
    assert left == {"a1": None, "A1": NOW, "3": None, "5": None, "nueva": NOW}


def test_a_cleared_failure_is_recorded_no_more(gallery: Gallery) -> None:
    run_sql(gallery.database, "UPDATE face_photos SET code = 'no_face'")
    gallery.photo_records.clear_failures(["A1"])
    codes = {crew_id: seen.code for crew_id, seen in gallery.photo_records.fold_rows(records_of).items()}
    assert codes == {"a1": "no_face", "A1": "", "3": "no_face", "5": "no_face"}


# ------------------------------------------------------------------------------------------------------------ kept


def test_a_kept_row_has_the_new_address_and_its_provenance_knows_the_file(gallery: Gallery) -> None:
    gallery.writer.keep({2: kept("A1", "w2"), 5: kept("5", "w5")})
    assert rows(gallery) == [ROWS[0], (2, "A1", "Facenet512", "w2", True), *ROWS[2:4], (5, "5", "Dlib", "w5", False)]
    sums = run_sql(gallery.database, "SELECT embedding_id, contract, sha256, grey FROM face_vectors ORDER BY 1")
    assert sums == [(row_id, "digest", "cd" if row_id in (2, 5) else "ab", None) for row_id in range(1, 6)]
    seen = {
        crew_id: (each.url, each.sha256, each.version.etag)
        for crew_id, each in gallery.photo_records.fold_rows(records_of).items()
    }
    assert seen == {
        **{"a1": ("u", "ab", ""), "3": ("u", "ab", "")},
        **{"A1": ("w2", "cd", '"e"'), "5": ("w5", "cd", '"e"')},
    }


def test_a_url_too_long_for_its_column_leaves_the_row_s_url(gallery: Gallery) -> None:
    room = gallery.table.c.imagen_path.type.length
    long, fitting = "w" * (room + 1), "w" * room
    gallery.writer.keep({1: kept("a1", long), 2: kept("A1", fitting)})
    assert rows(gallery) == [ROWS[0], (2, "A1", "Facenet512", fitting, True), *ROWS[2:]]
    assert gallery.photo_records.fold_rows(records_of)["a1"].url == long


# --------------------------------------------------------------------------------------------------------- deleted


def test_of_who_is_purged_nothing_is_left_and_of_all_others_everything(gallery: Gallery) -> None:
    assert erase(gallery.database, gallery.table, ["A1", "3", "nadie"])[1] == 0
    assert left_of(gallery) == whose("a1", "5", vectors=("a1", "5"))
    assert rows(gallery) == [ROWS[0], ROWS[4]]


def test_an_empty_purge_deletes_nothing(gallery: Gallery) -> None:
    assert erase(gallery.database, gallery.table, [])[1] == 0
    assert left_of(gallery) == EVERYBODY


def test_staged_rows_go_with_the_person(gallery: Gallery) -> None:
    """They hold the person's face, too, and the plan does not know them."""
    run_sql(gallery.database, "UPDATE face_vectors SET staged = 1 WHERE embedding_id IN (3, 5)")
    assert erase(gallery.database, gallery.table, ["3"])[1] == 0
    assert left_of(gallery) == whose("a1", "A1", "5", vectors=("a1", "A1", "5"))
    assert erase(gallery.database, gallery.table, ["5"]) == (1, 0)
    assert left_of(gallery) == whose("a1", "A1", vectors=("a1", "A1"))


@pytest.mark.parametrize(
    ("crew_id", "vectors", "others", "made"),
    [
        ("3", 2, ("a1", "A1", "5"), ("a1", "A1", "5")),
        ("A1", 1, ("a1", "3", "5"), ("a1", "3", "3", "5")),
        ("a1", 1, ("A1", "3", "5"), ("A1", "3", "3", "5")),
        ("nadie", 0, tuple(IDS), ("a1", "A1", "3", "3", "5")),
    ],
)
def test_erasing_says_how_many_vectors_there_were_and_that_nothing_is_left(
    gallery: Gallery, crew_id: str, vectors: int, others: tuple[str, ...], made: tuple[str, ...]
) -> None:
    assert erase(gallery.database, gallery.table, [crew_id]) == (vectors, 0)
    assert left_of(gallery) == whose(*others, vectors=made)


def test_the_record_of_a_person_without_a_vector_is_erased_too(gallery: Gallery) -> None:
    run_sql(gallery.database, "DELETE FROM face_embeddings WHERE crew_id = '3'")
    assert erase(gallery.database, gallery.table, ["3"]) == (0, 0)
    assert left_of(gallery) == whose("a1", "A1", "5", vectors=("a1", "A1", "5"))


def test_an_erased_person_is_named_by_no_other_member_s_failure(gallery: Gallery) -> None:
    details = {
        "a1": ("shared_photo", "la misma foto que A1, 33 y 2 más"),
        "A1": ("placeholder_photo", "la misma foto que 5, 3 y 1 más"),
        "5": ("no_face", "3"),
    }
    for crew_id, (code, detail) in details.items():
        update = "UPDATE face_photos SET code = :a, detail = :b WHERE crew_id = :c"
        fill(gallery.database, update, (code, detail, crew_id))
    erase(gallery.database, gallery.table, ["3"])
    found = {crew_id: (seen.code, seen.detail) for crew_id, seen in gallery.photo_records.fold_rows(records_of).items()}
    assert found == details | {"A1": ("placeholder_photo", "")}


def test_ids_may_be_numbers(database: Database) -> None:
    number = "INT AUTO_INCREMENT PRIMARY KEY" if database.is_mysql else "INTEGER PRIMARY KEY"
    others = "embedding TEXT, modelo TEXT, confidence FLOAT, imagen_path TEXT, active INT"
    run_sql(database, f"CREATE TABLE face_embeddings (id {number}, crew_id INT, {others})")
    opened = open_for_writing(database, open_table(database), CONTRACT, "reglas", NOW)
    fill(database, "INSERT INTO face_embeddings (id, crew_id) VALUES (:a, :b)", (1, 7), (2, 71), (3, 7), (4, 8))
    assert erase(database, opened.table, ["07"]) == (0, 0)
    assert erase(database, opened.table, ["7"]) == (2, 0)
    assert erase(opened.database, opened.table, ["8"])[1] == 0
    assert run_sql(database, "SELECT id, crew_id FROM face_embeddings") == [(2, 71)]


# ----------------------------------------------------------------------------------------------------- other models


def test_active_rows_that_cannot_be_compared_with_this_contract_s_are_found(gallery: Gallery) -> None:
    for contract in (CONTRACT, OTHER_WEIGHTS, OTHER_DETECTOR):
        open_for_writing(gallery.database, open_table(gallery.database), contract, "", NOW).provenance.declare(NOW)
    made = ((1, CONTRACT), (2, OTHER_WEIGHTS), (3, OTHER_WEIGHTS), (4, OTHER_DETECTOR))
    update = "UPDATE face_vectors SET contract = :a WHERE embedding_id = :b"
    fill(gallery.database, update, *((contract.digest, row_id) for row_id, contract in made))
    insert = "INSERT INTO face_embeddings (id, crew_id, embedding, modelo, active) VALUES (:a, :b, '[1]', :c, 1)"
    fill(gallery.database, insert, (6, "6", "Dlib"), (7, "7", None), (8, "8", "Facenet512"))
    others = gallery.incompatible_rows()
    gallery.writer.set_active(others, active=False)
    assert [row[0] for row in rows(gallery) if row[-1]] == [1, 4, 8]
    assert (len(others), gallery.incompatible_rows()) == (3, [])


def test_incompatible_models_are_returned_when_they_are_more_than_half(gallery: Gallery) -> None:
    run_sql(gallery.database, "UPDATE face_embeddings SET modelo = 'ArcFace' WHERE active")
    active = [str(row[1]) for row in rows(gallery) if row[-1]]
    assert gallery.majority_incompatible_models(None) == {"ArcFace"}
    newest = "UPDATE face_embeddings SET modelo = 'Facenet512' WHERE active AND id > :a"
    run_sql(gallery.database, newest, {"a": next(row[0] for row in rows(gallery) if row[-1])})
    assert gallery.majority_incompatible_models(None) == set()
    assert gallery.majority_incompatible_models(active[0]) == set()
