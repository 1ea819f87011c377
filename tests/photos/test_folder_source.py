from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import BadName, OversizedPhoto, PhotoNotFound, PhotoUnavailable
from app.photos.folder_source import FetchOptions, FolderSource, compare, photo_url
from app.photos.temp_folder import TempFolder
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

PHOTO = bytes(range(256)) * 100
SHA256 = hashlib.sha256(PHOTO).hexdigest()

# Names as rosters have them, and how they go into an address.
NAMES = [
    ("FAED(1).jpg", "FAED%281%29.jpg"),
    ("foto de Ana.jpg", "foto%20de%20Ana.jpg"),
    ("ñandú.JPG", "%C3%B1and%C3%BA.JPG"),
    ("100%.jpg", "100%25.jpg"),
    ("a%2Fb.jpg", "a%252Fb.jpg"),
    ("#1.jpg", "%231.jpg"),
    ("quién?.jpg", "qui%C3%A9n%3F.jpg"),
    ("a&b=c+d;e.jpg", "a%26b%3Dc%2Bd%3Be.jpg"),
    ("a:b@c.jpg", "a%3Ab%40c.jpg"),
    ("..a.jpg", "..a.jpg"),
    ("%2e%2e", "%252e%252e"),
    ("~a_b-c.jpg", "~a_b-c.jpg"),
    ("Captura 10.30\u202fa.m.jpg", "Captura%2010.30%E2%80%AFa.m.jpg"),  # as a Mac names them
    ("pen\u0303a.jpg", "pen%CC%83a.jpg"),  # an ñ in two characters, likewise
]
REFUSED = ["", ".", "..", "/", "a/b.jpg", "../a.jpg", "..\\a.jpg", "a\nb.jpg", "a\x00.jpg", "a\x7f.jpg", "a\u2028b.jpg"]


def options(base_url: str, **values: object) -> FetchOptions:
    defaults: dict[str, object] = {
        **{"connect_timeout_s": 2.0, "read_timeout_s": 5.0, "total_timeout_s": 30.0},
        **{"attempts": 3, "threads": 2, "max_bytes": 1_000_000},
    }
    return FetchOptions(base_url, **defaults | values)  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(("name", "encoded"), NAMES)
def test_each_name_is_one_encoded_segment(name: str, encoded: str) -> None:
    base = "https://fotos.example/img/Cultura"
    assert photo_url(base, CrewMember("789123", name)) == f"{base}/789123/{encoded}"
    assert photo_url(base, CrewMember(name, "a.jpg")) == f"{base}/{encoded}/a.jpg"


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_is_more_or_less_than_a_segment_is_refused(name: str) -> None:
    for member in (CrewMember("789123", name), CrewMember(name, "a.jpg")):
        with pytest.raises(BadName, match=r"^«"):
            photo_url("https://fotos.example", member)


@pytest.mark.parametrize(
    ("base", "stored"),
    [
        ("http://ana:S3creta@h:8080/img", "http://h:8080/img/7/a.jpg"),
        ("http://ana@h/img", "http://h/img/7/a.jpg"),
        ("http://ana:p%40s@h", "http://h/7/a.jpg"),
        ("http://h/a@b", "http://h/a@b/7/a.jpg"),
        ("file:///fotos", "file:///fotos/7/a.jpg"),
    ],
)
def test_the_address_that_is_stored_has_no_credentials(base: str, stored: str) -> None:
    assert photo_url(base, CrewMember("7", "a.jpg")) == stored


# ---------------------------------------------------------------------------------------------------- versions

MONDAY, TUESDAY = "Mon, 05 Jan 2026 10:00:00 GMT", "Tue, 06 Jan 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("said", "seen", "kind"),
    [
        (Version('"a"'), Version('"a"'), ANSWER_SAME),
        (Version('"a"'), Version('"b"'), ANSWER_CHANGED),
        (Version('W/"a"'), Version('"a"'), ANSWER_SAME),
        (Version('"a"'), Version('W/"a"'), ANSWER_SAME),
        (Version('W/"a"'), Version('W/"b"'), ANSWER_CHANGED),
        (Version('"a"', TUESDAY, 8), Version('"a"', MONDAY, 7), ANSWER_SAME),
        (Version('"a"', MONDAY, 7), Version('"b"', MONDAY, 7), ANSWER_CHANGED),
        (Version("", MONDAY), Version("", MONDAY), ANSWER_SAME),
        (Version("", MONDAY), Version("", TUESDAY), ANSWER_CHANGED),
        (Version('"a"', MONDAY), Version("", MONDAY), ANSWER_SAME),
        (Version("", MONDAY), Version('"a"', TUESDAY), ANSWER_CHANGED),
        (Version("", MONDAY, 7), Version("", MONDAY, 7), ANSWER_SAME),
        (Version("", MONDAY, 7), Version("", MONDAY, 8), ANSWER_CHANGED),
        (Version("", MONDAY, 7), Version("", MONDAY), ANSWER_SAME),
        (Version("", MONDAY), Version("", MONDAY, 7), ANSWER_SAME),
        (Version("", TUESDAY, 7), Version("", MONDAY, 7), ANSWER_CHANGED),
        (Version("", "", 7), Version("", "", 7), ANSWER_SAME),
        (Version("", "", 0), Version("", "", 0), ANSWER_SAME),
        (Version("", "", 0), Version("", "", 7), ANSWER_CHANGED),
        (Version('"a"', "", 7), Version("", MONDAY, 7), ANSWER_SAME),
        (Version('"a"', MONDAY, 7), Version("", "", 8), ANSWER_CHANGED),
        (Version('"a"', "", None), Version("", MONDAY, 7), ANSWER_UNKNOWN),
        (Version("", "", 7), Version(), ANSWER_UNKNOWN),
        (Version(), Version(), ANSWER_UNKNOWN),
    ],
)
def test_of_what_both_know_the_surest_decides(said: Version, seen: Version, kind: str) -> None:
    assert compare(said, seen) == kind


# -------------------------------------------------------------------------------------------------------- folder


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
def test_a_photo_in_a_folder_is_taken_where_it_is(folder: Path, name: str, encoded: str, temp: TempFolder) -> None:
    (folder / "789123" / name).write_bytes(PHOTO)
    member = CrewMember("789123", name)
    file = folder / "789123" / name
    os.utime(file, ns=(0, 1_700_000_000_123_456_789))
    photo = FolderSource(options(folder.as_uri())).fetch(member, temp)
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
    source = FolderSource(options(folder.as_uri()))
    with pytest.raises(PhotoNotFound) as caught:
        source.fetch(CrewMember(*member), temp)
    assert caught.value.detail == f"no existe {folder.joinpath(*member)}"
    assert source.check(CrewMember(*member), Version()) == Answer(ANSWER_GONE)


def test_a_folder_is_no_photo(folder: Path, temp: TempFolder) -> None:
    source = FolderSource(options(folder.parent.as_uri()))
    with pytest.raises(PhotoNotFound):
        source.fetch(CrewMember(folder.name, "789123"), temp)
    assert source.check(CrewMember(folder.name, "789123"), Version()) == Answer(ANSWER_GONE)


def test_a_file_that_cannot_be_read_is_not_available(temp: TempFolder) -> None:
    """This one belongs to the system, and nobody can read its beginning."""
    with pytest.raises(PhotoUnavailable) as caught:
        FolderSource(options("file:///proc")).fetch(CrewMember("self", "mem"), temp)
    assert caught.value.detail == f"no se puede leer el archivo: {os.strerror(errno.EIO)}"


def test_a_folder_that_cannot_be_looked_into_is_not_available(
    folder: Path, monkeypatch: pytest.MonkeyPatch, temp: TempFolder
) -> None:
    """Root may look into any, so the system's refusal is made up."""

    def refuse(path: Path, **_: bool) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    source, member = FolderSource(options(folder.as_uri())), CrewMember("789123", "a.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", refuse)
        answer = source.check(member, Version())
        with pytest.raises(PhotoUnavailable) as caught:
            source.fetch(member, temp)
    assert answer == Answer(ANSWER_UNREACHABLE)
    assert caught.value.detail == f"no se puede leer el archivo: {os.strerror(errno.EACCES)}"


def test_a_large_photo_has_the_checksum_of_all_of_it(folder: Path, temp: TempFolder) -> None:
    content = PHOTO * 33  # some pieces and a bit
    (folder / "789123" / "a.jpg").write_bytes(content)
    photo = FolderSource(options(folder.as_uri())).fetch(CrewMember("789123", "a.jpg"), temp)
    assert photo.sha256 == hashlib.sha256(content).hexdigest()


def test_a_photo_in_a_folder_is_the_same_as_long_as_its_time_and_size_are(folder: Path, temp: TempFolder) -> None:
    file, member = folder / "789123" / "a.jpg", CrewMember("789123", "a.jpg")
    file.write_bytes(PHOTO)
    source = FolderSource(options(folder.as_uri()))
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


def test_of_a_photo_of_which_nothing_is_remembered_its_version_is_told(folder: Path, temp: TempFolder) -> None:
    (folder / "789123" / "a.jpg").write_bytes(PHOTO)
    source, member = FolderSource(options(folder.as_uri())), CrewMember("789123", "a.jpg")
    assert source.check(member, Version()) == Answer(ANSWER_UNKNOWN, source.fetch(member, temp).version)


@pytest.mark.parametrize(
    ("answer", "says_something"),
    [
        (Answer(ANSWER_SAME), True),
        (Answer(ANSWER_UNKNOWN, Version("", "", 7)), True),
        (Answer(ANSWER_UNKNOWN), True),  # it is there
        (Answer(ANSWER_CHANGED, Version('"a"')), False),
        (Answer(ANSWER_GONE), False),
        (Answer(ANSWER_UNREACHABLE), False),
    ],
)
def test_an_answer_counts_as_a_check_when_nothing_speaks_against_the_photo_s_being_the_same(
    answer: Answer, says_something: bool
) -> None:
    assert answer.says_something is says_something


def test_a_photo_that_weighs_too_much_is_refused_and_one_at_the_limit_is_not(folder: Path, temp: TempFolder) -> None:
    source = FolderSource(options(folder.as_uri(), max_bytes=1_500_000))
    for name, size in (("a.jpg", 1_500_000), ("b.jpg", 1_500_001)):
        (folder / "789123" / name).write_bytes(bytes(size))
    assert source.fetch(CrewMember("789123", "a.jpg"), temp).path == folder / "789123" / "a.jpg"
    with pytest.raises(OversizedPhoto) as caught:
        source.fetch(CrewMember("789123", "b.jpg"), temp)
    assert caught.value.detail == "pesa más de 1.5 MB"


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_outside_the_folder_is_read(folder: Path, name: str, temp: TempFolder) -> None:
    (folder.parent / "a.jpg").write_bytes(PHOTO)
    source = FolderSource(options(folder.as_uri()))
    for member in (CrewMember("789123", name), CrewMember(name, "a.jpg")):
        with pytest.raises(BadName):
            source.fetch(member, temp)
        with pytest.raises(BadName):
            source.check(member, Version())


def test_two_spellings_of_a_letter_are_two_names(folder: Path, temp: TempFolder) -> None:
    """The roster's spelling is the file's: nobody's name is corrected."""
    (folder / "789123" / "pen\u0303a.jpg").write_bytes(PHOTO)
    with pytest.raises(PhotoNotFound):
        FolderSource(options(folder.as_uri())).fetch(CrewMember("789123", "pe\u00f1a.jpg"), temp)
