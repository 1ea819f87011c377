"""One exchange with the photo server: who the program says it is, from http:// to https://, tokens, and proxies."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.core.proxies import find_proxy
from app.errors import ItemError, PhotoForbidden, PhotoNotFound, PhotoUnavailable, SettingsError
from app.photos.http_source import HttpSource
from app.photos.temp_folder import TempFolder
from app.records import ANSWER_FORBIDDEN, ANSWER_SAME, ANSWER_UNREACHABLE, CrewMember, Version
from tests.core.test_database import write_certificate
from tests.photos.test_folder_source import PHOTO
from tests.photos.test_http_source import ANA, ETAG, PATH, photo_settings
from tests.support.waits import NotedWaits
from tests.support.webserver import HOST, PhotoServer, serving_photos

SEEN = Version(ETAG)
TOKEN = "sv=2024&sig=S3cr%2Feto/"
Fail = Callable[..., tuple[type[ItemError], str]]


@pytest.fixture
def temp(tmp_path: Path) -> Iterator[TempFolder]:
    folder = TempFolder(tmp_path / "temp_uploads")
    yield folder
    folder.close()


@pytest.fixture
def server(web: PhotoServer) -> PhotoServer:
    web.default_photo = web.photos["7/foto.jpg"] = PHOTO
    return web


@pytest.fixture
def failing(temp: TempFolder) -> Fail:
    def fail(base_url: str, member: CrewMember = ANA, **values: object) -> tuple[type[ItemError], str]:
        source = HttpSource(photo_settings(base_url, **values), NotedWaits())
        with pytest.raises(ItemError) as caught:
            source.fetch(member, temp)
        return type(caught.value), caught.value.detail

    return fail


# ------------------------------------------------------------------------------------------------------ User-Agent


@pytest.mark.parametrize("status", [403, 406, 429])
def test_the_program_has_a_name_of_its_own_which_a_setting_changes(
    server: PhotoServer, temp: TempFolder, failing: Fail, status: int
) -> None:
    server.refused_agents = {"python-requests": status}
    assert HttpSource(photo_settings(server.base_url), threading.Event()).fetch(ANA, temp).path.read_bytes() == PHOTO
    server.refused_agents = {"face-embeddings": status}
    kind = PhotoUnavailable if status == 429 else PhotoForbidden
    assert failing(server.base_url) == (kind, f"el servidor respondió {status}")
    named = HttpSource(photo_settings(server.base_url, HTTP_USER_AGENT="Mozilla/5.0 (fotos)"), threading.Event())
    assert named.fetch(ANA, temp).path.read_bytes() == PHOTO
    assert named.check(ANA, SEEN).kind == ANSWER_SAME


# ----------------------------------------------------------------------------------------------------------- tokens


def test_the_path_goes_before_the_query_of_the_base_which_is_not_stored(server: PhotoServer, temp: TempFolder) -> None:
    server.query = TOKEN
    source = HttpSource(photo_settings(f"{server.base_url}/?{TOKEN}"), threading.Event())
    photo = source.fetch(ANA, temp)
    assert (photo.url, photo.path.read_bytes()) == (f"{server.base_url}/7/foto.jpg", PHOTO)
    assert source.check(ANA, photo.version).kind == ANSWER_SAME
    assert (server.requests, server.heads) == ([f"{PATH}?{TOKEN}"], [f"{PATH}?{TOKEN}"])


def test_a_token_that_is_no_longer_valid_forbids_the_photo(server: PhotoServer, failing: Fail) -> None:
    server.query = TOKEN
    base = f"{server.base_url}?sig=otro"
    assert failing(base) == (PhotoForbidden, "el servidor respondió 403")
    assert HttpSource(photo_settings(base), NotedWaits()).check(ANA, SEEN).kind == ANSWER_FORBIDDEN


# ------------------------------------------------------------------------------------------- from http to https


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the certificate that the program trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("falta openssl: apt-get install openssl")
    path = write_certificate(tmp_path, "fotos")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    return path


@pytest.fixture
def by_proxy(server: PhotoServer, monkeypatch: pytest.MonkeyPatch) -> PhotoServer:
    """Make the server the proxy of the environment: so it answers for a host's usual ports, too."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name)
    for name in ("http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, server.base_url)
    return server


@pytest.fixture
def secure(certificate: Path, by_proxy: PhotoServer) -> Iterator[PhotoServer]:
    """Start a server with TLS at https://127.0.0.1, to which http://127.0.0.1 redirects."""
    with serving_photos(certificate) as tls_server:
        tls_server.photos["7/foto.jpg"] = PHOTO
        by_proxy.moved_to, by_proxy.tunnel_to = f"https://{HOST}", tls_server.server_port
        yield tls_server


def test_a_redirect_from_http_to_https_of_the_same_host_is_followed_and_remembered(
    by_proxy: PhotoServer, secure: PhotoServer, temp: TempFolder
) -> None:
    """With user and password, which have to come along."""
    secure.credentials = "ana:S3creta"
    source = HttpSource(photo_settings(f"http://ana:S3creta@{HOST}"), threading.Event())
    assert source.moved_to == ""
    photo = source.fetch(ANA, temp)
    assert (photo.url, photo.path.read_bytes()) == (f"http://{HOST}/7/foto.jpg", PHOTO)
    assert source.check(ANA, photo.version).kind == ANSWER_SAME
    assert (by_proxy.requests, by_proxy.heads) == ([PATH], [])
    assert (secure.requests, secure.heads) == ([PATH], [PATH])
    assert source.moved_to == f"https://{HOST}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("port", ["", ":443"])
def test_any_redirect_may_lead_there_and_the_usual_ports_may_be_written(
    by_proxy: PhotoServer, secure: PhotoServer, temp: TempFolder, status: int, port: str
) -> None:
    by_proxy.moved_by, by_proxy.moved_to = status, f"{by_proxy.moved_to}{port}"
    source = HttpSource(photo_settings(f"http://{HOST}:80"), threading.Event())
    assert source.fetch(ANA, temp).path.read_bytes() == PHOTO


@pytest.mark.parametrize(
    "target", ["https://127.0.0.2", "https://www.127.0.0.1.example", f"https://{HOST}:8443", f"http://{HOST}:443"]
)
def test_another_host_or_port_is_named_and_not_gone_to(
    by_proxy: PhotoServer, secure: PhotoServer, failing: Fail, target: str
) -> None:
    by_proxy.moved_to = target
    detail = f"el servidor redirige a {target} (por el proxy {HOST}:{by_proxy.server_port}, de http_proxy)"
    assert failing(f"http://ana:S3creta@{HOST}") == (PhotoUnavailable, detail)
    assert (len(by_proxy.requests), secure.requests) == (1, [])


def test_from_a_port_that_is_not_the_usual_one_nothing_is_followed_to_https(server: PhotoServer, failing: Fail) -> None:
    server.moved_to = f"https://{HOST}"
    assert failing(server.base_url) == (PhotoUnavailable, f"el servidor redirige a https://{HOST}")


# ---------------------------------------------------------------------------------------------------------- proxies


@pytest.fixture
def naming(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set these variables of the environment, and no others of proxies."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name)

    def name_them(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return name_them


def test_a_dead_proxy_is_named_and_its_password_is_not(naming: Callable[..., None], failing: Fail) -> None:
    naming(HTTPS_PROXY="http://ana:S3creta@127.0.0.1:9", HTTP_PROXY="http://ana:S3creta@127.0.0.1:9")
    said = "no se pudo conectar con el proxy, o se cortó la conexión (por el proxy 127.0.0.1:9, de {0})"
    assert failing("https://fotos.example") == (PhotoUnavailable, said.format("HTTPS_PROXY"))
    assert failing("http://fotos.example") == (PhotoUnavailable, said.format("HTTP_PROXY"))
    answer = HttpSource(photo_settings("http://fotos.example"), NotedWaits()).check(ANA, SEEN)
    assert (answer.kind, answer.detail) == (ANSWER_UNREACHABLE, said.format("HTTP_PROXY"))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (407, "el proxy pide usuario y clave, o no acepta los que tiene"),
        (403, "el {0} respondió 403"),
        (503, "el {0} respondió 503"),
    ],
)
def test_a_proxy_that_refuses_is_named(
    by_proxy: PhotoServer, failing: Fail, scheme: str, status: int, said: str
) -> None:
    """Of an http:// photo nobody can tell whether the proxy answered, or the server."""
    by_proxy.proxy_status = status
    variable = {"http": "http_proxy", "https": "HTTPS_PROXY"}[scheme]
    detail = said.format({"http": "servidor", "https": "proxy"}[scheme])
    kind, told = failing(f"{scheme}://fotos.example")
    assert told == f"{detail} (por el proxy {HOST}:{by_proxy.server_port}, de {variable})"
    assert kind is (PhotoForbidden if (scheme, status) == ("http", 403) else PhotoUnavailable)


def test_a_proxy_may_be_spoken_to_by_tls(
    certificate: Path, naming: Callable[..., None], temp: TempFolder, recwarn: pytest.WarningsRecorder
) -> None:
    with serving_photos(certificate) as proxy, serving_photos(certificate) as secure:
        proxy.photos["7/foto.jpg"] = secure.photos["7/foto.jpg"] = PHOTO
        proxy.tunnel_to = secure.server_port
        naming(HTTP_PROXY=proxy.base_url, HTTPS_PROXY=proxy.base_url)
        for base in ("http://fotos.example", f"https://{HOST}"):
            source = HttpSource(photo_settings(base), threading.Event())
            assert source.fetch(ANA, temp).path.read_bytes() == PHOTO
    assert [str(each.message) for each in recwarn] == []


def test_a_proxy_that_speaks_no_tls_is_told_from_one_that_is_dead(
    server: PhotoServer, naming: Callable[..., None], failing: Fail
) -> None:
    naming(HTTPS_PROXY=server.base_url.replace("http", "https"))
    said = "no se pudo hablar con el proxy por TLS: quizá su dirección sea http:// y no https://"
    place = f"(por el proxy {HOST}:{server.server_port}, de HTTPS_PROXY)"
    assert failing("https://fotos.example") == (PhotoUnavailable, f"{said} {place}")


def test_a_photo_that_is_not_there_is_no_fault_of_the_proxy(by_proxy: PhotoServer, failing: Fail) -> None:
    assert failing("http://fotos.example", CrewMember("404", "a.jpg")) == (PhotoNotFound, "el servidor respondió 404")


def test_a_dead_socks_proxy_is_named(naming: Callable[..., None], failing: Fail) -> None:
    naming(all_proxy="socks5h://127.0.0.1:9")
    said = "no se pudo conectar, o se cortó la conexión (por el proxy 127.0.0.1:9, de all_proxy)"
    assert failing("http://fotos.example") == (PhotoUnavailable, said)


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("socks://127.0.0.1:1080", "es de un tipo desconocido (socks)"),
        ("ftp://127.0.0.1:21", "es de un tipo desconocido (ftp)"),
        ("proxy:3128", "no es una dirección como http://servidor:3128"),
        ("http://:3128", "no es una dirección como http://servidor:3128"),
        ("http://ana:S3creta@proxy:puerto", "no es una dirección como http://servidor:3128"),
    ],
)
def test_a_proxy_that_no_request_could_go_through_is_an_error_of_settings(
    naming: Callable[..., None], proxy: str, reason: str
) -> None:
    naming(ALL_PROXY=proxy)
    with pytest.raises(SettingsError) as caught:
        HttpSource(photo_settings("https://fotos.example"), threading.Event())
    assert str(caught.value).startswith(f"No se puede usar el proxy que nombra ALL_PROXY: {reason}")
    assert "S3creta" not in str(caught.value)


def test_a_socks_proxy_needs_a_package(naming: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    naming(HTTPS_PROXY="socks5://127.0.0.1:1080")
    monkeypatch.setitem(sys.modules, "socks", None)
    with pytest.raises(SettingsError, match="pip install PySocks"):
        HttpSource(photo_settings("https://fotos.example"), threading.Event())


def test_the_variable_is_the_one_that_counts(naming: Callable[..., None]) -> None:
    """Small letters win, and the scheme's own variable over that for all."""
    naming(ALL_PROXY="http://a:1", HTTPS_PROXY="http://b:1", https_proxy="http://c:1", NO_PROXY="dentro.example")
    assert str(find_proxy("https://fotos.example")) == "c:1, de https_proxy"
    assert str(find_proxy("http://fotos.example")) == "a:1, de ALL_PROXY"
    assert find_proxy("https://dentro.example") is None
    naming(ALL_PROXY="http://a:1", HTTPS_PROXY="http://a:1", https_proxy="http://a:1")
    assert str(find_proxy("https://fotos.example")) == "a:1, de https_proxy"
    assert find_proxy("file:///fotos") is None
