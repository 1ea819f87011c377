from __future__ import annotations

import pytest

from app.core.database import Database
from app.errors import DatabaseUnavailable
from app.gallery.embeddings_table import find_table, open_table
from app.gallery.reading import DENIED_ADVICE
from app.gallery.tables import open_own_tables
from tests.conftest import OpenDatabase
from tests.support.databases import Row, create_roster, run_sql
from tests.support.mariadb import MariaDb
from tests.support.together import all_at_once

# As docs and the recognition service have it; ours adds the key.
AGREED = """CREATE TABLE face_embeddings (
    id INT AUTO_INCREMENT PRIMARY KEY,
    crew_id VARCHAR(10) NOT NULL,
    embedding LONGTEXT NOT NULL,
    modelo VARCHAR(50) DEFAULT 'Facenet512',
    confidence DECIMAL(3,2) DEFAULT 1.00,
    imagen_path VARCHAR(255),
    active BOOLEAN DEFAULT TRUE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
)"""
FOREIGN = "id INTEGER PRIMARY KEY, crew_id VARCHAR(10), embedding TEXT, modelo TEXT, confidence FLOAT, imagen_path TEXT"


def columns_of(server: MariaDb, database: str) -> list[Row]:
    return server.execute(
        "SELECT column_name, column_type, is_nullable, column_default, extra FROM information_schema.columns "
        "WHERE table_schema = %(database)s AND table_name = 'face_embeddings' ORDER BY ordinal_position",
        database=database,
    )


def test_the_table_is_made_with_the_agreed_columns_and_types(
    mariadb: MariaDb, mariadb_name: str, mariadb_database: Database
) -> None:
    mariadb.need_mysql(8, 0, of="un TIMESTAMP que admite NULL sin decirlo")
    mariadb.execute(AGREED, mariadb_name)
    agreed = columns_of(mariadb, mariadb_name)
    mariadb.execute("DROP TABLE face_embeddings", mariadb_name)
    open_table(mariadb_database)
    assert columns_of(mariadb, mariadb_name) == agreed
    assert len(agreed) == 9


def test_the_key_by_member_is_added_and_nothing_is_unique_but_the_id(
    mariadb: MariaDb, mariadb_name: str, mariadb_database: Database
) -> None:
    open_table(mariadb_database)
    keys = mariadb.execute(
        "SELECT index_name, column_name, non_unique FROM information_schema.statistics "
        "WHERE table_schema = %(database)s ORDER BY index_name, seq_in_index",
        database=mariadb_name,
    )
    assert keys == [("crew_active", "crew_id", 1), ("crew_active", "active", 1), ("PRIMARY", "id", 0)]


def test_sqlite_gets_the_same_table_with_ids_as_long_as_names_of_folders(sqlite_database: Database) -> None:
    open_table(sqlite_database)
    columns = run_sql(
        sqlite_database, "SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info('face_embeddings')"
    )
    assert columns == [
        ("id", "INTEGER", 1, None),
        ("crew_id", "VARCHAR(191)", 1, None),
        ("embedding", "TEXT", 1, None),
        ("modelo", "VARCHAR(50)", 0, "'Facenet512'"),
        ("confidence", "NUMERIC(3, 2)", 0, "1.00"),
        ("imagen_path", "VARCHAR(12288)", 0, None),
        ("active", "BOOLEAN", 0, "1"),
        ("created_at", "TIMESTAMP", 0, "CURRENT_TIMESTAMP"),
        ("updated_at", "TIMESTAMP", 0, "CURRENT_TIMESTAMP"),
    ]
    assert run_sql(sqlite_database, "SELECT name FROM pragma_index_info('crew_active')") == [("crew_id",), ("active",)]


def test_an_existing_table_is_taken_as_it_stands(database: Database) -> None:
    run_sql(database, f"CREATE TABLE face_embeddings ({FOREIGN}, active INT, nota TEXT)")
    run_sql(database, "INSERT INTO face_embeddings (id, crew_id, embedding, nota) VALUES (7, '1', '[]', 'suya')")
    assert list(open_table(database).c.keys())[-1] == "nota"
    open_table(database)
    assert run_sql(database, "SELECT id, crew_id, nota FROM face_embeddings") == [(7, "1", "suya")]


def test_a_table_that_lacks_columns_is_refused_and_left_alone(database: Database) -> None:
    run_sql(database, "CREATE TABLE face_embeddings (id INT, crew_id INT, vector TEXT, active INT)")
    with pytest.raises(DatabaseUnavailable) as caught:
        open_table(database)
    message = (
        ": a la tabla face_embeddings le falta embedding, modelo, confidence, imagen_path. "
        "Tiene: id, crew_id, vector, active"
    )
    assert str(caught.value).startswith("Conexión a base de datos: ")
    assert str(caught.value).endswith(message)
    assert caught.value.advice == (
        "Añada las columnas (docs/tabla.md trae la tabla), o renombre esa tabla para que se cree otra."
    )
    assert run_sql(database, "SELECT * FROM face_embeddings") == []


def test_a_user_who_may_not_create_the_table_gets_the_advice(
    mariadb: MariaDb, mariadb_name: str, open_database: OpenDatabase
) -> None:
    mariadb.create_user("rita", "x", f"SELECT, INSERT, UPDATE ON {mariadb_name}.*")
    database = open_database(DB_URL=mariadb.url(mariadb_name, "rita", "x").render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnavailable, match=r"1142 .42000.: CREATE command denied to user 'rita'") as caught:
        open_table(database)
    assert caught.value.advice == DENIED_ADVICE


@pytest.mark.parametrize("grant", ["SELECT ON {}.tripulantes", ""])
def test_a_user_who_may_not_even_see_the_table_gets_the_advice(
    mariadb: MariaDb, mariadb_name: str, mariadb_database: Database, open_database: OpenDatabase, grant: str
) -> None:
    create_roster(mariadb_database, [])
    mariadb.create_user("rita", "x", *([grant.format(mariadb_name)] if grant else []))
    database = open_database(DB_URL=mariadb.url(mariadb_name, "rita", "x").render_as_string(hide_password=False))
    for ask in (open_table, find_table, open_own_tables):
        with pytest.raises(DatabaseUnavailable, match=r"1142|1044") as caught:
            ask(database)
        assert caught.value.advice == DENIED_ADVICE


def test_two_runs_may_make_the_table_at_once(database: Database) -> None:
    assert all_at_once(lambda: open_table(database)) == []
