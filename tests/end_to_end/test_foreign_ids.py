"""Rosters and galleries of other programs at the front door: ids, file names and columns as nobody here makes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.core.database import Database
from tests.conftest import OpenDatabase, OpenWorld
from tests.support.databases import Row, run_sql
from tests.support.mariadb import MariaDb, running_mariadb
from tests.support.program import World
from tests.support.webserver import PhotoServer

# The type of the column, the value as SQL, and the id that people see.
FOREIGN_IDS = [
    ("VARBINARY(10)", "'789100'", "789100"),
    ("BINARY(10)", "'A1'", "A1"),
    ("BLOB", "'A1'", "A1"),
    ("INT(6) ZEROFILL", "101", "000101"),
    ("DOUBLE", "789100", "789100"),
    ("FLOAT", "7891001", "7891001"),
    ("DECIMAL(20,10)", "789100", "789100"),
    ("BIT(20)", "101", "101"),
]
GALLERY = (
    "CREATE TABLE face_embeddings ({number}, crew_id {kind} NOT NULL, embedding TEXT, modelo VARCHAR(50), "
    "confidence DECIMAL(3,2), imagen_path VARCHAR(255), active BOOLEAN DEFAULT TRUE)"
)
NUMBER = {True: "id INT AUTO_INCREMENT PRIMARY KEY", False: "id INTEGER PRIMARY KEY"}
Customer = Callable[..., World]


@pytest.fixture
def customer(open_world: OpenWorld, mariadb_database: Database, web: PhotoServer, portrait_jpeg: bytes) -> Customer:
    """Found a customer on MariaDB with one member, whose photo is at `<shown>/a.jpg`; `kind` is the type of the ids."""

    def found(kind: str, value: str, shown: str) -> World:
        world = open_world(mariadb_database.url.render_as_string(hide_password=False))
        run_sql(mariadb_database, f"ALTER TABLE tripulantes MODIFY crew_id {kind}")
        columns = "crew_id, imagen, nombres, apellidos, estatus"
        run_sql(mariadb_database, f"INSERT INTO tripulantes ({columns}) VALUES ({value}, 'a.jpg', 'Ana', 'Paz', 1)")  # noqa: S608
        web.photos[f"{shown}/a.jpg"] = portrait_jpeg
        return world

    return found


def make_gallery(database: Database, kind: str) -> None:
    run_sql(database, GALLERY.format(number=NUMBER[database.is_mysql], kind=kind))


def rows_of(database: Database) -> list[Row]:
    return run_sql(database, "SELECT crew_id, active FROM face_embeddings ORDER BY id")


def warnings_of(world: World) -> dict[str, str]:
    findings = world.run("--check").document["findings"]
    return {each["name"]: each["text"] for each in findings if each["area"] == "roster" and each["level"] != "ok"}


@pytest.mark.parametrize(("kind", "value", "shown"), FOREIGN_IDS)
def test_an_id_of_any_type_is_the_same_everywhere(
    customer: Customer, mariadb_database: Database, kind: str, value: str, shown: str
) -> None:
    world = customer(kind, value, shown)
    assert warnings_of(world) == {}
    first = world.run("--all")
    assert (first.exit_code, first.codes) == (0, {shown: "stored"}), first.stdout
    assert rows_of(mariadb_database) == [(shown, 1)]
    assert run_sql(mariadb_database, "SELECT crew_id FROM face_photos") == [(shown,)]
    again = world.run("--all")
    assert (again.exit_code, again.codes) == (0, {shown: "skipped:current"}), again.stdout
    one = world.run("--crew-id", shown, "--force")
    assert (one.exit_code, one.codes) == (0, {shown: "stored"}), one.stdout
    assert rows_of(mariadb_database) == [(shown, 1)]
    forgotten = world.run("--forget", shown)
    assert (forgotten.exit_code, forgotten.document["forgotten"]["vectors"]) == (0, 1)
    assert rows_of(mariadb_database) == []


@pytest.mark.parametrize(("kind", "value", "shown"), FOREIGN_IDS)
def test_a_gallery_s_ids_may_be_of_any_type(
    customer: Customer, mariadb_database: Database, kind: str, value: str, shown: str
) -> None:
    world = customer("VARCHAR(10)", f"'{shown}'", shown)
    make_gallery(mariadb_database, kind)
    assert warnings_of(world) == {}
    assert world.run("--all").codes == {shown: "stored"}
    assert world.run("--all").codes == {shown: "skipped:current"}
    assert world.run("--crew-id", shown, "--force").codes == {shown: "stored"}
    assert [active for _, active in rows_of(mariadb_database)] == [1]
    assert run_sql(mariadb_database, f"SELECT 1 FROM face_embeddings WHERE crew_id = {value}") or kind == "BINARY(10)"  # noqa: S608
    assert world.run("--forget", shown).document["forgotten"]["vectors"] == 1


NEAR_IDS = [
    *[("INT", "789100", "789100", "789100x", False), ("INT", "789100", "789100", "789100.0", True)],
    *[("INT(6) ZEROFILL", "101", "000101", "101", True), ("INT(6) ZEROFILL", "101", "000101", "0000101", True)],
    *[("DOUBLE", "789100", "789100", "789100.0", True), ("DOUBLE", "789100", "789100", "7891e2", False)],
    *[("DECIMAL(20,10)", "789100", "789100", "789100.0000000000", True), ("BIT(20)", "65", "65", "A", False)],
    *[("DATE", "'2024-01-02'", "2024-01-02", "20240102", False), ("CHAR(9)", "'A1'", "A1", "a1", True)],
    *[("VARCHAR(9)", "'A1'", "A1", "A1 ", True), ("VARCHAR(9)", "'PEÑA'", "PEÑA", "PENA", True)],
    *[("VARCHAR(9)", "' A1'", "A1", " A1", True), ("VARBINARY(9)", "'A1'", "A1", "\udcff", False)],
    *[("ENUM('8', '7')", "'8'", "8", "1", False)],
]


@pytest.mark.parametrize(("kind", "value", "shown", "asked", "hint"), NEAR_IDS)
def test_an_id_that_only_the_database_takes_for_this_one_is_unknown(
    customer: Customer, mariadb_database: Database, kind: str, value: str, shown: str, asked: str, *, hint: bool
) -> None:
    world = customer(kind, value, shown)
    refused = world.run("--crew-id", asked)
    assert refused.exit_code == 1, (refused.stdout, refused.stderr)
    assert refused.document["members"] == []
    assert "no existe en la tabla tripulantes" in refused.document["summary"]["error"]
    assert (f"¿Quiso decir {shown}?" in refused.stdout) == hint
    assert rows_of(mariadb_database) == []
    assert world.run("--crew-id", shown).codes == {shown: "stored"}
    forgotten = world.run("--forget", asked)
    assert (forgotten.exit_code, forgotten.document["forgotten"]["vectors"]) == (0, 0)
    assert (f"¿Quiso decir {shown}?" in forgotten.stdout) == hint, forgotten.stdout
    kept = [run_sql(mariadb_database, f"SELECT COUNT(*) FROM {table}") for table in ("face_embeddings", "face_photos")]  # noqa: S608
    assert kept == [[(1,)], [(1,)]]


def test_file_names_and_names_of_people_may_be_bytes(
    customer: Customer, mariadb_database: Database, web: PhotoServer, portrait_jpeg: bytes
) -> None:
    world = customer("VARBINARY(10)", "'1'", "1")
    for column in ("imagen", "nombres", "apellidos", "estatus"):
        run_sql(mariadb_database, f"ALTER TABLE tripulantes MODIFY {column} VARBINARY(50)")
    run_sql(mariadb_database, "UPDATE tripulantes SET imagen = 'año (1).jpg', nombres = 'José', apellidos = 'Núñez'")
    web.photos = {"1/año (1).jpg": portrait_jpeg}
    result = world.run("--all")
    assert result.codes == {"1": "stored"}, result.stdout
    (url,) = run_sql(mariadb_database, "SELECT imagen_path FROM face_embeddings")
    assert url == (f"{web.base_url}/1/a%C3%B1o%20%281%29.jpg",)


def test_what_is_no_utf8_is_said_before_and_in_the_run(customer: Customer, mariadb_database: Database) -> None:
    world = customer("VARBINARY(10)", "'1'", "1")
    run_sql(mariadb_database, "ALTER TABLE tripulantes MODIFY imagen VARBINARY(50)")
    run_sql(mariadb_database, "INSERT INTO tripulantes VALUES (X'4EF1', 'a.jpg', 'Eva', 'Sol', 1)")
    run_sql(mariadb_database, "INSERT INTO tripulantes VALUES ('3', X'F12E6A7067', 'Leo', 'Mar', 1)")
    assert list(warnings_of(world)) == ["bad_names"]
    result = world.run("--all")
    assert result.exit_code == 1
    assert result.codes == {"1": "stored", "3": "failed:bad_name", "N\\udcf1": "failed:bad_name"}
    details = {member["crew_id"]: member["detail"] for member in result.document["members"] if member["code"]}
    assert details == {
        "3": "Nombre no permitido: «\\udcf1.jpg» no es texto UTF-8",
        "N\\udcf1": "Nombre no permitido: «N\\udcf1» no es texto UTF-8",
    }
    one = world.run("--crew-id", "3")
    assert (one.exit_code, one.codes) == (1, {"3": "failed:bad_name"})


@pytest.mark.parametrize("kind", ["INT", "DECIMAL(10)", "DOUBLE"])
def test_an_id_that_the_gallery_would_change_is_said_before_and_refused(
    customer: Customer, mariadb_database: Database, kind: str
) -> None:
    world = customer("VARCHAR(10)", "'000101'", "000101")
    make_gallery(mariadb_database, kind)
    assert list(warnings_of(world)) == ["id_kind"]
    for _ in range(2):
        result = world.run("--all")
        assert (result.exit_code, result.codes) == (1, {"000101": "failed:row_refused"})
    assert rows_of(mariadb_database) == []


def test_columns_may_be_written_in_any_case(
    database: Database, open_world: OpenWorld, web: PhotoServer, portrait_jpeg: bytes
) -> None:
    world = open_world(
        database.url.render_as_string(hide_password=False),
        ROSTER_ID_COLUMN="CREW_ID",
        ROSTER_PHOTO_COLUMN="Imagen",
        ROSTER_STATUS_COLUMN="Estatus",
    )
    world.hire("7", "a.jpg", portrait_jpeg)
    make_gallery(database, "VARCHAR(10)")
    for name, written in (("crew_id", "Crew_ID"), ("active", "ACTIVE"), ("imagen_path", "Imagen_Path"), ("id", "ID")):
        kinds = {"crew_id": "VARCHAR(10)", "active": "BOOLEAN", "imagen_path": "TEXT", "id": "INT AUTO_INCREMENT"}
        rename = f"CHANGE {name} {written} {kinds[name]}" if database.is_mysql else f"RENAME {name} TO {written}"
        run_sql(database, f"ALTER TABLE face_embeddings {rename}")
    run_sql(database, "CREATE INDEX x ON face_embeddings (Crew_ID)")
    found = {each["name"]: each["level"] for each in world.run("--check").document["findings"]}
    assert (found["table"], found["columns"]) == ("ok", "ok")
    for expected in ("stored", "skipped:current"):
        result = world.run("--all")
        assert (result.exit_code, result.codes) == (0, {"7": expected}), result.stdout
    assert world.run("--crew-id", "7", "--force").codes == {"7": "stored"}
    assert rows_of(database) == [("7", 1)]
    assert world.run("--forget", "7").document["forgotten"]["vectors"] == 1


def test_tables_may_be_written_in_any_case_where_the_server_tells_none_apart(
    tmp_path_factory: pytest.TempPathFactory, open_database: OpenDatabase, open_world: OpenWorld, portrait_jpeg: bytes
) -> None:
    with running_mariadb(Path(tmp_path_factory.mktemp("m")), "--lower-case-table-names=1") as server:
        server.execute("CREATE DATABASE c CHARACTER SET utf8mb4")
        url = server.url("c").render_as_string(hide_password=False)
        world = open_world(url, ROSTER_TABLE="TRIPULANTES")
        world.hire("7", "a.jpg", portrait_jpeg)
        database = open_database(DB_URL=url)
        run_sql(database, GALLERY.replace("face", "Face").format(number=NUMBER[True], kind="VARCHAR(10)"))
        assert warnings_of(world) == {}
        assert [world.run("--all").codes for _ in range(2)] == [{"7": "stored"}, {"7": "skipped:current"}]


@pytest.mark.parametrize("kind", ["VARCHAR(10) COLLATE utf8mb4_nopad_bin", "VARCHAR(10)", "VARBINARY(10)"])
@pytest.mark.parametrize("written", ["A1 ", " A1"])
def test_a_row_whose_id_has_spaces_around_it_is_this_person_s(
    mariadb: MariaDb, customer: Customer, mariadb_database: Database, kind: str, written: str
) -> None:
    """The database does not find such a row by the id that people see: a second active row must not come of it."""
    mariadb.need_kinds(kind)
    world = customer("VARCHAR(10)", f"'{written}'", "A1")
    make_gallery(mariadb_database, kind)
    world.run("--all")
    run_sql(mariadb_database, f"UPDATE face_embeddings SET crew_id = '{written}'")  # noqa: S608
    for words in (("--all", "--force"), ("--crew-id", "A1", "--force")):
        result = world.run(*words)
        assert (result.exit_code, result.codes) == (0, {"A1": "stored"}), result.stdout
        assert [active for _, active in rows_of(mariadb_database)] == [1]
    assert world.run("--forget", "A1").document["forgotten"]["vectors"] == 1
    assert rows_of(mariadb_database) == []


@pytest.mark.parametrize(
    ("kind", "active", "departed"),
    [
        ("DATE", "0000-00-00", "2024-01-02"),  # people who have not left
        ("DATETIME", "0000-00-00 00:00:00", "2024-01-02 10:00:00"),
        ("TIMESTAMP", "0000-00-00 00:00:00", "2024-01-02 10:00:00"),
        ("YEAR", "0000", "2024"),
        ("SET('a', 'b')", "a,b", "a"),
    ],
)
def test_the_status_may_be_of_any_type(
    open_world: OpenWorld, mariadb_database: Database, portrait_jpeg: bytes, kind: str, active: str, departed: str
) -> None:
    url = mariadb_database.url.render_as_string(hide_password=False)
    world = open_world(url, ROSTER_STATUS_COLUMN="baja", ROSTER_ACTIVE_VALUE=active)
    for crew_id in ("1", "2"):
        world.hire(crew_id, "a.jpg", portrait_jpeg)
    column = f"ALTER TABLE tripulantes ADD COLUMN baja {kind} NOT NULL DEFAULT '{active}'"
    departure = f"UPDATE tripulantes SET baja = '{departed}' WHERE crew_id = 2"  # noqa: S608
    with world.engine.begin() as connection:
        for statement in ("SET sql_mode = ''", column, departure):
            connection.exec_driver_sql(statement)
    assert world.run("--all").codes == {"1": "stored"}
    assert world.run("--crew-id", "2").exit_code == 1
