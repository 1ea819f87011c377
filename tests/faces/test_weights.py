"""Test finding, downloading and checking weights files."""

import bz2
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from app.core.files import sha256_of
from app.errors import Interrupted, SettingsError, WeightsUnavailable
from app.faces.weights import USUAL, WeightsFile, WeightsStore, ask_client, describe_weights
from tests.support.webserver import PhotoServer

CONTENT = b"weights" * 1000


def accept(path: Path) -> None:
    assert path.read_bytes() == CONTENT


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    return tmp_path / ".deepface" / "weights"


@pytest.fixture
def server(web: PhotoServer) -> PhotoServer:
    web.photos |= {"net.onnx": CONTENT, "packed.dat.bz2": bz2.compress(CONTENT), "wrong.onnx": b"something else"}
    return web


def file_on(server: PhotoServer, name: str = "net.onnx", *others: str) -> WeightsFile:
    addresses = tuple(f"{server.base_url}/{address}" for address in (name, *others))
    return WeightsFile("Net", name.removesuffix(".bz2"), addresses)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_missing_file_is_downloaded_checked_and_its_hash_recorded(server: PhotoServer, home: Path) -> None:
    path = WeightsStore().ensure(file_on(server), accept)
    assert path.read_bytes() == CONTENT
    assert (home / "net.onnx.sha256").read_text() == sha256_of(path)
    assert names(home) == ["net.onnx", "net.onnx.sha256"]


def test_an_existing_file_is_used_without_a_request(server: PhotoServer, home: Path) -> None:
    home.mkdir(parents=True)
    (home / "net.onnx").write_bytes(CONTENT)
    WeightsStore().ensure(file_on(server), accept)
    assert server.requests == []
    assert names(home) == ["net.onnx", "net.onnx.sha256"]


def test_a_file_that_changed_after_its_check_is_refused(server: PhotoServer, home: Path) -> None:
    store = WeightsStore()
    path = store.ensure(file_on(server), accept)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsUnavailable) as refused:
        store.ensure(file_on(server), accept)
    assert str(path) in str(refused.value)


def test_verifying_checks_the_file_and_writes_nothing(server: PhotoServer, home: Path) -> None:
    home.mkdir(parents=True)
    (home / "net.onnx").write_bytes(CONTENT)
    store = WeightsStore()
    assert store.verify(file_on(server), accept) == home / "net.onnx"
    assert names(home) == ["net.onnx"]
    with pytest.raises(WeightsUnavailable, match="dañado"):
        store.verify(file_on(server), lambda path: accept(path.with_name("nothing")))
    (home / "net.onnx.sha256").write_text("0" * 64)
    with pytest.raises(WeightsUnavailable, match="cambió"):
        store.verify(file_on(server), accept)
    assert server.requests == []


def test_a_packed_file_is_unpacked(server: PhotoServer, home: Path) -> None:
    WeightsStore().ensure(file_on(server, "packed.dat.bz2"), accept)
    assert names(home) == ["packed.dat", "packed.dat.sha256"]


@pytest.mark.parametrize("first", ["truncated/net.onnx", "404/net.onnx", "wrong.onnx"])
def test_the_next_address_is_tried_when_one_fails(server: PhotoServer, home: Path, first: str) -> None:
    file = WeightsFile("Net", "net.onnx", (f"{server.base_url}/{first}", f"{server.base_url}/net.onnx"))
    assert WeightsStore().ensure(file, accept).read_bytes() == CONTENT


@pytest.mark.parametrize("only", ["truncated/net.onnx", "404/net.onnx", "wrong.onnx"])
def test_a_failed_download_leaves_nothing_and_says_where_to_put_the_file(
    server: PhotoServer, home: Path, only: str
) -> None:
    file = WeightsFile("Facenet512", "net.onnx", (f"{server.base_url}/{only}",))
    with pytest.raises(WeightsUnavailable) as failed:
        WeightsStore().ensure(file, accept)
    assert names(home) == []
    assert f"{server.base_url}/{only}" in str(failed.value)
    assert "94 MB" in str(failed.value)
    assert str(home / "net.onnx") in failed.value.advice


def test_the_mirror_is_tried_first(server: PhotoServer, home: Path) -> None:
    file = WeightsFile("Net", "net.onnx", ("http://127.0.0.1:9/net.onnx",))
    WeightsStore(mirror=server.base_url).ensure(file, accept)
    assert server.count("/net.onnx") == 1


def test_a_token_of_the_mirror_goes_behind_the_file_s_name_and_is_not_shown(
    server: PhotoServer, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = WeightsFile("Net", "net.onnx", ("http://127.0.0.1:9/net.onnx",))
    WeightsStore(mirror=f"{server.base_url}/?sig=S3creta").ensure(file, accept)
    assert server.requests == ["/net.onnx?sig=S3creta"]
    (home / "net.onnx").unlink()
    with pytest.raises(WeightsUnavailable) as failed:
        WeightsStore(mirror="http://127.0.0.1:9/?sig=S3creta").ensure(file, accept)
    assert "S3creta" not in f"{failed.value} {caplog.text}"


def test_a_dead_proxy_is_named_beside_the_address(
    server: PhotoServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HTTP_PROXY", "http://ana:S3creta@127.0.0.1:9")
    with pytest.raises(WeightsUnavailable) as failed:
        WeightsStore().ensure(file_on(server), accept)
    assert str(failed.value).endswith(f"{server.base_url}/net.onnx (por el proxy 127.0.0.1:9, de HTTP_PROXY)")
    monkeypatch.setenv("HTTP_PROXY", "socks://127.0.0.1:9")
    with pytest.raises(SettingsError, match="No se puede usar el proxy que nombra HTTP_PROXY"):
        WeightsStore().ensure(file_on(server), accept)


def test_the_mirror_may_be_a_folder(home: Path, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(CONTENT)
    file = WeightsFile("Net", "net.onnx", ("http://127.0.0.1:9/net.onnx",))
    assert WeightsStore(mirror=tmp_path.as_uri()).ensure(file, accept).read_bytes() == CONTENT


def test_progress_is_reported_up_to_the_end(server: PhotoServer) -> None:
    seen: list[tuple[str, int, int]] = []
    WeightsStore(progress=lambda *step: seen.append(step)).ensure(file_on(server), accept)
    assert seen[-1] == ("net.onnx", len(CONTENT), len(CONTENT))


def test_of_several_who_miss_the_file_at_the_same_time_one_downloads_it(server: PhotoServer, home: Path) -> None:
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(WeightsStore().ensure(file_on(server), accept))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() for path in paths] == [CONTENT] * 4
    assert len(server.requests) == 1
    assert names(home) == ["net.onnx", "net.onnx.sha256"]


def test_a_run_that_waits_for_another_one_s_download_can_be_stopped(server: PhotoServer, home: Path) -> None:
    stop = threading.Event()
    folder = WeightsStore().folder
    folder.mkdir(parents=True)
    with FileLock(folder / ".net.onnx.lock"), pytest.raises(Interrupted):
        threading.Timer(0.1, stop.set).start()
        WeightsStore(stop=stop).ensure(file_on(server), accept)
    assert server.requests == []


def test_the_addresses_are_those_of_deepface() -> None:
    assert describe_weights("Facenet512") == USUAL == ask_client("Facenet512")
    dlib = describe_weights("Dlib")
    assert dlib is not None
    assert (dlib.name, dlib.packed) == ("dlib_face_recognition_resnet_model_v1.dat", True)
