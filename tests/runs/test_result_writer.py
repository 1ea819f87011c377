"""What is written of a run while it goes on, against a real MariaDB and SQLite."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app.core.database import Database
from app.errors import DatabaseUnavailable, RunError
from app.gallery.embeddings_table import open_table
from app.gallery.gallery import Gallery, open_for_writing
from app.gallery.photo_records import records_of
from app.planning.decisions import NEW, Case, Decision
from app.records import CrashSuspect, CrewMember, Failed, Photo, PhotoRecord, Skipped, Stored, Version
from app.runs.result_writer import AT_ONCE, ResultWriter
from tests.conftest import OpenDatabase
from tests.faces.test_embedding_spec import SPEC
from tests.planning.test_decisions import NOW, ROW
from tests.support.databases import Row, run_sql

RUN = 5
SAID = Version('"b"', "", 9)
YESTERDAY = NOW - timedelta(days=1)


@pytest.fixture
def gallery(database: Database) -> Gallery:
    return open_for_writing(database, open_table(database), SPEC, "rules1", NOW)


def url_of(number: int) -> str:
    return f"http://fotos/{number}/a.jpg"


def member(number: int) -> CrewMember:
    return CrewMember(str(number), "a.jpg")


def photo(number: int) -> Photo:
    return Photo(member(number), url_of(number), Path("a.jpg"), sha256="bb", version=SAID)


def case(number: int, **known: object) -> Case:
    return replace(Case(member(number), url_of(number)), **known)  # type: ignore[arg-type]


def no_face(number: int, **values: object) -> Failed:
    return replace(Failed(member(number), "detect", "no_face", "ninguna cara"), **values)  # type: ignore[arg-type]


def decision(known: Case) -> Decision:
    return Decision(NEW, "", known)


def books_of(
    gallery: Gallery,
    *cases: Case,
    give_up: Callable[[RunError], None] | None = None,
    stop: threading.Event | None = None,
) -> ResultWriter:
    def never(error: RunError) -> None:
        raise error

    decisions = {each.member.crew_id: decision(each) for each in cases}
    return ResultWriter(gallery, RUN, decisions, give_up or never, stop or threading.Event())


def attempts(gallery: Gallery) -> list[Row]:
    return run_sql(gallery.database, "SELECT crew_id, url, run_id, deaths FROM face_attempts ORDER BY crew_id")


# --------------------------------------------------------------------------------------------------- who is under way


def test_everybody_is_marked_before_he_is_handed_out_and_not_long_before(gallery: Gallery) -> None:
    books = books_of(gallery)
    handed = books.mark_under_way((decision(case(number)) for number in range(5)), at_once=2)
    marked = [(next(handed).member.crew_id, [row[0] for row in attempts(gallery)]) for _ in range(3)]
    assert marked == [("0", ["0", "1"]), ("1", ["0", "1"]), ("2", ["0", "1", "2", "3"])]
    assert [each.member.crew_id for each in handed] == ["3", "4"]
    assert attempts(gallery) == [(str(number), url_of(number), RUN, 0) for number in range(5)]


def test_deaths_are_carried_along_with_the_photo_that_caused_them(gallery: Gallery) -> None:
    suspects = {1: CrashSuspect(url_of(1), 1), 2: CrashSuspect("http://fotos/2/antes.jpg", 1)}
    decisions = [decision(case(number, suspect=suspect)) for number, suspect in suspects.items()]
    assert list(books_of(gallery).mark_under_way(decisions)) == decisions
    assert attempts(gallery) == [("1", url_of(1), RUN, 1), ("2", url_of(2), RUN, 0)]


def test_when_no_member_can_be_marked_the_run_is_given_up_once_and_all_are_still_handed_out(
    open_database: OpenDatabase, tmp_path: Path
) -> None:
    database = open_database(DB_URL=f"sqlite:///{tmp_path / 'otra.db'}")
    gallery = open_for_writing(database, open_table(database), SPEC, "rules1", NOW)
    run_sql(database, "DROP TABLE face_attempts")
    given_up: list[RunError] = []
    stop = threading.Event()

    def give_up(error: RunError) -> None:
        given_up.append(error)
        stop.set()

    books = books_of(gallery, give_up=give_up, stop=stop)
    assert len(list(books.mark_under_way((decision(case(number)) for number in range(5)), at_once=2))) == 5
    assert [type(error) for error in given_up] == [DatabaseUnavailable]


def test_nobody_is_marked_once_the_run_is_stopped_and_all_are_still_handed_out(gallery: Gallery) -> None:
    stop = threading.Event()
    handed = books_of(gallery, stop=stop).mark_under_way((decision(case(number)) for number in range(5)), at_once=2)
    next(handed)
    stop.set()
    assert [each.member.crew_id for each in handed] == ["1", "2", "3", "4"]
    assert [row[0] for row in attempts(gallery)] == ["0", "1"]


# ------------------------------------------------------------------------------------------------- what became of them


def test_a_few_outcomes_wait_and_many_are_written(gallery: Gallery) -> None:
    books = books_of(gallery, *(case(number) for number in range(AT_ONCE)))
    for number in range(AT_ONCE - 1):
        books.note(no_face(number))
    books.write_full()
    assert gallery.photo_records.fold_rows(records_of) == {}
    books.note(no_face(AT_ONCE - 1))
    books.write_full()
    assert len(gallery.photo_records.fold_rows(records_of)) == AT_ONCE


def test_a_member_with_an_outcome_is_unmarked_and_an_interrupted_one_is_not(gallery: Gallery) -> None:
    books = books_of(gallery, *(case(number) for number in range(4)))
    list(books.mark_under_way(decision(case(number)) for number in range(4)))
    for outcome in (no_face(0), Stored(member(1), 1), Skipped(member(2), "interrupted"), Skipped(member(3), "current")):
        books.note(outcome)
    books.write()
    assert [row[0] for row in attempts(gallery)] == ["2"]
    assert list(gallery.photo_records.fold_rows(records_of)) == ["0"]


FAILED = PhotoRecord(
    *(url_of(1), SAID, "bb", "no_face", "detect", "ninguna cara", "rules1"), failures=1, tried_at=NOW, checked_at=NOW
)
BEFORE = PhotoRecord(url_of(1), code="photo_not_found", stage="download", failures=3, tried_at=YESTERDAY)


def write(gallery: Gallery, known: Case, *outcomes: Failed | Skipped) -> dict[str, PhotoRecord]:
    """What is photo_record afterwards."""
    books = books_of(gallery, known)
    for outcome in outcomes:
        books.note(outcome)
    books.write()
    return gallery.photo_records.fold_rows(records_of)


@pytest.mark.parametrize(
    ("before", "failures"),
    [
        (None, 1),
        (BEFORE, 4),
        (replace(BEFORE, code=""), 1),  # it went well in between
        (replace(BEFORE, url="http://fotos/1/antes.jpg"), 1),  # another photo
    ],
)
def test_failures_in_a_row_are_counted(gallery: Gallery, before: PhotoRecord | None, failures: int) -> None:
    known = case(1, photo_record=before)
    assert write(gallery, known, no_face(1, photo=photo(1))) == {"1": replace(FAILED, failures=failures)}


def test_a_failure_without_a_photo_forgets_the_one_before(gallery: Gallery) -> None:
    write(gallery, case(1), no_face(1, photo=photo(1)))
    missing = Failed(member(1), "download", "photo_not_found", "404")
    assert write(gallery, case(1, photo_record=FAILED), missing) == {
        "1": PhotoRecord(
            url_of(1),
            code="photo_not_found",
            stage="download",
            detail="404",
            judged_by="rules1",
            failures=2,
            tried_at=NOW,
            checked_at=NOW,
        )
    }


def test_a_recalled_failure_counts_no_further_and_is_noted_where_the_photo_was_looked_at(gallery: Gallery) -> None:
    run_sql(
        gallery.database,
        "INSERT INTO face_photos (crew_id, url, sha256, code, stage, detail, judged_by, failures, width, height) "
        "VALUES ('1', :url, 'bb', 'no_face', 'detect', 'ninguna cara', 'rules1', 2, 640, 480)",
        {"url": url_of(1)},
    )
    before = gallery.photo_records.fold_rows(records_of)["1"]
    known = case(1, photo_record=before)
    assert write(gallery, known, no_face(1, recalled=True)) == {"1": before}
    assert write(gallery, known, no_face(1, recalled=True, photo=photo(1))) == {"1": replace(FAILED, failures=2)}


@pytest.fixture
def enrolled(gallery: Gallery) -> Iterator[Gallery]:
    """With the row 11 of another address, asleep; its member failed since, and had left."""
    insert = "INSERT INTO face_embeddings (id, crew_id, embedding, modelo, imagen_path, active) "
    run_sql(gallery.database, f"{insert} VALUES (11, '1', '[1]', 'Facenet512', 'http://fotos/1/antes.jpg', FALSE)")
    run_sql(gallery.database, "INSERT INTO face_vectors (embedding_id, crew_id, sha256) VALUES (11, '1', 'aa')")
    columns = "crew_id, url, sha256, code, failures, left_at, width, height"
    values = "('1', 'http://fotos/1/antes.jpg', 'aa', 'no_face', 2, :left, 640, 480)"
    run_sql(gallery.database, f"INSERT INTO face_photos ({columns}) VALUES {values}", {"left": YESTERDAY})  # noqa: S608
    yield gallery


def test_a_row_that_is_as_good_as_ever_has_its_new_address_and_sleeps_on_if_it_slept(enrolled: Gallery) -> None:
    photo_record = write(enrolled, case(1, enrolment=ROW), Skipped(member(1), "reencoded", photo=photo(1)))
    rows = run_sql(enrolled.database, "SELECT id, crew_id, imagen_path, active FROM face_embeddings")
    vectors = run_sql(enrolled.database, "SELECT embedding_id, sha256 FROM face_vectors")
    assert [(*row[:3], bool(row[3])) for row in rows] == [(11, "1", url_of(1), False)]
    assert vectors == [(11, "bb")]
    assert photo_record == {"1": PhotoRecord(url_of(1), SAID, "bb", tried_at=NOW, checked_at=NOW)}


@pytest.mark.parametrize("outcome", [Skipped(member(1), "current"), Skipped(member(1), "interrupted", photo=photo(1))])
def test_a_row_whose_photo_was_not_processed_to_the_end_is_not_touched(enrolled: Gallery, outcome: Skipped) -> None:
    def everything() -> list[list[Row]]:
        return [run_sql(enrolled.database, f"SELECT * FROM {each}") for each in ("face_embeddings", "face_photos")]  # noqa: S608

    before = everything()
    write(enrolled, case(1, enrolment=ROW), outcome)
    assert everything() == before
