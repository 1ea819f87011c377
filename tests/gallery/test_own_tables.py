"""The program's own tables: made by the program or by the printed SQL, they are the ones that it works with."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData, Table, inspect
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.schema import CreateTable

from app.core.database import REFUSED_ADVICE, TABLE_DENIED, Database
from app.errors import DatabaseUnavailable
from app.gallery.embeddings_table import open_table, table_statements
from app.gallery.reading import DENIED, DENIED_ADVICE
from app.gallery.tables import (
    ACCEPTED,
    ATTEMPTS,
    CONTRACTS,
    FIRST_VERSION,
    NO_TRANSACTIONS,
    PHOTOS,
    RUNS,
    VECTORS,
    VERSION,
    VERSIONS,
    open_own_tables,
    pending_statements,
    read_version,
)
from tests.conftest import MakeSettings, OpenDatabase
from tests.support.databases import run_sql
from tests.support.mariadb import MariaDb
from tests.support.together import all_at_once

TABLES = (ACCEPTED, PHOTOS, VECTORS, CONTRACTS, ATTEMPTS, RUNS, VERSIONS)


def statements(database: Database) -> list[str]:
    """The SQL for a database without tables of ours."""
    return list(pending_statements(0, database.engine.dialect))


def described(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Of each of our tables each column as the database has it."""
    schema = inspect(database.engine)
    return {
        table.name: [(each["name"], str(each["type"]), each["nullable"]) for each in schema.get_columns(table.name)]
        for table in TABLES
    }


def kind_of(database: Database, table: Table, column: str) -> str:
    """A type as both the definition and the database name it."""
    name = table.c[column].type.compile(database.engine.dialect).split(" COLLATE")[0].replace("DECIMAL", "NUMERIC")
    name = re.sub(r"^(?:BOOL|TINYINT)\b", "BOOLEAN", name)
    return re.sub(r"^MEDIUM(?=BLOB)|(?<=INT)\(\d+\)|(?<=INTEGER)\(\d+\)|(?<=BOOLEAN)\(\d+\)", "", name)


def assert_as_defined(database: Database) -> None:
    """The tables are what the definitions say, column by column, and hold their keys."""
    for defined in TABLES:
        found = Table(defined.name, MetaData(), autoload_with=database.engine)
        names = [column.name for column in defined.columns]
        assert sorted(found.c.keys()) == sorted(names), defined.name
        kinds = {name: kind_of(database, found, name) for name in names}
        assert kinds == {name: kind_of(database, defined, name) for name in names}, defined.name
        assert [column.name for column in found.primary_key] == [column.name for column in defined.primary_key]


# --------------------------------------------------------------------------------------------------------- opening


def test_an_empty_database_gets_the_tables_that_the_program_works_with(database: Database) -> None:
    open_own_tables(database)
    assert read_version(database) == VERSION
    assert_as_defined(database)


def test_opening_again_changes_nothing(database: Database) -> None:
    open_own_tables(database)
    before = described(database)
    open_own_tables(database)
    assert described(database) == before
    assert run_sql(database, "SELECT version FROM face_schema ORDER BY version") == [(VERSION,)]


def test_ids_that_differ_in_case_only_are_two_in_every_table(database: Database) -> None:
    open_own_tables(database)
    for table in (PHOTOS, ATTEMPTS):
        insert = f"INSERT INTO {table.name} (crew_id) VALUES (:c)"  # noqa: S608
        run_sql(database, insert, {"c": "a1"}, {"c": "A1"})
    vectors = "INSERT INTO face_vectors (embedding_id, crew_id) VALUES (:e, :c)"
    run_sql(database, vectors, {"e": 1, "c": "a1"}, {"e": 2, "c": "A1"})
    for table in (PHOTOS, ATTEMPTS, VECTORS):
        query = f"SELECT crew_id FROM {table.name} WHERE crew_id = 'A1'"  # noqa: S608
        assert run_sql(database, query) == [("A1",)]


def test_runs_that_start_together_make_the_tables_once(database: Database) -> None:
    assert all_at_once(lambda: open_own_tables(database)) == []
    assert run_sql(database, "SELECT version FROM face_schema ORDER BY version") == [(VERSION,)]
    assert_as_defined(database)


def test_a_run_waits_for_another_that_has_not_yet_committed_the_version(
    mariadb_database: Database, open_database: OpenDatabase, mariadb: MariaDb, mariadb_name: str
) -> None:
    """The tables are there, the lock is free, and the number is not yet to be seen by others."""
    open_own_tables(mariadb_database)
    run_sql(mariadb_database, f"DELETE FROM face_schema WHERE version = {VERSION}")  # noqa: S608
    second = open_database(DB_URL=mariadb.url(mariadb_name).render_as_string(hide_password=False))
    errors: list[BaseException] = []

    def open_one() -> None:
        try:
            open_own_tables(second)
        except BaseException as error:
            errors.append(error)

    waiting = threading.Thread(target=open_one)
    with mariadb_database.engine.begin() as connection:
        connection.execute(VERSIONS.insert().values(version=VERSION))
        waiting.start()
        waiting.join(timeout=0.5)
        assert waiting.is_alive()
    waiting.join()
    assert errors == []
    assert run_sql(mariadb_database, "SELECT version FROM face_schema ORDER BY version") == [(VERSION,)]


@pytest.mark.parametrize("done", range(len(TABLES) + 1))
def test_a_creation_that_ended_anywhere_goes_on_from_there(mariadb_database: Database, done: int) -> None:
    """MySQL commits each table by itself: what was made before the crash is there, the number is not."""
    for statement in statements(mariadb_database)[:done]:
        run_sql(mariadb_database, statement)
    assert read_version(mariadb_database) == 0
    open_own_tables(mariadb_database)
    assert read_version(mariadb_database) == VERSION
    assert_as_defined(mariadb_database)


def test_in_sqlite_a_creation_that_fails_leaves_nothing_behind(sqlite_database: Database) -> None:
    run_sql(sqlite_database, "CREATE TABLE suya (a INTEGER)")
    run_sql(sqlite_database, "CREATE INDEX face_vectors ON suya (a)")
    before = run_sql(sqlite_database, "SELECT sql FROM sqlite_master ORDER BY name")
    with pytest.raises(DatabaseUnavailable, match=r"face_vectors.*\(al preparar las tablas del programa\)") as caught:
        open_own_tables(sqlite_database)
    assert caught.value.advice == REFUSED_ADVICE
    assert run_sql(sqlite_database, "SELECT sql FROM sqlite_master ORDER BY name") == before
    run_sql(sqlite_database, "DROP INDEX face_vectors")
    open_own_tables(sqlite_database)
    assert_as_defined(sqlite_database)


@pytest.fixture
def server_of_myisam(mariadb: MariaDb) -> Iterator[None]:
    """Let the server make tables without transactions where a statement does not say otherwise."""
    mariadb.execute("SET GLOBAL default_storage_engine = MyISAM")
    yield
    mariadb.execute("SET GLOBAL default_storage_engine = InnoDB")


def test_all_tables_have_transactions_whatever_the_server_s_usual_engine(
    server_of_myisam: None, mariadb_database: Database
) -> None:
    run_sql(mariadb_database, "CREATE TABLE other (n INT)")
    open_table(mariadb_database)
    open_own_tables(mariadb_database)
    query = "SELECT engine, COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() GROUP BY engine"
    assert sorted(run_sql(mariadb_database, query)) == [("InnoDB", 1 + len(TABLES)), ("MyISAM", 1)]


def test_a_run_says_which_tables_have_no_transactions(
    mariadb_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    open_table(mariadb_database)
    open_own_tables(mariadb_database)
    for name in ("face_embeddings", "face_runs"):
        run_sql(mariadb_database, f"ALTER TABLE {name} ENGINE = MyISAM")
    with caplog.at_level(logging.WARNING, logger="app.gallery.tables"):
        open_table(mariadb_database)
    said = "La tabla {} es de motor MyISAM, sin transacciones: " + NO_TRANSACTIONS
    assert sorted(caplog.messages) == [said.format("face_embeddings"), said.format("face_runs")]


def test_names_of_any_language_are_recorded_in_a_database_of_another_alphabet(
    mariadb: MariaDb, mariadb_name: str, mariadb_database: Database
) -> None:
    mariadb.execute(f"ALTER DATABASE {mariadb_name} CHARACTER SET latin1 COLLATE latin1_swedish_ci")
    open_table(mariadb_database)
    open_own_tables(mariadb_database)
    tables = (
        "FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE 'face%' "
        "AND table_name <> 'face_embeddings'"  # which the service reads, too: its characters are the database's
    )
    query = f"SELECT DISTINCT table_collation {tables}"
    assert run_sql(mariadb_database, query) == [("utf8mb4_bin",)]
    name = {"a": "Иван/фото.jpg"}
    run_sql(mariadb_database, "INSERT INTO face_photos (crew_id, url, etag) VALUES ('И', :a, :a)", name)
    run_sql(mariadb_database, "INSERT INTO face_attempts (crew_id, url) VALUES ('И', :a)", name)
    assert run_sql(mariadb_database, "SELECT url, etag FROM face_photos WHERE crew_id = 'И'") == [(name["a"],) * 2]


def test_a_thumbnail_of_more_than_64_kb_has_room(database: Database) -> None:
    open_own_tables(database)
    run_sql(database, "INSERT INTO face_photos (crew_id, thumbnail) VALUES ('1', :a)", {"a": b"\xff" * 100_000})
    assert run_sql(database, "SELECT LENGTH(thumbnail) FROM face_photos") == [(100_000,)]


# ----------------------------------------------------------------------------------------------------------- refused


def test_tables_of_a_newer_program_are_refused_and_left_alone(database: Database) -> None:
    open_own_tables(database)
    run_sql(database, f"INSERT INTO face_schema (version) VALUES ({VERSION + 1})")  # noqa: S608
    before = described(database)
    with pytest.raises(DatabaseUnavailable) as caught:
        open_own_tables(database)
    assert str(caught.value).endswith(
        f": las tablas son de una versión más nueva del programa ({VERSION + 1}; esta conoce hasta la {VERSION})"
    )
    assert caught.value.advice == "Use la versión nueva del programa también en este equipo."
    assert described(database) == before


@pytest.mark.parametrize(
    ("grants", "denied"),
    [
        ("SELECT, INSERT, UPDATE, DELETE", "CREATE command denied to user 'eva'"),
        ("SELECT, CREATE", "INSERT.* command denied to user 'eva'"),
    ],
)
def test_a_user_who_may_not_create_tables_gets_the_advice(
    mariadb: MariaDb, mariadb_name: str, open_database: OpenDatabase, grants: str, denied: str
) -> None:
    mariadb.create_user("eva", "x", f"{grants} ON {mariadb_name}.*")
    url = mariadb.url(mariadb_name, "eva", "x").render_as_string(hide_password=False)
    with pytest.raises(DatabaseUnavailable, match=denied) as caught:
        open_own_tables(open_database(DB_URL=url))
    assert str(caught.value).endswith(" (al preparar las tablas del programa)")
    assert caught.value.advice == DENIED_ADVICE
    assert "--print-schema" in DENIED_ADVICE
    assert TABLE_DENIED in DENIED


def test_a_user_without_those_rights_works_with_tables_that_are_there(
    mariadb: MariaDb, mariadb_name: str, mariadb_database: Database, open_database: OpenDatabase
) -> None:
    open_own_tables(mariadb_database)
    mariadb.create_user("eva", "x", f"SELECT ON {mariadb_name}.*")
    open_own_tables(open_database(DB_URL=mariadb.url(mariadb_name, "eva", "x").render_as_string(hide_password=False)))


# ---------------------------------------------------------------------------------------------------- --print-schema


def test_every_table_that_the_printed_sql_makes_says_its_characters() -> None:
    made = [sql for sql in pending_statements(0, mysql.dialect()) if sql.startswith("CREATE")]
    assert len(made) == len(TABLES)
    assert all(sql.endswith("ENGINE=InnoDB CHARSET=utf8mb4 COLLATE utf8mb4_bin") for sql in made)
    assert not any("utf8mb4" in sql for sql in pending_statements(0, sqlite.dialect()))


def test_the_printed_sql_is_what_an_old_mysql_takes(make_settings: MakeSettings) -> None:
    """Before 8.0.13, MySQL takes no expression as a default: not even a number in brackets. Nothing is connected."""
    database = Database(make_settings(DB_URL="mysql://eva@127.0.0.1:9/base"))
    printed = [*table_statements(database), *statements(database)]
    assert not any(re.search(r"DEFAULT \(|INDEX IF NOT EXISTS", sql) for sql in printed)
    assert any("confidence NUMERIC(3, 2) DEFAULT '1.00'" in sql for sql in printed)


def test_the_printed_sql_run_by_hand_makes_the_same_tables(database: Database) -> None:
    for statement in statements(database):
        run_sql(database, statement)
    assert_as_defined(database)
    before = described(database)
    open_own_tables(database)
    assert described(database) == before
    assert run_sql(database, "SELECT version FROM face_schema ORDER BY version") == [(VERSION,)]


def test_by_hand_or_by_the_program_the_tables_come_out_alike(open_database: OpenDatabase, tmp_path: Path) -> None:
    by_hand, by_program = (open_database(DB_URL=f"sqlite:///{tmp_path}/{number}.db") for number in (1, 2))
    for statement in statements(by_hand):
        run_sql(by_hand, statement)
    open_own_tables(by_program)
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
    assert run_sql(by_hand, query) == run_sql(by_program, query)


def test_nothing_is_printed_for_tables_that_are_up_to_date() -> None:
    assert list(pending_statements(VERSION, mysql.dialect())) == []
    assert list(pending_statements(VERSION + 1, mysql.dialect())) == []


def older_tables(database: Database, version: int) -> None:
    """Make the tables of a former version: 3 knew no stage, 4 took only ids below 2^31 and of 64 characters, 5 had no
    accepted pairs."""
    open_own_tables(database)
    run_sql(database, "DROP TABLE face_accepted_pairs")
    if database.is_mysql and version < 5:
        run_sql(database, "ALTER TABLE face_vectors MODIFY COLUMN embedding_id INTEGER NOT NULL")
        for name in ("face_vectors", "face_photos", "face_attempts"):
            run_sql(database, f"ALTER TABLE {name} MODIFY COLUMN crew_id VARCHAR(64) NOT NULL")
    if version == 3:
        run_sql(database, "ALTER TABLE face_photos DROP COLUMN stage")
    run_sql(database, f"UPDATE face_schema SET version = {version}")  # noqa: S608
    run_sql(database, "INSERT INTO face_photos (crew_id, code) VALUES ('1', 'no_face')")
    run_sql(database, "INSERT INTO face_vectors (embedding_id, crew_id) VALUES (7, '1')")


NEW_COLUMN = "ALTER TABLE face_photos ADD COLUMN stage VARCHAR(20)"
NEW_TYPES = [
    "ALTER TABLE face_vectors MODIFY COLUMN embedding_id BIGINT UNSIGNED NOT NULL",
    "ALTER TABLE face_vectors MODIFY COLUMN crew_id VARCHAR(191) NOT NULL",
    "ALTER TABLE face_photos MODIFY COLUMN crew_id VARCHAR(191) NOT NULL",
    "ALTER TABLE face_attempts MODIFY COLUMN crew_id VARCHAR(191) NOT NULL",
]


@pytest.mark.parametrize("version", range(FIRST_VERSION, VERSION))
def test_tables_of_each_former_version_are_changed_and_keep_their_rows(database: Database, version: int) -> None:
    older_tables(database, version)
    printed = list(pending_statements(version, database.engine.dialect))
    assert printed == [
        *([NEW_COLUMN] if version == 3 else []),
        *(NEW_TYPES if database.is_mysql and version < 5 else []),  # SQLite takes values of any length
        str(CreateTable(ACCEPTED, if_not_exists=True).compile(dialect=database.engine.dialect)).strip(),
        f"INSERT INTO face_schema (version) VALUES ({VERSION})",  # noqa: S608
    ]
    open_own_tables(database)
    assert run_sql(database, "SELECT crew_id, code, stage FROM face_photos") == [("1", "no_face", None)]
    assert run_sql(database, "SELECT embedding_id, crew_id FROM face_vectors") == [(7, "1")]
    assert read_version(database) == VERSION
    assert_as_defined(database)


@pytest.mark.parametrize("version", range(FIRST_VERSION, VERSION))
def test_the_printed_changes_run_by_hand_do_the_same(database: Database, version: int) -> None:
    older_tables(database, version)
    for statement in pending_statements(version, database.engine.dialect):
        run_sql(database, statement)
    assert_as_defined(database)
    assert read_version(database) == VERSION


@pytest.mark.parametrize("done", range(1, 6))
def test_changes_that_a_run_was_cut_short_in_are_completed(mariadb_database: Database, done: int) -> None:
    """MySQL commits each change before the version is written."""
    older_tables(mariadb_database, 3)
    for statement in [NEW_COLUMN, *NEW_TYPES][:done]:
        run_sql(mariadb_database, statement)
    open_own_tables(mariadb_database)
    assert read_version(mariadb_database) == VERSION
    assert_as_defined(mariadb_database)


def test_the_row_of_a_vector_may_have_any_id_that_a_table_can_give(mariadb_database: Database) -> None:
    open_own_tables(mariadb_database)
    largest = 2**64 - 1
    run_sql(mariadb_database, f"INSERT INTO face_vectors (embedding_id, crew_id) VALUES ({largest}, '1')")  # noqa: S608
    assert run_sql(mariadb_database, "SELECT embedding_id FROM face_vectors") == [(largest,)]


@pytest.mark.parametrize("version", range(1, FIRST_VERSION))
def test_tables_from_before_the_first_release_are_refused(database: Database, version: int) -> None:
    open_own_tables(database)
    run_sql(database, f"UPDATE face_schema SET version = {version}")  # noqa: S608
    with pytest.raises(DatabaseUnavailable, match="versión de prueba") as caught:
        open_own_tables(database)
    assert "face_photos" in caught.value.advice
