"""The program end to end, on SQLite and on MariaDB: real server, real nets (Dlib's trained weights), real tables."""

import json
import re
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest
from sqlalchemy import text

from app.gallery.embeddings_table import define_table
from app.records import Image
from tests.conftest import OpenWorld
from tests.support.pictures import encode_picture
from tests.support.program import World

TURNED_RIGHT = 6


@pytest.fixture
def world(open_world: OpenWorld, database_url: str) -> World:
    return open_world(database_url, FACE_DETECTOR="mtcnn")


@pytest.fixture
def staffed(world: World, astronaut: Image, admiral: Image) -> World:
    """Hire two people with three photos each, and two who cannot be enrolled."""
    half = np.asarray(cv2.resize(admiral, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    world.hire("789123", "FAED(1).jpg", encode_picture(astronaut))
    world.hire("789124", "espejo ñ & 100%.jpg", encode_picture(mirrored))
    world.hire("789125", "turned #2?.jpg", encode_picture(np.rot90(astronaut), orientation=TURNED_RIGHT))
    world.hire("789126", "a.png", encode_picture(admiral, "PNG"))
    world.hire("789127", "small.jpg", encode_picture(half))
    world.hire("789128", "large.jpg", encode_picture(cv2.resize(admiral, None, fx=4, fy=4)))
    world.hire("789129", "wall.jpg", encode_picture(np.full((300, 300, 3), 120, np.uint8)))
    world.hire("789130", "lost.jpg")
    world.hire("789131", "old.jpg", encode_picture(astronaut), active=0)
    return world


def vectors(world: World) -> dict[str, np.ndarray]:
    return {row.crew_id: np.array(json.loads(row.embedding)) for row in world.rows() if row.active}


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_everyone_with_a_face_gets_one_row_and_the_rest_a_reason(staffed: World) -> None:
    result = staffed.run("--all")
    enrolled = ["789123", "789124", "789125", "789126", "789127", "789128"]
    assert result.codes == dict.fromkeys(enrolled, "stored") | {
        "789129": "failed:no_face",
        "789130": "failed:photo_not_found",
    }
    assert result.exit_code == 1
    rows = {row.crew_id: row for row in staffed.rows()}
    assert sorted(rows) == enrolled
    row = rows["789123"]
    assert (row.modelo, row.imagen_path) == ("Dlib", f"{staffed.web.base_url}/789123/FAED%281%29.jpg")
    assert bool(row.active)
    assert 0.9 < float(row.confidence) <= 1


def test_the_variants_of_one_portrait_are_nearer_to_each_other_than_to_the_other_person(staffed: World) -> None:
    staffed.run("--all")
    found = vectors(staffed)
    people = ({"789123", "789124", "789125"}, {"789126", "789127", "789128"})
    same = [distance(found[a], found[b]) for group in people for a in group for b in group if a < b]
    different = [distance(found[a], found[b]) for a in people[0] for b in people[1]]
    assert max(same) < min(different)


def test_a_second_run_skips_all_that_is_current_and_force_keeps_the_ids(staffed: World) -> None:
    staffed.run("--all")
    before = staffed.rows()
    again = staffed.run()
    assert set(again.codes.values()) == {"skipped:current", "failed:no_face", "failed:photo_not_found"}
    assert staffed.rows() == before
    downloads = staffed.web.count("/789123/FAED%281%29.jpg")
    forced = staffed.run("--all", "--force")
    assert sum(state == "stored" for state in forced.codes.values()) == 6
    assert [(row.id, row.crew_id) for row in staffed.rows()] == [(row.id, row.crew_id) for row in before]
    assert (downloads, staffed.web.count("/789123/FAED%281%29.jpg")) == (1, 2)


def test_a_renamed_photo_is_noted_and_another_model_is_generated_anew_over_the_same_row(
    staffed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    staffed.run("--all")
    ids = {row.crew_id: row.id for row in staffed.rows()}
    staffed.rename_photo("789123", "nueva.jpg")
    before = vectors(staffed)["789123"]
    assert [crew_id for crew_id, state in staffed.run().codes.items() if state == "skipped:renamed"] == ["789123"]
    assert np.array_equal(vectors(staffed)["789123"], before)
    row = next(row for row in staffed.rows() if row.crew_id == "789123")
    assert (row.id, row.imagen_path) == (ids["789123"], f"{staffed.web.base_url}/789123/nueva.jpg")
    other = staffed.run("--all", "--model", "Facenet512")
    assert sum(state == "stored" for state in other.codes.values()) == 6
    assert {row.crew_id: row.id for row in staffed.rows()} == ids
    assert {(row.modelo, len(json.loads(row.embedding))) for row in staffed.rows()} == {("Facenet512", 512)}


def test_a_foreign_table_with_two_active_rows_of_one_member_ends_with_one(staffed: World) -> None:
    table = define_table(mysql=staffed.url.startswith("mysql"))
    table.create(staffed.engine)
    old = {"crew_id": "789123", "embedding": "[1]", "modelo": "Dlib"}
    url = f"{staffed.web.base_url}/789123/FAED%281%29.jpg"
    with staffed.engine.begin() as connection:
        connection.execute(table.insert(), [old | {"imagen_path": url}, old | {"imagen_path": url}])
    assert staffed.run("--crew-id", "789123").codes == {"789123": "stored"}
    rows = staffed.rows()
    assert [(row.id, bool(row.active)) for row in rows] == [(1, False), (2, True)]
    assert len(json.loads(rows[1].embedding)) == 128


def test_rows_that_the_service_deactivated_stay_as_they_are(staffed: World) -> None:
    staffed.run("--crew-id", "789123")
    with staffed.engine.begin() as connection:
        connection.execute(text("UPDATE face_embeddings SET active = 0"))
    staffed.run("--crew-id", "789123")
    assert [(row.id, bool(row.active)) for row in staffed.rows()] == [(1, False), (2, True)]


def test_the_output_has_exactly_this_form(staffed: World) -> None:
    lines = staffed.run("--all").stdout.splitlines()
    pairs, summary = lines[:16], lines[16:26]
    for number, (first, second) in enumerate(zip(pairs[::2], pairs[1::2], strict=True), start=1):
        crew_id = re.fullmatch(rf"\[{number}/8\] Procesando (\d+)\.\.\.", first)[1]
        assert re.fullmatch(
            rf"✅ Embedding generado exitosamente para {crew_id} \(ID: \d+\)"
            rf"|❌ Error al extraer embedding para {crew_id}: (No se detectaron rostros|Imagen no encontrada.*)",
            second,
        )
    shape = re.sub(r"\d+\.\d\d", "0.00", "\n".join(summary))
    assert shape == (
        "\n📊 RESUMEN FINAL\n================\n✅ Exitosos: 6\n❌ Errores: 2\n⏭️  Saltados: 0\n"
        "📋 Total procesados: 8\n⏱️  Tiempo total: 0.00 segundos\n⚡ Promedio: 0.00 seg/tripulante\n"
    )
    assert "   Qué hacer: Tome la foto de nuevo" in "\n".join(lines)


@pytest.mark.parametrize(
    ("crew_id", "message"),
    [
        ("1", "El tripulante 1 no existe en la tabla tripulantes"),
        ("789131", "El tripulante 789131 está inactivo"),
        ("789132", "El tripulante 789132 no tiene foto registrada"),
    ],
)
def test_one_member_who_cannot_be_done_is_told_apart(staffed: World, crew_id: str, message: str) -> None:
    staffed.hire("789132", None)
    result = staffed.run("--crew-id", crew_id)
    assert (result.exit_code, message in result.stdout) == (1, True)
    assert "Qué hacer" in result.stdout


def test_one_member_alone_is_processed(staffed: World) -> None:
    result = staffed.run("--crew-id", "789123")
    assert (result.exit_code, result.codes) == (0, {"789123": "stored"})
    assert len(staffed.rows()) == 1


def test_nothing_is_left_in_the_temporary_folder_and_the_log_has_a_line_for_each_stage(staffed: World) -> None:
    staffed.run("--all", "--debug")
    assert list((staffed.folder / "temp").iterdir()) == []
    log = (staffed.folder / "logs" / "generate_embeddings.log").read_text(encoding="utf-8")
    for stage in ("download", "decode", "detect", "embed", "store"):
        assert re.search(rf"789123 {stage} \d+\.\d ms: bien", log)
    assert re.search(r"789129 detect .* no_face", log)
    assert "Milisegundos por foto: descarga" in (staffed.folder / "logs" / "app.log").read_text(encoding="utf-8")


def test_json_to_stdout_is_nothing_but_json(staffed: World) -> None:
    from generate_face_embeddings import main

    assert main(["--crew-id", "789123", "--json", "-"]) == 0
    printed = staffed.capsys.readouterr()
    document = json.loads(printed.out)
    (member,) = document["members"]
    assert {name: member[name] for name in ("crew_id", "outcome", "stage", "code", "detail", "embedding_id")} == {
        "crew_id": "789123",
        "outcome": "stored",
        "stage": None,
        "code": None,
        "detail": None,
        "embedding_id": 1,
    }
    assert list(member["timings_ms"]) == ["download", "decode", "detect", "embed", "store"]
    assert (document["summary"]["stored"], document["summary"]["exit_code"]) == (1, 0)
    assert "Procesando 789123" in printed.err


def test_an_empty_roster_is_no_error(world: World) -> None:
    result = world.run("--all")
    assert (result.exit_code, result.document["summary"]["total"]) == (0, 0)


def test_control_characters_of_the_roster_reach_neither_terminal_nor_log(world: World) -> None:
    world.hire("7\x1b[31m", "a\nb.jpg")
    result = world.run("--all")
    assert result.document["members"][0]["code"] == "bad_name"
    assert "\x1b" not in result.stdout
    log = (world.folder / "logs" / "generate_embeddings.log").read_text(encoding="utf-8")
    assert "\x1b" not in log
    assert "7\\x1b[31m" in log


def test_photos_in_a_folder_need_neither_server_nor_settings(
    tmp_path: Path,
    weights_home: Path,
    astronaut: Image,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from generate_face_embeddings import main

    for name, value in {
        "DEEPFACE_HOME": weights_home,
        "LOG_DIR": tmp_path / "logs",
        "TEMP_DIR": tmp_path / "t",
    }.items():
        monkeypatch.setenv(name, str(value))
    photos = tmp_path / "fotos"
    (photos / "100").mkdir(parents=True)
    (photos / "100" / "ñandú (1).jpg").write_bytes(encode_picture(astronaut))
    (photos / "200").mkdir()
    words = ["--photos", str(photos), "--model", "Dlib"]
    assert main(words) == 1
    assert "✅ Embedding generado exitosamente para 100 (ID: 1)" in capsys.readouterr().out
    assert (photos / "embeddings.db").is_file()
    assert (photos / "100" / "ñandú (1).jpg").is_file()
    assert main([*words, "--crew-id", "100"]) == 0
    assert "1 tripulante ya tiene su embedding al día" in capsys.readouterr().out
    assert main([*words, "--crew-id", "300"]) == 1
    assert stat.S_ISREG((photos / "embeddings.db").stat().st_mode)
