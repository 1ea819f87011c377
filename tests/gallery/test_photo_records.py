"""`face_photos`: what is recorded of each photo, against a real MariaDB and SQLite."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import event

from app.core.database import Database
from app.gallery.photo_records import NewPhotoRecord, PhotoRecords, records_of
from app.gallery.tables import open_own_tables
from app.records import CrewMember, Failed, Photo, PhotoAnalysis, PhotoRecord, Picture, QualityNote, Version
from tests.support.databases import Row, run_sql

NOW, LATER = datetime(2026, 3, 1, 2, 0, 0), datetime(2026, 3, 2, 2, 0, 0)
NOTE = QualityNote("warn", "Sharpness", {"Sharpness": {"value": 0.2, "score": 20, "verdict": "warn"}})
PICTURE = Picture(0x0F, b"\x01\xff")
SEEN = PhotoAnalysis(
    (640, 480), PICTURE, 2, (10, 20, 30, 40), None, 0.98765, "turned_90", np.zeros(1, np.float32), NOTE, b"\xff\xd8\x00"
)
VERSION = Version('"a1"', "Sun, 01 Mar 2026 01:00:00 GMT", 1234)


def open_records(database: Database, now: datetime = NOW) -> PhotoRecords:
    open_own_tables(database)
    return PhotoRecords(database, "reglas", now)


def photo_of(crew_id: str, *, url: str = "u", sha256: str = "ab" * 32, version: Version = VERSION) -> Photo:
    return Photo(CrewMember(crew_id, "a.jpg"), url, Path("a.jpg"), sha256=sha256, version=version)


def stored(crew_id: str, analysis: PhotoAnalysis | None = SEEN, **values: Any) -> NewPhotoRecord:
    photo = photo_of(crew_id, **values)
    return NewPhotoRecord(crew_id, photo.url, photo, analysis)


def failed(
    crew_id: str,
    code: str = "no_face",
    *,
    photo: Photo | None = None,
    analysis: PhotoAnalysis | None = None,
    times: int = 1,
) -> NewPhotoRecord:
    failure = Failed(CrewMember(crew_id, "a.jpg"), "detect", code, "qué pasó")
    return NewPhotoRecord(crew_id, "u", photo, analysis, failure, times)


def record(database: Database, photo_records: PhotoRecords, entries: Sequence[NewPhotoRecord]) -> None:
    database.in_chunks(entries, photo_records.record)


def move(database: Database, photo_records: PhotoRecords, *entries: NewPhotoRecord) -> None:
    database.in_chunks(entries, photo_records.move)


def codes(photo_records: PhotoRecords) -> dict[str, str]:
    return {crew_id: seen.code for crew_id, seen in photo_records.fold_rows(records_of).items()}


def whole_row(database: Database, crew_id: str) -> Row:
    columns = (
        "crew_id, url, etag, last_modified, size_bytes, sha256, perceptual_hash, grey, width, height, faces_seen, box, "
        "attempt, quality, quality_verdict, quality_component, thumbnail, code, detail, judged_by, failures"
    )
    query = f"SELECT {columns} FROM face_photos WHERE crew_id = :c"  # noqa: S608  # columns are constants
    (row,) = run_sql(database, query, {"c": crew_id})
    return row


# -------------------------------------------------------------------------------------------- stored and failed


def test_the_row_of_a_stored_member_says_all_that_was_seen(database: Database) -> None:
    photo_records = open_records(database)
    record(database, photo_records, [stored("1")])
    assert whole_row(database, "1") == (
        *("1", "u", '"a1"', "Sun, 01 Mar 2026 01:00:00 GMT", 1234, "ab" * 32, "000000000000000f", "01ff"),
        *(640, 480, 2, "[10,20,30,40]", "turned_90", '{"Sharpness":{"value":0.2,"score":20,"verdict":"warn"}}'),
        *("warn", "Sharpness", b"\xff\xd8\x00", None, None, None, None),
    )
    ((confidence, tried_at, checked_at),) = run_sql(
        database, "SELECT confidence, tried_at, checked_at FROM face_photos"
    )
    assert (float(confidence), str(tried_at)[:19], str(checked_at)[:19]) == (0.988, str(NOW), str(NOW))


def test_the_row_of_a_failure_says_by_which_rules_and_how_often(database: Database) -> None:
    photo_records = open_records(database)
    record(database, photo_records, [failed("1", photo=photo_of("1"), analysis=PhotoAnalysis((64, 48)), times=3)])
    assert whole_row(database, "1") == (
        *("1", "u", '"a1"', "Sun, 01 Mar 2026 01:00:00 GMT", 1234, "ab" * 32, None, None, 64, 48, None, None),
        *(None, None, None, None, None, "no_face", "qué pasó", "reglas", 3),
    )


def test_what_was_recorded_is_remembered(database: Database) -> None:
    photo_records = open_records(database)
    record(
        database,
        photo_records,
        [stored("1"), failed("2", "several_faces", photo=photo_of("2"), analysis=SEEN), failed("3")],
    )
    assert photo_records.fold_rows(records_of) == {
        "1": PhotoRecord(
            *("u", VERSION, "ab" * 32),
            **{"tried_at": NOW, "checked_at": NOW, "improvable": "Sharpness"},
        ),
        "2": PhotoRecord(
            *("u", VERSION, "ab" * 32, "several_faces", "detect", "qué pasó", "reglas", 1, NOW, NOW),
        ),
        "3": PhotoRecord("u", Version(), "", "no_face", "detect", "qué pasó", "reglas", 1, NOW, NOW),
    }


def test_of_a_photo_in_the_gallery_that_is_not_asked_about_only_what_decides_is_read(database: Database) -> None:
    photo_records = open_records(database)
    record(database, photo_records, [stored("1"), failed("2", "several_faces", photo=photo_of("2"), analysis=SEEN)])
    whole = photo_records.fold_rows(records_of)
    assert records_of(photo_records.fold_rows(list, settled_since=NOW)) == whole, "both are to be asked about again"
    settled = PhotoRecord("", sha256="ab" * 32, checked_at=NOW, improvable="Sharpness")
    assert records_of(photo_records.fold_rows(list, NOW - timedelta(seconds=1))) == {"1": settled, "2": whole["2"]}


def test_a_failure_replaces_what_was_known_and_a_success_the_failure(database: Database) -> None:
    photo_records = open_records(database)
    record(database, photo_records, [stored("1"), failed("2")])
    record(database, photo_records, [failed("1"), stored("2")])
    assert codes(photo_records) == {"1": "no_face", "2": ""}
    assert photo_records.fold_rows(records_of)["1"].sha256 == ""


def test_a_failure_is_cleared_when_the_vector_is_current(database: Database) -> None:
    photo_records = open_records(database)
    record(database, photo_records, [failed("1", photo=photo_of("1"), analysis=SEEN), failed("2"), stored("3")])
    photo_records.clear_failures(["1", "3"])
    remembered = photo_records.fold_rows(records_of)
    assert codes(photo_records) == {"1": "", "2": "no_face", "3": ""}
    assert remembered["1"] == remembered["3"]


def test_only_the_named_members_records_are_deleted(database: Database) -> None:
    photo_records = open_records(database)
    record(database, photo_records, [stored("a1"), stored("A1"), stored("2")])
    database.in_chunks(["A1"], photo_records.delete)
    assert sorted(photo_records.fold_rows(records_of)) == ["2", "a1"]


# ------------------------------------------------------------------------------------------------------ odd ids


def test_ids_that_differ_in_case_only_are_two_people(database: Database) -> None:
    photo_records = open_records(database)
    record(database, photo_records, [failed("a1"), failed("A1", "no_photo")])
    record(database, photo_records, [stored("a1")])
    move(database, photo_records, stored("A1", url="v"))
    assert {crew_id: seen.url for crew_id, seen in photo_records.fold_rows(records_of).items()} == {
        "A1": "v",
        "a1": "u",
    }


def test_one_id_twice_ids_too_long_and_bytes_that_are_no_text_do_no_harm(database: Database) -> None:
    photo_records = open_records(database)
    odd = [failed("1"), failed("1", "no_photo"), failed("x" * 192), failed("\udcff"), failed("\udcfe", "no_photo")]
    record(database, photo_records, odd)
    move(database, photo_records, stored("x" * 192), stored("\udcff", url="v"))
    photo_records.mark_departed(["x" * 192])
    assert codes(photo_records) == {"1": "no_photo", "?": ""}
    record(database, photo_records, [stored("x" * 191)])
    assert codes(photo_records) == {"1": "no_photo", "?": "", "x" * 191: ""}


def test_more_failures_than_one_statement_takes_are_all_kept(database: Database) -> None:
    photo_records = open_records(database)
    record(database, photo_records, [failed(str(number)) for number in range(1201)])
    assert len(photo_records.fold_rows(records_of)) == 1201


# ---------------------------------------------------------------------------------- the same photo somewhere else


def test_a_photo_that_moved_keeps_what_was_seen_of_it(database: Database) -> None:
    record(database, open_records(database), [stored("1")])
    before = whole_row(database, "1")
    photo_records = open_records(database, LATER)
    elsewhere = Version('"b2"', "", 99)
    move(database, photo_records, stored("1", None, url="v", sha256="cd" * 32, version=elsewhere))
    assert whole_row(database, "1") == ("1", "v", '"b2"', None, 99, "cd" * 32, *before[6:])
    assert photo_records.fold_rows(records_of)["1"].tried_at == LATER


def test_what_its_server_no_longer_says_of_a_photo_is_not_kept(database: Database) -> None:
    """Asked with the ETag of a former URL, the server would always answer that the photo changed."""
    photo_records = open_records(database)
    record(database, photo_records, [stored("1")])
    move(database, photo_records, stored("1", None, version=Version()))
    assert photo_records.fold_rows(records_of)["1"].version == Version()


def test_a_kept_vector_s_record_has_no_failure_and_no_departure(database: Database) -> None:
    photo_records = open_records(database)
    record(database, photo_records, [failed("1", photo=photo_of("1"), analysis=SEEN, times=4)])
    photo_records.mark_departed(["1"])
    move(database, photo_records, stored("1", None, url="v"))
    assert photo_records.fold_rows(records_of) == {
        "1": PhotoRecord(
            *("v", VERSION, "ab" * 32),
            **{"tried_at": NOW, "checked_at": NOW, "improvable": "Sharpness"},
        )
    }


def test_a_failed_photo_that_moved_has_failed_all_the_same(database: Database) -> None:
    record(database, open_records(database), [failed("1", photo=photo_of("1"), analysis=SEEN, times=2)])
    photo_records = open_records(database, LATER)
    move(database, photo_records, failed("1", photo=photo_of("1", version=Version('"b2"')), times=2))
    assert photo_records.fold_rows(records_of) == {
        "1": PhotoRecord(
            *("u", Version('"b2"'), "ab" * 32, "no_face", "detect", "qué pasó", "reglas", 2, LATER, LATER),
        )
    }


def test_of_whom_nothing_was_remembered_a_moved_photo_makes_a_row(database: Database) -> None:
    photo_records = open_records(database)
    move(database, photo_records, stored("1", None))
    assert photo_records.fold_rows(records_of) == {
        "1": PhotoRecord("u", VERSION, "ab" * 32, tried_at=NOW, checked_at=NOW)
    }


# ------------------------------------------------------------------------------------------- asked, left, returned


def test_a_checked_photo_has_the_date_and_the_version_that_the_server_sent(database: Database) -> None:
    record(database, open_records(database), [stored(str(number)) for number in range(1, 5)])
    sent = Version('"b2"', "", None)
    open_records(database, LATER).mark_checked({"1": VERSION, "2": sent, "4": Version(), "nadie": sent}.items())
    remembered = open_records(database).fold_rows(records_of)
    assert {crew_id: (seen.version, seen.checked_at, seen.tried_at) for crew_id, seen in remembered.items()} == {
        "1": (VERSION, LATER, NOW),
        "2": (sent, LATER, NOW),
        "3": (VERSION, NOW, NOW),
        "4": (VERSION, LATER, NOW),  # its server said nothing: what is known stays
        "nadie": (sent, LATER, None),  # a row that another program made: from now on a change is noticed
    }


def test_however_many_were_asked_about_no_statement_names_more_than_it_takes_well(database: Database) -> None:
    photo_records = open_records(database)
    crew_ids = [str(number) for number in range(1201)]
    record(database, photo_records, [stored(crew_id) for crew_id in crew_ids])
    lengths: list[int] = []

    def count(
        _connection: object, _cursor: object, _statement: str, parameters: Any, _context: Any, many: bool
    ) -> None:
        lengths.append(0 if many else len(parameters))

    event.listen(database.engine, "before_cursor_execute", count)
    open_records(database, LATER).mark_checked(dict.fromkeys(crew_ids, VERSION).items())
    event.remove(database.engine, "before_cursor_execute", count)
    assert max(lengths) <= 501
    assert {seen.checked_at for seen in photo_records.fold_rows(records_of).values()} == {LATER}


def test_a_departed_member_keeps_the_first_date_until_the_return(database: Database) -> None:
    first, second = open_records(database, NOW), open_records(database, LATER)
    record(database, first, [stored("1"), stored("2"), failed("3")])
    first.mark_departed(["1"])
    second.mark_departed(["1", "2", "nueva"])
    left = {crew_id: seen.left_at for crew_id, seen in first.fold_rows(records_of).items()}
    assert left == {"1": NOW, "2": LATER, "3": None, "nueva": LATER}
    assert first.fold_rows(records_of)["nueva"] == PhotoRecord("", left_at=LATER)
    second.mark_returned(["1", "3", "nadie"])
    left = {crew_id: seen.left_at for crew_id, seen in first.fold_rows(records_of).items()}
    assert left == {"1": None, "2": LATER, "3": None, "nueva": LATER}


def test_two_runs_may_find_the_same_people_gone_at_once(database: Database) -> None:
    records = [open_records(database), open_records(database, LATER)]
    errors: list[BaseException] = []
    for turn in range(5):
        together = threading.Barrier(2)
        crew_ids = [f"{turn}{letter}" for letter in "abc"]

        def leave(
            photo_records: PhotoRecords, together: threading.Barrier = together, ids: Sequence[str] = crew_ids
        ) -> None:
            together.wait()
            try:
                photo_records.mark_departed(ids)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=leave, args=(photo_records,)) for photo_records in records]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    assert sorted(records[0].fold_rows(records_of)) == sorted(
        f"{turn}{letter}" for turn in range(5) for letter in "abc"
    )


# --------------------------------------------------------------------------------------- pictures and thumbnails


def test_rejected_pictures_are_those_that_failed_so_as_far_as_they_were_seen(database: Database) -> None:
    photo_records = open_records(database)
    entries = [
        *(failed("1", "shared_photo", analysis=SEEN), failed("2", "shared_photo"), failed("3", analysis=SEEN)),
        *(failed("4", "placeholder", analysis=SEEN), stored("5")),
    ]
    record(database, photo_records, entries)
    assert photo_records.rejected_pictures({"shared_photo", "placeholder"}) == {"1": PICTURE, "4": PICTURE}
    assert photo_records.rejected_pictures(set()) == {}


def test_a_report_gets_back_the_pictures_of_those_who_were_not_looked_at(database: Database) -> None:
    photo_records = open_records(database)
    record(
        database, photo_records, [stored("1"), failed("2", analysis=PhotoAnalysis((64, 48))), failed("3"), stored("4")]
    )
    found = photo_records.illustrations({"1", "2", "3", "nadie"})
    shown = {crew_id: (seen.size, seen.box, seen.thumbnail) for crew_id, seen in found.items()}
    assert shown == {"1": ((640, 480), (10, 20, 30, 40), b"\xff\xd8\x00"), "2": ((64, 48), None, b"")}
