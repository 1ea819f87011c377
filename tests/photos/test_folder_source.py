"""Photos in a folder."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from unicodedata import normalize

import pytest

from app.core.config import PhotoSettings
from app.errors import BadName, OversizedPhoto, PhotoNotFound, PhotoUnavailable
from app.photos.folder_source import FolderSource
from app.photos.temp_folder import TempFolder
from app.photos.urls import photo_url
from app.records import (
    ANSWER_CHANGED,
    ANSWER_GONE,
    ANSWER_SAME,
    ANSWER_UNKNOWN,
    ANSWER_UNREACHABLE,
    Answer,
    CrewMember,
    Photo,
    Version,
)
from tests.photos.test_urls import NAMES, REFUSED

Form = Literal["NFC", "NFD"]
FORMS: tuple[Form, ...] = ("NFC", "NFD")
PHOTO = bytes(range(256)) * 100
SHA256 = hashlib.sha256(PHOTO).hexdigest()


def folder_source(base_url: str, max_mb: float = 1.0) -> FolderSource:
    return FolderSource(PhotoSettings(IMAGE_BASE_URL=base_url, MAX_PHOTO_MB=max_mb))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "fotos de año #1 100%"
    (folder / "789123").mkdir(parents=True)
    return folder


@pytest.fixture
def temp(tmp_path: Path) -> Iterator[TempFolder]:
    folder = TempFolder(tmp_path / "temp_uploads")
    yield folder
    folder.close()


@pytest.mark.parametrize(("name", "encoded"), NAMES)
def test_a_photo_in_a_folder_is_not_copied(folder: Path, name: str, encoded: str, temp: TempFolder) -> None:
    (folder / "789123" / name).write_bytes(PHOTO)
    member = CrewMember("789123", name)
    file = folder / "789123" / name
    os.utime(file, ns=(0, 1_700_000_000_123_456_789))
    photo = folder_source(folder.as_uri()).fetch(member, temp)
    assert photo == Photo(
        *(member, f"{folder.as_uri()}/789123/{encoded}", file),
        temporary=False,
        sha256=SHA256,
        version=Version("", "1700000000123456789", len(PHOTO)),
    )


@pytest.mark.parametrize("member", [("789123", "a.jpg"), ("7", "a.jpg"), ("foto.jpg", "a.jpg"), ("789123", "a" * 999)])
def test_a_photo_that_is_not_in_the_folder_is_not_found(
    folder: Path, member: tuple[str, str], temp: TempFolder
) -> None:
    (folder / "foto.jpg").write_bytes(PHOTO)
    source = folder_source(folder.as_uri())
    with pytest.raises(PhotoNotFound) as caught:
        source.fetch(CrewMember(*member), temp)
    assert caught.value.detail == f"no existe {folder.joinpath(*member)}"
    assert source.check(CrewMember(*member), Version()) == Answer(ANSWER_GONE)


def test_a_folder_of_the_photo_s_name_is_not_found(folder: Path, temp: TempFolder) -> None:
    source = folder_source(folder.parent.as_uri())
    with pytest.raises(PhotoNotFound):
        source.fetch(CrewMember(folder.name, "789123"), temp)
    assert source.check(CrewMember(folder.name, "789123"), Version()) == Answer(ANSWER_GONE)


def test_a_file_that_cannot_be_read_is_not_available(temp: TempFolder) -> None:
    """Linux lets no process read the beginning of /proc/self/mem."""
    with pytest.raises(PhotoUnavailable) as caught:
        folder_source("file:///proc").fetch(CrewMember("self", "mem"), temp)
    assert caught.value.detail == "no se puede leer el archivo: el disco falla"


def test_a_photo_in_a_folder_without_permission_is_not_available(
    folder: Path, monkeypatch: pytest.MonkeyPatch, temp: TempFolder
) -> None:
    """Root may open any folder, so the test raises the system's error itself."""

    def refuse(path: Path, **_: bool) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    source, member = folder_source(folder.as_uri()), CrewMember("789123", "a.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refuse)
        answer = source.check(member, Version())
        with pytest.raises(PhotoUnavailable) as caught:
            source.fetch(member, temp)
    assert answer == Answer(ANSWER_UNREACHABLE)
    assert caught.value.detail == "no se puede leer el archivo: no hay permiso"


def test_a_large_photo_has_the_sha_256_of_all_of_it(folder: Path, temp: TempFolder) -> None:
    content = PHOTO * 33
    (folder / "789123" / "a.jpg").write_bytes(content)
    photo = folder_source(folder.as_uri()).fetch(CrewMember("789123", "a.jpg"), temp)
    assert photo.sha256 == hashlib.sha256(content).hexdigest()


def test_a_photo_in_a_folder_is_the_same_while_its_time_and_size_are(folder: Path, temp: TempFolder) -> None:
    file, member = folder / "789123" / "a.jpg", CrewMember("789123", "a.jpg")
    file.write_bytes(PHOTO)
    source = folder_source(folder.as_uri())
    version = source.fetch(member, temp).version
    modified_ns = file.stat().st_mtime_ns
    answers = [source.check(member, version)]
    os.utime(file, ns=(0, modified_ns + 1000))
    answers += [source.check(member, version)]
    file.write_bytes(PHOTO + b"x")
    os.utime(file, ns=(0, modified_ns))
    answers += [source.check(member, version)]
    file.unlink()
    answers += [source.check(member, version)]
    assert answers == [
        Answer(ANSWER_SAME, Version("", str(modified_ns), len(PHOTO))),
        Answer(ANSWER_CHANGED, Version("", str(modified_ns + 1000), len(PHOTO))),
        Answer(ANSWER_CHANGED, Version("", str(modified_ns), len(PHOTO) + 1)),
        Answer(ANSWER_GONE),
    ]


def test_a_check_without_a_remembered_version_returns_the_current_one(folder: Path, temp: TempFolder) -> None:
    (folder / "789123" / "a.jpg").write_bytes(PHOTO)
    source, member = folder_source(folder.as_uri()), CrewMember("789123", "a.jpg")
    assert source.check(member, Version()) == Answer(ANSWER_UNKNOWN, source.fetch(member, temp).version)


def test_a_photo_that_weighs_too_much_is_refused_and_one_at_the_limit_is_not(folder: Path, temp: TempFolder) -> None:
    source = folder_source(folder.as_uri(), 1.5)
    for name, size in (("a.jpg", 1_500_000), ("b.jpg", 1_500_001)):
        (folder / "789123" / name).write_bytes(bytes(size))
    assert source.fetch(CrewMember("789123", "a.jpg"), temp).path == folder / "789123" / "a.jpg"
    with pytest.raises(OversizedPhoto) as caught:
        source.fetch(CrewMember("789123", "b.jpg"), temp)
    assert caught.value.detail == "pesa más de 1.5 MB"


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_outside_the_folder_is_read(folder: Path, name: str, temp: TempFolder) -> None:
    (folder.parent / "a.jpg").write_bytes(PHOTO)
    source = folder_source(folder.as_uri())
    for member in (CrewMember("789123", name), CrewMember(name, "a.jpg")):
        with pytest.raises(BadName):
            source.fetch(member, temp)
        with pytest.raises(BadName):
            source.check(member, Version())


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_a_name_with_accents_is_found_however_it_was_copied(
    folder: Path, temp: TempFolder, written: Form, stored: Form
) -> None:
    member = CrewMember("789123", normalize(written, "peña ü.jpg"))
    file = folder / "789123" / normalize(stored, "peña ü.jpg")
    file.write_bytes(PHOTO)
    source = folder_source(folder.as_uri())
    photo = source.fetch(member, temp)
    assert (photo.path, photo.url) == (file, photo_url(folder.as_uri(), member))
    assert source.check(member, photo.version).kind == ANSWER_SAME


def test_a_photo_under_the_name_as_written_comes_first(folder: Path, temp: TempFolder) -> None:
    for form in FORMS:
        (folder / "789123" / normalize(form, "ñ.jpg")).write_bytes(form.encode())
    for form in FORMS:
        photo = folder_source(folder.as_uri()).fetch(CrewMember("789123", normalize(form, "ñ.jpg")), temp)
        assert photo.path.read_bytes() == form.encode()
