from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.files import MAKE_ROOM, create_private, mode_of, sha256_of, write_private
from app.errors import NotWritable
from app.photos.temp_folder import TempFolder


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Set a umask with which all users may read and write new files."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    write_private(tmp_path / "a", b"1")
    create_private(tmp_path / "b")
    assert [(path.read_bytes(), mode(path)) for path in (tmp_path / "a", tmp_path / "b")] == [
        (b"1", 0o600),
        (b"", 0o600),
    ]


def test_an_old_one_keeps_its_mode_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch(mode=0o640)
    create_private(path)
    assert mode(path) == 0o640
    write_private(path, b"2", mode_of(path))
    assert (path.read_bytes(), mode(path)) == (b"2", 0o640)
    write_private(path, b"3")
    assert (path.read_bytes(), mode(path)) == (b"3", 0o600)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write_private(tmp_path / "a", b"1")
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_a_photo_that_finds_no_room_ends_the_run_and_not_only_its_member(tmp_path: Path) -> None:
    folder = TempFolder(tmp_path / "temp")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(NotWritable) as caught:
            folder.write("A1", b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(caught.value) == f"No se puede escribir en {tmp_path / 'temp'}: no queda espacio en el disco"
    assert (caught.value.advice, caught.value.exit_code) == (MAKE_ROOM, 3)
    folder.close()
    assert list((tmp_path / "temp").iterdir()) == []


def test_a_folder_that_is_gone_ends_the_run(tmp_path: Path) -> None:
    folder = TempFolder(tmp_path / "temp")
    for path in (tmp_path / "temp").iterdir():
        path.unlink()
    (tmp_path / "temp").rmdir()
    with pytest.raises(NotWritable, match="ya no existe"):
        folder.write("A1", b"x")
    folder.close()


def test_the_digest_is_the_content_s_sha_256(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
