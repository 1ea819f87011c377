from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.errors import MemberNotProcessable, NoPhoto
from app.records import CrewMember, Failed
from app.roster.folder import FolderRoster

NOTHING_LEFT = "no hay ningún archivo que pueda serlo"


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
        Failed(CrewMember("789126", ""), "roster", "no_photo", "solo hay más/"),
        Failed(CrewMember("789127", ""), "roster", "no_photo", NOTHING_LEFT),
    ]


def passed_over_and_entries(folder: Path, *names: str) -> tuple[list[str], list[CrewMember | Failed]]:
    """Return what the roster makes of these files; a name that ends in a slash is a folder."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.touch()
    roster = FolderRoster(folder)
    entries = roster.active()
    return roster.passed_over, entries


LITTER = (
    *("Thumbs.db", "thumbs.DB", "desktop.ini", "DESKTOP.INI", "ehthumbs.db", "Icon\r", ".DS_Store", "._a.jpg"),
    *("a.jpg~", "~$a.jpg", ".~lock.a.jpg#", "#a.jpg#", "a.jpg:Zone.Identifier", "a.jpg\uf03aZone.Identifier"),
    *(
        "a.jpg:com.dropbox.attrs",
        "a.jpg@SynoEAStream",
        "@eaDir/",
        "@eaDir/a.jpg/",
        "__MACOSX/",
        "#recycle/",
        ".oculta.jpg",
    ),
)
COMPANIONS = (
    *("a.xmp", "a.jpg.xmp", "a.AAE", "a.mov", "a.MP4", "a.jpg.json", "a.txt", "a.thm", "a.jpg.pp3", "a.CR2", "cv.pdf"),
    *("a.jpg.tmp", "a.jpg.part", "b.jpg.crdownload", "antes/"),
)


@pytest.mark.parametrize("name", LITTER)
def test_what_systems_leave_beside_a_photo_is_ignored(tmp_path: Path, name: str) -> None:
    assert passed_over_and_entries(tmp_path, "7/a.jpg", f"7/{name}") == ([], [CrewMember("7", "a.jpg")])
    shutil.rmtree(tmp_path / "7")
    assert passed_over_and_entries(tmp_path, f"7/{name}") == (
        [],
        [Failed(CrewMember("7", ""), "roster", "no_photo", NOTHING_LEFT)],
    )


@pytest.mark.parametrize("name", COMPANIONS)
def test_what_is_no_photo_beside_one_is_passed_over_and_named(tmp_path: Path, name: str) -> None:
    assert passed_over_and_entries(tmp_path, "7/a.jpg", f"7/{name}") == ([f"7/{name}"], [CrewMember("7", "a.jpg")])


@pytest.mark.parametrize("name", ["a.txt", "a.MOV", "a.jpg.part", "antes/"])
def test_a_member_with_no_photo_but_something_else_is_told_what(tmp_path: Path, name: str) -> None:
    failure = Failed(CrewMember("7", ""), "roster", "no_photo", f"solo hay {name}")
    assert passed_over_and_entries(tmp_path, f"7/{name}") == ([f"7/{name}"], [failure])
    with pytest.raises(MemberNotProcessable, match=rf"^El tripulante 7 no tiene foto en su carpeta: solo hay {name}$"):
        FolderRoster(tmp_path).find("7")


@pytest.mark.parametrize("name", ["a.CR2", "a.jxl", "a.desconocida", "IMG_0001", "a.jpg.1"])
def test_what_may_be_a_photo_is_one_if_there_is_no_other(tmp_path: Path, name: str) -> None:
    assert passed_over_and_entries(tmp_path, f"7/{name}") == ([], [CrewMember("7", name)])


@pytest.mark.parametrize("name", ["b.CR2", "a.png", "a.desconocida"])
def test_what_may_be_a_second_photo_is_never_passed_over(tmp_path: Path, name: str) -> None:
    found = ", ".join(sorted(["a.jpg", name]))
    failure = Failed(CrewMember("7", found.split(", ")[0]), "roster", "several_photos", found)
    assert passed_over_and_entries(tmp_path, "7/a.jpg", f"7/{name}") == ([], [failure])


@pytest.mark.parametrize(
    "name",
    [
        *("@eaDir", "#recycle", "#Recycle", "__MACOSX", "lost+found", "$RECYCLE.BIN", "System Volume Information"),
        *(".Trash-1000", "@Recycle", "RECYCLER", ".AppleDouble", "#snapshot", "FOUND.000"),
    ],
)
def test_a_folder_that_systems_make_is_no_member(tmp_path: Path, name: str) -> None:
    assert passed_over_and_entries(tmp_path, f"{name}/a.jpg", "7/a.jpg") == ([], [CrewMember("7", "a.jpg")])
    with pytest.raises(MemberNotProcessable, match="no existe"):
        FolderRoster(tmp_path).find(name)


def test_a_photo_outside_the_members_folders_is_named(tmp_path: Path) -> None:
    ours = ("embeddings.db", "embeddings.db-journal", ".embeddings.db.lock")
    assert passed_over_and_entries(tmp_path, "789123.jpg", "lista.csv", *ours) == (["789123.jpg", "lista.csv"], [])


def test_only_the_last_reading_counts(tmp_path: Path) -> None:
    passed_over_and_entries(tmp_path, "7/a.jpg", "7/a.xmp", "8/b.jpg", "8/b.xmp")
    roster = FolderRoster(tmp_path)
    roster.active(), roster.active()
    assert roster.passed_over == ["7/a.xmp", "8/b.xmp"]
    roster.find("8")
    assert roster.passed_over == ["8/b.xmp"]


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
    with pytest.raises(
        MemberNotProcessable, match=rf"^El tripulante 789127 no tiene foto en su carpeta: {NOTHING_LEFT}$"
    ) as caught:
        FolderRoster(folder).find("789127")
    assert caught.value.advice == NoPhoto.advice


def test_a_name_with_outer_spaces_is_refused_under_an_id_of_its_own(tmp_path: Path) -> None:
    for name in ("1", "2 ", " 3", "3", "4\u00a0", " 5", "5 "):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").touch()
    entries = FolderRoster(tmp_path).active()
    refused = {entry.crew_id: (entry.code, entry.detail) for entry in entries if isinstance(entry, Failed)}
    because = {
        bare: ("bad_name", f"la carpeta «{name}» empieza o termina con un espacio")
        for bare, name in {"2": "2 ", " 3": " 3", "4": "4\u00a0", " 5": " 5", "5 ": "5 "}.items()
    }
    assert refused == because
    assert [entry.crew_id for entry in entries if not isinstance(entry, Failed)] == ["1", "3"]
    with pytest.raises(MemberNotProcessable, match="empieza o termina con un espacio"):
        FolderRoster(tmp_path).find("2 ")


@pytest.mark.parametrize(
    ("wanted", "folder"), [("101", "000101"), ("angela", "Ángela"), ("A\u0301ngela", "\u00c1ngela")]
)
def test_an_id_like_that_of_a_folder_is_proposed(tmp_path: Path, wanted: str, folder: str) -> None:
    (tmp_path / folder).mkdir()
    with pytest.raises(MemberNotProcessable) as caught:
        FolderRoster(tmp_path).find(wanted)
    assert caught.value.advice == f"Revise el identificador. ¿Quiso decir {folder}?"
