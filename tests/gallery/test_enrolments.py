"""Enrolments, read from tables that this program and others have written."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.database import Database
from app.gallery.embeddings_table import open_table
from app.gallery.enrolments import read_enrolments
from app.gallery.tables import open_own_tables
from app.records import Enrolment
from tests.support.databases import run_sql


def insert(database: Database, *rows: tuple[Any, ...]) -> None:
    """Insert rows of the gallery: (id, crew_id, embedding, modelo, imagen_path, active)."""
    sql = (
        "INSERT INTO face_embeddings (id, crew_id, embedding, modelo, imagen_path, active) "
        "VALUES (:a, :b, :c, :d, :e, :f)"
    )
    run_sql(database, sql, *(dict(zip("abcdef", row, strict=True)) for row in rows))


def made(database: Database, *rows: tuple[Any, ...]) -> None:
    """Insert rows of the provenance: (embedding_id, crew_id, contract, sha256, staged)."""
    sql = "INSERT INTO face_vectors (embedding_id, crew_id, contract, sha256, staged) VALUES (:a, :b, :c, :d, :e)"
    run_sql(database, sql, *(dict(zip("abcde", row, strict=True)) for row in rows))


def enrolments(database: Database, crew_id: str | None = None) -> dict[str, Enrolment]:
    return read_enrolments(database, open_table(database), crew_id)


@pytest.fixture
def gallery(database: Database) -> Database:
    """Return a database with all tables, empty."""
    open_table(database)
    open_own_tables(database)
    return database


def test_an_empty_gallery_holds_nothing(gallery: Database) -> None:
    assert enrolments(gallery) == {}


def test_of_a_row_of_ours_all_is_known(gallery: Database) -> None:
    insert(gallery, (7, "1", "[1,2]", "Facenet512", "u", 1))
    made(gallery, (7, "1", "digest", "ab", 0))
    assert enrolments(gallery) == {
        "1": Enrolment(7, "Facenet512", "u", (7,), (7,), True, "digest", None, "ab"),
    }


def test_of_a_row_of_another_program_the_numbers_are_counted(gallery: Database) -> None:
    insert(
        gallery,
        (1, "1", "[1]", "Facenet512", "u", 1),
        (2, "2", "[0.5, -1e-5, 3]", "Dlib", None, 1),
        (3, "3", f"[{','.join(['0.25'] * 512)}]", None, "w", 1),
    )
    assert enrolments(gallery) == {
        "1": Enrolment(1, "Facenet512", "u", (1,), (1,), dimensions=1),
        "2": Enrolment(2, "Dlib", "", (2,), (2,), dimensions=3),
        "3": Enrolment(3, "", "w", (3,), (3,), dimensions=512),
    }


def test_an_adopted_row_is_known_and_its_contract_is_not(gallery: Database) -> None:
    insert(gallery, (1, "1", "[1]", "Facenet512", "u", 1), (2, "2", "[1,2]", "Facenet512", "v", 1))
    made(gallery, (1, "1", None, None, 0))
    assert enrolments(gallery) == {
        "1": Enrolment(1, "Facenet512", "u", (1,), (1,), known=True),
        "2": Enrolment(2, "Facenet512", "v", (2,), (2,), dimensions=2),
    }


def test_the_newest_active_row_speaks_for_the_member_and_the_newest_when_none_is_active(gallery: Database) -> None:
    insert(
        gallery,
        (1, "1", "[1]", "Facenet512", "a", 1),
        (2, "1", "[1]", "Facenet512", "b", 1),
        (3, "1", "[1]", "Facenet512", "c", 0),
        (4, "2", "[1]", "Facenet512", "d", 0),
        (5, "2", "[1]", "Dlib", "e", 0),
        (6, "3", "[1]", "Facenet512", "f", 0),
        (7, "3", "[1]", "Facenet512", "g", 1),
        (8, "4", "[1]", "Facenet512", "h", None),
    )
    assert enrolments(gallery) == {
        "1": Enrolment(2, "Facenet512", "b", (1, 2), (1, 2, 3), dimensions=1),
        "2": Enrolment(5, "Dlib", "e", (), (4, 5)),
        "3": Enrolment(7, "Facenet512", "g", (7,), (6, 7), dimensions=1),
        "4": Enrolment(8, "Facenet512", "h", (), (8,)),
    }


def test_staged_rows_do_not_count_until_they_are_in_use(gallery: Database) -> None:
    insert(
        gallery,
        (1, "1", "[1]", "Facenet512", "a", 1),
        (2, "1", "[1]", "Dlib", "a", 0),
        (3, "2", "[1]", "Dlib", "b", 0),
        (4, "3", "[1]", "Dlib", "c", 1),
    )
    made(
        gallery,
        (1, "1", "old", "ab", 0),
        (2, "1", "new", "ab", 1),
        (3, "2", "new", "ab", 1),
        (4, "3", "new", "ab", 1),
    )
    assert enrolments(gallery) == {
        "1": Enrolment(1, "Facenet512", "a", (1,), (1,), True, "old", None, "ab"),
        "3": Enrolment(4, "Dlib", "c", (4,), (4,), True, "new", None, "ab"),
    }


def test_ids_that_differ_in_case_only_are_two_people(gallery: Database) -> None:
    insert(gallery, (1, "a1", "[1]", "Facenet512", "a", 1), (2, "A1", "[1,2]", "Facenet512", "b", 0))
    one, other = Enrolment(1, "Facenet512", "a", (1,), (1,), dimensions=1), Enrolment(2, "Facenet512", "b", (), (2,))
    assert enrolments(gallery) == {"a1": one, "A1": other}
    assert enrolments(gallery, "a1")["a1"] == one
    assert enrolments(gallery, "A1")["A1"] == other


def test_one_member_may_be_asked_for(gallery: Database) -> None:
    insert(gallery, (1, "1", "[1]", "Facenet512", "a", 1), (2, "2", "[1]", "Facenet512", "b", 1))
    assert enrolments(gallery, "2") == {"2": Enrolment(2, "Facenet512", "b", (2,), (2,), dimensions=1)}
    assert enrolments(gallery, "3") == {}


def test_ids_may_be_numbers(database: Database) -> None:
    number = "INT AUTO_INCREMENT PRIMARY KEY" if database.is_mysql else "INTEGER PRIMARY KEY"
    others = "embedding TEXT, modelo TEXT, confidence FLOAT, imagen_path TEXT, active INT"
    run_sql(database, f"CREATE TABLE face_embeddings (id {number}, crew_id INT, {others})")
    open_own_tables(database)
    insert(database, (1, 7, "[1]", "Facenet512", "a", 1), (2, 71, "[1]", "Facenet512", "b", 1))
    assert enrolments(database, "7") == {"7": Enrolment(1, "Facenet512", "a", (1,), (1,), dimensions=1)}
    assert sorted(enrolments(database)) == ["7", "71"]
