"""Questions to the gallery end to end, on both databases: --match, --audit, --operating-point."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from app.cli.arguments import parse_arguments
from app.cli.main import run
from app.pipeline.face_extractor import open_face_extractor
from app.records import Image
from tests.conftest import OpenWorld
from tests.support.databases import read_tables
from tests.support.mariadb import MariaDb
from tests.support.pictures import encode_picture
from tests.support.program import World
from tests.support.rights import obeying_permissions

THRESHOLD = 0.07  # DeepFace's for Dlib


@pytest.fixture
def world(open_world: OpenWorld, database_url: str) -> World:
    return open_world(database_url, FACE_DISTANCE_THRESHOLD=THRESHOLD)


@pytest.fixture
def enrolled(world: World, astronaut: Image, admiral: Image) -> World:
    """Enrol two people."""
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.hire("2", "b.jpg", encode_picture(admiral))
    assert world.run().exit_code == 0
    return world


@pytest.fixture
def probes(tmp_path: Path, astronaut: Image, admiral: Image) -> Path:
    """Make a folder of photos: one of each person, of both, without a face; a text in place of one; and a text."""
    folder = tmp_path / "evento"
    folder.mkdir()
    both = np.hstack([astronaut, admiral[:512]])
    pictures = {"ana.jpg": astronaut[20:, :], "b.jpg": admiral[:, 10:], "dos.jpg": both, "pared.jpg": both[:40, :40]}
    for name, picture in pictures.items():
        (folder / name).write_bytes(encode_picture(np.ascontiguousarray(picture)))
    for name in ("nota.jpg", "nota.txt"):
        (folder / name).write_text("hola")
    (folder / "@eaDir").mkdir()
    for litter in ("Thumbs.db", ".DS_Store", "@eaDir/ana.jpg"):  # what systems leave is no photo
        (folder / litter).write_bytes(b"x")
    return folder


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let Ctrl+C interrupt, also where a shell has started the tests in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def everything(world: World) -> dict[str, list[tuple[object, ...]]]:
    with world.engine.connect() as connection:
        return read_tables(connection)


def values_of(page: Path) -> list[str]:
    """Return the numbers that the page holds for programs."""
    return re.findall(r'<data value="([^"]*)"', page.read_text(encoding="utf-8"))


def owner_only(page: Path) -> bool:
    return stat.S_IMODE(page.stat().st_mode) == 0o600


def test_every_face_of_every_photo_gets_its_nearest_members(enrolled: World, probes: Path) -> None:
    before = everything(enrolled)
    result = enrolled.run("--match", str(probes), str(probes / "no hay.jpg"))
    assert result.exit_code == 1
    assert everything(enrolled) == before
    document = result.document
    assert document["gallery"] | {"margin": 0} == {
        "members": 2,
        "model": "Dlib",
        "threshold": THRESHOLD,
        "margin": 0,
        "strangers": 2,
    }
    seen = [(Path(each["photo"]).name, each["faces"], each["code"]) for each in document["photos"]]
    assert seen == [
        ("ana.jpg", 1, None),
        ("b.jpg", 1, None),
        ("dos.jpg", 2, None),
        ("nota.jpg", 0, "invalid_image"),
        ("pared.jpg", 0, "no_face"),
        ("no hay.jpg", 0, "photo_not_found"),
    ]
    firsts = [(each["verdict"], each["candidates"][0]["crew_id"]) for each in document["faces"]]
    assert firsts[:2] == [("recognised", "1"), ("recognised", "2")]
    assert sorted(firsts[2:]) == [("recognised", "1"), ("recognised", "2")]
    for face in document["faces"]:
        assert len(face["candidates"]) == 2
        assert all(each["confidence"] == pytest.approx(1 - each["distance"] / 2) for each in face["candidates"])
    assert "Ana Paz (1)" in result.stdout
    assert "No se detectaron rostros" in result.stdout
    assert f"1 archivo o carpeta de la carpeta de fotos no cuenta como foto: {probes / 'nota.txt'}" in result.stdout


def test_a_photo_named_in_two_ways_is_asked_about_once_and_none_at_all_is_refused(
    enrolled: World, probes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(probes)
    photos = enrolled.run("--match", "ana.jpg", str(probes / "ana.jpg"), "./../evento/ana.jpg").document["photos"]
    assert [each["photo"] for each in photos] == ["ana.jpg"]
    (probes / "vacía").mkdir()
    result = enrolled.run("--match", "vacía")
    said = "No hay ninguna foto en lo que se indicó"
    assert (result.exit_code, result.document) == (2, {"error": said, "exit_code": 2})
    assert "No hay ninguna foto" in result.stdout


@pytest.fixture
def closed(probes: Path) -> Iterator[Path]:
    """Make a folder that one may not enter, with a photo, beside the others; the system keeps its permissions."""
    folder = probes / "cerrada"
    folder.mkdir()
    (folder / "c.jpg").write_bytes((probes / "ana.jpg").read_bytes())
    folder.chmod(0)
    with obeying_permissions():
        yield folder
    folder.chmod(0o700)


def test_what_cannot_be_read_is_a_failure_of_that_name_and_the_others_are_answered(
    enrolled: World, closed: Path, probes: Path
) -> None:
    (probes / "b.jpg").chmod(0)
    (probes / "colgada.jpg").symlink_to("no hay")
    result = enrolled.run("--match", str(probes), str(closed / "c.jpg"), str(probes / f"{'a' * 300}.jpg"))
    seen = {each["photo"]: each["code"] for each in result.document["photos"]}
    assert result.exit_code == 1
    assert seen == {
        str(probes / "ana.jpg"): None,
        str(probes / "b.jpg"): "photo_unavailable",
        str(probes / "colgada.jpg"): "photo_not_found",
        str(probes / "dos.jpg"): None,
        str(probes / "nota.jpg"): "invalid_image",
        str(probes / "pared.jpg"): "no_face",
        str(closed / "c.jpg"): "photo_unavailable",
        str(probes / f"{'a' * 300}.jpg"): "photo_not_found",
        f"{closed}/": "photo_unavailable",
    }
    assert f"{closed}/: Imagen no disponible (no se puede leer la carpeta: no hay permiso)" in result.stdout
    assert enrolled.run("--match", str(closed)).exit_code == 1


def test_a_folder_that_may_be_listed_but_not_entered_hides_no_photo(enrolled: World, closed: Path) -> None:
    closed.chmod(0o600)
    result = enrolled.run("--match", str(closed))
    assert [(each["photo"], each["code"]) for each in result.document["photos"]] == [
        (str(closed / "c.jpg"), "photo_unavailable")
    ]


def test_empty_folders_and_links_to_folders_are_said(enrolled: World, probes: Path) -> None:
    (probes / "enlace").symlink_to(probes)
    (probes / "vacía").mkdir()
    result = enrolled.run("--match", str(probes), str(probes / "vacía"))
    assert f"{probes / 'enlace'}/" in result.stdout
    assert f"{probes / 'vacía'}/" in result.stdout


def test_labelled_photos_that_cannot_be_read_fail_and_loose_ones_are_said(enrolled: World, closed: Path) -> None:
    folder = closed.parent
    (folder / "1").mkdir()
    (folder / "ana.jpg").rename(folder / "1" / "ana.jpg")
    result = enrolled.run("--operating-point", "--probes", str(folder))
    assert result.exit_code == 1
    assert f"{closed}/: Imagen no disponible (no se puede leer la carpeta: no hay permiso)" in result.stdout
    assert "5 archivos o carpetas de la carpeta de fotos no cuentan como foto: b.jpg, dos.jpg" in result.stdout
    result = enrolled.run("--operating-point", "--probes", str(closed))
    assert result.exit_code == 2
    assert f"No se puede leer la carpeta {closed}: no hay permiso" in result.stdout
    for missing in (folder / "1" / "ana.jpg", folder / "no hay"):
        result = enrolled.run("--operating-point", "--probes", str(missing))
        assert result.exit_code == 2
        assert f"No existe la carpeta {missing}" in result.stdout


def test_the_page_of_a_match_says_what_the_document_says(enrolled: World, probes: Path) -> None:
    result = enrolled.run("--match", str(probes))
    page = enrolled.folder / "logs" / "match.html"
    assert owner_only(page)
    candidates = [each for face in result.document["faces"] for each in face["candidates"]]
    shown = [each[key] for each in candidates for key in ("distance", "confidence")]
    assert [float(value) for value in values_of(page)] == shown
    assert page.read_text(encoding="utf-8").count("data:image/jpeg") == 4 + 8  # faces, and their candidates
    first = page.read_bytes()
    enrolled.run("--match", str(probes))
    assert page.read_bytes() == first


def test_a_photo_that_changed_since_is_not_shown_for_the_enrolled_one(
    enrolled: World, probes: Path, admiral: Image
) -> None:
    enrolled.web.photos["1/a.jpg"] = encode_picture(admiral)
    enrolled.run("--match", str(probes / "ana.jpg"))
    page = (enrolled.folder / "logs" / "match.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 2  # the asked face and the other member's
    assert page.count("sin imagen") == 1


def test_a_silent_photo_server_takes_pictures_from_the_page_and_nothing_else(
    enrolled: World, probes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = enrolled.run("--match", str(probes / "ana.jpg"))
    assert "Descargando 2 fotos para la página…" in usual.stdout
    del enrolled.web.photos["1/a.jpg"]
    result = enrolled.run("--match", str(probes / "ana.jpg"))
    assert "No se pudo descargar 1 de 2 fotos: sale sin imagen" in result.stdout
    monkeypatch.setattr("app.pipeline.face_pictures.LONGEST_S", 0.0)
    monkeypatch.setenv("IMAGE_BASE_URL", f"{enrolled.web.base_url}/slow")
    monkeypatch.setenv("DOWNLOAD_THREADS", "1")
    result = enrolled.run("--match", str(probes / "ana.jpg"))
    assert "No se pudo descargar ninguna de las 2 fotos: salen sin imagen" in result.stdout
    assert len([path for path in enrolled.web.requests if path.startswith("/slow")]) <= 1
    assert (result.exit_code, result.document) == (0, usual.document)
    monkeypatch.setenv("IMAGE_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "socks9://x")  # a RunError of the server's, after the answer
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    result = enrolled.run("--match", str(probes / "ana.jpg"))
    assert "La página sale sin imágenes" in result.stdout
    assert (result.exit_code, result.document) == (0, usual.document)


def test_a_document_is_there_before_the_pictures_and_stays(
    enrolled: World, probes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In place of a second Ctrl+C while pictures are fetched.
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.cli.people.fetch_faces", interrupt)
    enrolled.hire("3", "copia.jpg", enrolled.web.photos["1/a.jpg"])
    enrolled.run()
    for words, key in ((["--match", str(probes / "ana.jpg")], "faces"), (["--audit"], "findings")):
        result = enrolled.run(*words)
        assert (result.exit_code, bool(result.document[key])) == (130, True)


def test_the_enrolled_photo_itself_is_at_distance_zero(enrolled: World, tmp_path: Path) -> None:
    photo = tmp_path / "misma.jpg"
    photo.write_bytes(enrolled.web.photos["1/a.jpg"])
    document = enrolled.run("--match", str(photo)).document
    assert document["faces"][0]["candidates"][0] == {"crew_id": "1", "distance": 0.0, "confidence": 1.0}


def test_a_photo_at_an_address_is_downloaded_and_its_token_is_not_shown(enrolled: World) -> None:
    base = enrolled.web.base_url
    result = enrolled.run("--match", f"{base}/1/a.jpg?token=SECRETO", f"{base}/no.jpg")
    photos = [(each["photo"], each["faces"], each["code"]) for each in result.document["photos"]]
    assert photos == [(f"{base}/1/a.jpg", 1, None), (f"{base}/no.jpg", 0, "photo_not_found")]
    assert result.document["faces"][0]["candidates"][0]["distance"] == 0.0
    assert "SECRETO" not in result.stdout + (enrolled.folder / "logs" / "match.html").read_text(encoding="utf-8")
    assert not list((enrolled.folder / "temp").glob("crew_*"))


def test_a_word_that_names_no_photo_fails_alone_and_says_why(enrolled: World, probes: Path) -> None:
    os.mkfifo(probes / "tubo.jpg")
    photo, base = probes / "ana.jpg", enrolled.web.base_url
    spaced = probes / "con espacio.jpg"
    spaced.write_bytes(photo.read_bytes())
    why = {
        f"{base.replace('http', 'HTTP')}/1/a.jpg": None,
        photo.as_uri(): None,
        f"FILE{spaced.as_uri()[4:]}": None,
        "ftp://fotos/a.jpg": "ftp:// no se admite: indique una dirección http:// o https://, o un archivo",
        "s3://ana:SECRETO@fotos/a.jpg": "s3:// no se admite",
        "file:///a%00.jpg": "no se admite",
        "http://": "no es una dirección",
        "http://[SECRETO@x/a.jpg": "no es una dirección",
        "/dev/null": "no es un archivo: /dev/null",
        str(probes / "tubo.jpg"): f"no es un archivo: {probes / 'tubo.jpg'}",
        "": "⚠️  «»: Imagen no encontrada (no se indicó ninguna)",
    }
    result = enrolled.run("--match", *why, str(photo))
    codes = [each["code"] for each in result.document["photos"]]
    assert (result.exit_code, codes) == (1, [said and "photo_not_found" for said in why.values()])
    assert [said for said in why.values() if said and said not in result.stdout] == []
    assert "SECRETO" not in result.stdout + json.dumps(result.document)


def test_a_face_twice_in_one_photo_is_told(enrolled: World, tmp_path: Path, astronaut: Image) -> None:
    photo = tmp_path / "doble.jpg"
    photo.write_bytes(encode_picture(np.hstack([astronaut, astronaut])))
    result = enrolled.run("--match", str(photo))
    assert result.document["photos"][0]["repeated"] == ["1"]
    assert "varias caras llevan a la misma persona: 1" in result.stdout


@pytest.mark.parametrize("words", [["--match", "x.jpg"], ["--audit"], ["--operating-point"], ["--export", "x.npy"]])
def test_an_empty_gallery_is_said_and_gets_no_tables(world: World, words: list[str]) -> None:
    before = everything(world)
    result = world.run(*words)
    assert (result.exit_code, everything(world)) == (2, before)
    assert "no tiene ningún vector de Dlib" in result.stdout


def test_who_left_the_roster_takes_no_part(enrolled: World, probes: Path) -> None:
    with enrolled.engine.begin() as connection:
        connection.execute(text("UPDATE tripulantes SET estatus = 0 WHERE crew_id = '1'"))
    document = enrolled.run("--match", str(probes / "ana.jpg")).document
    assert [each["crew_id"] for each in document["faces"][0]["candidates"]] == ["2"]
    assert document["faces"][0]["verdict"] == "unknown"


def test_rows_of_another_model_are_never_compared(enrolled: World, probes: Path) -> None:
    with enrolled.engine.begin() as connection:
        connection.execute(text("UPDATE face_embeddings SET modelo = 'Facenet512' WHERE crew_id = '1'"))
    result = enrolled.run("--match", str(probes / "ana.jpg"))
    assert [each["crew_id"] for each in result.document["faces"][0]["candidates"]] == ["2"]
    assert "1 fila activa de otro modelo" in result.stdout


def test_people_with_several_active_rows_are_named_and_a_run_leaves_them_one(enrolled: World, probes: Path) -> None:
    """The second row may hold another person's vector: the answer would be about that one, and nothing said so."""
    columns = "crew_id, embedding, modelo, imagen_path, active"
    with enrolled.engine.begin() as connection:
        copied = f"INSERT INTO face_embeddings ({columns}) SELECT {columns} FROM face_embeddings WHERE crew_id = '1'"  # noqa: S608
        connection.execute(text(copied))
    said = "1 persona con varias filas activas (1): aquí cuenta la más nueva. Una ejecución normal deja una."
    target = enrolled.folder / "g.npy"
    questions = (["--match", str(probes)], ["--audit"], ["--operating-point"], ["--export", str(target), "--quiet"])
    for words in questions:
        result = enrolled.run(*words)
        assert said in " ".join(result.stdout.split())
    assert result.document["export"]["left_out"]["several_active"] == ["1"]
    assert enrolled.run("--all").exit_code == 0
    assert sorted(row.crew_id for row in enrolled.rows() if row.active) == ["1", "2"]
    assert "varias filas" not in enrolled.run("--audit").stdout


def test_nets_that_compute_otherwise_answer_nothing(enrolled: World, probes: Path) -> None:
    moved = json.dumps(np.random.default_rng(0).normal(size=128).tolist())
    with enrolled.engine.begin() as connection:
        connection.execute(text("UPDATE face_contracts SET golden = :golden"), {"golden": moved})
    result = enrolled.run("--match", str(probes / "ana.jpg"))
    assert (result.exit_code, result.document["exit_code"], set(result.document)) == (3, 3, {"error", "exit_code"})
    assert "rostro de control" in result.stdout


def test_an_audit_tells_one_file_and_one_picture_apart_from_likeness(
    enrolled: World, astronaut: Image, admiral: Image
) -> None:
    enrolled.hire("3", "copia.jpg", enrolled.web.photos["1/a.jpg"])
    enrolled.hire("4", "espejo.jpg", encode_picture(np.ascontiguousarray(admiral[:, ::-1])))
    enrolled.run()
    before = everything(enrolled)
    result = enrolled.run("--audit")
    assert everything(enrolled) == before
    found = [(each["kind"], each["crew_ids"]) for each in result.document["findings"]]
    assert found == [("same_file", ["1", "3"]), ("same_picture", ["2", "4"])]
    keys = {name: result.document[name] for name in ("members", "pairs", "threshold")}
    assert (result.exit_code, keys) == (1, {"members": 4, "pairs": 6, "threshold": THRESHOLD})
    page = enrolled.folder / "logs" / "audit.html"
    assert owner_only(page)
    assert [float(value) for value in values_of(page)] == [each["distance"] for each in result.document["findings"]]


def test_an_audit_without_findings_ends_well(enrolled: World) -> None:
    result = enrolled.run("--audit")
    assert (result.exit_code, result.document["findings"]) == (0, [])
    assert "nada que mirar" in result.stdout


def test_an_accepted_pair_comes_back_only_with_another_photo(enrolled: World, astronaut: Image) -> None:
    enrolled.hire("3", "copia.jpg", enrolled.web.photos["1/a.jpg"])
    enrolled.run()
    gallery = everything(enrolled)["face_embeddings"]
    refused = enrolled.run("--audit", "--accept", "2", "1")
    assert (refused.exit_code, "2 y 1 no son ningún hallazgo" in refused.stdout) == (1, True)
    result = enrolled.run("--audit", "--accept", "3", "1")
    assert "✅ Anotado: 3 y 1 están bien así\n" in result.stdout
    assert (result.exit_code, result.document["findings"], result.document["accepted"]) == (0, [], 1)
    assert everything(enrolled)["face_embeddings"] == gallery
    assert "ya estaban anotados" in enrolled.run("--audit", "--accept", "1", "3").stdout
    result = enrolled.run("--audit")
    assert (result.exit_code, result.document["findings"], result.document["accepted"]) == (0, [], 1)
    enrolled.web.photos["3/copia.jpg"] = encode_picture(np.ascontiguousarray(astronaut[8:, 8:]), quality=80)
    enrolled.run("--refresh", "full")
    result = enrolled.run("--audit")
    assert (result.exit_code, [each["crew_ids"] for each in result.document["findings"]]) == (1, [["1", "3"]])


def test_what_the_page_advises_for_odd_ids_can_be_carried_out(world: World, astronaut: Image) -> None:
    picture = encode_picture(astronaut)
    for crew_id in ("-x", "000101", "a b"):
        world.hire(crew_id, "a.jpg", picture)
    world.run("--all")
    first = world.run("--audit")
    assert [each["crew_ids"] for each in first.document["findings"]] == [["-x", "000101", "a b"]]
    for pair in ("' -x' 000101", "' -x' 'a b'", "000101 'a b'"):
        result = world.run("--audit", "--accept", *shlex.split(pair))
        assert "✅ Anotado" in result.stdout
        assert ("su grupo siguen" in result.stdout) == (result.document["findings"] != [])
    assert result.document["findings"] == []
    assert "¿Quiso decir 000101?" in world.run("--audit", "--accept", "101", "a b").stdout


@pytest.mark.parametrize("pair", [("1", "9"), ("9", "1"), ("1", "1")])
def test_only_two_people_of_the_gallery_can_be_accepted(enrolled: World, pair: tuple[str, str]) -> None:
    before = everything(enrolled)
    result = enrolled.run("--audit", "--accept", *pair)
    assert (result.exit_code, everything(enrolled)) == (1, before)


def test_an_account_that_may_only_read_is_told_what_accepting_needs(
    mariadb: MariaDb, mariadb_name: str, open_world: OpenWorld, astronaut: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = open_world(mariadb.url(mariadb_name).render_as_string(hide_password=False))
    for crew_id in ("1", "2"):
        world.hire(crew_id, "a.jpg", encode_picture(astronaut))
    world.run("--all")
    mariadb.create_user("mira", "x", f"SELECT ON {mariadb_name}.*")
    monkeypatch.setenv("DB_URL", mariadb.url(mariadb_name, "mira", "x").render_as_string(hide_password=False))
    assert world.run("--audit").exit_code == 1
    result = world.run("--audit", "--accept", "1", "2")
    assert (result.exit_code, "hace falta escribir en face_accepted_pairs" in result.stdout) == (3, True), result.stdout


def test_whoever_is_forgotten_leaves_no_accepted_pair(enrolled: World) -> None:
    enrolled.hire("3", "copia.jpg", enrolled.web.photos["1/a.jpg"])
    enrolled.run()
    for pair in (("1", "3"), ("2", "3")):
        enrolled.run("--audit", "--accept", *pair)
    enrolled.run("--forget", "3")
    assert everything(enrolled)["face_accepted_pairs"] == []


def random_gallery(world: World, members: int) -> None:
    """Put members with random vectors into roster and gallery, as another program would."""
    vectors = np.random.default_rng(3).normal(size=(members, 128))
    vectors[:, 0] += 14  # near to each other, as faces are
    for number in range(members):
        world.hire(str(number), "a.jpg")
    rows = [
        {"c": str(number), "e": json.dumps([round(each, 6) for each in vector.tolist()])}
        for number, vector in enumerate(vectors)
    ]
    with world.engine.begin() as connection:
        insert = "INSERT INTO face_embeddings (crew_id, embedding, modelo, active) VALUES (:c, :e, 'Dlib', 1)"
        connection.execute(text(insert), rows)


@pytest.fixture
def large(world: World) -> World:
    world.run("--all")  # makes the tables
    random_gallery(world, 300)
    return world


def test_the_operating_point_ends_with_the_line_for_env(large: World) -> None:
    result = large.run("--operating-point", "--target-fpir", "0,2", "--people", "100")
    document: dict[str, Any] = result.document
    assert result.exit_code == 0
    assert (document["members"], document["pairs"], document["people"]) == (300, 44_850, 100)
    assert (document["set_aside"], document["genuine"]) == (0, None)
    assert [row["distance"] for row in document["rows"]] == [THRESHOLD, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5]
    assert {row[rate]["basis"] for row in document["rows"] for rate in ("fmr", "fpir")} <= {
        "measured",
        "extrapolated",
        "refused",
    }
    assert set(document["recommended"]) == {"target_fpir", "point", "assured", "smallest_assured"}
    lines = [line for line in result.stdout.splitlines() if line.startswith("FACE_DISTANCE_THRESHOLD=")]
    advised = document["recommended"]["assured"]
    assert lines == [f"FACE_DISTANCE_THRESHOLD={int(advised * 1000) / 1000:g}"]


def test_the_page_of_the_operating_point_has_the_document_s_figures_and_no_date(large: World) -> None:
    document = large.run("--operating-point").document
    page = large.folder / "logs" / "operating_point.html"
    wanted = []
    for row in document["rows"]:
        wanted += [str(row["distance"]), *(str(row[rate]["value"] or "") for rate in ("fmr", "fpir"))]
    assert [html.unescape(value) for value in values_of(page)] == wanted
    assert owner_only(page)
    first = page.read_bytes()
    large.run("--operating-point")
    assert page.read_bytes() == first


def test_labelled_probes_say_who_is_not_recognised(enrolled: World, tmp_path: Path, astronaut: Image) -> None:
    folder = tmp_path / "pruebas"
    for label, picture in (("1", astronaut[20:]), ("2", astronaut[:, 20:]), ("forastera", astronaut)):
        (folder / label).mkdir(parents=True)
        (folder / label / "foto.jpg").write_bytes(encode_picture(np.ascontiguousarray(picture)))
    result = enrolled.run("--operating-point", "--probes", str(folder))
    genuine = result.document["genuine"]
    assert (result.exit_code, genuine["people"], genuine["strangers"]) == (0, 2, 1)
    assert genuine["rank_1"]["value"] == 0.5
    assert [each["crew_id"] for each in genuine["missed"]] == ["2"]
    assert "2 personas inscritas y 1 desconocida (forastera)." in result.stdout  # a misspelt id is seen there


def test_labelled_photos_without_a_face_are_not_counted_and_that_is_said(
    enrolled: World, probes: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "pruebas"
    for label, names in {"1": ["ana.jpg", "pared.jpg"], "2": ["nota.jpg"]}.items():
        (folder / label).mkdir(parents=True)
        for name in names:
            (folder / label / name).write_bytes((probes / name).read_bytes())
    result = enrolled.run("--operating-point", "--probes", str(folder))
    genuine = result.document["genuine"]
    assert (result.exit_code, genuine["people"]) == (1, 1)
    assert genuine["not_used"] == [
        {"crew_id": "1", "photo": str(folder / "1" / "pared.jpg"), "code": "no_face"},
        {"crew_id": "2", "photo": str(folder / "2" / "nota.jpg"), "code": "invalid_image"},
    ]
    said = "2 fotos de prueba sin una cara utilizable no cuentan en estas cifras; personas que así no se probaron: 2."
    assert said in result.stdout
    assert said in (enrolled.folder / "logs" / "operating_point.html").read_text(encoding="utf-8")
    (folder / "1" / "ana.jpg").unlink()
    genuine = enrolled.run("--operating-point", "--probes", str(folder)).document["genuine"]
    assert (genuine["people"], genuine["rank_1"], genuine["rows"]) == (0, None, [])
    assert [each["code"] for each in genuine["not_used"]] == ["no_face", "invalid_image"]


def test_labelled_photos_are_compared_without_those_who_have_another_one_s_picture(
    enrolled: World, probes: Path, tmp_path: Path
) -> None:
    enrolled.hire("0", "copia.jpg", enrolled.web.photos["1/a.jpg"])
    enrolled.run()
    folder = tmp_path / "pruebas"
    for label, name in {"0": "ana.jpg", "1": "ana.jpg", "2": "b.jpg"}.items():
        (folder / label).mkdir(parents=True)
        (folder / label / name).write_bytes((probes / name).read_bytes())
    result = enrolled.run("--operating-point", "--probes", str(folder))
    genuine = result.document["genuine"]
    (row,) = [each for each in genuine["rows"] if each["distance"] == THRESHOLD]
    assert (result.exit_code, genuine["people"], genuine["strangers"], genuine["missed"]) == (0, 2, 0, [])
    assert (genuine["rank_1"]["value"], row["fnir"]["value"], row["fmr"]) == (1.0, 0.0, 0.0)
    ((left_out, code),) = [(each["crew_id"], each["code"]) for each in genuine["not_used"]]
    assert (left_out in ("0", "1"), code) == (True, "duplicate")
    assert f"tiene la foto de otra persona ({left_out})" in result.stdout


def test_photos_without_folders_of_people_are_refused(enrolled: World, probes: Path) -> None:
    (probes / "@eaDir" / "ana.jpg").write_bytes((probes / "ana.jpg").read_bytes())  # litter is nobody's folder
    result = enrolled.run("--operating-point", "--probes", str(probes))
    assert result.exit_code == 2
    assert f"No hay fotos en carpetas dentro de {probes}" in result.stdout


def test_a_threshold_may_have_more_decimals_than_a_distance(
    enrolled: World, probes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_DISTANCE_THRESHOLD", "0.3000007")
    labelled = probes.parent / "pruebas"
    labelled.mkdir()
    probes.rename(labelled / "1")
    for words in (["--operating-point", "--probes", str(labelled)], ["--audit"], ["--match", str(labelled)]):
        document = enrolled.run(*words).document
        assert document.get("threshold", document.get("gallery", {}).get("threshold", 0.3)) == 0.3
        assert document


def test_a_confidence_that_overrules_the_distance_counts_in_every_question(
    enrolled: World, probes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_DISTANCE_THRESHOLD", "0.65")
    monkeypatch.setenv("FACE_CONFIDENCE_THRESHOLD", "0.95")
    for words in (["--operating-point"], ["--audit"], ["--match", str(probes / "ana.jpg")]):
        result = enrolled.run(*words)
        document = result.document
        assert "FACE_CONFIDENCE_THRESHOLD=0.95 solo admite distancias de hasta 0.1" in result.stdout
        assert 0.1 in (
            document.get("threshold"),
            document.get("gallery", {}).get("threshold"),
            document.get("rows", [{}])[0].get("distance"),
        )


@pytest.mark.parametrize("command", ["audit", "operating_point"])
@pytest.mark.usefixtures("interruptible")
def test_a_signal_ends_the_comparison_at_once(enrolled: World, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    # In place of the scan, which takes minutes for 100,000 members: no test can wait for it, nor hit it for certain.
    monkeypatch.setattr(f"app.cli.commands.{command}.scan_gallery", lambda *_: signal.raise_signal(signal.SIGINT))
    result = enrolled.run(f"--{command.replace('_', '-')}")
    assert (result.exit_code, result.document) == (130, {"error": "Interrumpido", "exit_code": 130})
    assert "Interrumpido" in result.stdout


@pytest.mark.usefixtures("interruptible")
def test_a_question_that_is_interrupted_says_so_and_how_far_it_came(enrolled: World, probes: Path) -> None:
    labelled = probes.parent / "pruebas" / "1"
    labelled.mkdir(parents=True)
    for name in ("ana.jpg", "b.jpg"):
        (labelled / name).write_bytes((probes / name).read_bytes())

    def interrupting(*words: object) -> Any:
        signal.raise_signal(signal.SIGINT)
        return open_face_extractor(*words)

    said = "Interrumpido: se miraron 0 de 2 fotos"
    target = probes.parent / "respuesta.json"
    for words, document in {
        ("--match", str(labelled)): {"interrupted": True, "faces": [], "photos": []},
        ("--operating-point", "--probes", str(labelled.parent)): {"error": said, "exit_code": 130},
    }.items():
        assert run(parse_arguments([*words, "--json", str(target)]), interrupting) == 130
        assert said in enrolled.capsys.readouterr().out
        assert document.items() <= json.loads(target.read_text()).items()
    assert enrolled.run("--match", str(labelled)).document["interrupted"] is False


def test_one_member_has_nobody_to_be_compared_with(world: World, astronaut: Image) -> None:
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.run()
    result = world.run("--operating-point")
    assert result.exit_code == 2
    assert "Con una sola persona" in result.stdout
    assert world.run("--audit").exit_code == 0


@pytest.mark.parametrize(
    ("option", "command"),
    [
        (["--people", "5"], "--operating-point"),
        (["--target-fpir", "0.1"], "--operating-point"),
        (["--probes", "x"], "--operating-point"),
        (["--accept", "1", "2"], "--audit"),
    ],
)
def test_options_of_a_question_go_only_with_it(world: World, option: list[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        world.run(*option)
    assert ended.value.code == 2
    assert f"solo se usa con {command}" in world.capsys.readouterr().err
