"""`face_photos`: what is remembered of each photo, against a real MariaDB and SQLite."""

import numpy as np

from app.core.database import Database
from app.gallery.ledger import Ledger, QualityNote, Remembered
from app.gallery.store import GalleryStore
from app.records import CrewMember, Embedding, Failed, Photo, Picture, Sighting
from tests.databases import run_sql

NOTE = QualityNote("warn", "Sharpness", {"Sharpness": {"value": 0.2, "score": 20, "verdict": "warn"}})
PICTURE = Picture(0x0F, b"\x01\xff")
SEEN = Sighting(
    (640, 480), "ab" * 32, PICTURE, 2, (10, 20, 30, 40), None, 0.98765, "turned_90", np.zeros(1, np.float32)
)


def open_ledger(database: Database) -> Ledger:
    return Ledger(database, lambda sighting: None if sighting.quality is None else NOTE)


def embedding(crew_id: str, url: str = "http://fotos/1/a.jpg") -> Embedding:
    photo = Photo(CrewMember(crew_id, "a.jpg"), url, "a.jpg")
    return Embedding(photo, np.ones(3, np.float32), "Facenet512", SEEN)


def failed(crew_id: str, sighting: Sighting | None = None, code: str = "no_face") -> Failed:
    return Failed(CrewMember(crew_id, "a.jpg"), "detect", code, "qué pasó", sighting=sighting)


def test_the_row_of_a_stored_member_says_all_that_was_seen(database: Database) -> None:
    (row_id,) = GalleryStore(database, open_ledger(database)).save([embedding("1")])
    columns = (
        "crew_id, url, sha256, perceptual_hash, width, height, faces_seen, box, attempt, quality, quality_verdict, "
        "quality_component, code, detail, embedding_id"
    )
    (row,) = run_sql(database, f"SELECT {columns} FROM face_photos")  # noqa: S608  # columns are constants
    assert tuple(row) == (
        *("1", "http://fotos/1/a.jpg", "ab" * 32, "000000000000000f", 640, 480, 2, "[10,20,30,40]", "turned_90"),
        *('{"Sharpness":{"value":0.2,"score":20,"verdict":"warn"}}', "warn", "Sharpness", None, None, row_id),
    )
    (confidence,) = run_sql(database, "SELECT confidence FROM face_photos")[0]
    assert float(confidence) == 0.988


def test_a_failure_replaces_what_was_known_and_a_success_the_failure(database: Database) -> None:
    ledger = open_ledger(database)
    store = GalleryStore(database, ledger)
    ledger.record_failures([failed("1"), failed("2", SEEN, "several_faces")], lambda member: f"u/{member.crew_id}")
    assert ledger.remembered() == {
        "1": Remembered("u/1", None, "no_face"),
        "2": Remembered("u/2", PICTURE, "several_faces"),
    }
    store.save([embedding("1")])
    assert ledger.remembered()["1"] == Remembered("http://fotos/1/a.jpg", PICTURE, "", "Sharpness")


def test_whoever_is_up_to_date_all_the_same_has_nothing_to_correct(database: Database) -> None:
    ledger = open_ledger(database)
    ledger.record_failures([failed("1", SEEN), failed("2")], lambda _: "u")
    ledger.absolve(["1"])
    ledger.absolve([])
    assert {crew_id: seen.code for crew_id, seen in ledger.remembered().items()} == {"1": "", "2": "no_face"}


def test_ids_that_differ_in_case_only_are_two_people(database: Database) -> None:
    ledger = open_ledger(database)
    ledger.record_failures([failed("a1"), failed("A1")], lambda _: "u")
    assert sorted(ledger.remembered()) == ["A1", "a1"]


def test_one_id_twice_ids_too_long_and_bytes_that_are_no_text_do_no_harm(database: Database) -> None:
    ledger = open_ledger(database)
    failures = [failed("1"), failed("1", code="no_photo"), failed("x" * 65), failed("\udcff")]
    ledger.record_failures(failures, lambda _: "u")
    assert {crew_id: seen.code for crew_id, seen in ledger.remembered().items()} == {"1": "no_photo", "?": "no_face"}


def test_more_failures_than_one_statement_takes_are_all_kept(database: Database) -> None:
    ledger = open_ledger(database)
    ledger.record_failures([failed(str(number)) for number in range(1201)], lambda _: "u")
    assert len(ledger.remembered()) == 1201


def test_a_withdrawn_row_is_inactive_and_its_photo_forgotten(database: Database) -> None:
    ledger = open_ledger(database)
    store = GalleryStore(database, ledger)
    (row_id,) = store.save([embedding("1")])
    store.withdraw("1", row_id)
    assert run_sql(database, "SELECT id FROM face_embeddings WHERE active") == []
    assert ledger.remembered() == {}
