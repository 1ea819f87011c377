"""Which vectors are read as templates, on a real MariaDB and SQLite."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from app.core.database import Database
from app.gallery.embeddings_table import open_table
from app.gallery.gallery import Gallery, open_for_reading, open_for_writing
from app.gallery.templates import read_templates
from app.records import EmbeddingSpec
from tests.support.databases import run_sql

SPEC = EmbeddingSpec("Facenet512", "a1", "mtcnn", "aligned", "base", "bgr", 1)
OTHER_WEIGHTS = EmbeddingSpec("Facenet512", "b2", "mtcnn", "aligned", "base", "bgr", 1)
NOW = datetime(2026, 3, 1, 2)
# crew_id, embedding, modelo, imagen_path, active
ROWS = [
    ("b", "[3,4]", "Facenet512", "u-b", True),
    ("a", "[1,0]", "Facenet512", "u-old", True),
    ("a", "[0,1]", "Facenet512", "u-a", True),  # the newest of two active rows
    ("gone", "[1,1]", "Facenet512", "u", True),  # not in the roster
    ("gone", "[1,1]", "Facenet512", "u", True),
    ("b", "[3,4]", "Facenet512", "u", False),
    ("inactive", "[1,1]", "Facenet512", "u", False),
    ("model", "[1,1]", "Dlib", "u", True),
    ("weights", "[1,1]", "Facenet512", "u", True),
    ("short", "[1]", "Facenet512", "u", True),
    ("zeros", "[0,0]", "Facenet512", "u", True),
    ("word", '["x","y"]', "Facenet512", "u", True),
    ("null", "[null,1]", "Facenet512", "u", True),
    ("nested", "[[1,2]]", "Facenet512", "u", True),
    ("foreign", "[5,0]", "Facenet512", "u-f", True),
]
ROSTER = sorted({row[0] for row in ROWS} - {"gone"})


@pytest.fixture
def gallery(database: Database) -> Gallery:
    opened = open_for_writing(database, open_table(database), SPEC, "reglas", NOW)
    insert = "INSERT INTO face_embeddings (crew_id, embedding, modelo, imagen_path, active) VALUES (:a, :b, :c, :d, :e)"
    run_sql(database, insert, *(dict(zip("abcde", row, strict=True)) for row in ROWS))
    for spec in (SPEC, OTHER_WEIGHTS):
        open_for_writing(database, open_table(database), spec, "reglas", NOW).provenance.declare(NOW)
    known: list[dict[str, Any]] = [
        {"i": number, "c": row[0], "d": (OTHER_WEIGHTS if row[0] == "weights" else SPEC).digest}
        for number, row in enumerate(ROWS, start=1)
        if row[0] != "foreign"
    ]
    vectors = "INSERT INTO face_vectors (embedding_id, crew_id, contract, sha256) VALUES (:i, :c, :d, 'ab')"
    run_sql(database, vectors, *known)
    return opened


def test_the_newest_comparable_vector_of_each_member_in_the_roster_is_read(gallery: Gallery) -> None:
    read = read_templates(gallery, ROSTER)
    assert read.crew_ids == ("a", "b", "foreign")
    assert read.vectors.dtype == np.float32
    assert read.vectors.tolist() == [[0, 1], [3, 4], [5, 0]]
    assert read.row_ids == (3, 1, 15)
    assert read.urls == ("u-a", "u-b", "u-f")
    assert read.sha256s == ("ab", "ab", "")
    assert (read.foreign, read.incompatible) == (1, 2)
    assert read.several == ("a",)
    assert read.unreadable == ("nested", "null", "short", "word", "zeros")


def test_a_gallery_without_tables_has_no_templates_and_gets_no_tables(database: Database) -> None:
    read = read_templates(open_for_reading(database, None, SPEC, NOW), ["a"])
    assert (read.crew_ids, read.vectors.shape) == ((), (0, 0))
    with pytest.raises(Exception, match="face_embeddings"):
        run_sql(database, "SELECT * FROM face_embeddings")
