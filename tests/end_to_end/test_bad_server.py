"""A web server that misbehaves in all known ways: each ends with its error, within the total time.

The routes are those of `webserver.py`; retries and waits are tested in `tests/photos/test_http_source.py`.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.core.config import PhotoSettings
from app.errors import ItemError, OversizedPhoto, PhotoUnavailable, TruncatedDownload
from app.photos.http_source import HttpSource
from app.photos.temp_folder import TempFolder
from app.records import (
    ANSWER_CHANGED,
    ANSWER_SAME,
    ANSWER_UNKNOWN,
    ANSWER_UNREACHABLE,
    Answer,
    CrewMember,
    Version,
)
from tests.core.test_database import write_certificate
from tests.photos.test_folder_source import PHOTO
from tests.photos.test_http_source import photo_settings
from tests.support.waits import NotedWaits
from tests.support.webserver import (
    HOST,
    PhotoServer,
    crawl_as_proxy,
    drip_a_handshake,
    gzip_bomb,
    never_answer,
    reset_at_once,
    serving_connections,
    serving_photos,
    speak_plainly,
    tunnel_to_nowhere,
)

TOTAL_S = 0.3
GRACE_S = 2.0  # for a busy machine; without a time limit each case would last half a minute
MB = 1_000_000
LATE = "el servidor tardó más de 0.3 segundos en total"
SEEN = Version('"seen"', "Mon, 05 Jan 2026 10:00:00 GMT", len(PHOTO))


@dataclass(frozen=True)
class Case:
    """What `fetch` fails with, how often it asked, and what `check` answers."""

    route: str
    kind: type[ItemError]
    detail: str
    asked: int
    answer: str


CASES = [
    Case("slow", PhotoUnavailable, LATE, 1, ANSWER_UNREACHABLE),
    Case("crawl", PhotoUnavailable, LATE, 1, ANSWER_UNREACHABLE),
    Case("continue", PhotoUnavailable, LATE, 1, ANSWER_UNREACHABLE),
    Case("drip", PhotoUnavailable, LATE, 1, ANSWER_UNKNOWN),
    Case("huge", OversizedPhoto, "pesa más de 1 MB", 1, ANSWER_UNKNOWN),
    Case("endless-head", PhotoUnavailable, "respuesta ilegible (HTTPException)", 3, ANSWER_UNREACHABLE),
    Case("long-line", PhotoUnavailable, "respuesta ilegible (LineTooLong)", 3, ANSWER_UNREACHABLE),
    Case("rubbish", PhotoUnavailable, "respuesta ilegible (BadStatusLine)", 3, ANSWER_UNREACHABLE),
    Case("http09", PhotoUnavailable, "respuesta ilegible (BadStatusLine)", 3, ANSWER_UNREACHABLE),
    Case("reset", PhotoUnavailable, "no se pudo conectar, o se cortó la conexión", 3, ANSWER_UNREACHABLE),
    Case("broken", PhotoUnavailable, "se cortó la conexión", 3, ANSWER_UNKNOWN),
    Case("truncated", TruncatedDownload, "la descarga llegó incompleta", 3, ANSWER_CHANGED),
    Case("two-lengths", PhotoUnavailable, "respuesta ilegible (InvalidHeader)", 1, ANSWER_UNREACHABLE),
    Case("bad-chunk", TruncatedDownload, "la descarga llegó incompleta", 3, ANSWER_UNKNOWN),
    Case("bomb", OversizedPhoto, "pesa más de 1 MB", 1, ANSWER_UNKNOWN),
    Case("bombs", PhotoUnavailable, "respuesta comprimida de un modo que no se pidió", 1, ANSWER_UNKNOWN),
    Case("brotli", PhotoUnavailable, "respuesta comprimida de un modo que no se pidió", 1, ANSWER_UNKNOWN),
    Case("garbled", PhotoUnavailable, "respuesta ilegible (DecodeError)", 1, ANSWER_UNKNOWN),
    Case("half-gzip", TruncatedDownload, "la descarga llegó incompleta", 3, ANSWER_UNKNOWN),
    Case("loop", PhotoUnavailable, "más de 5 redirecciones", 6, ANSWER_UNREACHABLE),
    Case("503", PhotoUnavailable, "el servidor respondió 503", 3, ANSWER_UNREACHABLE),
    Case("204", PhotoUnavailable, "el servidor respondió 204", 1, ANSWER_UNREACHABLE),
    Case("206", PhotoUnavailable, "el servidor respondió 206", 1, ANSWER_UNREACHABLE),
    Case("304", PhotoUnavailable, "el servidor respondió 304", 1, ANSWER_SAME),
]


@pytest.fixture
def temp(tmp_path: Path) -> Iterator[TempFolder]:
    folder = TempFolder(tmp_path / "temp_uploads")
    yield folder
    folder.close()


@pytest.fixture
def bad(web: PhotoServer) -> PhotoServer:
    web.default_photo = PHOTO
    web.slow_s = 60.0
    return web


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("falta openssl: apt-get install openssl")
    return write_certificate(tmp_path_factory.mktemp("tls"), "fotos")


def short(base_url: str, **values: object) -> PhotoSettings:
    """Return settings with long timeouts for each read and a short total time."""
    patience = {"HTTP_CONNECT_TIMEOUT_S": 30.0, "HTTP_READ_TIMEOUT_S": 30.0, "HTTP_TOTAL_TIMEOUT_S": TOTAL_S}
    return photo_settings(base_url, **patience | values)


def patience_for(detail: str, base_url: str) -> PhotoSettings:
    """Return a short total time for cases that it ends; all others end at once."""
    return short(base_url) if detail == LATE else photo_settings(base_url)


def failure(source: HttpSource, temp: TempFolder, route: str = "ok") -> tuple[type[ItemError], str]:
    """Fetch a photo; return the error's class and detail, and assert that it came in time."""
    with pytest.raises(ItemError) as caught:
        within_time(lambda: source.fetch(CrewMember(route, "foto.jpg"), temp))
    return type(caught.value), caught.value.detail


def asking(source: HttpSource, route: str = "ok", version: Version = SEEN) -> Answer:
    answers: list[Answer] = []
    within_time(lambda: answers.append(source.check(CrewMember(route, "foto.jpg"), version)))
    return answers[0]


def within_time(act: Callable[[], object]) -> None:
    start = time.monotonic()
    try:
        act()
    finally:
        assert time.monotonic() - start < TOTAL_S + GRACE_S


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.route)
def test_each_misbehaviour_ends_with_its_error_in_time(bad: PhotoServer, temp: TempFolder, case: Case) -> None:
    source = HttpSource(patience_for(case.detail, bad.base_url), NotedWaits())
    assert failure(source, temp, case.route) == (case.kind, case.detail)
    assert bad.count(f"/{case.route}/foto.jpg") == case.asked
    assert asking(source, case.route).kind == case.answer


def test_the_next_photo_is_downloaded_after_any_failure(bad: PhotoServer, temp: TempFolder) -> None:
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    for case in CASES:
        if case.detail != LATE:
            failure(source, temp, case.route)
            assert source.fetch(CrewMember("ok", "foto.jpg"), temp).path.read_bytes() == PHOTO


@pytest.mark.parametrize(
    ("serve", "scheme", "detail"),
    [
        (never_answer, "http", LATE),
        (never_answer, "https", LATE),
        (drip_a_handshake, "https", LATE),
        (speak_plainly, "https", "no se pudo acordar una conexión segura (TLS) con el servidor"),
        (reset_at_once, "http", "no se pudo conectar, o se cortó la conexión"),
    ],
)
def test_a_server_that_does_not_get_as_far_as_http_is_given_up_in_time(
    temp: TempFolder, serve: Callable[[socket.socket, threading.Event], None], scheme: str, detail: str
) -> None:
    with serving_connections(serve) as port:
        source = HttpSource(patience_for(detail, f"{scheme}://{HOST}:{port}"), NotedWaits())
        assert failure(source, temp) == (PhotoUnavailable, detail)
        assert asking(source) == Answer(ANSWER_UNREACHABLE)


@pytest.mark.parametrize(
    ("serve", "total_s"),
    [
        (crawl_as_proxy, TOTAL_S),
        (tunnel_to_nowhere, 1.5),  # of which the handshake has what the tunnel left
    ],
)
def test_a_proxy_has_no_more_time_than_the_server(
    temp: TempFolder,
    monkeypatch: pytest.MonkeyPatch,
    serve: Callable[[socket.socket, threading.Event], None],
    total_s: float,
) -> None:
    monkeypatch.delenv("no_proxy")
    monkeypatch.delenv("NO_PROXY")
    with serving_connections(serve) as port:
        monkeypatch.setenv("https_proxy", f"http://{HOST}:{port}")
        source = HttpSource(short("https://fotos.example", HTTP_TOTAL_TIMEOUT_S=total_s), NotedWaits())
        detail = f"el servidor tardó más de {total_s:g} segundos en total"
        said = f"{detail} (por el proxy {HOST}:{port}, de https_proxy)"
        assert failure(source, temp) == (PhotoUnavailable, said)


def test_a_server_that_takes_no_connection_is_given_up_in_time(temp: TempFolder) -> None:
    with ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.create_server((HOST, 0), backlog=0))
        for _ in range(4):  # that fill its queue
            waiting = open_sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        source = HttpSource(short(f"http://{HOST}:{listener.getsockname()[1]}"), NotedWaits())
        assert failure(source, temp) == (PhotoUnavailable, LATE)
        assert asking(source) == Answer(ANSWER_UNREACHABLE)


# -------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture
def secure(certificate: Path) -> Iterator[PhotoServer]:
    with serving_photos(certificate) as server:
        server.default_photo = PHOTO
        yield server


def test_an_unknown_authority_is_refused_at_once(secure: PhotoServer, temp: TempFolder) -> None:
    source = HttpSource(photo_settings(secure.base_url), NotedWaits())
    assert failure(source, temp) == (PhotoUnavailable, "el certificado del servidor no es válido")
    assert asking(source) == Answer(ANSWER_UNREACHABLE)
    assert (secure.requests, secure.heads, secure.connections) == ([], [], 3)


def test_a_certificate_of_another_name_is_refused(
    secure: PhotoServer, temp: TempFolder, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    source = HttpSource(photo_settings(secure.base_url.replace(HOST, "localhost")), NotedWaits())
    assert failure(source, temp) == (PhotoUnavailable, "el certificado del servidor no es válido")


def test_a_known_authority_is_trusted_and_the_total_time_holds_under_tls(
    secure: PhotoServer, temp: TempFolder, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    patient = HttpSource(photo_settings(secure.base_url), NotedWaits())
    assert patient.fetch(CrewMember("ok", "foto.jpg"), temp).path.read_bytes() == PHOTO
    for route in ("crawl", "drip"):
        assert failure(HttpSource(short(secure.base_url), NotedWaits()), temp, route) == (PhotoUnavailable, LATE)


# ---------------------------------------------------------------------------------------------- what is sent


@pytest.mark.parametrize("route", ["bomb", "bombs", "brotli", "huge", "endless-head", "long-line"])
def test_what_a_bomb_costs_in_memory_is_the_limit_and_little_more(
    bad: PhotoServer, temp: TempFolder, route: str
) -> None:
    gzip_bomb()  # made before the measurement
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    tracemalloc.start()
    failure(source, temp, route)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * MB


def test_headers_that_weigh_more_than_the_photo_leave_nothing_behind(bad: PhotoServer, temp: TempFolder) -> None:
    """An ETag or a date of 60 KB fits no column."""
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    photo = source.fetch(CrewMember("fat-head", "foto.jpg"), temp)
    assert (photo.version, photo.path.read_bytes()) == (Version("", "", len(PHOTO)), PHOTO)


def test_cookies_are_not_kept(bad: PhotoServer, temp: TempFolder) -> None:
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    for _ in range(2):
        source.fetch(CrewMember("cookie", "foto.jpg"), temp)
    assert (len(bad.requests), bad.cookies) == (2, [])


def test_several_members_of_gzip_are_one_file(bad: PhotoServer, temp: TempFolder) -> None:
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    assert source.fetch(CrewMember("gzip-members", "foto.jpg"), temp).path.read_bytes() == PHOTO


def test_zeros_behind_gzip_are_no_part_of_the_file(bad: PhotoServer, temp: TempFolder) -> None:
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    assert source.fetch(CrewMember("padded-gzip", "foto.jpg"), temp).path.read_bytes() == PHOTO


@pytest.mark.parametrize("name", ["none", "UTF-8", "binary", "identity", "aws-chunked", "identity, aws-chunked", ","])
def test_an_encoding_that_compresses_nothing_is_none(bad: PhotoServer, temp: TempFolder, name: str) -> None:
    """Servers send such names by mistake: the file's own header decides what it is."""
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    assert source.fetch(CrewMember("called", name), temp).path.read_bytes() == PHOTO


@pytest.mark.parametrize("name", ["deflate", "zstd", "compress", "gzip, br", "aws-chunked, br", "x-gzip,GZIP"])
def test_a_compression_that_was_not_requested_is_refused(bad: PhotoServer, temp: TempFolder, name: str) -> None:
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    with pytest.raises(PhotoUnavailable, match="respuesta comprimida de un modo que no se pidió"):
        source.fetch(CrewMember("called", name), temp)


def test_more_than_the_length_said_is_no_part_of_this_photo_nor_of_the_next(bad: PhotoServer, temp: TempFolder) -> None:
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    for route in ("too-long", "ok", "too-long", "ok"):
        assert source.fetch(CrewMember(route, "foto.jpg"), temp).path.read_bytes() == PHOTO


def test_a_length_of_absurdly_many_digits_is_none_and_a_control_character_makes_no_etag(
    bad: PhotoServer, temp: TempFolder
) -> None:
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    photo = source.fetch(CrewMember("absurd-length", "foto.jpg"), temp)
    assert (photo.version, photo.path.read_bytes()) == (Version(), PHOTO)
    assert source.check(CrewMember("absurd-length", "foto.jpg"), SEEN) == Answer(ANSWER_UNKNOWN, SEEN)


def test_not_modified_without_a_condition_is_no_answer(bad: PhotoServer) -> None:
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    assert asking(source, "304", Version()) == Answer(ANSWER_UNREACHABLE)
    assert asking(source, "304", Version("", "", len(PHOTO))) == Answer(ANSWER_UNREACHABLE)


# ------------------------------------------------------------------------------------- redirects and patience


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("http://{host}@otro.example/a.jpg", "http://otro.example"),
        ("http://{host}\\@otro.example/a.jpg", "http://otro.example"),
        ("http://otro.example\\@127.0.0.1:1/a.jpg", "http://127.0.0.1:1"),
        ("http://127.0.0.1.otro.example/a.jpg", "http://127.0.0.1.otro.example"),
        ("http://127.0.0.1:1/a.jpg", "http://127.0.0.1:1"),
        ("http://[::ffff:127.0.0.1]/a.jpg", "http://[::ffff:127.0.0.1]"),
        ("http://169.254.169.254/latest/meta-data/", "http://169.254.169.254"),
        ("//otro.example/a.jpg", "http://otro.example"),
        ("/\t/otro.example/a.jpg", "http://otro.example"),
        ("ht\ttp://otro.example/a.jpg", "http://otro.example"),
        (" \x01http://otro.example/a.jpg", "http://otro.example"),
        ("https://{host}/a.jpg", "https://{host}"),
        ("ftp://{host}/a.jpg", "ftp://{host}"),
        ("file:///etc/passwd", "otro sitio"),
        ("file:/etc/passwd", "otro sitio"),
        ("data:image/gif;base64,R0lGODlhAQABAAAAACw=", "otro sitio"),
        ("javascript:alert(1)", "otro sitio"),
        ("", "ningún sitio"),
    ],
)
def test_no_redirect_leads_off_the_server(bad: PhotoServer, temp: TempFolder, target: str, named: str) -> None:
    host = bad.base_url.removeprefix("http://")
    bad.redirect_target = target.format(host=host)
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    detail = f"el servidor redirige a {named.format(host=host)}"
    assert failure(source, temp, "elsewhere") == (PhotoUnavailable, detail)
    assert asking(source, "elsewhere") == Answer(ANSWER_UNREACHABLE)
    assert (bad.requests, bad.heads) == (["/elsewhere/foto.jpg"] * 2, ["/elsewhere/foto.jpg"])


@pytest.mark.parametrize("target", ["http://ana:clave@{host}/ok/foto.jpg", "/\tok/foto.jpg", "HTTP://{host}/ok/a"])
def test_a_redirect_on_the_server_is_followed_however_it_is_written(
    bad: PhotoServer, temp: TempFolder, target: str
) -> None:
    bad.redirect_target = target.format(host=bad.base_url.removeprefix("http://"))
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    assert source.fetch(CrewMember("elsewhere", "foto.jpg"), temp).path.read_bytes() == PHOTO


@pytest.mark.parametrize("port", ["99999", "x", "{port}.otro.example"])
def test_a_redirect_to_a_malformed_url_is_not_followed(bad: PhotoServer, temp: TempFolder, port: str) -> None:
    bad.redirect_target = f"http://{HOST}:{port.format(port=bad.server_port)}/a.jpg"
    source = HttpSource(photo_settings(bad.base_url), NotedWaits())
    assert failure(source, temp, "elsewhere") == (PhotoUnavailable, "el servidor redirige a una dirección ilegible")
    assert bad.requests == ["/elsewhere/foto.jpg"]


@pytest.mark.parametrize(
    ("retry_after", "asked", "waits"),
    [
        ("0", 3, [0.0, 0.0]),
        ("0.1", 3, None),
        ("86400", 1, []),
        ("9" * 400, 1, []),
        ("Mon, 01 Jan 2046 00:00:00 GMT", 1, []),
        ("-5", 3, None),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999999", 3, None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", 3, None),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 3, [0.0, 0.0]),
        ("\x00\xff", 3, None),
    ],
)
def test_no_wait_that_a_busy_server_asks_for_exceeds_the_total_time(
    bad: PhotoServer, temp: TempFolder, retry_after: str, asked: int, waits: list[float] | None
) -> None:
    """A Retry-After that makes no sense leaves the program's own waits: a second at most."""
    bad.retry_after, bad.failures = retry_after, 9
    stop = NotedWaits()
    source = HttpSource(photo_settings(bad.base_url), stop)
    assert failure(source, temp, "busy") == (PhotoUnavailable, "el servidor respondió 429")
    assert bad.count("/busy/foto.jpg") == asked
    assert stop.waits == waits if waits is not None else all(wait <= 1 for wait in stop.waits)


def test_tries_and_their_pauses_are_within_the_total_time_together(bad: PhotoServer, temp: TempFolder) -> None:
    """With pauses that are waited for; time may be over during one, or during the try after it."""
    source = HttpSource(short(bad.base_url, HTTP_ATTEMPTS=1000), threading.Event())
    kind, detail = failure(source, temp, "503")
    assert (kind, detail in {"el servidor respondió 503", LATE}) == (PhotoUnavailable, True)


def test_no_failure_leaves_a_connection_open(bad: PhotoServer, temp: TempFolder) -> None:
    source = HttpSource(short(bad.base_url, HTTP_TOTAL_TIMEOUT_S=0.1), NotedWaits())
    for route in ("404", "truncated", "huge", "bomb", "rubbish", "crawl", "elsewhere", "two-lengths", "reset", "404"):
        failure(source, temp, route)
    assert bad.connections >= 8
    assert bad.comes_down_to(1)  # the one of the last answer, kept for the next photo
