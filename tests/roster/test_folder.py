from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import MemberNotProcessable, NoPhoto
from app.records import CrewMember, Failed
from app.roster.folder import FolderRoster


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        *("789124/año #1.jpg", "789123/FAED(1).jpg", "789123/.DS_Store", "789123/Thumbs.db", "789123/desktop.ini"),
        *("789125/b.jpg", "789125/a.jpg", "789126/más/a.jpg", ".git/config", "embeddings.db"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "789127").mkdir()
    return tmp_path


def test_each_folder_is_a_member_with_exactly_one_photo(folder: Path) -> None:
    assert FolderRoster(folder).active() == [
        CrewMember("789123", "FAED(1).jpg"),
        CrewMember("789124", "año #1.jpg"),
        Failed(CrewMember("789125", "a.jpg"), "roster", "several_photos", "a.jpg, b.jpg"),
        Failed(CrewMember("789126", ""), "roster", "no_photo"),
        Failed(CrewMember("789127", ""), "roster", "no_photo"),
    ]


def test_an_empty_folder_has_no_members(tmp_path: Path) -> None:
    assert FolderRoster(tmp_path).active() == []


def test_one_member_is_found_whether_its_photo_can_be_chosen_or_not(folder: Path) -> None:
    roster = FolderRoster(folder)
    assert [roster.find("789124"), roster.find("789125")] == [roster.active()[1], roster.active()[2]]


@pytest.mark.parametrize("crew_id", ["7", ".git", "embeddings.db", "../789123", ""])
def test_an_unknown_member_is_reported_as_unknown(folder: Path, crew_id: str) -> None:
    with pytest.raises(MemberNotProcessable) as caught:
        FolderRoster(folder).find(crew_id)
    assert str(caught.value) == f"El tripulante {crew_id} no existe: no hay carpeta {folder / crew_id}"
    assert caught.value.advice == "Revise el identificador."


def test_a_member_without_photo_is_reported_as_such(folder: Path) -> None:
    with pytest.raises(MemberNotProcessable, match=r"^El tripulante 789127 no tiene foto en su carpeta$") as caught:
        FolderRoster(folder).find("789127")
    assert caught.value.advice == NoPhoto.advice
