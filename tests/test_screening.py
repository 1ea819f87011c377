"""Placeholders and mix-ups, through the real program: who is kept out, who stays and is only reported."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.records import Image
from tests.pictures import encode_picture
from tests.program import World, live_in
from tests.webserver import PhotoServer


@pytest.fixture
def world(
    database_url: str,
    tmp_path: Path,
    web: PhotoServer,
    weights_home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    home = World(database_url, web, tmp_path, capsys)
    yield from live_in(home, monkeypatch, FACE_MODEL="Dlib", DEEPFACE_HOME=weights_home, SHARED_PHOTOS="reject")


def saved_anew(image: Image) -> bytes:
    """The same picture at another size and quality: other bytes."""
    return encode_picture(cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA), quality=60)


def active(world: World) -> list[str]:
    return sorted(row.crew_id for row in world.rows() if row.active)


def test_a_picture_of_two_people_is_nobodys(world: World, astronaut: Image, admiral: Image) -> None:
    """Whichever comes first is withdrawn when the second comes, or stopped on its way."""
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.hire("2", "b.jpg", saved_anew(astronaut))
    world.hire("3", "c.jpg", encode_picture(admiral))
    result = world.run("--all")
    assert result.codes == {"1": "failed:shared_photo", "2": "failed:shared_photo", "3": "stored"}
    assert active(world) == ["3"]
    details = {member["crew_id"]: member["detail"] for member in result.document["members"]}
    assert details["1"] == "La misma foto en varias personas: la misma foto que 2"
    assert details["2"] == "La misma foto en varias personas: la misma foto que 1"


def test_the_first_is_withdrawn_when_it_was_stored_before_its_twin_came(
    world: World, astronaut: Image, admiral: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at a time, so that the first is surely in the gallery by then."""
    for name in ("DOWNLOAD_THREADS", "WORKER_THREADS", "BATCH_SIZE"):
        monkeypatch.setenv(name, "1")
    world.hire("1", "a.jpg", encode_picture(astronaut))
    between = [admiral, admiral[:, ::-1], astronaut[:, ::-1]]
    for number, image in enumerate(between, start=2):
        world.hire(str(number), "b.jpg", encode_picture(np.ascontiguousarray(image)))
    world.hire("6", "c.jpg", encode_picture(astronaut))
    result = world.run("--all")
    assert result.codes["1"] == result.codes["6"] == "failed:shared_photo"
    assert "Embedding de 1 retirado: otra persona tiene la misma foto" in result.stdout
    assert "1" not in active(world)
    assert "❌ Errores: 2" in result.stdout


def test_a_picture_of_many_is_a_placeholder_also_where_no_face_was_found(world: World, admiral: Image) -> None:
    avatar = np.full((240, 240, 3), 200, np.uint8)
    cv2.circle(avatar, (120, 90), 45, (90, 90, 90), -1)
    cv2.ellipse(avatar, (120, 230), (90, 80), 0, 180, 360, (90, 90, 90), -1)
    for number in range(6):
        world.hire(f"n{number}", "avatar.png", encode_picture(avatar, "PNG"))
    world.hire("good", "a.jpg", encode_picture(admiral))
    result = world.run("--all")
    assert result.codes == {f"n{number}": "failed:placeholder_photo" for number in range(6)} | {"good": "stored"}


def test_whoever_was_stored_before_stays_and_is_reported(world: World, astronaut: Image) -> None:
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.run("--all")
    world.hire("2", "b.jpg", saved_anew(astronaut))
    result = world.run("--all")
    assert result.codes == {"1": "skipped:current", "2": "failed:shared_photo"}
    assert active(world) == ["1"]
    entries = {entry["crew_id"]: entry["code"] for entry in result.document["report"]["entries"]}
    assert entries == {"1": "shared_photo", "2": "shared_photo"}
    assert world.run("--all", "--force").codes == {"1": "stored", "2": "failed:shared_photo"}


def test_one_whose_photo_is_corrected_is_stored_and_the_other_too(
    world: World, astronaut: Image, admiral: Image
) -> None:
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.hire("2", "b.jpg", encode_picture(astronaut))
    world.run("--all")
    world.rename_photo("2", "mine.jpg")
    world.web.photos["2/mine.jpg"] = encode_picture(admiral)
    result = world.run("--all")
    assert result.codes == {"1": "stored", "2": "stored"}
    assert sorted(result.document["report"]["changes"]["fixed"]) == ["Ana Paz (1)", "Ana Paz (2)"]


def test_alone_the_other_of_a_known_pair_is_still_refused(world: World, astronaut: Image) -> None:
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.hire("2", "b.jpg", encode_picture(astronaut))
    world.run("--all")
    assert world.run("--crew-id", "2").codes == {"2": "failed:shared_photo"}


def test_with_report_all_are_stored_and_said(world: World, astronaut: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARED_PHOTOS", "report")
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.hire("2", "b.jpg", encode_picture(astronaut))
    result = world.run("--all")
    assert result.codes == {"1": "stored", "2": "stored"}
    assert len(result.document["report"]["entries"]) == 2
