"""`--photos` on folders as people have them: copied from a phone, kept on a NAS, unpacked on a Mac."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.records import Image
from tests.conftest import OpenWorld
from tests.support.pictures import encode_picture
from tests.support.program import Result, World

SAID = "5 archivos o carpetas de la carpeta de fotos no cuentan como foto: suelta.jpg, 1/IMG_1.aae, 1/IMG_1.mov y 2 más"
PASSED_OVER = ["suelta.jpg", "1/IMG_1.aae", "1/IMG_1.mov", "2/antes/", "2/lista.txt"]


@pytest.fixture
def world(open_world: OpenWorld, tmp_path: Path) -> World:
    return open_world(f"sqlite:///{tmp_path / 'otra.db'}")


@pytest.fixture
def photos(tmp_path: Path, astronaut: Image, admiral: Image) -> Path:
    """Make a folder with two people, and all else that systems, phones and people put there."""
    folder = tmp_path / "fotos"
    for name in (
        *(
            "1/THUMBS.DB",
            "1/Desktop.ini",
            "1/~$IMG_1.jpg",
            "1/._IMG_1.jpg",
            "1/IMG_1.jpg:Zone.Identifier",
            "1/IMG_1.jpg~",
        ),
        *("1/@eaDir/IMG_1.jpg/SYNOFILE_THUMB_M.jpg", "@eaDir/1", "#recycle/9/a.jpg", "__MACOSX/1/._a.jpg", ".DS_Store"),
        *("lost+found/a", "$RECYCLE.BIN/9/a.jpg", "System Volume Information/a", ".Trash-1000/9/a.jpg", "2/Icon\r"),
        *("suelta.jpg", "1/IMG_1.aae", "1/IMG_1.mov", "2/lista.txt", "2/antes/vieja.jpg"),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"nada que leer")
    (folder / "1" / "IMG_1.jpg").write_bytes(encode_picture(astronaut))
    (folder / "2" / "b.jpg").write_bytes(encode_picture(admiral))
    return folder


def run(world: World, photos: Path, *words: str) -> Result:
    return world.run("--photos", str(photos), *words)


def test_only_photos_are_photos_and_only_people_are_people(world: World, photos: Path) -> None:
    first, again = run(world, photos), run(world, photos)
    assert (first.exit_code, first.codes) == (0, {"1": "stored", "2": "stored"})
    assert (again.exit_code, again.codes) == (0, {"1": "skipped:current", "2": "skipped:current"})


def test_a_file_with_a_new_date_is_no_download_in_vain(world: World, photos: Path) -> None:
    run(world, photos)
    os.utime(photos / "2" / "b.jpg", (1, 1))
    done = run(world, photos)
    assert (done.document["summary"]["checks"]["downloaded_again"], "Descargadas" in done.stdout) == (0, False)


def test_where_all_photos_lie_loose_the_folders_are_explained(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "sueltas"
    folder.mkdir()
    (folder / "ana.jpg").write_bytes(b"")
    explained = "cada foto va en la carpeta de su persona, DIR/identificador/foto.jpg"
    assert all(explained in run(world, folder, *words).stdout for words in (["--plan"], []))


def test_folders_may_have_names_of_people(world: World, photos: Path) -> None:
    (photos / "1").rename(photos / "María Fernández López")
    assert run(world, photos).codes == {"María Fernández López": "stored", "2": "stored"}


def test_what_is_no_photo_is_said_by_the_run_the_plan_and_the_check(world: World, photos: Path) -> None:
    planned, checked, done = (run(world, photos, *words) for words in (["--plan"], ["--check"], []))
    assert all(SAID in each.stdout for each in (planned, checked, done))
    found = {each["name"]: each for each in checked.document["findings"]}["passed_over"]
    assert (found["level"], found["text"], checked.exit_code) == ("ok", SAID, 0)
    assert done.document["summary"]["passed_over"] == planned.document["plan"]["passed_over"] == PASSED_OVER
    assert run(world, photos, "--quiet").stdout == ""


def test_who_has_something_else_than_a_photo_is_told_so(world: World, photos: Path) -> None:
    (photos / "2" / "b.jpg").rename(photos / "2" / "b.jpg.part")
    done = run(world, photos)
    assert (done.exit_code, done.codes["2"]) == (1, "failed:no_photo")
    assert "Sin foto registrada: solo hay antes/, b.jpg.part, lista.txt" in done.stdout
    assert "❌ Error al extraer embedding para 2" in done.stdout
    again = run(world, photos)
    assert (again.exit_code, again.codes["2"]) == (1, "failed:no_photo")
    assert (again.document["summary"]["recalled"], again.document["report"]["changes"]["open"]) == (1, 1)
    assert "❌ Error al extraer" not in again.stdout
    assert "(de ellos, 1 ya conocido: nada nuevo desde entonces)" in again.stdout
    one = run(world, photos, "--crew-id", "2")
    assert one.exit_code == 1
    assert "El tripulante 2 no tiene foto en su carpeta: solo hay antes/, b.jpg.part, lista.txt" in one.stdout


def test_one_persons_run_tells_of_that_persons_folder_alone(world: World, photos: Path) -> None:
    assert run(world, photos, "--crew-id", "2").document["summary"]["passed_over"] == PASSED_OVER[3:]


def test_who_is_back_is_said_also_where_the_new_photo_fails(world: World, photos: Path, astronaut: Image) -> None:
    run(world, photos)
    aside = (photos / "2").rename(photos.parent / "2")
    assert run(world, photos).document["summary"]["deactivated"] == ["2"]
    aside.rename(photos / "2")
    (photos / "2" / "b.jpg").write_bytes(encode_picture(astronaut)[:-2000])
    planned, done = run(world, photos, "--plan"), run(world, photos)
    assert "↩️  1 persona volvió al padrón: se reactivará con el vector que tenía." in planned.stdout
    assert "volvió al padrón y se reactiva; " in planned.stdout
    assert (done.document["summary"]["reactivated"], done.codes["2"]) == (["2"], "failed:invalid_image")
    assert "↩️  1 persona volvió al padrón: reactivada" in done.stdout
    assert "1 reactivada" in run(world, photos, "--history").stdout


def test_who_is_missing_too_often_is_named_and_stays(world: World, photos: Path) -> None:
    run(world, photos)
    for crew_id in ("1", "2"):
        (photos / crew_id).rename(photos.parent / crew_id)
    (photos / "3").mkdir()
    planned, done = run(world, photos, "--plan"), run(world, photos)
    named = "Son 2 de 2 personas, más del 10% (1, 2): revíselo"
    assert planned.document["plan"]["held_back"] == done.document["summary"]["held_back"] == ["1", "2"]
    assert named in planned.stdout
    assert named in done.stdout
