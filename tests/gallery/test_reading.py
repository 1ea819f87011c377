"""Reading creates nothing: a missing table counts as empty, whatever else is there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Row, Table, Text, insert, inspect, select

from app.core.database import Database
from app.errors import DatabaseUnavailable
from app.gallery.embeddings_table import find_table, open_table
from app.gallery.gallery import Gallery, open_for_reading, open_for_writing
from app.gallery.photo_records import records_of
from app.gallery.provenance import known_spec
from app.gallery.reading import read_folded
from app.gallery.tables import METADATA, PHOTOS, VERSION, open_own_tables
from app.records import EmbeddingSpec
from tests.conftest import OpenDatabase
from tests.support.databases import run_sql
from tests.support.mariadb import MariaDb

SPEC = EmbeddingSpec("Facenet512", "a1", "mtcnn", "aligned", "base", "bgr", 1)
NOW = datetime(2026, 3, 1, 2)
ROWS = "INSERT INTO face_embeddings (id, crew_id, embedding, modelo, active) VALUES (1, '1', '[1,2]', 'Dlib', TRUE)"


def everything(gallery: Gallery) -> tuple[object, ...]:
    """All that a plan and a check read."""
    return (
        {crew_id: (row.active, row.known, row.dimensions) for crew_id, row in gallery.enrolments().items()},
        gallery.people(),
        gallery.majority_incompatible_models(None),
        gallery.incompatible_rows(),
        gallery.photo_records.fold_rows(records_of),
        gallery.photo_records.rejected_pictures({"shared_photo"}),
        gallery.provenance.meanings(),
        gallery.provenance.active_pictures(gallery.table),
        (gallery.provenance.pictures([1]), gallery.photo_records.illustrations(["1"])),
        gallery.crash_suspects.suspects(gallery.history.living(NOW)),
        (gallery.history.last(9, NOW), gallery.history.under_way(NOW), gallery.history.seconds_each()),
        gallery.golden_vector.recorded(),
        gallery.staged(),
        known_spec(gallery.database, SPEC) == SPEC,
    )


NOTHING = ({}, 0, set(), [], {}, {}, {}, {}, ({}, {}), {}, ([], None, None), None, {}, True)
ONE_ROW = ({"1": (True, False, 2)}, 1, {"Dlib"}, [1], *NOTHING[4:])


def test_an_empty_database_reads_as_an_empty_gallery_and_stays_empty(database: Database) -> None:
    assert everything(open_for_reading(database, find_table(database), SPEC, NOW)) == NOTHING
    assert inspect(database.engine).get_table_names() == []


@pytest.mark.parametrize("missing", [None, *sorted(METADATA.tables)])
def test_another_program_s_rows_are_read_whichever_of_our_tables_is_missing(
    database: Database, missing: str | None
) -> None:
    open_table(database)
    run_sql(database, ROWS)
    if missing is not None:
        open_own_tables(database)
        run_sql(database, f"DROP TABLE {missing}")
    before = inspect(database.engine).get_table_names()
    assert everything(open_for_reading(database, find_table(database), SPEC, NOW)) == ONE_ROW
    assert inspect(database.engine).get_table_names() == before


def test_reading_makes_no_file(open_database: OpenDatabase, tmp_path: Path) -> None:
    database = open_database(DB_URL=f"sqlite:///{tmp_path}/no.db")
    assert everything(open_for_reading(database, find_table(database), SPEC, NOW)) == NOTHING
    assert list(tmp_path.glob("no.db*")) == []


def test_what_a_run_wrote_is_read(database: Database) -> None:
    written = open_for_writing(database, open_table(database), SPEC, "reglas", NOW)
    run_sql(database, ROWS)
    written.provenance.declare(NOW)
    assert everything(open_for_reading(database, find_table(database), SPEC, NOW)) == everything(written)


def test_tables_of_a_newer_program_are_not_read(database: Database) -> None:
    open_for_writing(database, open_table(database), SPEC, "reglas", NOW)
    run_sql(database, f"INSERT INTO face_schema (version) VALUES ({VERSION + 1})")  # noqa: S608
    with pytest.raises(DatabaseUnavailable, match="son de una versión más nueva del programa"):
        open_for_reading(database, find_table(database), SPEC, NOW)


def test_a_long_table_is_read_whole_and_in_order(database: Database) -> None:
    table = open_table(database)
    gallery = open_for_writing(database, table, SPEC, "reglas", NOW)
    crew_ids = [f"{place:06}" for place in range(10_001)]
    rows = [{"crew_id": crew_id, "embedding": "[1,2]", "active": True} for crew_id in crew_ids]
    database.transaction(lambda connection: connection.execute(insert(table), rows))
    database.transaction(
        lambda connection: connection.execute(insert(PHOTOS), [{"crew_id": each} for each in crew_ids])
    )
    assert list(gallery.photo_records.fold_rows(records_of)) == crew_ids
    enrolments = gallery.enrolments()
    assert list(enrolments) == crew_ids
    assert [each.row_id for each in enrolments.values()] == sorted({each.row_id for each in enrolments.values()})


def test_a_connection_lost_among_the_rows_is_made_anew_and_all_rows_read_once(
    mariadb: MariaDb, mariadb_database: Database
) -> None:
    run_sql(mariadb_database, "CREATE TABLE largo (id INT PRIMARY KEY, texto TEXT)")
    run_sql(mariadb_database, "INSERT INTO largo SELECT seq, REPEAT('x', 2000) FROM seq_1_to_20000")
    long, begun = Table("largo", MetaData(), Column("id", Integer), Column("texto", Text)), []

    def fold(rows: Iterator[Row[Any]]) -> list[int]:
        begun.append(1)
        found = []
        for row in rows:
            found.append(row.id)
            if len(found) == 1000 and len(begun) == 1:  # 40 MB are more than the network's buffers take
                sending = (
                    "SELECT id FROM information_schema.processlist WHERE info LIKE '%largo%' AND id <> CONNECTION_ID()"
                )
                for (connection,) in mariadb.execute(sending):
                    mariadb.execute(f"KILL {connection}")
        return found

    assert read_folded(mariadb_database, select(long).order_by(long.c.id), fold) == list(range(1, 20_001))
    assert len(begun) == 2
