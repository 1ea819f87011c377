"""Commands end to end, on both databases: plan, forget, history, schema, purge, change of model."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import inspect, text

from app.cli.arguments import INSTEAD
from app.cli.main import COMMANDS
from app.core.database import Database
from app.gallery.reading import DENIED_ADVICE
from app.records import Image
from generate_face_embeddings import main
from tests.conftest import MakeSettings, OpenWorld
from tests.support.databases import create_roster, read_tables, run_sql
from tests.support.mariadb import MariaDb
from tests.support.pictures import encode_picture
from tests.support.program import World

OURS = {
    "face_accepted_pairs",
    "face_photos",
    "face_vectors",
    "face_contracts",
    "face_attempts",
    "face_runs",
    "face_schema",
}


@pytest.fixture
def world(open_world: OpenWorld, database_url: str) -> World:
    return open_world(database_url, PHOTO_RECHECK_HOURS=0)


@pytest.fixture
def staffed(world: World, astronaut: Image, admiral: Image) -> World:
    """Hire two people with a face, and one without a photo on the server."""
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.hire("2", "b.jpg", encode_picture(admiral))
    world.hire("3", "c.jpg")
    return world


def tables(world: World) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table."""
    with world.engine.connect() as connection:
        return read_tables(connection)


def dismiss(world: World, crew_id: str) -> None:
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE tripulantes SET estatus = 0 WHERE crew_id = :id"), {"id": crew_id})


def test_a_plan_on_an_empty_database_makes_no_table(staffed: World) -> None:
    before = tables(staffed)
    result = staffed.run("--plan")
    assert (result.exit_code, tables(staffed)) == (0, before)
    assert {each["crew_id"]: each["action"] for each in result.document["plan"]["members"]} == dict.fromkeys(
        "123", "new"
    )


def test_a_plan_on_a_table_of_another_program_says_what_the_run_will_do(staffed: World) -> None:
    staffed.run("--all")
    with staffed.engine.begin() as connection:
        for name in OURS:
            connection.execute(text(f"DROP TABLE {name}"))
    before = tables(staffed)
    planned = staffed.run("--plan").document["plan"]["counts"]
    assert tables(staffed) == before
    assert (planned["unchanged"], planned["new"]) == (2, 1)
    adopting = staffed.run("--all")
    assert "2 filas hechas por otro programa cuentan como al día" in adopting.stdout
    assert "otro programa" not in staffed.run("--all").stdout


def test_a_plan_gives_the_reasons_and_writes_nothing(staffed: World, admiral: Image) -> None:
    staffed.run("--all")
    before = tables(staffed)
    staffed.web.photos["1/a.jpg"] = encode_picture(np.ascontiguousarray(admiral[:, ::-1]))
    dismiss(staffed, "2")
    result = staffed.run("--plan")
    assert {each["crew_id"]: (each["action"], each["reason"]) for each in result.document["plan"]["members"]} == {
        "1": ("changed", "la foto cambió"),
        "2": ("deactivate", "ya no está activo en el padrón"),
        "3": ("known_failure", result.document["plan"]["members"][1]["reason"]),
    }
    assert "No se ha escrito nada." in result.stdout
    with staffed.engine.begin() as connection:
        connection.execute(text("UPDATE tripulantes SET estatus = 1"))
    assert tables(staffed) == before


def test_forgetting_one_person_leaves_nothing_but_the_proof(staffed: World) -> None:
    staffed.run("--all")
    result = staffed.run("--forget", "1")
    assert (result.exit_code, "Filas que quedan: 0" in result.stdout, "Sigue activa" in result.stdout) == (
        0,
        True,
        True,
    )
    found = tables(staffed)
    assert [
        row for name in OURS - {"face_runs", "face_schema", "face_contracts"} for row in found[name] if "1" in row
    ] == []
    assert [row.crew_id for row in staffed.rows()] == ["2"]
    with staffed.engine.connect() as connection:
        proof = connection.execute(text("SELECT options, rows_left, exit_code FROM face_runs ORDER BY id DESC")).first()
    assert (json.loads(proof[0]), proof[1], proof[2]) == ({"forget": "1"}, 0, 0)


def test_forgetting_is_told_to_programs_too(staffed: World) -> None:
    staffed.run("--all")
    told = {"crew_id": "1", "vectors": 1, "rows_left": 0, "still_active": True}
    assert staffed.run("--forget", "1").document == {"forgotten": told}
    dismiss(staffed, "1")
    assert staffed.run("--forget", "1").document == {"forgotten": told | {"vectors": 0, "still_active": False}}


def test_forgetting_without_the_right_to_is_noted_as_failed(
    mariadb: MariaDb, mariadb_name: str, open_world: OpenWorld, portrait_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = open_world(mariadb.url(mariadb_name).render_as_string(hide_password=False))
    world.hire("1", "a.jpg", portrait_jpeg)
    world.run("--all")
    ours = [f"SELECT, INSERT, UPDATE, DELETE ON {mariadb_name}.{name}" for name in OURS]
    shown = [f"SELECT ON {mariadb_name}.tripulantes", f"SELECT, INSERT, UPDATE ON {mariadb_name}.face_embeddings"]
    mariadb.create_user("eva", "x", *ours, *shown)
    monkeypatch.setenv("DB_URL", mariadb.url(mariadb_name, "eva", "x").render_as_string(hide_password=False))
    result = world.run("--forget", "1")
    assert (result.exit_code, result.document["exit_code"], set(result.document)) == (3, 3, {"error", "exit_code"})
    assert "necesita el permiso DELETE en face_embeddings" in result.stdout
    last = world.run("--history").document["runs"][0]
    assert (last["options"], last["exit_code"], last["ended_at"] is None) == ({"forget": "1"}, 3, False)
    assert "DELETE command denied" in last["error"]
    assert len(world.rows()) == 1


@pytest.mark.parametrize("words", [["--all"], ["--plan"], ["--history"], ["--forget", "1"]])
def test_who_may_not_see_our_tables_is_told_how_to_get_them(
    mariadb: MariaDb, mariadb_name: str, open_world: OpenWorld, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    world = open_world(mariadb.url(mariadb_name).render_as_string(hide_password=False))
    mariadb.create_user("eva", "x", f"SELECT ON {mariadb_name}.tripulantes")
    monkeypatch.setenv("DB_URL", mariadb.url(mariadb_name, "eva", "x").render_as_string(hide_password=False))
    result = world.run(*words)
    assert (result.exit_code, f"Qué hacer: {DENIED_ADVICE}" in result.stdout) == (3, True), result.stdout


def test_a_history_of_nothing_is_empty_and_makes_no_table(world: World) -> None:
    before = tables(world)
    result = world.run("--history")
    assert (result.exit_code, result.document, tables(world)) == (0, {"runs": []}, before)


def test_a_plan_for_a_folder_makes_no_file(world: World, tmp_path: Path, portrait_jpeg: bytes) -> None:
    folder = tmp_path / "fotos"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "a.jpg").write_bytes(portrait_jpeg)
    planned = world.run("--photos", str(folder), "--plan")
    assert (planned.exit_code, planned.document["plan"]["counts"]["new"]) == (0, 1)
    world.run("--photos", str(folder), "--history")
    assert [path.name for path in folder.iterdir()] == ["1"]


def test_a_member_who_left_long_ago_is_deleted_and_counted(staffed: World) -> None:
    staffed.run("--all")
    dismiss(staffed, "1")
    assert staffed.run("--all").document["summary"]["deactivated"] == ["1"]
    assert staffed.run("--all", "--purge-after", "30").document["summary"]["purged"] == []
    long_ago = datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0) - timedelta(days=31)
    with staffed.engine.begin() as connection:
        connection.execute(text("UPDATE face_photos SET left_at = :then WHERE crew_id = '1'"), {"then": str(long_ago)})
    purged = staffed.run("--all", "--purge-after", "30").document["summary"]
    assert (purged["purged"], purged["rows_left"]) == (["1"], 0)
    assert [row.crew_id for row in staffed.rows()] == ["2"]


def test_an_empty_roster_deactivates_no_member_and_says_so(staffed: World) -> None:
    staffed.run("--all")
    staffed.dismiss_all()
    result = staffed.run("--all")
    assert (result.exit_code, [bool(row.active) for row in staffed.rows()]) == (1, [True, True])
    assert "El padrón llegó vacío y faltan 2 de 2 personas" in result.stdout
    assert sorted(staffed.run("--all", "--allow-mass-change").document["summary"]["deactivated"]) == ["1", "2"]


def test_the_history_tells_of_each_run(staffed: World) -> None:
    staffed.run("--all")
    staffed.run("--crew-id", "1")
    result = staffed.run("--history")
    lines = result.stdout.splitlines()
    assert any("una persona (1)" in line for line in lines) and any("con errores" in line for line in lines)
    assert [run["exit_code"] for run in result.document["runs"]] == [0, 1]


def test_one_person_of_another_model_than_everybody_else_is_refused(staffed: World) -> None:
    staffed.run("--all")
    before = staffed.rows()
    result = staffed.run("--crew-id", "1", "--model", "Facenet512")
    assert (result.exit_code, staffed.rows()) == (2, before)
    assert (
        "Los embeddings de los demás son de Dlib o de otros pesos, y la configuración dice Facenet512" in result.stdout
    )


def test_a_change_of_model_is_switched_to_at_once_and_the_old_rows_stay_inactive(staffed: World) -> None:
    staffed.run("--all", "--model", "Facenet512")
    result = staffed.run("--migrate")
    assert (result.exit_code, result.document["summary"]["switched"]) == (1, 2)  # 1: the third has no photo
    assert [(row.modelo, bool(row.active)) for row in staffed.rows()] == [
        *[("Facenet512", False)] * 2,
        *[("Dlib", True)] * 2,
    ]
    again = staffed.run("--migrate")
    assert "No había nada que cambiar" in again.stdout
    assert set(staffed.run("--all").codes.values()) == {"skipped:current", "failed:photo_not_found"}


def test_the_printed_schema_is_all_that_an_account_without_rights_needs(
    mariadb: MariaDb, mariadb_name: str, mariadb_database: Database, make_settings: MakeSettings, staffed: World
) -> None:
    from app.cli.commands.schema import schema_statements

    if not inspect(mariadb_database.engine).has_table("tripulantes"):
        create_roster(mariadb_database, [])
    url = mariadb.url(mariadb_name).render_as_string(hide_password=False)
    for statement in schema_statements(make_settings(DB_URL=url)):
        run_sql(mariadb_database, statement)
    assert inspect(mariadb_database.engine).get_table_names() == sorted({*OURS, "face_embeddings", "tripulantes"})
    assert list(schema_statements(make_settings(DB_URL=url))) == []


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "demo"])
def test_a_command_goes_with_no_option_of_a_run(name: str) -> None:
    """A command that INSTEAD lacks would be carried out with `--all`, and ignore it."""
    assert f"--{name.replace('_', '-')}" in INSTEAD


@pytest.mark.parametrize(
    "words",
    [
        *([], ["--plan"], ["--history"], ["--forget", "1"], ["--match", "x.jpg"], ["--audit"], ["--operating-point"]),
        ["--export", "x.npy"],
    ],
    ids=str,
)
def test_what_ends_a_command_is_its_document(
    staffed: World, words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACE_DISTANCE_THRESHOLD", "mucho")
    document = staffed.run(*words).document
    assert (document["exit_code"], set(document)) == (2, {"error", "exit_code"})
    assert "FACE_DISTANCE_THRESHOLD" in document["error"]
    assert main([*words, "--json", "-"]) == 2
    assert json.loads(staffed.capsys.readouterr().out) == document
    target = tmp_path / "falta" / "x.prom"
    if not words:
        assert "x.prom" in staffed.run("--metrics", str(target)).document["error"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
@pytest.mark.parametrize("words", [["--all"], ["--history"], ["--audit"], ["--check"]], ids=str)
def test_a_document_that_cannot_be_written_is_said_and_changes_no_exit_code(staffed: World, words: list[str]) -> None:
    staffed.run("--all")
    usual = staffed.run(*words).exit_code
    assert main([*words, "--json", "/dev/full"]) == usual
    assert "No se pudo escribir /dev/full: no queda espacio en el disco" in staffed.capsys.readouterr().out
