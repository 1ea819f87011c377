"""The folder of downloads, shared by several runs."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.config import PROJECT_DIR
from app.errors import SettingsError
from app.photos.temp_folder import TempFolder

# A run that writes a file, prints its name and waits until stdin ends.
OTHER_RUN = """
import sys, pathlib
from app.photos.temp_folder import TempFolder
folder = TempFolder(pathlib.Path(sys.argv[1]))
print(folder.write("789123", b"photo").name, flush=True)
sys.stdin.read()
folder.close()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "temp_uploads"


@pytest.fixture
def other_run(folder: Path) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", OTHER_RUN, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, cwd=PROJECT_DIR, text=True, **pipes) as process:  # type: ignore[call-overload]
        yield process
        if process.poll() is None:
            process.communicate("")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_named_after_the_member_and_only_their_owner_can_read_them(folder: Path) -> None:
    temp = TempFolder(folder)
    first, second = temp.write("789123", b"one"), temp.write("789123", b"two", "_processed.jpg")
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")
    assert [path.name.replace(path.name[12:20], "TOKEN") for path in (first, second)] == [
        "crew_789123_TOKEN_1.jpg",
        "crew_789123_TOKEN_2_processed.jpg",
    ]
    assert [mode(path) for path in (folder, first, second)] == [0o700, 0o600, 0o600]
    assert all(mode(path) == 0o600 for path in folder.iterdir())
    temp.close()


@pytest.mark.parametrize(
    ("crew_id", "start"),
    [
        ("FAED(1)", "crew_FAED-1-_"),
        ("../../etc", "crew_------etc_"),
        ("a_b", "crew_a-b_"),
        ("ñandú", "crew_-and-_"),
        ("x" * 300, f"crew_{'x' * 40}_"),
        ("", "crew__"),
    ],
)
def test_no_crew_id_leads_out_of_the_folder(folder: Path, crew_id: str, start: str) -> None:
    temp = TempFolder(folder)
    path = temp.write(crew_id, b"photo")
    assert (path.parent, path.name[: len(start)]) == (folder, start)
    temp.close()
    assert names(folder) == []


def test_closing_removes_the_run_s_files_and_no_others(folder: Path) -> None:
    folder.mkdir()
    foreign = [".gitkeep", "crew_list.xlsx", "crew_789123_foto.jpg", "notas.txt"]
    for name in foreign:
        (folder / name).touch()
    (folder / "crew_2024").mkdir()
    temp = TempFolder(folder)
    temp.write("789123", b"photo")
    temp.close()
    temp.close()  # a second call does nothing
    assert names(folder) == sorted([*foreign, "crew_2024"])


def test_closing_accepts_that_a_file_was_removed_before(folder: Path) -> None:
    temp = TempFolder(folder)
    temp.write("789123", b"photo").unlink()
    temp.close()
    assert names(folder) == []


def test_a_download_that_ends_after_closing_leaves_no_file(folder: Path) -> None:
    temp = TempFolder(folder)
    temp.close()
    with pytest.raises(FileNotFoundError, match="la carpeta temporal ya se cerró"):
        temp.write("789123", b"photo")
    assert names(folder) == []


def test_no_two_threads_write_the_same_file(folder: Path) -> None:
    temp = TempFolder(folder)
    written: list[Path] = []
    threads = [
        threading.Thread(target=lambda: written.extend(temp.write("7", b"photo") for _ in range(50))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(written)) == 400
    temp.close()
    assert names(folder) == []


def test_the_next_run_removes_the_files_of_one_that_died(folder: Path, other_run: subprocess.Popen[str]) -> None:
    orphan = other_run.stdout.readline().strip()  # type: ignore[union-attr]
    other_run.kill()
    other_run.wait()
    assert orphan in names(folder)
    TempFolder(folder).close()
    assert names(folder) == []


def test_the_files_of_a_running_run_stay_until_it_ends(folder: Path, other_run: subprocess.Popen[str]) -> None:
    theirs = other_run.stdout.readline().strip()  # type: ignore[union-attr]
    before = names(folder)
    TempFolder(folder).close()
    assert names(folder) == before
    assert theirs in before
    other_run.communicate("")
    assert names(folder) == []


def test_two_runs_in_one_folder_do_not_disturb_each_other(folder: Path) -> None:
    first = TempFolder(folder)
    mine = first.write("1", b"one")
    second = TempFolder(folder)
    theirs = second.write("1", b"two")
    first.close()
    assert not mine.exists()
    assert theirs.read_bytes() == b"two"
    second.close()
    assert names(folder) == []


def test_a_folder_that_cannot_be_written_is_refused_with_the_setting_to_change(folder: Path) -> None:
    folder.touch()
    with pytest.raises(SettingsError) as caught:
        TempFolder(folder)
    assert str(caught.value) == f"No se puede escribir en {folder}: ya existe y no es una carpeta"
    assert caught.value.advice == "Revise TEMP_DIR y los permisos de esa carpeta."
