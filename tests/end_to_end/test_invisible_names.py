"""Names with characters that one does not see: as messengers, Persian and emoji have them, and as a forger would."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import OpenWorld
from tests.support.program import World

NAMES = [
    "\u200eFOTO-2026-01-02.jpg",
    "می\u200cخواهم.jpg",
    "👩\u200d🎓.jpg",
    "a\ufeffb\u00adc\u2060.jpg",
    "a\u202egpj.jpg",
]
DISGUISED, SEEN = "foto\u202egpj.exe", "foto<U+202E>gpj.exe"  # a terminal would show fotoexe.jpg


@pytest.fixture
def world(open_world: OpenWorld, database_url: str) -> World:
    return open_world(database_url)


def test_they_are_names_like_others(world: World, portrait_jpeg: bytes) -> None:
    for number, name in enumerate(NAMES):
        world.hire(str(number), name, portrait_jpeg)
    assert "bad_names" not in {each["name"] for each in world.run("--check").document["findings"]}
    ids = [str(number) for number in range(len(NAMES))]
    assert world.run().codes == dict.fromkeys(ids, "stored")
    assert world.run().codes == dict.fromkeys(ids, "skipped:current")


def test_in_a_folder_too(world: World, tmp_path: Path, portrait_jpeg: bytes) -> None:
    for name in NAMES:
        path = tmp_path / "fotos" / name.removesuffix(".jpg")[:10] / name
        path.parent.mkdir(parents=True)
        path.write_bytes(portrait_jpeg)
    assert set(world.run("--photos", str(tmp_path / "fotos")).codes.values()) == {"stored"}


def test_one_sees_them_wherever_the_program_shows_a_name(world: World) -> None:
    world.hire("x\u200e", DISGUISED, b"nada")
    done = world.run()
    (entry,) = done.document["report"]["entries"]
    assert (entry["crew_id"], entry["photo_name"]) == ("x<U+200E>", SEEN)
    assert "Quiénes: x<U+200E> (Ana Paz)" in done.stdout
    written = [path for path in (world.folder / "logs").iterdir() if path.name != "app.log"]
    texts = {path.name: path.read_text(encoding="utf-8").removeprefix("\ufeff") for path in written}
    assert SEEN in texts["report.csv"] and SEEN.replace("<", "&lt;").replace(">", "&gt;") in texts["report.html"]
    texts["json"] = (world.folder / "run.json").read_text(encoding="utf-8")
    assert [name for name, text in texts.items() if "\u202e" in text + done.stdout or "\u200e" in text] == []
