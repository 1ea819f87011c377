"""The steps of our own tables: the SQL that is run, and the tables that the program works with, are the same ones."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import MetaData, Table, inspect

from app.core.database import REFUSED_ADVICE, TABLE_DENIED, Database
from app.errors import DatabaseUnavailable
from app.gallery.embeddings_table import DENIED, DENIED_ADVICE, open_table
from app.gallery.own_tables import ATTEMPTS, CONTRACTS, PHOTOS, RUNS, VECTORS, VERSIONS
from app.gallery.schema_migrations import Change, open_own_tables, read_version, step_statements, steps
from tests.conftest import OpenDatabase
from tests.support.databases import Row, run_sql
from tests.support.mariadb import MariaDb
from tests.support.together import all_at_once

TABLES = (PHOTOS, VECTORS, CONTRACTS, ATTEMPTS, RUNS, VERSIONS)
LATEST = 3
ALL = [(number,) for number in range(1, LATEST + 1)]
# The columns of the former release's `face_photos`: two people in the gallery, one who failed.
FORMER = (
    "crew_id, url, sha256, perceptual_hash, grey, width, height, faces_seen, box, attempt, confidence, quality, "
    "quality_verdict, quality_component, code, detail, embedding_id"
)
KEPT = "crew_id, url, sha256, perceptual_hash, grey, width, height, faces_seen, box, attempt, code, detail"
SEEN = ("ab", "0f", "01ff", 640, 480, 1, "[1,2,3,4]", "plain")
PEOPLE = [("a1", "u1", *SEEN, None, None), ("A1", "u2", *SEEN, None, None), ("3", "u3", *SEEN, "no_face", "qué")]


def former_release(database: Database) -> None:
    """The database as the former release leaves it: one table, no number."""
    database.transaction(steps(mysql=database.is_mysql)[0][0])
    insert = f"INSERT INTO face_photos ({FORMER}) VALUES ("  # noqa: S608  # columns are constants
    for person, embedding_id in zip(PEOPLE, (7, 8, None), strict=True):
        values = (*person[:10], 0.9, "{}", "pass", None, *person[10:], embedding_id)
        names = [f"v{number}" for number in range(len(values))]
        run_sql(database, f"{insert}{', '.join(f':{name}' for name in names)})", dict(zip(names, values, strict=True)))


def run_changes(database: Database, changes: Iterable[Change]) -> None:
    for change in changes:
        database.transaction(change)


def described(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Of each of our tables each column as the database has it."""
    schema = inspect(database.engine)
    return {
        table.name: [(each["name"], str(each["type"]), each["nullable"]) for each in schema.get_columns(table.name)]
        for table in TABLES
    }


def kind_of(table: Table, column: str) -> str:
    """A type as both the definition and the database name it."""
    name = str(table.c[column].type).split(" COLLATE")[0].replace("DECIMAL", "NUMERIC").replace("TINYINT", "BOOLEAN")
    return re.sub(r"^MEDIUM(?=BLOB)|(?<=INT)\(\d+\)|(?<=INTEGER)\(\d+\)|(?<=BOOLEAN)\(\d+\)", "", name)


def assert_as_defined(database: Database) -> None:
    """The tables are what the definitions say, column by column, and hold their keys."""
    for defined in TABLES:
        found = Table(defined.name, MetaData(), autoload_with=database.engine)
        names = [column.name for column in defined.columns]
        assert sorted(found.c.keys()) == sorted(names), defined.name
        kinds = {name: kind_of(found, name) for name in names}
        assert kinds == {name: kind_of(defined, name) for name in names}, defined.name
        assert [column.name for column in found.primary_key] == [column.name for column in defined.primary_key]


# --------------------------------------------------------------------------------------------------------- opening


def test_an_empty_database_gets_the_tables_that_the_program_works_with(database: Database) -> None:
    open_own_tables(database)
    assert database.transaction(read_version) == LATEST == len(steps(mysql=database.is_mysql))
    assert_as_defined(database)


def test_opening_again_changes_nothing(database: Database) -> None:
    open_own_tables(database)
    before = described(database)
    open_own_tables(database)
    assert described(database) == before
    assert run_sql(database, "SELECT version FROM face_schema ORDER BY version") == ALL


def test_ids_are_told_apart_by_case_in_every_table(database: Database) -> None:
    open_own_tables(database)
    for table in (PHOTOS, ATTEMPTS):
        insert = f"INSERT INTO {table.name} (crew_id) VALUES (:c)"  # noqa: S608
        run_sql(database, insert, {"c": "a1"}, {"c": "A1"})
    vectors = "INSERT INTO face_vectors (embedding_id, crew_id) VALUES (:e, :c)"
    run_sql(database, vectors, {"e": 1, "c": "a1"}, {"e": 2, "c": "A1"})
    for table in (PHOTOS, ATTEMPTS, VECTORS):
        query = f"SELECT crew_id FROM {table.name} WHERE crew_id = 'A1'"  # noqa: S608
        assert run_sql(database, query) == [("A1",)]


def test_runs_that_start_together_take_each_step_once(database: Database) -> None:
    former_release(database)
    assert all_at_once(lambda: open_own_tables(database)) == []
    assert run_sql(database, "SELECT version FROM face_schema ORDER BY version") == ALL
    assert_came_over(database)


def test_whoever_comes_between_a_step_and_its_commit_waits_for_it(
    mariadb_database: Database, open_database: OpenDatabase, mariadb: MariaDb, mariadb_name: str
) -> None:
    """The tables are there, the lock is free, and the number is not yet to be seen by others."""
    open_own_tables(mariadb_database)
    run_sql(mariadb_database, f"DELETE FROM face_schema WHERE version = {LATEST}")  # noqa: S608
    second = open_database(DB_URL=mariadb.url(mariadb_name).render_as_string(hide_password=False))
    errors: list[BaseException] = []

    def open_one() -> None:
        try:
            open_own_tables(second)
        except BaseException as error:
            errors.append(error)

    waiting = threading.Thread(target=open_one)
    with mariadb_database.engine.begin() as connection:
        connection.execute(VERSIONS.insert().values(version=LATEST))
        waiting.start()
        waiting.join(timeout=0.5)
        assert waiting.is_alive()
    waiting.join()
    assert errors == []
    assert run_sql(mariadb_database, "SELECT version FROM face_schema ORDER BY version") == ALL


# ------------------------------------------------------------------------------------------------ the former release


def assert_came_over(database: Database) -> None:
    kept = run_sql(database, f"SELECT {KEPT} FROM face_photos ORDER BY url")  # noqa: S608
    assert kept == PEOPLE
    vectors = (
        "SELECT embedding_id, crew_id, contract, sha256, perceptual_hash, grey, width, height, staged "
        "FROM face_vectors ORDER BY embedding_id"
    )
    picture = (None, "ab", "0f", "01ff", 640, 480, 0)
    assert run_sql(database, vectors) == [(7, "a1", *picture), (8, "A1", *picture)]
    assert_as_defined(database)


def test_what_the_former_release_remembered_comes_over(database: Database) -> None:
    former_release(database)
    open_own_tables(database)
    assert_came_over(database)
    unknown: list[Row] = run_sql(
        database,
        "SELECT DISTINCT etag, size_bytes, thumbnail, judged_by, tried_at, checked_at, left_at FROM face_photos",
    )
    assert unknown == [(None,) * 7]


@pytest.mark.parametrize("done", range(len(steps(mysql=True)[1]) + 1))
def test_a_step_that_ended_anywhere_goes_on_from_there(mariadb_database: Database, done: int) -> None:
    """MySQL commits each change of a table by itself: what was done before the crash is there, the number is not."""
    former_release(mariadb_database)
    run_changes(mariadb_database, steps(mysql=True)[1][:done])
    open_own_tables(mariadb_database)
    assert mariadb_database.transaction(read_version) == LATEST
    assert_came_over(mariadb_database)


def test_in_sqlite_a_step_that_fails_leaves_nothing_behind(sqlite_database: Database) -> None:
    former_release(sqlite_database)
    before = run_sql(sqlite_database, "SELECT sql FROM sqlite_master ORDER BY name")
    run_sql(sqlite_database, "CREATE VIEW face_runs_vista AS SELECT seen_at FROM face_photos")
    with pytest.raises(DatabaseUnavailable, match=r"seen_at.*\(al preparar las tablas del programa\)") as caught:
        open_own_tables(sqlite_database)
    assert caught.value.advice == REFUSED_ADVICE
    run_sql(sqlite_database, "DROP VIEW face_runs_vista")
    after = run_sql(sqlite_database, "SELECT sql FROM sqlite_master WHERE name <> 'face_schema' ORDER BY name")
    assert [row for row in after if row in before] == before
    assert run_sql(sqlite_database, "SELECT name FROM sqlite_master WHERE name = 'face_vectors'") == []
    open_own_tables(sqlite_database)
    assert_came_over(sqlite_database)


def test_names_of_any_language_are_recorded_in_a_database_of_another_alphabet(
    mariadb: MariaDb, mariadb_name: str, mariadb_database: Database
) -> None:
    mariadb.execute(f"ALTER DATABASE {mariadb_name} CHARACTER SET latin1 COLLATE latin1_swedish_ci")
    former_release(mariadb_database)
    run_sql(mariadb_database, "DELETE FROM face_photos WHERE crew_id = '3'")
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


def test_every_table_that_the_printed_sql_makes_says_its_characters() -> None:
    published = next(each.sql for each in steps(mysql=True)[0])
    made = [sql for sql in step_statements(mysql=True) if sql.startswith("CREATE") and sql != published]
    assert len(made) == 5 and all(sql.endswith(" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin") for sql in made)
    assert not any("utf8mb4" in sql for sql in step_statements(mysql=False))


# ----------------------------------------------------------------------------------------------------------- refused


def test_tables_of_a_newer_program_are_refused_and_left_alone(database: Database) -> None:
    open_own_tables(database)
    run_sql(database, f"INSERT INTO face_schema (version) VALUES ({LATEST + 1})")  # noqa: S608
    before = described(database)
    with pytest.raises(DatabaseUnavailable) as caught:
        open_own_tables(database)
    assert str(caught.value).endswith(
        f": las tablas son de una versión más nueva del programa ({LATEST + 1}; esta conoce hasta la {LATEST})"
    )
    assert caught.value.advice == "Use la versión nueva del programa también en este equipo."
    assert described(database) == before


@pytest.mark.parametrize(
    ("grants", "there", "denied"),
    [
        ("SELECT, INSERT, UPDATE, DELETE", False, "CREATE command denied to user 'eva'"),
        ("SELECT, INSERT, UPDATE, DELETE, CREATE", True, "ALTER command denied to user 'eva'"),
        ("SELECT, CREATE", True, "INSERT.* command denied to user 'eva'"),
    ],
)
def test_a_user_who_may_not_change_tables_is_told_how_to_get_it_done(
    mariadb: MariaDb, mariadb_name: str, open_database: OpenDatabase, grants: str, there: bool, denied: str
) -> None:
    if there:
        former_release(open_database(DB_URL=mariadb.url(mariadb_name).render_as_string(hide_password=False)))
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


@pytest.mark.parametrize("former", [False, True])
def test_the_printed_sql_run_by_hand_makes_the_same_tables(database: Database, former: bool) -> None:
    """Also where the former release has left its table."""
    if former:
        former_release(database)
    for statement in step_statements(mysql=database.is_mysql):
        run_sql(database, statement)
    assert_as_defined(database)
    if former:
        assert_came_over(database)
    before = described(database)
    open_own_tables(database)
    assert described(database) == before
    assert run_sql(database, "SELECT version FROM face_schema ORDER BY version") == ALL


def test_by_hand_or_by_the_program_the_tables_come_out_alike(open_database: OpenDatabase, tmp_path: Path) -> None:
    by_hand, by_program = (open_database(DB_URL=f"sqlite:///{tmp_path}/{number}.db") for number in (1, 2))
    for statement in step_statements(mysql=False):
        run_sql(by_hand, statement)
    open_own_tables(by_program)
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
    assert run_sql(by_hand, query) == run_sql(by_program, query)


@pytest.mark.parametrize("mysql", [False, True])
def test_what_is_printed_after_a_step_is_only_what_follows_it(mysql: bool) -> None:
    everything = list(step_statements(mysql=mysql))
    first = everything.index("INSERT INTO face_schema (version) VALUES (1)") + 1
    assert list(step_statements(mysql=mysql, after=1)) == everything[first:]
    assert list(step_statements(mysql=mysql, after=LATEST)) == []
    assert everything[-1] == f"INSERT INTO face_schema (version) VALUES ({LATEST})"  # noqa: S608
