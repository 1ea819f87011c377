"""Tables of other programs: what a run can write into, and what it refuses before anything is downloaded."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from app.core.database import Database
from app.errors import DatabaseUnavailable
from app.gallery.embeddings_table import find_table, open_table
from app.gallery.enrolments import read_enrolments
from app.gallery.obstacles import Obstacle, find_obstacles, require_writable
from app.gallery.photo_records import PhotoRecords
from app.gallery.provenance import Provenance
from app.gallery.tables import open_own_tables
from app.gallery.vector_writer import VectorWriter
from app.records import CrewMember, Embedding, EmbeddingSpec, Photo, PhotoAnalysis, Picture
from tests.support.databases import run_carelessly, run_sql
from tests.support.mariadb import MariaDb

COLUMNS = {
    "id": "INT AUTO_INCREMENT PRIMARY KEY",
    "crew_id": "VARCHAR(10) NOT NULL",
    "embedding": "LONGTEXT NOT NULL",
    "modelo": "VARCHAR(50)",
    "confidence": "DECIMAL(3,2)",
    "imagen_path": "VARCHAR(255)",
    "active": "BOOLEAN DEFAULT TRUE",
}
SQLITE_ID = {"id": "INTEGER PRIMARY KEY"}
SPEC = EmbeddingSpec("Facenet512", "a1", "mtcnn", "aligned", "base", "bgr", 1)
NO_INDEX = "La tabla face_embeddings no tiene índice por crew_id: cada lote la recorrerá entera"


def found(database: Database, **columns: str) -> None:
    """Make another program's table; `columns` replaces or adds some."""
    usual = COLUMNS if database.is_mysql else COLUMNS | SQLITE_ID
    definition = ", ".join(f"{name} {kind}" for name, kind in (usual | columns).items())
    run_sql(database, f"CREATE TABLE face_embeddings ({definition})")


def obstacles(database: Database, model: str = "Facenet512", dimensions: int = 512) -> list[Obstacle]:
    table = find_table(database)
    assert table is not None
    return list(find_obstacles(database, table, model, dimensions))


def obey(database: Database, obstacle: Obstacle) -> None:
    """Execute the SQL of the advice, as the administrator would."""
    (statement,) = [line for line in obstacle.advice.splitlines() if line.endswith(";")]
    run_sql(database, statement)


def save(database: Database, *crew_ids: str, first: float = 1.0) -> list[int]:
    """Write a vector for each member, and return the ids of their rows."""
    open_own_tables(database)
    writer = VectorWriter(
        database, open_table(database), Provenance(database, SPEC), PhotoRecords(database, "", datetime(2026, 3, 1))
    )
    embeddings = []
    for crew_id in crew_ids:
        photo = Photo(CrewMember(crew_id, "a.jpg"), f"http://f/{crew_id}", Path("a.jpg"), sha256=f"{first:064.3f}")
        analysis = PhotoAnalysis((640, 480), Picture(15, b"\x01\xff"), confidence=0.97)
        embeddings.append(Embedding(photo, np.array([first, 0.5], np.float32), "Facenet512", analysis))
    return [row.row_id for row in writer.save(embeddings)]


# --------------------------------------------------------------------------------------------------- what works


def test_our_own_table_has_no_obstacle(database: Database) -> None:
    table = open_table(database)
    assert list(find_obstacles(database, table, "VGG-Face", 4096)) == []


SUITABLE_FLAGS = [
    *("BOOLEAN", "TINYINT(4)", "TINYINT UNSIGNED", "INT", "BIGINT UNSIGNED ZEROFILL", "DECIMAL(3,1)", "DOUBLE"),
    *("FLOAT", "BIT(1)", "BIT(8)", "CHAR(1)", "VARCHAR(5)", "TINYTEXT"),
]


@pytest.mark.parametrize("kind", SUITABLE_FLAGS)
def test_a_flag_of_which_true_can_be_said_is_written_and_read_as_the_service_does(
    mariadb_database: Database, kind: str
) -> None:
    found(mariadb_database, active=kind)
    assert obstacles(mariadb_database) == []
    rows = "('1', '[]', 0), ('2', '[]', 1), ('3', '[]', NULL)"
    run_sql(mariadb_database, f"INSERT INTO face_embeddings (crew_id, embedding, active) VALUES {rows}")  # noqa: S608
    before = read_enrolments(mariadb_database, open_table(mariadb_database))
    assert {crew_id: each.active for crew_id, each in before.items()} == {"1": False, "2": True, "3": False}
    assert save(mariadb_database, "1", "2") == [4, 2]
    assert save(mariadb_database, "1", "2", first=-1.0) == [4, 2]
    served = run_sql(mariadb_database, "SELECT id, crew_id FROM face_embeddings WHERE active = TRUE ORDER BY id")
    assert served == [(2, "2"), (4, "1")]


@pytest.mark.parametrize("kind", ["JSON", "LONGBLOB", "MEDIUMTEXT", "TEXT", "VARBINARY(20000)"])
def test_a_vector_goes_into_any_column_that_holds_text(mariadb: MariaDb, mariadb_database: Database, kind: str) -> None:
    mariadb.need_kinds(kind)
    found(mariadb_database, embedding=kind, modelo="VARBINARY(50)", imagen_path="BLOB", crew_id="VARBINARY(20)")
    assert obstacles(mariadb_database) == []
    for first in (1.0, -1.0):  # the second writes over the first, and keeps it for a withdrawal
        assert save(mariadb_database, "ñ", first=first) == [1]
    enrolment = read_enrolments(mariadb_database, open_table(mariadb_database))["ñ"]
    assert (enrolment.model, enrolment.url, enrolment.active) == ("Facenet512", "http://f/ñ", True)
    assert run_sql(mariadb_database, "SELECT COUNT(*) FROM face_embeddings") == [(1,)]


@pytest.mark.parametrize("largest", [2**31, 2**63, 2**64 - 2])
def test_an_id_may_be_as_large_as_the_database_makes_them(mariadb_database: Database, largest: int) -> None:
    found(mariadb_database, id="BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY")
    run_sql(mariadb_database, f"ALTER TABLE face_embeddings AUTO_INCREMENT = {largest}")
    assert save(mariadb_database, "1") == [largest]
    assert save(mariadb_database, "1", first=-1.0) == [largest]
    assert read_enrolments(mariadb_database, open_table(mariadb_database))["1"].known


def test_a_view_of_a_table_elsewhere_is_taken_at_its_word(mariadb_database: Database) -> None:
    """A view does not say that the table behind it numbers the rows."""
    found(mariadb_database)
    run_sql(mariadb_database, "RENAME TABLE face_embeddings TO suya")
    run_sql(mariadb_database, "CREATE VIEW face_embeddings AS SELECT * FROM suya")
    assert obstacles(mariadb_database) == []
    assert save(mariadb_database, "1") == [1]


def test_a_model_that_is_a_label_of_the_column_fits(mariadb_database: Database) -> None:
    found(mariadb_database, modelo="ENUM('Facenet512', 'Dlib')")
    assert obstacles(mariadb_database) == []
    assert [each.name for each in obstacles(mariadb_database, "ArcFace")] == ["modelo"]


# -------------------------------------------------------------------------------------------- what no run can write

REFUSED = {
    "id": [{"id": "CHAR(36) DEFAULT (UUID()) PRIMARY KEY"}, {"id": "INT PRIMARY KEY"}, {"id": "BIGINT UNSIGNED"}],
    "active_type": [
        *({"active": kind} for kind in ("ENUM('0', '1')", "ENUM('S', 'N')", "SET('1')", "BINARY(1)", "DATE", "YEAR")),
        *({"active": kind} for kind in ("DECIMAL(1,1)", "POINT")),
    ],
    "computed": [
        {"active": "BOOLEAN AS (crew_id > 1) STORED"},
        {"imagen_path": "VARCHAR(255) AS (CONCAT('x', crew_id)) VIRTUAL"},
    ],
    "confidence": [{"confidence": kind} for kind in ("DECIMAL(2,2)", "VARCHAR(3)", "ENUM('1')", "DATE")],
    "modelo": [{"modelo": kind} for kind in ("VARCHAR(9)", "INT", "ENUM('Facenet')")],
    "imagen_path": [{"imagen_path": kind} for kind in ("INT", "ENUM('a')", "DATETIME")],
    "embedding": [{"embedding": kind} for kind in ("VARCHAR(4000)", "TINYTEXT", "TINYBLOB", "DOUBLE", "ENUM('a')")],
    "stranger": [{"turno": "INT NOT NULL"}, {"created_at": "DATETIME NOT NULL"}, {"updated_at": "DATETIME NOT NULL"}],
}


@pytest.mark.filterwarnings("ignore:Did not recognize type")  # SQLAlchemy's, of POINT; the program ignores it, too
@pytest.mark.parametrize(("name", "columns"), [(name, each) for name, several in REFUSED.items() for each in several])
def test_what_no_run_could_write_is_named_before(
    mariadb: MariaDb, mariadb_database: Database, name: str, columns: dict[str, str]
) -> None:
    mariadb.need_kinds(*columns.values())
    found(mariadb_database, **columns)
    (obstacle,) = obstacles(mariadb_database)
    assert (obstacle.name, bool(obstacle.advice)) == (name, True)
    assert next(iter(columns)) in obstacle.text
    table = find_table(mariadb_database)
    assert table is not None
    with pytest.raises(DatabaseUnavailable) as caught:
        require_writable(mariadb_database, table, "Facenet512", 512)
    assert str(caught.value).endswith(f": {obstacle.text}")
    assert caught.value.advice == obstacle.advice


@pytest.mark.parametrize("kind", ["CHAR(1)", "VARCHAR(2)", "TEXT"])
def test_a_flag_of_words_is_refused_with_the_word(mariadb_database: Database, kind: str) -> None:
    """MySQL takes the word for 0: the program would insert a second row, which the service never reads."""
    found(mariadb_database, active=kind)
    run_sql(mariadb_database, "INSERT INTO face_embeddings (crew_id, embedding, active) VALUES ('1', '[]', 'S')")
    (obstacle,) = obstacles(mariadb_database)
    assert (obstacle.name, "guarda «S»" in obstacle.text) == ("active_type", True)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("TINYINT", "2"), ("INT", "-1"), ("BIGINT UNSIGNED ZEROFILL", "2"), ("BIT(8)", "2")),
        *(("DECIMAL(3,1)", "0.5"), ("DOUBLE", "2"), ("FLOAT", "1.5")),
    ],
)
def test_a_flag_of_other_numbers_is_refused_with_the_number(mariadb_database: Database, kind: str, value: str) -> None:
    """`active = TRUE` means 1: the program would insert a second row beside that of 2, which its writer holds for in
    use."""
    found(mariadb_database, active=kind)
    insert = "INSERT INTO face_embeddings (crew_id, embedding, active) VALUES"
    run_sql(mariadb_database, f"{insert} ('1', '[]', 1), ('2', '[]', 0), ('3', '[]', NULL)")
    assert obstacles(mariadb_database) == []
    run_sql(mariadb_database, f"{insert} ('4', '[]', {value})")
    (obstacle,) = obstacles(mariadb_database)
    (query,) = [line for line in obstacle.advice.splitlines() if line.endswith(";")]
    assert obstacle.name == "active_type"
    assert re.search(f"guarda «0*{value}»", obstacle.text)
    assert [crew_id for _, crew_id, _ in run_sql(mariadb_database, query)] == ["4"]


def test_a_word_in_a_flag_of_sqlite_is_refused_whatever_the_columns_type(sqlite_database: Database) -> None:
    found(sqlite_database)
    run_sql(sqlite_database, "INSERT INTO face_embeddings (crew_id, embedding, active) VALUES ('1', '[]', 'true')")
    (obstacle,) = obstacles(sqlite_database)
    assert (obstacle.name, "guarda «true»" in obstacle.text) == ("active_type", True)


@pytest.mark.parametrize(
    "columns",
    [
        {"id": "CHAR(36) DEFAULT (UUID()) PRIMARY KEY"},
        {"id": "CHAR(36)", "crew_id": "VARCHAR(10) PRIMARY KEY"},
        {"id": "INT PRIMARY KEY"},
        {"id": "BIGINT UNSIGNED"},
        {"id": "INT NOT NULL", "crew_id": "VARCHAR(10) PRIMARY KEY"},
        {"turno": "ENUM('a', 'b') NOT NULL"},
        {"created_at": "DATETIME NOT NULL"},
        {"embedding": "TINYTEXT"},
        {"confidence": "DECIMAL(2,2)"},
    ],
)
def test_the_advised_sql_mends_it(mariadb: MariaDb, mariadb_database: Database, columns: dict[str, str]) -> None:
    mariadb.need_kinds(*columns.values())
    found(mariadb_database, **columns)
    run_carelessly(mariadb_database, "INSERT INTO face_embeddings (crew_id, embedding) VALUES ('9', '[]')")
    (obstacle,) = obstacles(mariadb_database)
    obey(mariadb_database, obstacle)
    assert obstacles(mariadb_database) == []
    assert len(save(mariadb_database, "1", "2")) == 2


def test_in_sqlite_only_a_column_that_is_the_row_number_numbers_the_rows(sqlite_database: Database) -> None:
    found(sqlite_database, id="INT PRIMARY KEY")
    assert [each.name for each in obstacles(sqlite_database)] == ["id"]


# ------------------------------------------------------------------------------------------------------ what is slow


@pytest.mark.parametrize(
    ("index", "warnings"),
    [
        ("", [NO_INDEX]),
        ("CREATE INDEX i ON face_embeddings (active, crew_id)", [NO_INDEX]),
        ("CREATE INDEX i ON face_embeddings (crew_id)", []),
    ],
)
def test_a_table_that_will_be_slow_is_used_and_said_to_be_slow(
    database: Database, caplog: pytest.LogCaptureFixture, index: str, warnings: list[str]
) -> None:
    found(database)
    if index:
        run_sql(database, index)
    with caplog.at_level(logging.WARNING, logger="app.gallery.obstacles"):
        require_writable(database, open_table(database), "Facenet512", 512)
    assert caplog.messages == warnings
