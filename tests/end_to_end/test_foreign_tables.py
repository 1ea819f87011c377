"""Tables of other programs at the front door: a run works with them, or says why not before it downloads; `--check`
says the same."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.records import Image
from tests.conftest import OpenWorld
from tests.support.mariadb import MariaDb
from tests.support.pictures import encode_picture
from tests.support.program import Result, World

GALLERY = {
    "id": "INT AUTO_INCREMENT PRIMARY KEY",
    "crew_id": "VARCHAR(10) NOT NULL",
    "embedding": "LONGTEXT NOT NULL",
    "modelo": "VARCHAR(50)",
    "confidence": "DECIMAL(3,2)",
    "imagen_path": "VARCHAR(255)",
    "active": "BOOLEAN DEFAULT TRUE",
}
NOT_SPANISH_ENOUGH = ("Error inesperado", "[SQL", "sqlalche.me", "Traceback", "Table or view")


def execute(world: World, *statements: str) -> None:
    with world.engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def found(world: World, **columns: str) -> None:
    """Make another program's `face_embeddings`; `columns` replaces or adds some."""
    definition = ", ".join(f"{name} {kind}" for name, kind in (GALLERY | columns).items())
    execute(world, f"CREATE TABLE face_embeddings ({definition}, KEY (crew_id))")


@pytest.fixture
def url(mariadb: MariaDb, mariadb_name: str) -> str:
    return mariadb.url(mariadb_name).render_as_string(hide_password=False)


@pytest.fixture
def world(open_world: OpenWorld, url: str, portrait_jpeg: bytes) -> World:
    """One active member with a good photo, on MariaDB."""
    world = open_world(url)
    world.hire("1", "a.jpg", portrait_jpeg)
    return world


def broken(checked: Result, area: str) -> list[str]:
    findings = checked.document["findings"]
    return [each["name"] for each in findings if each["level"] == "broken" and each["area"] == area]


def assert_said(world: World, said: str) -> None:
    """The run ends with 3 before any download, as any other: its document and the history say why."""
    world.web.requests.clear()
    result = world.run("--all")
    assert (result.exit_code, said in result.document["summary"]["error"]) == (3, True), result.document["summary"]
    assert not any(wrong in result.stdout + result.stderr for wrong in NOT_SPANISH_ENOUGH), result.stdout
    assert list(world.web.requests) == []
    (last, *_) = world.run("--history").document["runs"]
    assert (last["exit_code"], said in last["error"]) == (3, True)
    assert world.run("--plan").exit_code == 3


# ------------------------------------------------------------------------------------------------ face_embeddings


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("id", {"id": "CHAR(36) DEFAULT (UUID()) PRIMARY KEY"}),
        ("id", {"id": "INT PRIMARY KEY"}),
        ("active_type", {"active": "ENUM('0', '1')"}),
        ("active_type", {"active": "BINARY(1)"}),
        ("computed", {"active": "BOOLEAN AS (crew_id > 1) STORED"}),
        ("modelo", {"modelo": "ENUM('Facenet512')"}),
        ("embedding", {"embedding": "TINYTEXT"}),
        ("stranger", {"turno": "INT NOT NULL"}),
    ],
)
def test_a_table_that_takes_no_row_is_said_by_the_check_and_by_the_run_before_it_downloads(
    mariadb: MariaDb, world: World, name: str, columns: dict[str, str]
) -> None:
    mariadb.need_kinds(*columns.values())
    found(world, **columns)
    checked = world.run("--check")
    assert (checked.exit_code, broken(checked, "tables"), broken(checked, "runs")) == (2, [name], [])
    (finding,) = [each for each in checked.document["findings"] if each["name"] == name and each["area"] == "tables"]
    assert_said(world, finding["text"])
    assert world.rows() == []


def test_a_row_that_another_program_calls_active_in_a_word_gets_no_second_one(world: World) -> None:
    found(world, active="CHAR(1)")
    execute(world, "INSERT INTO face_embeddings (crew_id, embedding, modelo, active) VALUES ('1', '[1]', 'Dlib', 'S')")
    assert broken(world.run("--check"), "tables") == ["active_type"]
    assert_said(world, "guarda «S»")
    assert [(row.crew_id, row.active) for row in world.rows()] == [("1", "S")]


@pytest.mark.parametrize(("kind", "value"), [("TINYINT", "2"), ("INT", "-1")])
def test_a_row_with_a_flag_that_is_neither_0_nor_1_gets_no_second_one(world: World, kind: str, value: str) -> None:
    """2 is not TRUE to the service, and is to `WHERE active`: of two rows nobody could say which counts."""
    found(world, active=kind)
    insert = "INSERT INTO face_embeddings (crew_id, embedding, modelo, active) VALUES"
    execute(world, f"{insert} ('1', '[1]', 'Dlib', {value})")
    assert broken(world.run("--check"), "tables") == ["active_type"]
    assert_said(world, f"guarda «{value}»")
    assert [(row.crew_id, row.active) for row in world.rows()] == [("1", int(value))]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("ENUM('0', '1')", "'1'"), ("ENUM('S', 'N')", "'S'"), ("CHAR(1)", "'S'"), ("VARCHAR(5)", "'true'")),
        *(("DATETIME", "'2026-01-01'"), ("TINYINT", "2")),
    ],
)
def test_the_questions_refuse_what_the_run_refuses_where_it_cannot_be_said_who_is_active(
    world: World, kind: str, value: str
) -> None:
    """MySQL takes '0' of ENUM('0', '1') for TRUE: the answers would be about the rows that do not count."""
    found(world, active=kind)
    insert = "INSERT INTO face_embeddings (crew_id, embedding, modelo, active) VALUES"
    execute(world, f"{insert} ('1', '[{','.join(['0.5'] * 128)}]', 'Dlib', {value})")
    said = world.run("--all").document["summary"]["error"]
    assert "no se sabe qué vale" in said
    photo = world.folder / "a.jpg"
    photo.write_bytes(b"x")
    for words in (["--match", str(photo)], ["--audit"], ["--operating-point"], ["--export", str(photo) + ".npy"]):
        result = world.run(*words)
        assert (result.exit_code, result.document) == (3, {"error": said, "exit_code": 3})
        assert " ".join(said.split()) in " ".join(result.stdout.split())
        assert "Ejecute primero" not in result.stdout


def test_a_table_that_nobody_may_write_to_can_be_asked(
    mariadb: MariaDb, mariadb_name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(world, turno="INT NOT NULL DEFAULT 1")
    assert world.run("--all").exit_code == 0
    execute(world, "ALTER TABLE face_embeddings MODIFY id INT NOT NULL, MODIFY turno INT NOT NULL")
    mariadb.create_user("mira", "x", f"SELECT ON {mariadb_name}.*")
    monkeypatch.setenv("DB_URL", mariadb.url(mariadb_name, "mira", "x").render_as_string(hide_password=False))
    assert world.run("--all").exit_code == 3
    assert world.run("--audit").exit_code == 0


@pytest.mark.parametrize(
    "columns",
    [
        *({"active": kind} for kind in ("BIT(1)", "TINYINT(4)", "INT", "CHAR(1)", "VARCHAR(5)")),
        {"id": "BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY"},
        {"embedding": "JSON", "modelo": "VARBINARY(50)"},
        {"modelo": "ENUM('Dlib', 'Facenet512')"},
    ],
)
def test_what_the_check_calls_green_works_every_night(mariadb: MariaDb, world: World, columns: dict[str, str]) -> None:
    mariadb.need_kinds(*columns.values())
    found(world, **columns)
    if "id" in columns:
        execute(world, f"ALTER TABLE face_embeddings AUTO_INCREMENT = {2**63 + 5}")
    assert broken(world.run("--check"), "tables") == []
    assert world.run("--all").codes == {"1": "stored"}
    assert world.run("--all").codes == {"1": "skipped:current"}
    assert world.run("--all", "--force").codes == {"1": "stored"}
    with world.engine.connect() as connection:
        served = connection.execute(text("SELECT crew_id FROM face_embeddings WHERE active = TRUE")).all()
    assert ([tuple(row) for row in served], len(world.rows())) == ([("1",)], 1)
    assert world.run("--forget", "1").exit_code == 0
    assert world.rows() == []


def test_a_table_without_an_index_is_read_once_and_said_once(world: World) -> None:
    definition = ", ".join(f"{name} {kind}" for name, kind in GALLERY.items())
    execute(world, f"CREATE TABLE face_embeddings ({definition})")
    assert world.run("--all").exit_code == 0
    log = (world.folder / "logs" / "app.log").read_text()
    assert log.count("no tiene índice por crew_id") == 1


def test_the_changed_photo_of_a_long_id_is_noticed(
    open_world: OpenWorld, url: str, portrait_jpeg: bytes, admiral: Image
) -> None:
    """Our own tables held 64 characters, and nothing was remembered of longer ids: no change was ever seen."""
    world = open_world(url, PHOTO_RECHECK_HOURS=0)
    found(world, crew_id="VARCHAR(100) NOT NULL")
    world.hire("x" * 100, "b.jpg", portrait_jpeg)
    assert world.run("--all").codes == {"x" * 100: "stored"}
    world.web.photos[f"{'x' * 100}/b.jpg"] = encode_picture(admiral)
    assert world.run("--all").codes == {"x" * 100: "stored"}


def test_people_can_be_deleted_from_a_table_that_takes_no_row(world: World) -> None:
    found(world, active="ENUM('0', '1')")
    execute(world, "INSERT INTO face_embeddings (crew_id, embedding, active) VALUES ('1', '[1]', '1')")
    assert world.run("--forget", "1").exit_code == 0
    assert world.rows() == []


def test_a_trigger_that_refuses_one_row_costs_one_member(world: World, portrait_jpeg: bytes) -> None:
    found(world)
    world.hire("2", "b.jpg", portrait_jpeg)
    body = "IF NEW.crew_id = '1' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'el 1 no'; END IF"
    execute(world, f"CREATE TRIGGER g BEFORE INSERT ON face_embeddings FOR EACH ROW {body}")
    result = world.run("--all")
    assert result.codes == {"1": "failed:row_refused", "2": "stored"}
    assert result.exit_code == 1


# -------------------------------------------------------------------------------------------------- the roster


def test_the_roster_may_be_in_another_database(
    open_world: OpenWorld, url: str, mariadb: MariaDb, mariadb_name: str, portrait_jpeg: bytes
) -> None:
    other = f"{mariadb_name}_rrhh"
    world = open_world(url, ROSTER_TABLE=f"{other}.personal")
    world.hire("1", "a.jpg", portrait_jpeg)
    mariadb.execute(f"CREATE DATABASE {other}")
    try:
        missing = f"no existe la tabla {other}.personal. Existen: nada que este usuario pueda ver"
        assert_said(world, missing)
        mariadb.execute(f"CREATE TABLE {other}.personal AS SELECT * FROM {mariadb_name}.tripulantes")  # noqa: S608
        assert broken(world.run("--check"), "roster") == []
        assert world.run("--all").codes == {"1": "stored"}
        assert world.run("--crew-id", "1").exit_code == 0
        mariadb.execute(f"UPDATE {other}.personal SET estatus = 0")  # noqa: S608
        nobody = [each for each in world.run("--check").document["findings"] if each["name"] == "active"]
        assert "Valores que hay: «0» (1)" in nobody[0]["text"]
    finally:
        mariadb.execute(f"DROP DATABASE {other}")
    assert_said(world, f"1049 (42000): Unknown database '{other}'")


VIEW_BREAKERS = {
    "its table is gone": "RENAME TABLE tripulantes TO personal",
    "its column is gone": "ALTER TABLE tripulantes CHANGE imagen foto TEXT",
    "its function is gone": "DROP FUNCTION limpio",
}


@pytest.mark.parametrize("what", VIEW_BREAKERS)
def test_a_roster_view_that_is_broken_is_said(open_world: OpenWorld, url: str, what: str) -> None:
    world = open_world(url, ROSTER_TABLE="vista")
    execute(
        world,
        "CREATE FUNCTION limpio(a VARCHAR(100)) RETURNS VARCHAR(100) DETERMINISTIC RETURN TRIM(a)",
        "CREATE VIEW vista AS SELECT limpio(crew_id) crew_id, nombres, apellidos, imagen, estatus FROM tripulantes",
        VIEW_BREAKERS[what],
    )
    assert_said(world, "una vista no se puede leer: no existe una tabla, columna o función de la que depende")
    assert broken(world.run("--check"), "roster") == ["failed"]
    assert world.run("--crew-id", "1").exit_code == 3


@pytest.mark.parametrize("user", ["root", "lola"])
def test_a_roster_view_whose_definer_is_gone_is_said_and_not_blamed_on_the_password(
    open_world: OpenWorld, mariadb: MariaDb, mariadb_name: str, url: str, user: str
) -> None:
    mariadb.create_user("duena", "x", f"ALL ON {mariadb_name}.*")
    mariadb.create_user("lola", "clave", f"ALL ON {mariadb_name}.*")
    own = url if user == "root" else mariadb.url(mariadb_name, "lola", "clave").render_as_string(hide_password=False)
    world = open_world(own, ROSTER_TABLE="vista")
    mariadb.execute("CREATE DEFINER = duena@'%' VIEW vista AS SELECT * FROM tripulantes", mariadb_name)
    mariadb.execute("DROP USER duena@'%'")
    assert_said(world, "una vista o un disparador es de un usuario (DEFINER) que ya no existe")
    checked = world.run("--check")
    assert broken(checked, "roster") == ["failed"]
    assert "DB_PASSWORD" not in checked.stdout + world.run("--all").stdout


@pytest.mark.parametrize(
    ("status", "said"), [("(SELECT 1 UNION SELECT 2)", "1242"), ("CAST(1 AS UNSIGNED) - 2 * estatus", "1690")]
)
def test_a_roster_view_that_cannot_be_computed_is_said(
    open_world: OpenWorld, url: str, portrait_jpeg: bytes, status: str, said: str
) -> None:
    world = open_world(url, ROSTER_TABLE="vista")
    world.hire("1", "a.jpg", portrait_jpeg)
    columns = f"crew_id, nombres, apellidos, imagen, {status} AS estatus"
    execute(world, f"CREATE VIEW vista AS SELECT {columns} FROM tripulantes")  # noqa: S608
    assert_said(world, f"la base no puede guardar o calcular un valor ({said}")
    assert broken(world.run("--check"), "roster") == ["failed"]


def test_a_view_that_the_user_may_not_see_is_one_finding_with_the_right_it_takes(
    open_world: OpenWorld, mariadb: MariaDb, mariadb_name: str, url: str, portrait_jpeg: bytes
) -> None:
    open_world(url).hire("1", "a.jpg", portrait_jpeg)
    mariadb.execute("CREATE VIEW vista AS SELECT * FROM tripulantes", mariadb_name)
    tables = ("face_photos", "face_vectors", "face_contracts", "face_attempts", "face_runs", "face_schema")
    open_world(url).run("--all")
    grants = [f"ALL ON {mariadb_name}.{table}" for table in ("tripulantes", "face_embeddings", *tables)]
    mariadb.create_user("lola", "clave", f"SELECT ON {mariadb_name}.vista", *grants)
    own = mariadb.url(mariadb_name, "lola", "clave").render_as_string(hide_password=False)
    world = open_world(own, ROSTER_TABLE="vista")
    checked = world.run("--check")
    (finding,) = [each for each in checked.document["findings"] if each["area"] == "roster"]
    assert (finding["name"], finding["level"]) == ("table", "broken")
    (grant,) = [line for line in finding["advice"].splitlines() if line.startswith("GRANT")]
    assert grant == f"GRANT SHOW VIEW ON `{mariadb_name}`.`vista` TO 'lola'@'%';"
    assert_said(world, "SHOW VIEW command denied")
    mariadb.execute(grant)
    assert broken(world.run("--check"), "roster") == []
    assert world.run("--all").exit_code == 0
