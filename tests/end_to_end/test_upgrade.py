"""An installation of the version before the packages becomes one of this version: nothing is computed anew or lost.

`tables_of_5319d52.*.sql` hold what the program of commit 5319d52 left in each kind of database after two runs over five
people: two with a vector (1 and 2), one whose photo has no face (3), one without a photo (4), one who left (5). Its
model was Dlib, and the photo server is `http://fotos.prueba` there.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from app.gallery.tables import FIRST_VERSION, VERSION
from tests.conftest import OpenWorld
from tests.support.pictures import package_file
from tests.support.program import World
from tests.support.webserver import PhotoServer

DUMPS = {"sqlite": "tables_of_5319d52.sqlite.sql", "mysql": "tables_of_5319d52.mariadb.sql"}
OLD_MTCNN = "1.0.0"
KEPT = ("face_embeddings", "face_vectors", "face_contracts")
FAILED = {"3": "failed:no_face", "4": "failed:photo_not_found"}

pytestmark = pytest.mark.skipif(
    version("mtcnn") != OLD_MTCNN, reason="another mtcnn makes other vectors: all are computed anew, as they should be"
)


@pytest.fixture
def installation(database_url: str, web: PhotoServer, open_world: OpenWorld) -> World:
    astronaut = package_file("skimage", "data", "astronaut.png").read_bytes()
    web.photos |= {
        "1/a.png": astronaut,
        "2/g.jpg": package_file("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg").read_bytes(),
        "3/c.png": package_file("skimage", "data", "coffee.png").read_bytes(),
        "5/b.png": astronaut,
    }
    engine = create_engine(database_url)
    dump = (Path(__file__).parent / DUMPS[engine.dialect.name if "sqlite" in database_url else "mysql"]).read_text()
    with engine.begin() as connection:
        for statement in dump.replace("http://fotos.prueba", web.base_url).split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()
    return open_world(database_url)


def contents(world: World, *tables: str) -> dict[str, list[dict[str, Any]]]:
    with world.engine.connect() as connection:
        return {
            table: [dict(row._mapping) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY 1"))]  # noqa: S608
            for table in tables
        }


def versions(world: World) -> set[int]:
    return {row["version"] for row in contents(world, "face_schema")["face_schema"]}


def test_a_plan_reads_the_old_tables_and_changes_none(installation: World) -> None:
    names = inspect(installation.engine).get_table_names()
    before = contents(installation, *names)
    planned = installation.run("--plan")
    assert (planned.exit_code, planned.stderr) == (0, "")
    assert "2 sin cambios" in planned.stdout
    assert inspect(installation.engine).get_table_names() == names
    assert contents(installation, *names) == before


@pytest.mark.parametrize("words", [["--history"], ["--audit"], ["--check"]])
def test_what_only_looks_works_before_the_first_run(installation: World, words: list[str]) -> None:
    looked = installation.run(*words)
    assert looked.exit_code in (0, 1), looked.stdout  # 1: findings
    assert "Unknown column" not in looked.stdout
    assert "no such column" not in looked.stdout
    assert max(versions(installation)) == FIRST_VERSION


def test_the_first_run_changes_the_tables_and_no_vector(installation: World) -> None:
    before = contents(installation, *KEPT, "face_runs", "face_photos")
    first, second = installation.run("--all"), installation.run("--all")
    for run in (first, second):
        assert run.exit_code == 1  # the two who failed before
        assert {each: code for each, code in run.codes.items() if code.startswith("failed")} == FAILED
        assert run.document["summary"]["stored"] == 0
    after = contents(installation, *KEPT, "face_runs", "face_photos")
    assert {name: after[name] for name in KEPT} == {name: before[name] for name in KEPT}
    assert after["face_runs"][:2] == before["face_runs"]
    assert [each["crew_id"] for each in after["face_photos"]] == ["1", "2", "3", "4", "5"]
    assert versions(installation) == {*range(1, FIRST_VERSION + 1), VERSION}


def test_who_left_before_the_update_is_known_when_they_return(installation: World) -> None:
    with installation.engine.begin() as connection:
        connection.execute(text("UPDATE tripulantes SET estatus = 1 WHERE crew_id = '5'"))
    run = installation.run("--all")
    assert run.document["summary"]["stored"] == 0
    assert [(row.crew_id, bool(row.active)) for row in installation.rows()] == [("2", True), ("1", True), ("5", True)]
