from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Connection, event, text

from app.core.database import Database
from app.errors import RowRefused
from app.gallery.embeddings_table import open_table
from app.gallery.photo_records import PhotoRecords
from app.gallery.provenance import Provenance
from app.gallery.tables import open_own_tables
from app.gallery.vector_writer import INSERTED_BYTES, SavedRow, VectorWriter, to_json
from app.records import CrewMember, Embedding, EmbeddingSpec, Photo, PhotoAnalysis, Picture
from tests.conftest import OpenDatabase
from tests.support.databases import Row, run_sql
from tests.support.mariadb import MariaDb

VECTOR = np.array([0.1, -2.5, 3.0], np.float32)
URL = "http://fotos/{}/a.jpg"
FOREIGN = {
    "sqlite": "id INTEGER PRIMARY KEY AUTOINCREMENT",
    "mariadb": "id INT AUTO_INCREMENT PRIMARY KEY",
}
OTHERS = "embedding TEXT, modelo VARCHAR(50), confidence DECIMAL(3,2), imagen_path VARCHAR(255), active BOOLEAN"


def contract(weights: str = "a1", model: str = "Facenet512") -> EmbeddingSpec:
    return EmbeddingSpec(model, weights, "mtcnn", "aligned", "base", "bgr", 1)


def open_store(database: Database, made_by: EmbeddingSpec | None = None) -> VectorWriter:
    table = open_table(database)
    open_own_tables(database)
    photo_records = PhotoRecords(database, "reglas", datetime(2026, 3, 1))
    return VectorWriter(database, table, Provenance(database, made_by or contract()), photo_records)


def embedding(crew_id: str, vector: NDArray[np.float32] = VECTOR, **values: Any) -> Embedding:
    url = values.get("url", URL.format(crew_id))
    photo = Photo(CrewMember(crew_id, "a.jpg"), url, Path("a.jpg"), sha256=values.get("sha256", "ab" * 32))
    picture = Picture(values.get("hash", 15), b"\x01\xff")
    analysis = PhotoAnalysis((640, 480), picture, confidence=values.get("confidence", 0.987))
    return Embedding(photo, vector, values.get("model", "Facenet512"), analysis)


def save(store: VectorWriter, embeddings: Sequence[Embedding]) -> list[int]:
    """Save, and return the ids of the rows."""
    return [each.row_id for each in store.save(embeddings)]


def provenance(database: Database) -> list[Row]:
    """Return (embedding_id, crew_id, contract, sha256, perceptual_hash, grey, staged), by the ids."""
    query = (
        "SELECT embedding_id, crew_id, contract, sha256, perceptual_hash, grey, staged "
        "FROM face_vectors ORDER BY embedding_id"
    )
    return [(*found[:-1], bool(found[-1])) for found in run_sql(database, query)]


def made(row_id: int, crew_id: str, **values: Any) -> Row:
    """Return the provenance of a row saved from `embedding(crew_id)`."""
    defaults = {
        **{"contract": contract().digest, "sha256": "ab" * 32, "hash": "000000000000000f", "grey": "01ff"},
        **{"staged": False},
    }
    return (row_id, crew_id, *(defaults | values).values())


def remembered(database: Database) -> list[Row]:
    """Return (crew_id, url) of the photo records, by the ids."""
    return sorted(run_sql(database, "SELECT crew_id, url FROM face_photos"))


def rows(database: Database) -> list[Row]:
    """Return (id, crew_id, vector, modelo, confidence, imagen_path, active) of every row, in the order of the ids."""
    query = "SELECT id, crew_id, embedding, modelo, confidence, imagen_path, active FROM face_embeddings ORDER BY id"
    found = run_sql(database, query)
    return [(row[0], row[1], json.loads(row[2]), row[3], float(row[4] or 0), row[5], bool(row[6])) for row in found]


def row(row_id: int, crew_id: object, **values: Any) -> Row:
    """Return the row saved from `embedding(crew_id)`."""
    defaults = {
        **{"vector": [0.1, -2.5, 3.0], "model": "Facenet512", "confidence": 0.99},
        **{"url": URL.format(crew_id), "active": True},
    }
    return (row_id, crew_id, *(defaults | values).values())


def insert(database: Database, *found: tuple[object, ...]) -> None:
    """Insert rows as another program does: (crew_id, modelo, imagen_path, active)."""
    run_sql(
        database,
        "INSERT INTO face_embeddings (crew_id, embedding, modelo, imagen_path, active) VALUES (:c, '[1]', :m, :i, :a)",
        *(dict(zip("cmia", values, strict=True)) for values in found),
    )


def run_at_once(*calls: Any) -> list[Any]:
    """Return the results of the calls, each in a thread of its own, begun together."""
    together = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        together.wait()
        try:
            results[number] = calls[number]()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# ----------------------------------------------------------------------------------------------------- the text


def test_the_text_reads_back_to_the_same_float32() -> None:
    chance = np.random.default_rng(7)
    bits = chance.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32)
    edges = [0.0, -0.0, 1e-45, 1.1754944e-38, 3.4028235e38, 0.1, 1 / 3, 16777216.0, 1e10]
    vector = np.concatenate([bits[np.isfinite(bits)], np.array(edges, np.float32)])
    back = np.array(json.loads(to_json(vector)), np.float32)
    assert (back.view(np.uint32) == vector.view(np.uint32)).all()


def test_the_text_is_the_shortest_that_does() -> None:
    """Against numpy's own shortest digits; 0.1 as a float64 would take eighteen more."""
    vector = np.random.default_rng(7).normal(0, 1, 2000).astype(np.float32)
    numbers = to_json(vector)[1:-1].split(",")
    digits = [len(Decimal(number).normalize().as_tuple().digits) for number in numbers]
    shortest = [len(Decimal(np.format_float_scientific(value, unique=True)).as_tuple().digits) for value in vector]
    assert digits == shortest
    assert to_json(VECTOR) == "[0.1,-2.5,3.0]"


def test_any_view_of_a_vector_is_written_in_its_order() -> None:
    assert to_json(np.arange(6, dtype=np.float32)[::-2]) == "[5.0,3.0,1.0]"


# -------------------------------------------------------------------------------------------------------- writing


def test_new_members_get_a_row_each_and_the_ids_come_in_their_order(database: Database) -> None:
    store = open_store(database)
    assert save(store, [embedding("2"), embedding("1", confidence=1.0)]) == [1, 2]
    assert rows(database) == [row(1, "2"), row(2, "1", confidence=1.0)]


def test_a_known_member_keeps_its_id_and_everything_else_is_new(database: Database) -> None:
    store = open_store(database)
    save(store, [embedding("1"), embedding("2")])
    vector = np.array([7, 8], np.float32)
    again = embedding("1", vector, url="http://fotos/1/b.jpg", model="Dlib", confidence=0.5)
    assert save(store, [embedding("3"), again]) == [3, 1]
    assert rows(database) == [
        row(1, "1", vector=[7.0, 8.0], model="Dlib", confidence=0.5, url="http://fotos/1/b.jpg"),
        row(2, "2"),
        row(3, "3"),
    ]


def test_saving_again_marks_when_and_keeps_when_it_was_made(database: Database) -> None:
    store = open_store(database)
    save(store, [embedding("1")])
    before = "2020-01-02 03:04:05"
    run_sql(database, "UPDATE face_embeddings SET created_at = :a, updated_at = :a", {"a": before})
    save(store, [embedding("1", -VECTOR)])
    (times,) = run_sql(database, "SELECT created_at, updated_at FROM face_embeddings")
    created, updated = map(str, times)
    assert created == before
    assert updated > "2026"


def test_a_row_whose_vector_has_not_moved_stays_and_knows_the_new_file(database: Database) -> None:
    """Saved again without a change: neither vector nor time is written; address and provenance are the new file's."""
    store = open_store(database)
    store.save([embedding("1")])
    before = run_sql(database, "UPDATE face_embeddings SET updated_at = '2020-01-02 03:04:05'")
    again = embedding("1", VECTOR * np.float32(1.01) + np.float32(0.03), sha256="cd" * 32, hash=1, confidence=0.5)
    assert store.save([again, embedding("2")]) == [SavedRow(1, unmoved=True), SavedRow(2)]
    assert rows(database) == [row(1, "1"), row(2, "2")]
    assert provenance(database)[0] == made(1, "1", sha256="cd" * 32, hash="0000000000000001")
    (when,) = run_sql(database, "SELECT updated_at FROM face_embeddings WHERE id = 1")
    assert str(when[0]) == "2020-01-02 03:04:05", before
    moved = embedding("1", VECTOR, url="http://fotos/1/b.jpg", sha256="ef" * 32)
    assert store.save([moved]) == [SavedRow(1, unmoved=True)]
    assert rows(database)[0] == row(1, "1", url="http://fotos/1/b.jpg")
    assert store.save([embedding("1")], rewrite=True) == [SavedRow(1)]


@pytest.mark.parametrize(("moved", "stays"), [(0.0019, True), (0.0021, False)])
def test_a_vector_counts_as_the_same_within_a_cosine_distance_of_two_thousandths(
    database: Database, moved: float, stays: bool
) -> None:
    store = open_store(database)
    store.save([embedding("1", np.array([1, 0], np.float32))])
    near = np.array([1 - moved, np.sqrt(1 - (1 - moved) ** 2)], np.float32)
    assert store.save([embedding("1", near)]) == [SavedRow(1, unmoved=stays)]


def test_only_a_vector_of_this_contract_can_stay(database: Database) -> None:
    """A row of other weights, another program, another length, or without a vector is written over."""
    open_store(database).save([embedding("1")])
    assert open_store(database, contract("b2")).save([embedding("1")]) == [SavedRow(1)]
    insert(database, ("2", "Facenet512", "suya", 1))
    assert open_store(database).save([embedding("2")]) == [SavedRow(2)]
    for held in ("[1, 2]", "nada", "null", "{}"):
        run_sql(database, "UPDATE face_embeddings SET embedding = :a WHERE id = 2", {"a": held})
        assert open_store(database).save([embedding("2")]) == [SavedRow(2)], held
    assert rows(database)[1] == row(2, "2")


def test_of_several_active_rows_the_newest_is_written_and_the_others_are_deactivated(database: Database) -> None:
    store = open_store(database)
    insert(database, ("1", "Facenet512", "a", 1), ("2", "Facenet512", "b", 1), ("1", "Facenet512", "c", 1))
    insert(database, ("1", "Facenet512", "d", 0))
    assert save(store, [embedding("1")]) == [3]
    assert rows(database) == [
        row(1, "1", vector=[1], confidence=1.0, url="a", active=False),
        row(2, "2", vector=[1], confidence=1.0, url="b"),
        row(3, "1"),
        row(4, "1", vector=[1], confidence=1.0, url="d", active=False),
    ]


def test_a_member_whose_rows_are_all_inactive_gets_a_new_one(database: Database) -> None:
    """A row that the service deactivated stays inactive."""
    store = open_store(database)
    insert(database, ("1", "Facenet512", "a", 0))
    assert save(store, [embedding("1")]) == [2]
    assert rows(database) == [row(1, "1", vector=[1], confidence=1.0, url="a", active=False), row(2, "1")]


def test_a_real_vector_of_512_numbers_goes_in_and_out_unchanged(database: Database) -> None:
    vector = np.random.default_rng(7).normal(0, 1, 512).astype(np.float32)
    save(open_store(database), [embedding("1", vector)])
    ((stored,),) = run_sql(database, "SELECT embedding FROM face_embeddings")
    assert (np.array(json.loads(stored), np.float32) == vector).all()


def test_text_with_any_character_is_stored_as_it_is(database: Database) -> None:
    store = open_store(database)
    save(store, [embedding("ñ'\"\\%s:x", url="http://h/100%25/'a'%s:b")])
    assert rows(database) == [row(1, "ñ'\"\\%s:x", url="http://h/100%25/'a'%s:b")]


@pytest.mark.parametrize(
    ("values", "detail"),
    [
        ({"crew_id": "x" * 192}, "crew_id tiene 192 caracteres y caben {room}"),
        ({"url": "http://h/" + "x" * 12280}, "imagen_path tiene 12289 caracteres y caben {path}"),
        ({"model": "x" * 51}, "modelo tiene 51 caracteres y caben 50"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    database: Database, values: dict[str, str], detail: str
) -> None:
    store = open_store(database)
    with pytest.raises(RowRefused) as caught:
        save(store, [embedding("1"), embedding(**{"crew_id": "2"} | values)])
    room, path = (10, 255) if database.is_mysql else (191, 12288)
    assert caught.value.detail == detail.format(room=room, path=path)
    assert rows(database) == []


def test_what_just_fits_is_written(database: Database) -> None:
    url = "http://h/" + "x" * 246
    save(open_store(database), [embedding("1234567890", url=url)])
    assert rows(database) == [row(1, "1234567890", url=url)]


def test_a_value_that_the_database_refuses_costs_its_batch_and_leaves_no_trace(
    database: Database, request: pytest.FixtureRequest
) -> None:
    if database.is_mysql:
        request.getfixturevalue("mariadb").need_mysql(8, 0, 16, of="CHECK")
    open_store(database)
    check = "CHECK (crew_id <> '3')"
    run_sql(database, "DROP TABLE face_embeddings")
    run_sql(database, f"CREATE TABLE face_embeddings ({_foreign(database)}, crew_id VARCHAR(10) {check}, {OTHERS})")
    store = open_store(database)
    save(store, [embedding("1")])
    with pytest.raises(RowRefused, match=r"(?i)constraint|check"):
        save(store, [embedding("1", np.zeros(1, np.float32)), embedding("2"), embedding("3")])
    assert rows(database) == [row(1, "1")]


def test_a_constraint_that_refuses_in_mysql_s_words_costs_its_batch(mariadb_database: Database) -> None:
    """MySQL's CHECK has a number and an SQLSTATE of its own, which do not say that it is about the row."""
    store = open_store(mariadb_database)
    refuse = "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 3819, MESSAGE_TEXT = 'Check constraint x is violated.'"
    run_sql(mariadb_database, f"CREATE TRIGGER t BEFORE INSERT ON face_embeddings FOR EACH ROW {refuse}")
    with pytest.raises(RowRefused, match="Check constraint x"):
        save(store, [embedding("1")])


def test_an_empty_batch_is_nothing(database: Database) -> None:
    assert save(open_store(database), []) == []


# --------------------------------------------------------------------------------- tables of other programs' making


def _foreign(database: Database) -> str:
    return FOREIGN["mariadb" if database.is_mysql else "sqlite"]


def test_a_table_with_more_columns_and_no_index_is_used_and_the_rest_of_its_rows_stays(database: Database) -> None:
    extra = "nota VARCHAR(20) DEFAULT 'suya', calidad INT"
    run_sql(database, f"CREATE TABLE face_embeddings ({_foreign(database)}, crew_id VARCHAR(10), {OTHERS}, {extra})")
    insert(database, ("1", "Facenet512", "a", 1))
    run_sql(database, "UPDATE face_embeddings SET nota = 'mía', calidad = 7")
    assert save(open_store(database), [embedding("1"), embedding("2")]) == [1, 2]
    assert rows(database) == [row(1, "1"), row(2, "2")]
    notes = run_sql(database, "SELECT nota, calidad FROM face_embeddings ORDER BY id")
    assert notes == [("mía", 7), ("suya", None)]


def test_ids_may_be_numbers(database: Database) -> None:
    run_sql(database, f"CREATE TABLE face_embeddings ({_foreign(database)}, crew_id INT, {OTHERS})")
    store = open_store(database)
    assert save(store, [embedding("789123"), embedding("7")]) == [1, 2]
    assert save(store, [embedding("7"), embedding("8")]) == [2, 3]
    assert [found[:2] for found in rows(database)] == [(1, 789123), (2, 7), (3, 8)]
    assert [found[:2] for found in provenance(database)] == [(1, "789123"), (2, "7"), (3, "8")]


def test_an_id_that_is_no_number_is_refused_where_ids_are_numbers(mariadb_database: Database) -> None:
    run_sql(mariadb_database, f"CREATE TABLE face_embeddings ({FOREIGN['mariadb']}, crew_id INT, {OTHERS})")
    with pytest.raises(RowRefused, match="1366"):
        save(open_store(mariadb_database), [embedding("A7")])
    assert rows(mariadb_database) == []


@pytest.mark.parametrize(
    ("kind", "there", "crew_id", "why"),
    [
        ("INT", "7", "007", "crew_id es INTEGER y no puede guardar «007» tal cual"),
        ("INT", "7", "7x", "para la base es igual que «7», que ya tiene la fila 1"),
        ("VARCHAR(10)", "abc", "ABC", "para la base es igual que «abc», que ya tiene la fila 1"),
    ],
)
def test_an_id_that_only_the_database_holds_for_another_gets_no_second_row(
    mariadb_database: Database, kind: str, there: str, crew_id: str, why: str
) -> None:
    run_sql(mariadb_database, f"CREATE TABLE face_embeddings ({FOREIGN['mariadb']}, crew_id {kind}, {OTHERS})")
    insert(mariadb_database, (there, "Facenet512", "a", 1))
    before = rows(mariadb_database)
    with pytest.raises(RowRefused) as caught:
        save(open_store(mariadb_database), [embedding(crew_id)])
    assert caught.value.detail == why
    assert rows(mariadb_database) == before


def test_a_column_of_type_json_holds_the_array_and_not_a_text_of_it(sqlite_database: Database) -> None:
    columns = OTHERS.replace("embedding TEXT", "embedding JSON")
    run_sql(sqlite_database, f"CREATE TABLE face_embeddings ({FOREIGN['sqlite']}, crew_id TEXT, {columns})")
    save(open_store(sqlite_database), [embedding("1")])
    assert run_sql(sqlite_database, "SELECT embedding FROM face_embeddings") == [("[0.1,-2.5,3.0]",)]


# ------------------------------------------------------------------------------------------- what made the vectors


def test_with_a_vector_what_made_it_and_what_was_seen_are_written(database: Database) -> None:
    save(open_store(database), [embedding("1"), embedding("2", sha256="cd" * 32, hash=1)])
    assert provenance(database) == [
        made(1, "1"),
        made(2, "2", sha256="cd" * 32, hash="0000000000000001"),
    ]
    assert remembered(database) == [("1", URL.format("1")), ("2", URL.format("2"))]


def test_a_vector_made_anew_is_of_the_new_contract(database: Database) -> None:
    save(open_store(database), [embedding("1"), embedding("2")])
    newer = contract("b2")
    assert save(open_store(database, newer), [embedding("2", hash=1)]) == [2]
    assert provenance(database) == [made(1, "1"), made(2, "2", contract=newer.digest, hash="0000000000000001")]


def test_a_batch_that_is_refused_leaves_no_trace_beside_the_gallery_either(database: Database) -> None:
    store = open_store(database)
    save(store, [embedding("1")])
    with pytest.raises(RowRefused):
        save(store, [embedding("1", sha256="cd" * 32, url="u"), embedding("x" * 192)])
    assert provenance(database) == [made(1, "1")]
    assert remembered(database) == [("1", URL.format("1"))]


def test_a_batch_with_a_member_twice_is_refused(database: Database) -> None:
    """A row must never have the vector of one embedding and the provenance of another."""
    with pytest.raises(RowRefused):
        save(open_store(database), [embedding("1"), embedding("1", np.ones(1, np.float32), sha256="cd" * 32)])
    assert (rows(database), provenance(database), remembered(database)) == ([], [], [])


def test_an_id_that_only_our_own_tables_have_no_room_for_is_stored(database: Database) -> None:
    run_sql(database, f"CREATE TABLE face_embeddings ({_foreign(database)}, crew_id VARCHAR(200), {OTHERS})")
    assert save(open_store(database), [embedding("x" * 192), embedding("y" * 191)]) == [1, 2]
    assert [found[1] for found in rows(database)] == ["x" * 192, "y" * 191]
    assert provenance(database) == [made(1, ""), made(2, "y" * 191)]
    assert [crew_id for crew_id, _ in remembered(database)] == ["y" * 191]


def test_staged_vectors_are_inactive_rows_and_those_in_use_stay_as_they_are(database: Database) -> None:
    save(open_store(database), [embedding("1")])
    newer = contract(model="Dlib")
    staged = [embedding("2", model="Dlib"), embedding("1", np.ones(1, np.float32), model="Dlib")]
    assert open_store(database, newer).stage(staged) == [SavedRow(2), SavedRow(3)]
    assert rows(database) == [
        row(1, "1"),
        row(2, "2", model="Dlib", active=False),
        row(3, "1", vector=[1.0], model="Dlib", active=False),
    ]
    assert provenance(database) == [
        made(1, "1"),
        made(2, "2", contract=newer.digest, staged=True),
        made(3, "1", contract=newer.digest, staged=True),
    ]


def test_of_a_staged_batch_all_is_written_or_nothing(database: Database) -> None:
    store = open_store(database)
    with pytest.raises(RowRefused):
        store.stage([embedding("1"), embedding("x" * 192)])
    assert (rows(database), provenance(database), remembered(database)) == ([], [], [])


# ------------------------------------------------------------------------------------------------------ withdrawing


def test_a_withdrawn_new_row_is_inactive_and_its_photo_forgotten(database: Database) -> None:
    store = open_store(database)
    save(store, [embedding("1"), embedding("2")])
    store.withdraw("1", 1)
    assert rows(database) == [row(1, "1", active=False), row(2, "2")]
    assert provenance(database) == [made(2, "2")]
    assert remembered(database) == [("2", URL.format("2"))]


def test_a_row_withdrawn_is_again_what_it_was_before_another_photo_was_written_over_it(database: Database) -> None:
    save(open_store(database), [embedding("1"), embedding("2")])
    store = open_store(database, contract("b2", "Dlib"))
    again = {"sha256": "cd" * 32, "model": "Dlib", "url": "u", "confidence": 0.5, "hash": 1}
    save(store, [embedding(crew_id, np.ones(1, np.float32), **again) for crew_id in ("2", "1")])
    store.withdraw("1", 1)
    other = row(2, "2", vector=[1.0], model="Dlib", url="u", confidence=0.5)
    assert rows(database) == [row(1, "1"), other]
    newer = {"contract": contract("b2", "Dlib").digest, "sha256": "cd" * 32, "hash": "0000000000000001"}
    assert provenance(database) == [made(1, "1"), made(2, "2", **newer)]
    assert remembered(database) == [("2", "u")]


def test_a_row_of_the_very_photo_that_is_withdrawn_is_inactive(database: Database) -> None:
    """The former vector was made of the same photo: restoring it would not help."""
    save(open_store(database), [embedding("1")])
    store = open_store(database, contract("b2"))
    save(store, [embedding("1", np.ones(1, np.float32))])
    store.withdraw("1", 1)
    assert rows(database) == [row(1, "1", vector=[1.0], active=False)]
    assert provenance(database) == []


def test_a_row_of_another_program_comes_back_as_unknown_as_it_was(database: Database) -> None:
    store = open_store(database)
    insert(database, ("1", "Facenet512", "suya", 1))
    before = rows(database)
    assert save(store, [embedding("1")]) == [1]
    store.withdraw("1", 1)
    assert rows(database) == before
    assert provenance(database) == []


def test_of_several_active_rows_the_kept_one_is_restored(database: Database) -> None:
    store = open_store(database)
    insert(database, ("1", "Facenet512", "vieja", 1), ("1", "Facenet512", "nueva", 1))
    assert save(store, [embedding("1")]) == [2]
    store.withdraw("1", 2)
    assert [(found[5], found[6]) for found in rows(database)] == [("vieja", False), ("nueva", True)]


def test_what_a_refused_batch_would_have_replaced_is_not_what_is_restored(database: Database) -> None:
    """A run repeats a refused batch member by member."""
    store = open_store(database)
    save(store, [embedding("1")])
    batch = [embedding("1", np.ones(1, np.float32), sha256="cd" * 32), embedding("x" * 192)]
    with pytest.raises(RowRefused):
        save(store, batch)
    save(store, batch[:1])
    store.withdraw("1", 1)
    assert rows(database) == [row(1, "1")]


# ----------------------------------------------------------------------------------- many new members in one statement


def statements(database: Database) -> list[str]:
    """Return the list that gets each statement from now on that inserts vectors."""
    seen: list[str] = []

    def note(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO face_embeddings"):
            seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    return seen


def numbered(*crew_ids: str, size: int = 1) -> list[Embedding]:
    """Return embeddings whose vectors hold their members' numbers."""
    return [embedding(crew_id, np.full(size, int(crew_id), np.float32)) for crew_id in crew_ids]


def vectors(database: Database) -> dict[int, tuple[str, int]]:
    """Return whose row each is, and the number in its vector."""
    return {found[0]: (found[1], int(found[2][0])) for found in rows(database)}


def test_new_members_are_one_statement_and_each_gets_the_id_of_his_own_row(database: Database) -> None:
    store = open_store(database)
    save(store, numbered("5"))
    seen = statements(database)
    assert save(store, numbered("9", "5", "3", "7")) == [2, 1, 3, 4]
    assert vectors(database) == {1: ("5", 5), 2: ("9", 9), 3: ("3", 3), 4: ("7", 7)}
    assert len(seen) == 1


def test_vectors_that_no_server_must_take_at_once_are_several_statements(database: Database) -> None:
    store, seen = open_store(database), statements(database)
    each = len(to_json(np.full(40_000, 11, np.float32)))
    fitting = INSERTED_BYTES // each
    crew_ids = [str(number) for number in range(10, 11 + 2 * fitting)]
    assert save(store, numbered(*crew_ids, size=40_000)) == list(range(1, len(crew_ids) + 1))
    assert vectors(database) == {place: (each, int(each)) for place, each in enumerate(crew_ids, 1)}
    assert len(seen) == 3


def test_each_gets_the_id_of_his_own_row_where_the_ids_have_gaps(mariadb_database: Database) -> None:
    """As in a cluster of three."""
    store = open_store(mariadb_database)
    mariadb_database.engine.dispose()
    gaps = "SET SESSION auto_increment_increment = 3, SESSION auto_increment_offset = 2"
    event.listen(mariadb_database.engine, "connect", lambda connection, _: connection.cmd_query(gaps))
    assert save(store, numbered("7", "8", "9")) == [2, 5, 8]
    assert vectors(mariadb_database) == {2: ("7", 7), 5: ("8", 8), 8: ("9", 9)}


def test_staged_again_each_gets_the_id_of_his_new_row(database: Database) -> None:
    store = open_store(database, contract(model="Dlib"))
    first = [each.row_id for each in store.stage(numbered("7", "8"))]
    assert [each.row_id for each in store.stage(numbered("8", "7"))] == [3, 4]
    assert (first, vectors(database)) == ([1, 2], {1: ("7", 7), 2: ("8", 8), 3: ("8", 8), 4: ("7", 7)})


def test_a_row_that_another_writes_for_a_member_meanwhile_is_not_taken_for_ours(
    mariadb: MariaDb, mariadb_name: str, mariadb_database: Database
) -> None:
    store, others = open_store(mariadb_database, contract(model="Dlib")), []

    def write_another(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO face_embeddings") and not others:
            others.append("8")
            mariadb.execute(
                "INSERT INTO face_embeddings (crew_id, embedding, active) VALUES ('8', '[0]', 0)", mariadb_name
            )

    event.listen(mariadb_database.engine, "before_cursor_execute", write_another)
    assert [each.row_id for each in store.stage(numbered("7", "8"))] == [2, 3]
    assert vectors(mariadb_database) == {1: ("8", 0), 2: ("7", 7), 3: ("8", 8)}


def test_where_a_trigger_hides_whose_row_is_whose_one_at_a_time_is_written(mariadb_database: Database) -> None:
    store = open_store(mariadb_database)
    change = "SET NEW.crew_id = CONCAT('0', NEW.crew_id)"
    run_sql(mariadb_database, f"CREATE TRIGGER t BEFORE INSERT ON face_embeddings FOR EACH ROW {change}")
    with pytest.raises(RowRefused, match="una fila nueva por persona"):
        save(store, numbered("7", "8"))
    assert rows(mariadb_database) == []
    ids = [save(store, [each])[0] for each in numbered("7", "8")]
    assert vectors(mariadb_database) == dict(zip(ids, [("07", 7), ("08", 8)], strict=True))


# ---------------------------------------------------------------------------------------- others at the same time


def test_two_runs_that_save_the_same_new_member_leave_one_active_row(
    mariadb_database: Database, mariadb: MariaDb, mariadb_name: str, open_database: OpenDatabase
) -> None:
    url = mariadb.url(mariadb_name).render_as_string(hide_password=False)
    stores = [open_store(mariadb_database), open_store(open_database(DB_URL=url))]
    for number in range(6):
        batch = [embedding(f"{number}a"), embedding(f"{number}b")]
        saved = run_at_once(*(lambda store=store, batch=batch: save(store, batch) for store in stores))
        assert saved[0] == saved[1], saved
    active = run_sql(mariadb_database, "SELECT crew_id, COUNT(*) FROM face_embeddings WHERE active GROUP BY crew_id")
    assert sorted(active) == sorted((f"{number}{letter}", 1) for number in range(6) for letter in "ab")


def test_threads_that_save_the_same_new_member_leave_one_active_row_in_sqlite(sqlite_database: Database) -> None:
    store = open_store(sqlite_database)
    assert run_at_once(*[lambda: save(store, [embedding("1")])] * 4) == [[1]] * 4
    assert rows(sqlite_database) == [row(1, "1")]


def test_batches_in_opposite_orders_are_both_written(mariadb_database: Database) -> None:
    """Two runs may lock the members of a batch in different orders, and meet in a deadlock."""
    store = open_store(mariadb_database)
    members = [embedding(str(number)) for number in range(1, 9)]
    ids = save(store, members)
    for _ in range(10):
        saved = run_at_once(lambda: save(store, members), lambda: save(store, members[::-1]))
        assert saved == [ids, ids[::-1]]
    assert rows(mariadb_database) == [row(number, str(number)) for number in range(1, 9)]


def test_a_row_that_another_transaction_holds_is_waited_for(mariadb_database: Database) -> None:
    store = open_store(mariadb_database)
    save(store, [embedding("1")])
    waiting = threading.Thread(target=store.save, args=([embedding("1", np.ones(1, np.float32))],))

    def hold(connection: Connection) -> None:
        connection.execute(text("UPDATE face_embeddings SET modelo = 'Otro' WHERE crew_id = '1'"))
        waiting.start()
        waiting.join(timeout=0.3)
        assert waiting.is_alive()

    mariadb_database.transaction(hold)
    waiting.join()
    assert rows(mariadb_database) == [row(1, "1", vector=[1.0])]


def test_a_batch_whose_connection_is_killed_in_the_middle_is_written_whole_and_once(
    mariadb: MariaDb, mariadb_database: Database
) -> None:
    store = open_store(mariadb_database)
    save(store, [embedding("1")])
    killed: list[int] = []

    def kill_before_insert(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT") and not killed:
            killed.append(int(connection.connection.dbapi_connection.connection_id))  # type: ignore[union-attr]
            mariadb.execute(f"KILL {killed[0]}")

    event.listen(mariadb_database.engine, "before_cursor_execute", kill_before_insert)
    again = np.ones(1, np.float32)
    first, second = save(store, [embedding("1", again), embedding("2", again)])
    assert len(killed) == 1
    assert rows(mariadb_database) == [row(first, "1", vector=[1.0]), row(second, "2", vector=[1.0])]


def test_a_connection_killed_between_two_batches_is_not_noticed(mariadb: MariaDb, mariadb_database: Database) -> None:
    store = open_store(mariadb_database)
    save(store, [embedding("1")])
    ((connection_id,),) = run_sql(mariadb_database, "SELECT CONNECTION_ID()")
    mariadb.execute(f"KILL {connection_id}")
    assert save(store, [embedding("1"), embedding("2")]) == [1, 2]
