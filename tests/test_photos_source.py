from __future__ import annotations

import stat
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest

from app.errors import BadName, ItemError, OversizedPhoto, PhotoNotFound, PhotoUnavailable, TruncatedDownload
from app.photos.source import FetchOptions, FolderSource, HttpSource, photo_url
from app.photos.tempfiles import TempFolder
from app.records import CrewMember, Photo
from tests.waits import NotedWaits
from tests.webserver import PhotoServer, serving_photos

PHOTO = bytes(range(256)) * 100
Fetch = Callable[..., Photo]

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


@pytest.fixture
def temp(tmp_path: Path) -> Iterator[TempFolder]:
    folder = TempFolder(tmp_path / "temp_uploads")
    yield folder
    folder.close()


@pytest.fixture
def stop() -> NotedWaits:
    return NotedWaits()


@pytest.fixture
def fetch(web: PhotoServer, temp: TempFolder, stop: NotedWaits) -> Fetch:
    """Fetches `<crew_id>/foto.jpg`; the crew id says how the server behaves."""
    web.default_photo = PHOTO

    def fetch_one(crew_id: str, base_url: str = "", **values: object) -> Photo:
        source = HttpSource(options(base_url or web.base_url, **values), temp, stop)
        return source.fetch(CrewMember(crew_id, "foto.jpg"))

    return fetch_one


def failure(fetch: Fetch, crew_id: str, **values: object) -> tuple[type[ItemError], str]:
    with pytest.raises(ItemError) as caught:
        fetch(crew_id, **values)
    return type(caught.value), caught.value.detail


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


# ---------------------------------------------------------------------------------------------------------- HTTP


def test_a_photo_becomes_a_file_that_the_owner_alone_can_read(fetch: Fetch, web: PhotoServer) -> None:
    photo = fetch("ok")
    assert photo == Photo(CrewMember("ok", "foto.jpg"), f"{web.base_url}/ok/foto.jpg", photo.path, temporary=True)
    assert photo.path.read_bytes() == PHOTO
    assert (photo.path.name[:8], photo.path.suffix) == ("crew_ok_", ".jpg")
    assert stat.S_IMODE(photo.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(("name", "encoded"), NAMES)
def test_the_server_is_asked_for_the_encoded_name_and_finds_the_photo(
    web: PhotoServer, temp: TempFolder, name: str, encoded: str
) -> None:
    web.photos[f"img/789123/{name}"] = PHOTO
    source = HttpSource(options(f"{web.base_url}/img"), temp, threading.Event())
    assert source.fetch(CrewMember("789123", name)).path.read_bytes() == PHOTO
    assert web.requests == [f"/img/789123/{encoded}"]


def test_a_refused_name_is_never_asked_for(web: PhotoServer, temp: TempFolder) -> None:
    source = HttpSource(options(web.base_url), temp, threading.Event())
    for name in REFUSED:
        with pytest.raises(BadName):
            source.fetch(CrewMember("789123", name))
    assert web.requests == []


@pytest.mark.parametrize("route", ["gzip", "chunks", "moved", "empty", "html"])
def test_what_the_server_gives_in_whatever_way_is_what_the_file_holds(fetch: Fetch, route: str) -> None:
    """An empty file or a page is found out by its bytes, when it is decoded."""
    expected = {"empty": b"", "html": b"<!DOCTYPE html><html><body>Inicie la sesi\xc3\xb3n</body></html>"}
    assert fetch(route).path.read_bytes() == expected.get(route, PHOTO)


@pytest.mark.parametrize(
    ("route", "kind", "detail", "requests"),
    [
        ("404", PhotoNotFound, "el servidor respondió 404", 1),
        ("403", PhotoNotFound, "el servidor respondió 403", 1),
        ("401", PhotoNotFound, "el servidor respondió 401", 1),
        ("410", PhotoNotFound, "el servidor respondió 410", 1),
        ("418", PhotoUnavailable, "el servidor respondió 418", 1),
        ("500", PhotoUnavailable, "el servidor respondió 500", 3),
        ("503", PhotoUnavailable, "el servidor respondió 503", 3),
        ("reset", PhotoUnavailable, "no se pudo conectar, o se cortó la conexión", 3),
        ("truncated", TruncatedDownload, "la descarga llegó incompleta", 3),
        ("broken", PhotoUnavailable, "se cortó la conexión", 3),
        ("cut", TruncatedDownload, "la descarga llegó incompleta", 3),
        ("huge", OversizedPhoto, "pesa más de 1 MB", 1),
        ("garbled", PhotoUnavailable, "respuesta ilegible (DecodeError)", 1),
        ("loop", PhotoUnavailable, "más de 5 redirecciones", 6),
        ("badmove", PhotoUnavailable, "el servidor redirige a una dirección ilegible", 1),
    ],
)
def test_each_misbehaviour_has_its_error_and_only_passing_ones_are_tried_again(
    fetch: Fetch, web: PhotoServer, route: str, kind: type[ItemError], detail: str, requests: int
) -> None:
    assert failure(fetch, route) == (kind, detail)
    assert web.requests == [f"/{route}/foto.jpg"] * requests


def test_nothing_is_left_of_a_download_that_failed(fetch: Fetch, tmp_path: Path) -> None:
    for route in ("404", "truncated", "huge", "reset"):
        failure(fetch, route)
    assert list((tmp_path / "temp_uploads").glob("crew_*")) == []


def test_a_server_that_does_not_answer_in_time_is_tried_again(fetch: Fetch, web: PhotoServer) -> None:
    web.slow_s = 10.0
    detail = "el servidor tardó demasiado en responder"
    assert failure(fetch, "slow", read_timeout_s=0.1) == (PhotoUnavailable, detail)
    assert web.count("/slow/foto.jpg") == 3


def test_a_server_that_is_merely_slow_is_waited_for(fetch: Fetch, web: PhotoServer) -> None:
    web.slow_s = 0.2
    assert fetch("slow").path.read_bytes() == PHOTO
    assert web.count("/slow/foto.jpg") == 1


def test_a_server_that_drips_is_given_up_when_the_total_time_is_over(fetch: Fetch, web: PhotoServer) -> None:
    assert failure(fetch, "drip", total_timeout_s=0.3) == (PhotoUnavailable, "la descarga superó 0.3 segundos")
    assert web.count("/drip/foto.jpg") == 1


def test_stopping_the_run_ends_a_download_that_is_under_way(web: PhotoServer, temp: TempFolder) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    with pytest.raises(PhotoUnavailable, match="ejecución interrumpida"):
        HttpSource(options(web.base_url), temp, stop).fetch(CrewMember("drip", "foto.jpg"))
    timer.join()


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_a_server_that_is_not_there_is_unavailable(fetch: Fetch, stop: NotedWaits, base_url: str) -> None:
    detail = "no se pudo conectar, o se cortó la conexión"
    assert failure(fetch, "ok", base_url=base_url) == (PhotoUnavailable, detail)
    assert len(stop.waits) == 2


def test_a_server_that_recovers_gives_the_photo(fetch: Fetch, web: PhotoServer, stop: NotedWaits) -> None:
    assert fetch("flaky").path.read_bytes() == PHOTO
    assert web.count("/flaky/foto.jpg") == 3
    assert len(stop.waits) == 2


def test_a_busy_server_is_asked_again_when_it_said(fetch: Fetch, web: PhotoServer, stop: NotedWaits) -> None:
    web.retry_after = "7"
    assert fetch("busy").path.read_bytes() == PHOTO
    assert stop.waits == [7.0, 7.0]


def test_a_busy_server_may_say_it_as_a_date(fetch: Fetch, web: PhotoServer, stop: NotedWaits) -> None:
    web.retry_after = format_datetime(datetime.now(timezone.utc) + timedelta(minutes=10), usegmt=True)
    assert fetch("busy", total_timeout_s=3600.0).path.read_bytes() == PHOTO
    assert all(500 < wait <= 600 for wait in stop.waits)
    assert len(stop.waits) == 2


@pytest.mark.parametrize("value", ["mañana", "-5", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_time_that_makes_no_sense_or_is_over_is_no_reason_to_wait_long(
    fetch: Fetch, web: PhotoServer, stop: NotedWaits, value: str
) -> None:
    web.retry_after = value
    assert fetch("busy").path.read_bytes() == PHOTO
    assert all(0 <= wait <= 1 for wait in stop.waits)


def test_a_server_that_wants_more_than_the_total_time_is_given_up_at_once(
    fetch: Fetch, web: PhotoServer, stop: NotedWaits
) -> None:
    web.retry_after = "3600"
    assert failure(fetch, "busy") == (PhotoUnavailable, "el servidor respondió 429")
    assert (web.count("/busy/foto.jpg"), stop.waits) == (1, [])


def test_a_redirect_to_another_site_is_not_followed(fetch: Fetch, web: PhotoServer) -> None:
    with serving_photos() as other:
        web.redirect_target = f"{other.base_url}/ok/foto.jpg"
        assert failure(fetch, "elsewhere") == (PhotoUnavailable, "el servidor redirige a otro sitio")
        assert other.requests == []


@pytest.mark.parametrize("target", ["", "file:///etc/passwd", "https://127.0.0.1/a.jpg", "//otro.example/a.jpg"])
def test_a_redirect_to_nowhere_or_by_other_means_is_not_followed(fetch: Fetch, web: PhotoServer, target: str) -> None:
    web.redirect_target = target
    assert failure(fetch, "elsewhere") == (PhotoUnavailable, "el servidor redirige a otro sitio")


@pytest.mark.parametrize("route", ["ok", "moved", "elsewhere"])
def test_credentials_are_for_the_server_and_not_for_the_table(fetch: Fetch, web: PhotoServer, route: str) -> None:
    web.credentials = "ana:S3cr@ta"
    web.redirect_target = f"{web.base_url}/ok/foto.jpg"  # the same site, whole address
    base_url = web.base_url.replace("http://", "http://ana:S3cr%40ta@")
    photo = fetch(route, base_url=base_url)
    assert photo.path.read_bytes() == PHOTO
    assert photo.url == f"{web.base_url}/{route}/foto.jpg"
    assert failure(fetch, "ok") == (PhotoNotFound, "el servidor respondió 401")


def test_one_connection_serves_many_photos(web: PhotoServer, temp: TempFolder) -> None:
    web.default_photo = PHOTO
    source = HttpSource(options(web.base_url), temp, threading.Event())
    for _ in range(5):
        source.fetch(CrewMember("ok", "foto.jpg"))
    assert (len(web.requests), web.connections) == (5, 1)


# -------------------------------------------------------------------------------------------------------- folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "fotos de año #1 100%"
    (folder / "789123").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(("name", "encoded"), NAMES)
def test_a_photo_in_a_folder_is_taken_where_it_is(folder: Path, name: str, encoded: str) -> None:
    (folder / "789123" / name).write_bytes(PHOTO)
    member = CrewMember("789123", name)
    photo = FolderSource(options(folder.as_uri())).fetch(member)
    assert photo == Photo(member, f"{folder.as_uri()}/789123/{encoded}", folder / "789123" / name, temporary=False)


def test_a_photo_that_is_not_in_the_folder_is_not_found(folder: Path) -> None:
    with pytest.raises(PhotoNotFound) as caught:
        FolderSource(options(folder.as_uri())).fetch(CrewMember("789123", "a.jpg"))
    assert caught.value.detail == f"no existe {folder / '789123' / 'a.jpg'}"


def test_a_photo_that_weighs_too_much_is_refused_and_one_at_the_limit_is_not(folder: Path) -> None:
    source = FolderSource(options(folder.as_uri(), max_bytes=1_500_000))
    for name, size in (("a.jpg", 1_500_000), ("b.jpg", 1_500_001)):
        (folder / "789123" / name).write_bytes(bytes(size))
    assert source.fetch(CrewMember("789123", "a.jpg")).path == folder / "789123" / "a.jpg"
    with pytest.raises(OversizedPhoto) as caught:
        source.fetch(CrewMember("789123", "b.jpg"))
    assert caught.value.detail == "pesa más de 1.5 MB"


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_outside_the_folder_is_read(folder: Path, name: str) -> None:
    (folder.parent / "a.jpg").write_bytes(PHOTO)
    source = FolderSource(options(folder.as_uri()))
    for member in (CrewMember("789123", name), CrewMember(name, "a.jpg")):
        with pytest.raises(BadName):
            source.fetch(member)


def test_two_spellings_of_a_letter_are_two_names(folder: Path) -> None:
    """The roster's spelling is the file's: nobody's name is corrected."""
    (folder / "789123" / "pen\u0303a.jpg").write_bytes(PHOTO)
    with pytest.raises(PhotoNotFound):
        FolderSource(options(folder.as_uri())).fetch(CrewMember("789123", "pe\u00f1a.jpg"))
