"""`--export` from a real gallery, on both databases: what goes into the file, what is left out, what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from app.core.config import PROJECT_DIR
from app.recognition.export.formats import FORMATS, name_for_deepface
from app.records import Image
from tests.conftest import OpenWorld
from tests.support.exports import read_whole
from tests.support.pictures import encode_picture
from tests.support.program import World

SAME_PHOTO = 0.01  # what the two implementations of MTCNN may move a vector
NAME = 'María \t"Ñ" 😀'


@pytest.fixture
def world(open_world: OpenWorld, database_url: str, astronaut: Image, admiral: Image) -> World:
    """Two people with a vector, and one without a photo on the server."""
    world = open_world(database_url)
    world.hire("b2", "b.jpg", encode_picture(admiral))
    world.hire("a1", "a.jpg", encode_picture(astronaut))
    world.hire("c3", "c.jpg")
    execute(world, "UPDATE tripulantes SET nombres = :name, apellidos = '' WHERE crew_id = 'a1'", name=NAME)
    world.run("--all")
    return world


def execute(world: World, statement: str, **values: object) -> None:
    with world.engine.begin() as connection:
        connection.execute(text(statement), values)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_the_active_people_are_handed_over_with_all_that_a_reader_needs(world: World, tmp_path: Path) -> None:
    target = tmp_path / "out" / "g.npy"
    target.parent.mkdir()
    before = world.rows()
    result = world.run("--export", str(target))
    assert (result.exit_code, world.rows()) == (0, before)
    manifest = json.loads(target.with_name("g.npy.json").read_text(encoding="utf-8"))
    assert read_whole(target) == ["a1", "b2"]
    assert manifest["names"] == [NAME, "Ana Paz"]
    stored = {row.crew_id: np.array(json.loads(row.embedding), np.float32) for row in before}
    for row, crew_id in zip(np.load(target, mmap_mode="r"), ("a1", "b2"), strict=True):
        np.testing.assert_allclose(row, stored[crew_id] / np.linalg.norm(stored[crew_id]), atol=1e-7)
    with world.engine.connect() as connection:
        ((digest, meaning),) = connection.execute(text("SELECT digest, meaning FROM face_contracts"))
    assert manifest["spec"] == {"digest": digest} | json.loads(meaning)
    kept = ("format", "model", "metric", "members", "dimensions", "foreign", "dtype", "normalised")
    assert [manifest[key] for key in kept] == [1, "Dlib", "cosine", 2, 128, 0, "float32", True]
    assert manifest["threshold"] == {"distance": 0.4, "confidence": 0.7, "origin": "default"}


def test_console_and_document_say_what_was_written_and_what_was_not(world: World, tmp_path: Path) -> None:
    execute(world, "UPDATE face_embeddings SET modelo = 'Facenet' WHERE crew_id = 'b2'")
    target = tmp_path / "g.npz"
    result = world.run("--export", str(target))
    manifest = json.loads((tmp_path / "g.npz.json").read_text(encoding="utf-8"))
    assert result.stdout.splitlines() == [
        "👥 1 persona en la galería (Dlib)",
        "⚠️  1 fila activa de otro modelo u otros pesos: no se comparan. Una ejecución normal las hace de nuevo.",
        "   1 persona activa no tiene ningún vector: no van en el archivo",
        f"📦 {target}: 0,0 MB, SHA-256 {manifest['sha256'][:12]}…",
        f"   Lo describe {target}.json; cómo se lee: docs/reconocimiento.md.",
        f"⚠️  DeepFace.find solo lo encuentra con el nombre {name_for_deepface('Dlib', 'mtcnn')}.",
    ]
    assert result.document == {
        "export": {
            "target": str(target),
            "manifest": f"{target}.json",
            "file": manifest["file"],
            "size_bytes": manifest["size_bytes"],
            "sha256": manifest["sha256"],
            "created": manifest["created"],
            "unchanged": False,
            "members": 1,
            "foreign": 0,
            "left_out": {"incompatible": 1, "unreadable": [], "not_enrolled": 1, "several_active": []},
        }
    }
    again = world.run("--export", str(target))
    assert again.document == {"export": result.document["export"] | {"unchanged": True}}
    assert f"Nada cambió desde {manifest['created']}" in again.stdout


def test_rows_of_another_program_take_part_and_unreadable_ones_do_not(world: World, tmp_path: Path) -> None:
    execute(world, "DELETE FROM face_vectors WHERE crew_id = 'a1'")
    execute(world, "UPDATE face_embeddings SET embedding = '[1, \"x\"]' WHERE crew_id = 'b2'")
    result = world.run("--export", str(tmp_path / "g.npy"), "--quiet")
    assert "Sin un vector legible: b2." in result.stdout  # quiet, but this has to be known
    assert (result.document["export"]["foreign"], result.document["export"]["left_out"]) == (
        1,
        {"incompatible": 0, "unreadable": ["b2"], "not_enrolled": 1, "several_active": []},
    )


def test_a_quiet_export_without_anything_odd_prints_nothing(world: World, tmp_path: Path) -> None:
    result = world.run("--export", str(tmp_path / "g.npy"), "--quiet")
    assert (result.exit_code, result.stdout, result.document["export"]["members"]) == (0, "", 2)


def test_who_left_the_roster_is_not_handed_over(world: World, tmp_path: Path) -> None:
    execute(world, "UPDATE tripulantes SET estatus = 0 WHERE crew_id = 'a1'")
    world.run("--export", str(tmp_path / "g.npy"))
    assert read_whole(tmp_path / "g.npy") == ["b2"]


@pytest.mark.parametrize("where", ["environment", "nowhere"])
def test_the_manifest_says_whether_somebody_chose_the_threshold(
    where: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "environment":
        monkeypatch.setenv("FACE_DISTANCE_THRESHOLD", "0.07")
        monkeypatch.setenv("FACE_CONFIDENCE_THRESHOLD", "0.9")
    world.run("--export", str(tmp_path / "g.npy"))
    threshold = json.loads((tmp_path / "g.npy.json").read_bytes())["threshold"]
    assert (
        threshold
        == {
            "environment": {"distance": 0.07, "confidence": 0.9, "origin": "setting"},
            "nowhere": {"distance": 0.4, "confidence": 0.7, "origin": "default"},
        }[where]
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_empty_gallery_is_said_and_a_good_export_stays(suffix: str, world: World, tmp_path: Path) -> None:
    target = tmp_path / "out" / f"g{suffix}"
    target.parent.mkdir()
    world.run("--export", str(target))
    before = snapshot(target.parent)
    execute(world, "UPDATE face_embeddings SET active = 0")
    result = world.run("--export", str(target))
    assert (result.exit_code, result.document["exit_code"], snapshot(target.parent)) == (2, 2, before)
    assert "❌ La galería no tiene ningún vector de Dlib de personas activas" in result.stdout


@pytest.mark.parametrize(
    ("name", "exit_code", "said"),
    [
        ("g.csv", 2, "No se sabe exportar a"),
        ("", 2, ""),
        ("-", 2, "No se sabe exportar a -"),
        ("missing/g.npy", 2, "No se puede escribir en"),
        ("folder.npy", 2, "No se puede escribir en"),
        ("pipe.npy", 2, "no es un archivo"),
        ("taken/g.npy", 3, "No se puede escribir en"),
    ],
)
def test_a_target_that_cannot_be_written_is_said_at_once(
    name: str, exit_code: int, said: str, world: World, tmp_path: Path
) -> None:
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "taken" / "g.npy.json").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe.npy")
    target = name if name in ("", "-") else str(tmp_path / name)
    if not name:
        with pytest.raises(SystemExit) as caught:
            world.run("--export", target)
        assert caught.value.code == exit_code
        return
    result = world.run("--export", target)
    assert (result.exit_code, said in result.stdout, "Traceback" in result.stdout) == (exit_code, True, False)
    assert list((tmp_path / "taken").glob("*.part")) == []


FIND = """
import json, sys
from tests.support.exports import documented_readers
find = documented_readers().con_deepface
print(json.dumps([find(photo, sys.argv[1], 0.07, "Dlib", "mtcnn") for photo in sys.argv[2:]]))
"""


def test_deepface_finds_the_people_of_a_real_run(
    open_world: OpenWorld, weights_home: Path, tmp_path: Path, astronaut: Image, admiral: Image
) -> None:
    """With its own mtcnn, in a process of its own: TensorFlow and our ONNX engine must not share one."""
    world = open_world(f"sqlite:///{tmp_path / 'g.db'}")
    photos = {"a1": encode_picture(astronaut), "b2": encode_picture(admiral)}
    for crew_id, photo in photos.items():
        world.hire(crew_id, "f.jpg", photo)
        (tmp_path / f"{crew_id}.jpg").write_bytes(photo)
    world.run("--all")
    store = tmp_path / "store"
    store.mkdir()
    result = world.run("--export", str(store / name_for_deepface("Dlib", "mtcnn")))
    assert "DeepFace.find solo" not in result.stdout
    command = [sys.executable, "-c", FIND, str(store), *(str(tmp_path / f"{crew_id}.jpg") for crew_id in photos)]
    engine = {"DEEPFACE_BACKEND_ENGINE": "tensorflow", "TF_USE_LEGACY_KERAS": "1", "DEEPFACE_HOME": str(weights_home)}
    found = subprocess.run(
        command, cwd=PROJECT_DIR, env=os.environ | engine, capture_output=True, text=True, check=True
    )
    people = json.loads(found.stdout.splitlines()[-1])
    assert [[crew_id for crew_id, _ in face] for ((*face,),) in people] == [["a1"], ["b2"]]
    assert max(face[0][1] for ((*face,),) in people) < SAME_PHOTO
