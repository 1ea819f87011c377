"""An export takes the place of the one before at once, for readers of every kind, or changes nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from filelock import FileLock

from app.errors import NotWritable
from app.recognition.export.publication import publish
from tests.support.exports import documented_readers, export, make_contents, read_whole

DESCRIPTION = {"crew_ids": ["a"], "names": ["Ana"], "members": 1}


def put(target: Path, data: bytes) -> str:
    """Publish these bytes; return the name of their file."""
    return publish(target, lambda file: file.write(data), DESCRIPTION).file.name


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_manifest_leads_to_the_data(tmp_path: Path) -> None:
    before = time.time()
    published = export(tmp_path / "g.npy", make_contents(7))
    manifest = json.loads((tmp_path / "g.npy.json").read_text(encoding="utf-8"))
    assert names(tmp_path) == {".g.npy.lock", "g.npy", "g.npy.json", published.file.name}
    assert published.file.name == f"g.{published.sha256[:16]}.npy"
    assert (published.file.read_bytes(), published.unchanged) == ((tmp_path / "g.npy").read_bytes(), False)
    assert {name: manifest[name] for name in ("file", "size_bytes", "sha256", "created")} == {
        "file": published.file.name,
        "size_bytes": 128 + 7 * 16 * 4,
        "sha256": published.sha256,
        "created": published.created,
    }
    assert published.created.endswith("+00:00")
    assert abs(time.mktime(time.strptime(published.created, "%Y-%m-%dT%H:%M:%S+00:00")) - before) < 24 * 3600
    assert read_whole(tmp_path / "g.npy") == [f"P{number}" for number in range(7)]


def test_a_folder_that_nobody_can_write_to_is_no_other_export_to_wait_for() -> None:
    with pytest.raises(OSError, match="proc"):
        put(Path("/proc/g.npy"), b"x")


def test_the_same_gallery_changes_no_file(tmp_path: Path) -> None:
    target = tmp_path / "g.npz"
    first = export(target, make_contents(7))
    before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    time.sleep(1.1)  # `created` is in whole seconds
    again = export(target, make_contents(7))
    assert (again.unchanged, again.created, again.sha256) == (True, first.created, first.sha256)
    after = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert {**after, ".g.npz.lock": 0} == {**before, ".g.npz.lock": 0}


def test_another_threshold_or_name_is_another_manifest_of_the_same_data(tmp_path: Path) -> None:
    name = put(tmp_path / "g.npy", b"one")
    renamed = publish(tmp_path / "g.npy", lambda file: file.write(b"one"), DESCRIPTION | {"names": ["Eva"]})
    assert (renamed.file.name, renamed.unchanged) == (name, False)
    assert json.loads((tmp_path / "g.npy.json").read_bytes())["names"] == ["Eva"]


def test_the_version_before_stays_and_older_ones_go(tmp_path: Path) -> None:
    target = tmp_path / "g.npy"
    (tmp_path / "g.2025.npy").write_bytes(b"mine")
    first, second = put(target, b"one"), put(target, b"two")
    usual = {".g.npy.lock", "g.npy", "g.npy.json", "g.2025.npy"}
    assert names(tmp_path) == usual | {first, second}
    third = put(target, b"three")
    assert names(tmp_path) == usual | {second, third}
    put(target, b"three")
    assert names(tmp_path) == usual | {third}
    assert target.read_bytes() == b"three"


def test_a_mapped_reader_is_not_disturbed(tmp_path: Path) -> None:
    target = tmp_path / "g.npy"
    export(target, make_contents(5000, seed=1))
    by_name, reader = np.load(target, mmap_mode="r"), documented_readers().Galeria(target)
    reader.abrir()
    mapped, expected = reader.vectores, np.array(by_name)
    for seed in (2, 3, 4):
        export(target, make_contents(10, seed=seed, prefix=f"{seed}-"))
    np.testing.assert_array_equal(mapped, expected)
    np.testing.assert_array_equal(by_name, expected)
    assert reader.quien_es(np.ones(16))[0][0].startswith("4-")
    assert reader.vectores.shape == (10, 16)


def test_a_reader_of_an_outdated_manifest_reads_it_again(tmp_path: Path) -> None:
    target = tmp_path / "g.npy"
    export(target, make_contents(5))
    reader = documented_readers().Galeria(target)
    stale = (tmp_path / "g.npy.json").read_text(encoding="utf-8")
    for seed in (2, 3):
        export(target, make_contents(5, seed=seed, prefix=f"{seed}-"))

    readings = [stale]

    class Late:
        """The manifest's path, whose first reading took so long that two versions were published."""

        def read_text(self, encoding: str) -> str:
            return readings.pop() if readings else (tmp_path / "g.npy.json").read_text(encoding=encoding)

        def __getattr__(self, name: str) -> object:
            return getattr(tmp_path / "g.npy.json", name)

    reader.manifiesto = Late()
    assert reader.quien_es(np.ones(16))[0][0].startswith("3-")


def test_a_reader_whose_file_is_gone_for_good_says_so(tmp_path: Path) -> None:
    published = export(tmp_path / "g.npy", make_contents(5))
    published.file.unlink()
    with pytest.raises(FileNotFoundError):
        documented_readers().Galeria(tmp_path / "g.npy").quien_es(np.ones(16))


def test_a_reader_refuses_the_vectors_of_another_model(tmp_path: Path) -> None:
    export(tmp_path / "g.npy", make_contents(5))
    with pytest.raises(ValueError, match="la galería es de Facenet512"):
        documented_readers().Galeria(tmp_path / "g.npy", "Dlib").quien_es(np.ones(16))


def test_what_fails_in_the_middle_leaves_everything_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "g.npy"
    put(target, b"one")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        publish(target, fail, DESCRIPTION)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_are_their_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        put(tmp_path / "g.npy", b"one")
        put(tmp_path / "g.npy", b"two")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(("given", "kept"), [(0o640, 0o640), (0o644, 0o640), (0o666, 0o640), (0o400, 0o600)])
def test_a_group_that_may_read_it_may_go_on_but_nobody_else(given: int, kept: int, tmp_path: Path) -> None:
    put(tmp_path / "g.npy", b"one")
    for path in tmp_path.glob("g.*"):
        path.chmod(given)
    name = put(tmp_path / "g.npy", b"two")
    modes = [(tmp_path / each).stat().st_mode & 0o777 for each in (name, "g.npy", "g.npy.json")]
    assert modes == [kept] * 3


def test_what_a_killed_export_left_is_cleared_away(tmp_path: Path) -> None:
    target = tmp_path / "g[1].npy"
    others = {".g1.npy.x.part", "g[1].part", ".g[1].npy.tmp"}
    for name in (".g[1].npy.abc.part", *others):
        (tmp_path / name).write_bytes(b"half")
    version = put(target, b"one")
    assert names(tmp_path) == others | {".g[1].npy.lock", "g[1].npy", "g[1].npy.json", version}


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b'"a"', b"{}", b'{"file": 7}', b"\xff"])
def test_a_manifest_that_is_none_is_replaced(manifest: bytes, tmp_path: Path) -> None:
    (tmp_path / "g.npy.json").write_bytes(manifest)
    put(tmp_path / "g.npy", b"one")
    assert json.loads((tmp_path / "g.npy.json").read_bytes())["crew_ids"] == ["a"]


def test_data_that_somebody_wrote_over_is_written_again(tmp_path: Path) -> None:
    """DeepFace does so in place, when it is called with refresh_database=True."""
    target = tmp_path / "g.npz"
    name = put(target, b"one")
    target.write_bytes(b"emptied")
    assert (tmp_path / name).read_bytes() == b"emptied"
    assert put(target, b"one") == name
    assert (target.read_bytes(), (tmp_path / name).read_bytes()) == (b"one", b"one")


def test_a_file_system_without_hard_links_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    def copy(source: Path, copied: Path) -> None:
        assert copied.stat().st_mode & 0o777 == 0o600
        copied.write_bytes(source.read_bytes())

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copyfile", copy)
    first, second = put(tmp_path / "g.npy", b"one"), put(tmp_path / "g.npy", b"two")
    assert (tmp_path / "g.npy").read_bytes() == (tmp_path / second).read_bytes() == b"two"
    assert (tmp_path / "g.npy").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == {".g.npy.lock", "g.npy", "g.npy.json", first, second}


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "else").write_bytes(b"untouched")
    (tmp_path / "g.npy").symlink_to(tmp_path / "else")
    put(tmp_path / "g.npy", b"one")
    assert ((tmp_path / "else").read_bytes(), (tmp_path / "g.npy").is_symlink()) == (b"untouched", False)


def test_two_exports_of_one_file_do_not_mix(tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".g.npy.lock"),
        pytest.raises(NotWritable, match="Otra exportación está escribiendo") as caught,
    ):
        publish(tmp_path / "g.npy", lambda _: None, DESCRIPTION, wait_s=0.1)
    assert (caught.value.exit_code, names(tmp_path) - {".g.npy.lock"}) == (3, set())
