"""Photos on a web server: downloads, retries, redirects, and the check without a download."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest

from app.core.config import PhotoSettings
from app.errors import (
    BadName,
    ItemError,
    OversizedPhoto,
    PhotoForbidden,
    PhotoNotFound,
    PhotoUnavailable,
    SettingsError,
    TruncatedDownload,
)
from app.photos.http_source import HttpSource
from app.photos.temp_folder import TempFolder
from app.records import (
    ANSWER_CHANGED,
    ANSWER_FORBIDDEN,
    ANSWER_GONE,
    ANSWER_SAME,
    ANSWER_UNKNOWN,
    ANSWER_UNREACHABLE,
    Answer,
    CrewMember,
    Photo,
    Version,
)
from tests.photos.test_folder_source import PHOTO, SHA256
from tests.photos.test_urls import NAMES, REFUSED
from tests.support.waits import NotedWaits
from tests.support.webserver import FORBIDDEN, HANGING, MODIFIED, NOT_ALLOWED, RESET, PhotoServer, serving_photos

Fetch = Callable[..., Photo]
ANA = CrewMember("7", "foto.jpg")
PATH = "/7/foto.jpg"
ETAG = f'"{SHA256[:16]}"'
TUESDAY = "Tue, 06 Jan 2026 10:00:00 GMT"


def photo_settings(base_url: str, **values: object) -> PhotoSettings:
    """Make settings with short timeouts; `clean_environment` hides those of the machine."""
    defaults: dict[str, object] = {
        **{"HTTP_CONNECT_TIMEOUT_S": 2.0, "HTTP_READ_TIMEOUT_S": 5.0, "HTTP_TOTAL_TIMEOUT_S": 30.0},
        **{"HTTP_ATTEMPTS": 3, "DOWNLOAD_THREADS": 2, "MAX_PHOTO_MB": 1.0},
    }
    return PhotoSettings(**defaults | values | {"IMAGE_BASE_URL": base_url})  # type: ignore[arg-type]


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
    """Return a function that fetches `<crew_id>/foto.jpg`; the crew id is the route that the server answers."""
    web.default_photo = PHOTO

    def fetch_one(crew_id: str, base_url: str = "", **values: object) -> Photo:
        source = HttpSource(photo_settings(base_url or web.base_url, **values), stop)
        return source.fetch(CrewMember(crew_id, "foto.jpg"), temp)

    return fetch_one


def failure(fetch: Fetch, crew_id: str, **values: object) -> tuple[type[ItemError], str]:
    with pytest.raises(ItemError) as caught:
        fetch(crew_id, **values)
    return type(caught.value), caught.value.detail


# ----------------------------------------------------------------------------------------------------- downloads


def test_a_photo_becomes_a_file_that_only_its_owner_can_read(fetch: Fetch, web: PhotoServer) -> None:
    photo = fetch("ok")
    assert photo == Photo(
        *(CrewMember("ok", "foto.jpg"), f"{web.base_url}/ok/foto.jpg", photo.path),
        temporary=True,
        sha256=SHA256,
        version=Version("", "", len(PHOTO)),
    )
    assert photo.path.read_bytes() == PHOTO
    assert (photo.path.name[:8], photo.path.suffix) == ("crew_ok_", ".jpg")
    assert stat.S_IMODE(photo.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(("name", "encoded"), NAMES)
def test_the_server_finds_the_photo_by_its_encoded_name(
    web: PhotoServer, temp: TempFolder, name: str, encoded: str
) -> None:
    web.photos[f"img/789123/{name}"] = PHOTO
    source = HttpSource(photo_settings(f"{web.base_url}/img"), threading.Event())
    assert source.fetch(CrewMember("789123", name), temp).path.read_bytes() == PHOTO
    assert web.requests == [f"/img/789123/{encoded}"]


def test_no_request_is_made_for_a_refused_name(web: PhotoServer, temp: TempFolder) -> None:
    source = HttpSource(photo_settings(web.base_url), threading.Event())
    for name in REFUSED:
        with pytest.raises(BadName):
            source.fetch(CrewMember("789123", name), temp)
        with pytest.raises(BadName):
            source.check(CrewMember("789123", name), Version('"a"'))
    assert (web.requests, web.heads) == ([], [])


@pytest.mark.parametrize("route", ["gzip", "chunks", "moved", "empty", "html"])
def test_the_file_holds_what_the_server_sent_in_any_of_these_ways(fetch: Fetch, route: str) -> None:
    """An empty file or a page is a download like any other: decoding refuses it."""
    expected = {"empty": b"", "html": b"<!DOCTYPE html><html><body>Inicie la sesi\xc3\xb3n</body></html>"}
    assert fetch(route).path.read_bytes() == expected.get(route, PHOTO)


@pytest.mark.parametrize(
    ("route", "kind", "detail", "requests"),
    [
        ("404", PhotoNotFound, "el servidor respondió 404", 1),
        ("403", PhotoForbidden, "el servidor respondió 403", 1),
        ("401", PhotoForbidden, "el servidor respondió 401", 1),
        ("406", PhotoForbidden, "el servidor respondió 406", 1),
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
def test_each_misbehaviour_has_its_error_and_only_transient_ones_are_retried(
    fetch: Fetch, web: PhotoServer, route: str, kind: type[ItemError], detail: str, requests: int
) -> None:
    assert failure(fetch, route) == (kind, detail)
    assert web.requests == [f"/{route}/foto.jpg"] * requests


def test_a_failed_download_leaves_no_file(fetch: Fetch, tmp_path: Path) -> None:
    for route in ("404", "truncated", "huge", "reset"):
        failure(fetch, route)
    assert list((tmp_path / "temp_uploads").glob("crew_*")) == []


def test_a_server_that_does_not_answer_in_time_is_asked_again(fetch: Fetch, web: PhotoServer) -> None:
    web.slow_s = 10.0
    detail = "el servidor tardó demasiado en responder"
    assert failure(fetch, "slow", HTTP_READ_TIMEOUT_S=0.1) == (PhotoUnavailable, detail)
    assert web.count("/slow/foto.jpg") == 3


def test_a_server_that_is_merely_slow_is_waited_for(fetch: Fetch, web: PhotoServer) -> None:
    web.slow_s = 0.2
    assert fetch("slow").path.read_bytes() == PHOTO
    assert web.count("/slow/foto.jpg") == 1


def test_a_server_that_sends_byte_by_byte_is_given_up_after_the_total_time(fetch: Fetch, web: PhotoServer) -> None:
    detail = "el servidor tardó más de 0.3 segundos en total"
    assert failure(fetch, "drip", HTTP_TOTAL_TIMEOUT_S=0.3) == (PhotoUnavailable, detail)
    assert web.count("/drip/foto.jpg") == 1


def test_stopping_the_run_ends_a_download_that_is_under_way(web: PhotoServer, temp: TempFolder) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    with pytest.raises(PhotoUnavailable, match="ejecución interrumpida"):
        HttpSource(photo_settings(web.base_url), stop).fetch(CrewMember("drip", "foto.jpg"), temp)
    timer.join()


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_a_photo_is_unavailable_without_a_server(fetch: Fetch, stop: NotedWaits, base_url: str) -> None:
    detail = "no se pudo conectar, o se cortó la conexión"
    assert failure(fetch, "ok", base_url=base_url) == (PhotoUnavailable, detail)
    assert len(stop.waits) == 2


def test_a_server_that_recovers_gives_the_photo(fetch: Fetch, web: PhotoServer, stop: NotedWaits) -> None:
    assert fetch("flaky").path.read_bytes() == PHOTO
    assert web.count("/flaky/foto.jpg") == 3
    assert len(stop.waits) == 2


def test_a_busy_server_is_asked_again_after_the_time_that_it_named(
    fetch: Fetch, web: PhotoServer, stop: NotedWaits
) -> None:
    web.retry_after = "7"
    assert fetch("busy").path.read_bytes() == PHOTO
    assert stop.waits == [7.0, 7.0]


def test_a_busy_server_may_name_the_time_as_a_date(fetch: Fetch, web: PhotoServer, stop: NotedWaits) -> None:
    web.retry_after = format_datetime(datetime.now(timezone.utc) + timedelta(minutes=10), usegmt=True)
    assert fetch("busy", HTTP_TOTAL_TIMEOUT_S=3600.0).path.read_bytes() == PHOTO
    assert all(500 < wait <= 600 for wait in stop.waits)
    assert len(stop.waits) == 2


@pytest.mark.parametrize("value", ["mañana", "-5", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_retry_after_that_makes_no_sense_or_has_passed_causes_no_long_wait(
    fetch: Fetch, web: PhotoServer, stop: NotedWaits, value: str
) -> None:
    web.retry_after = value
    assert fetch("busy").path.read_bytes() == PHOTO
    assert all(0 <= wait <= 1 for wait in stop.waits)


def test_a_server_that_asks_for_more_than_the_total_time_is_given_up_at_once(
    fetch: Fetch, web: PhotoServer, stop: NotedWaits
) -> None:
    web.retry_after = "3600"
    assert failure(fetch, "busy") == (PhotoUnavailable, "el servidor respondió 429")
    assert (web.count("/busy/foto.jpg"), stop.waits) == (1, [])


def test_a_redirect_to_another_site_is_not_followed(fetch: Fetch, web: PhotoServer) -> None:
    with serving_photos() as other:
        web.redirect_target = f"{other.base_url}/ok/foto.jpg"
        assert failure(fetch, "elsewhere") == (PhotoUnavailable, f"el servidor redirige a {other.base_url}")
        assert other.requests == []


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("", "ningún sitio"),
        ("file:///etc/passwd", "otro sitio"),
        ("https://127.0.0.1/a.jpg", "https://127.0.0.1"),
        ("https://ana:S3creta@otro.example:8443/a.jpg?sig=S3creta", "https://otro.example:8443"),
        ("//otro.example/a.jpg", "http://otro.example"),
        (f"http://{'a' * 300}.example/", "otro sitio"),
    ],
)
def test_a_redirect_that_is_not_followed_names_the_other_site_and_nothing_secret(
    fetch: Fetch, web: PhotoServer, target: str, named: str
) -> None:
    web.redirect_target = target
    assert failure(fetch, "elsewhere") == (PhotoUnavailable, f"el servidor redirige a {named}")


@pytest.mark.parametrize("route", ["ok", "moved", "elsewhere"])
def test_credentials_go_to_the_server_and_not_into_the_table(fetch: Fetch, web: PhotoServer, route: str) -> None:
    web.credentials = "ana:S3cr@ta"
    web.redirect_target = f"{web.base_url}/ok/foto.jpg"  # the same server, with an absolute URL
    base_url = web.base_url.replace("http://", "http://ana:S3cr%40ta@")
    photo = fetch(route, base_url=base_url)
    assert photo.path.read_bytes() == PHOTO
    assert photo.url == f"{web.base_url}/{route}/foto.jpg"
    assert failure(fetch, "ok") == (PhotoForbidden, "el servidor respondió 401")


def test_one_connection_serves_many_photos(web: PhotoServer, temp: TempFolder) -> None:
    web.default_photo = PHOTO
    source = HttpSource(photo_settings(web.base_url), threading.Event())
    for _ in range(5):
        source.fetch(CrewMember("ok", "foto.jpg"), temp)
    assert (len(web.requests), web.connections) == (5, 1)


# -------------------------------------------------------------------------------------------------------- checks


@pytest.fixture
def source(web: PhotoServer, stop: NotedWaits) -> HttpSource:
    """Return the source of a server that has Ana's photo."""
    web.default_photo = web.photos["7/foto.jpg"] = PHOTO
    return HttpSource(photo_settings(web.base_url), stop)


@pytest.mark.parametrize(
    ("validators", "size_told", "version"),
    [
        ({"etag", "last-modified"}, True, Version(ETAG, MODIFIED, len(PHOTO))),
        ({"etag"}, False, Version(ETAG, "", None)),
        ({"last-modified"}, False, Version("", MODIFIED, None)),
        (set(), True, Version("", "", len(PHOTO))),
        (set(), False, Version()),
    ],
)
def test_a_photo_carries_the_version_in_the_server_s_headers(
    source: HttpSource, temp: TempFolder, web: PhotoServer, validators: set[str], size_told: bool, version: Version
) -> None:
    web.validators, web.size_told = validators, size_told
    photo = source.fetch(ANA, temp)
    assert (photo.version, photo.sha256, photo.path.read_bytes()) == (version, SHA256, PHOTO)


def test_the_length_of_a_compressed_response_is_no_part_of_the_version(fetch: Fetch) -> None:
    photo = fetch("gzip")
    assert (photo.version, photo.sha256) == (Version(), SHA256)


def test_the_version_and_the_content_are_those_that_a_redirect_leads_to(
    source: HttpSource, temp: TempFolder, web: PhotoServer
) -> None:
    web.redirect_target = PATH
    photo = source.fetch(CrewMember("elsewhere", "foto.jpg"), temp)
    assert photo.version == Version(ETAG, MODIFIED, len(PHOTO))
    assert source.check(photo.member, photo.version).kind == ANSWER_SAME
    assert web.heads == ["/elsewhere/foto.jpg", PATH]


@pytest.mark.parametrize("head_allowed", [True, False])
@pytest.mark.parametrize("size_told", [True, False])
@pytest.mark.parametrize("validators", [{"etag", "last-modified"}, {"etag"}, {"last-modified"}, set()])
def test_a_check_tells_changed_from_unchanged_without_a_download(
    source: HttpSource, temp: TempFolder, web: PhotoServer, validators: set[str], size_told: bool, head_allowed: bool
) -> None:
    web.validators, web.size_told = validators, size_told
    web.head_status = None if head_allowed else NOT_ALLOWED
    version = source.fetch(ANA, temp).version
    before = source.check(ANA, version).kind
    tells = bool(validators or size_told) if head_allowed else bool(validators)
    assert web.downloads == ([PATH] if tells else [PATH] * 2)
    web.photos["7/foto.jpg"], web.modified["7/foto.jpg"] = PHOTO[::-1] + b"x", TUESDAY
    after = source.check(ANA, version).kind
    assert (before, after) == (
        (ANSWER_SAME, ANSWER_CHANGED) if validators or size_told else (ANSWER_UNKNOWN, ANSWER_UNKNOWN)
    )
    assert web.heads == [PATH] * (2 if head_allowed else 1)
    assert web.requests == [PATH] * ((1 if tells else 2) if head_allowed else 3)


@pytest.mark.parametrize("head_allowed", [True, False])
@pytest.mark.parametrize(
    ("validators", "size_told", "said"),
    [
        ({"etag", "last-modified"}, True, Version(ETAG, MODIFIED, len(PHOTO))),
        ({"etag"}, False, Version(ETAG)),
        ({"last-modified"}, False, Version("", MODIFIED)),
        (set(), True, Version("", "", len(PHOTO))),
        (set(), False, Version()),
    ],
)
def test_a_check_without_a_remembered_version_returns_the_current_one(
    source: HttpSource, web: PhotoServer, validators: set[str], size_told: bool, said: Version, head_allowed: bool
) -> None:
    """The next run compares with it."""
    web.validators, web.size_told = validators, size_told
    web.head_status = None if head_allowed else NOT_ALLOWED
    assert source.check(ANA, Version()) == Answer(ANSWER_UNKNOWN, said)


def test_a_response_that_says_less_leaves_the_remembered_version(source: HttpSource, web: PhotoServer) -> None:
    """Some servers send their ETag with the photo only: forgotten, no later request could use it."""
    version = Version(ETAG, MODIFIED, len(PHOTO))
    assert source.check(ANA, version) == Answer(ANSWER_SAME, version)  # 304
    assert source.check(CrewMember("ok", "foto.jpg"), version) == Answer(ANSWER_SAME, version)
    assert source.check(CrewMember("chunks", "foto.jpg"), version) == Answer(ANSWER_UNKNOWN, version)
    web.modified["7/foto.jpg"] = TUESDAY
    web.validators = {"last-modified"}
    assert source.check(ANA, version) == Answer(ANSWER_CHANGED, Version("", TUESDAY, len(PHOTO)))


def test_the_server_gets_back_the_etag_and_the_date_that_it_sent(source: HttpSource, web: PhotoServer) -> None:
    """A wrong condition would get a 200, and the comparison of sizes would then find a change."""
    wrong_size = len(PHOTO) + 1
    web.validators = {"last-modified"}
    assert source.check(ANA, Version("", MODIFIED, wrong_size)).kind == ANSWER_SAME
    assert source.check(ANA, Version('"other"', MODIFIED, wrong_size)).kind == ANSWER_SAME
    web.validators = {"etag"}
    assert source.check(ANA, Version(ETAG, TUESDAY, wrong_size)).kind == ANSWER_SAME
    assert source.check(ANA, Version("", MODIFIED, wrong_size)).kind == ANSWER_CHANGED


def test_an_etag_that_became_weak_is_the_same(source: HttpSource) -> None:
    assert source.check(ANA, Version(f"W/{ETAG}", MODIFIED, len(PHOTO))).kind == ANSWER_SAME
    assert source.check(ANA, Version('W/"other"', MODIFIED, len(PHOTO))).kind == ANSWER_CHANGED


@pytest.mark.parametrize("head_allowed", [True, False])
def test_a_page_in_place_of_a_photo_is_a_change_where_nothing_can_be_compared(
    source: HttpSource, web: PhotoServer, head_allowed: bool
) -> None:
    web.login_page, web.head_status = b"<html>Inicie", None if head_allowed else NOT_ALLOWED
    versions = [Version(), Version(ETAG, MODIFIED), Version(ETAG, MODIFIED, len(PHOTO)), Version("", "", 12)]
    said = Version("", "", 12)
    kinds = [source.check(ANA, version).kind for version in versions]
    assert kinds == [ANSWER_CHANGED, ANSWER_CHANGED, ANSWER_CHANGED, ANSWER_SAME]
    assert source.check(ANA, Version()) == Answer(ANSWER_CHANGED, said)


@pytest.mark.parametrize(
    ("route", "kind", "heads", "gets"),
    [
        ("404", ANSWER_GONE, 1, 1),
        ("403", ANSWER_FORBIDDEN, 1, 1),
        ("401", ANSWER_FORBIDDEN, 1, 1),
        ("410", ANSWER_GONE, 1, 1),
        ("418", ANSWER_UNREACHABLE, 1, 1),
        ("500", ANSWER_UNREACHABLE, 1, 3),
        ("501", ANSWER_UNREACHABLE, 1, 1),
        ("503", ANSWER_UNREACHABLE, 1, 3),
        ("reset", ANSWER_UNREACHABLE, 1, 3),
        ("loop", ANSWER_UNREACHABLE, 6, 6),
        ("elsewhere", ANSWER_UNREACHABLE, 1, 1),
        ("badmove", ANSWER_UNREACHABLE, 1, 1),
        ("flaky", ANSWER_SAME, 1, 2),
        ("busy", ANSWER_SAME, 1, 2),
        ("ok", ANSWER_SAME, 1, 1),
        ("moved", ANSWER_SAME, 1, 1),
        ("html", ANSWER_CHANGED, 1, 1),
        ("empty", ANSWER_CHANGED, 1, 1),
        ("chunks", ANSWER_UNKNOWN, 1, 1),
        ("gzip", ANSWER_UNKNOWN, 1, 1),
        ("garbled", ANSWER_UNKNOWN, 1, 1),
        ("huge", ANSWER_UNKNOWN, 1, 1),
        ("drip", ANSWER_UNKNOWN, 1, 1),
    ],
)
def test_a_check_has_an_answer_for_each_misbehaviour(
    source: HttpSource, web: PhotoServer, route: str, kind: str, heads: int, gets: int
) -> None:
    """No route sends a date or an ETag, so only the sizes can be compared, and HEAD might tell less than GET."""
    assert source.check(CrewMember(route, "foto.jpg"), Version(ETAG, MODIFIED, len(PHOTO))).kind == kind
    assert (web.heads.count(f"/{route}/foto.jpg"), web.count(f"/{route}/foto.jpg")) == (heads, gets)


def test_an_answer_that_is_none_says_why(source: HttpSource) -> None:
    routes = ("404", "403", "503", "elsewhere")
    assert [source.check(CrewMember(route, "foto.jpg"), Version(ETAG)).detail for route in routes] == [
        *("el servidor respondió 404", "el servidor respondió 403", "el servidor respondió 503"),
        "el servidor redirige a ningún sitio",
    ]


def test_a_server_that_refuses_both_methods_or_is_down_is_unreachable(source: HttpSource, web: PhotoServer) -> None:
    web.head_status = NOT_ALLOWED
    assert source.check(CrewMember("418", "foto.jpg"), Version(ETAG)).kind == ANSWER_UNREACHABLE
    assert source.check(CrewMember("huge", "foto.jpg"), Version(ETAG)).kind == ANSWER_UNKNOWN  # its body is not read
    web.down = True
    assert source.check(ANA, Version(ETAG)).kind == ANSWER_UNREACHABLE
    assert web.downloads == []


# ------------------------------------------------------------------------------------------ what HEAD does not tell

BOB = CrewMember("8", "foto.jpg")
SEEN = Version(ETAG, MODIFIED, len(PHOTO))


@pytest.fixture
def two(source: HttpSource, web: PhotoServer) -> HttpSource:
    """Return the source of a server that has the photos of two members."""
    web.photos["8/foto.jpg"] = PHOTO
    return source


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 429, 500, 501, 503, RESET])
def test_a_server_that_refuses_head_is_asked_by_get_from_then_on(
    two: HttpSource, web: PhotoServer, stop: NotedWaits, status: int
) -> None:
    """Each photo costs one request, over one connection and without a wait."""
    web.head_status = status
    assert [two.check(ANA, SEEN), two.check(BOB, SEEN)] == [Answer(ANSWER_SAME, SEEN)] * 2
    web.photos["8/foto.jpg"] = PHOTO[::-1]
    assert two.check(BOB, SEEN).kind == ANSWER_CHANGED
    assert (len(web.heads), len(web.requests), stop.waits, two.asks_by_get) == (1, 3, [], True)
    assert web.connections <= 2


def test_a_head_that_hangs_is_waited_for_once(web: PhotoServer, two: HttpSource, stop: NotedWaits) -> None:
    web.head_status, web.slow_s = HANGING, 5.0
    source = HttpSource(photo_settings(web.base_url, HTTP_READ_TIMEOUT_S=0.2), stop)
    assert [source.check(each, SEEN).kind for each in (ANA, BOB, ANA)] == [ANSWER_SAME] * 3
    assert (len(web.heads), len(web.requests)) == (1, 3)


@pytest.mark.parametrize("hidden", [{"ETag", "Last-Modified", "Content-Length"}, {"ETag", "Last-Modified"}])
def test_a_head_that_tells_less_than_is_remembered_is_not_believed(
    two: HttpSource, web: PhotoServer, hidden: set[str]
) -> None:
    """Another photo of the same size would pass for the same by a HEAD that tells nothing but the size."""
    web.hidden_from_head, web.photos["7/foto.jpg"] = hidden, PHOTO[::-1]
    assert [two.check(each, SEEN).kind for each in (ANA, BOB)] == [ANSWER_CHANGED, ANSWER_SAME]
    assert (len(web.heads), len(web.requests)) == (1, 2)


def test_a_length_of_nought_in_a_head_is_not_believed(two: HttpSource, web: PhotoServer) -> None:
    """Frameworks make no body for a HEAD, and measure that."""
    web.head_length, web.validators = 0, set()
    version = Version("", "", len(PHOTO))
    assert [two.check(each, version).kind for each in (ANA, BOB)] == [ANSWER_SAME] * 2
    web.photos["7/foto.jpg"] = PHOTO + b"x"
    assert two.check(ANA, version).kind == ANSWER_CHANGED


def test_a_head_with_a_body_spoils_no_answer(two: HttpSource, web: PhotoServer) -> None:
    """The body of one answer stands before the next one on its connection."""
    web.head_has_body, web.validators = True, set()
    version = Version("", "", len(PHOTO))
    assert [two.check(each, version).kind for each in (ANA, BOB) * 3] == [ANSWER_SAME] * 6
    web.photos["8/foto.jpg"] = PHOTO + b"x"
    assert [two.check(each, version).kind for each in (ANA, BOB) * 2] == [ANSWER_SAME, ANSWER_CHANGED] * 2


def test_a_changed_photo_costs_one_head_too(two: HttpSource, web: PhotoServer) -> None:
    """It will be downloaded: its content decides."""
    web.photos["7/foto.jpg"] = PHOTO[::-1]
    assert [two.check(each, SEEN).kind for each in (ANA, BOB)] == [ANSWER_CHANGED, ANSWER_SAME]
    assert (len(web.heads), web.requests) == (2, [])


def test_one_photo_that_head_fails_for_takes_no_trust_from_the_server(two: HttpSource, web: PhotoServer) -> None:
    for crew_id in ("7", "404", "8"):
        two.check(CrewMember(crew_id, "foto.jpg"), SEEN)
    web.head_status = FORBIDDEN
    assert two.check(ANA, SEEN).kind == ANSWER_SAME
    web.head_status = None
    two.check(BOB, SEEN)
    assert (len(web.heads), web.requests, two.asks_by_get) == (5, ["/404/foto.jpg", PATH], False)


@pytest.mark.parametrize("validators", [{"etag", "last-modified"}, {"etag"}, {"last-modified"}])
def test_on_a_good_server_a_night_without_a_change_costs_one_head_a_photo(
    two: HttpSource, web: PhotoServer, validators: set[str]
) -> None:
    web.validators = validators
    version = Version(*(SEEN.etag if "etag" in validators else "", MODIFIED if "last-modified" in validators else ""))
    for _ in range(3):
        assert [two.check(each, version).kind for each in (ANA, BOB)] == [ANSWER_SAME] * 2
    assert (len(web.heads), web.requests, web.connections) == (6, [], 1)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_a_check_without_a_server_finds_it_unreachable(stop: NotedWaits, base_url: str) -> None:
    answer = HttpSource(photo_settings(base_url), stop).check(ANA, Version(ETAG))
    assert (answer.kind, answer.detail) == (ANSWER_UNREACHABLE, "no se pudo conectar, o se cortó la conexión")
    assert len(stop.waits) == 2


def test_a_check_retries_as_a_download_does(web: PhotoServer, stop: NotedWaits) -> None:
    source = HttpSource(photo_settings(web.base_url, HTTP_READ_TIMEOUT_S=0.1), stop)
    assert source.check(CrewMember("slow", "foto.jpg"), Version(ETAG)).kind == ANSWER_UNREACHABLE
    assert (len(web.heads), len(web.requests)) == (1, 3)


def test_a_check_has_the_credentials_too(source: HttpSource, web: PhotoServer) -> None:
    web.credentials = "ana:S3cr@ta"
    base_url = web.base_url.replace("http://", "http://ana:S3cr%40ta@")
    known = HttpSource(photo_settings(base_url), threading.Event())
    assert [each.check(ANA, Version(ETAG)).kind for each in (known, source)] == [ANSWER_SAME, ANSWER_FORBIDDEN]


@pytest.mark.parametrize("validators", [{"etag"}, set()])
@pytest.mark.parametrize("size_told", [True, False])
def test_one_connection_serves_many_checks(
    source: HttpSource, web: PhotoServer, validators: set[str], size_told: bool
) -> None:
    web.validators, web.size_told = validators, size_told
    for crew_id in ("7", "7", "moved", "7"):
        source.check(CrewMember(crew_id, "foto.jpg"), Version(ETAG, "", len(PHOTO)))
    assert len(web.heads) == 5
    assert web.connections <= 2  # a GET whose body is not read costs its connection, once


# --------------------------------------------------------------------------------------- certificates to trust


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_an_environment_that_names_missing_certificates_is_a_settings_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    """For `https://` alone: `http://` needs none."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "nope.pem"))
    with pytest.raises(SettingsError, match="REQUESTS_CA_BUNDLE"):
        HttpSource(photo_settings("https://fotos.example"), threading.Event())
    HttpSource(photo_settings("http://fotos.example"), threading.Event())


def test_certificates_deleted_during_the_run_make_photos_unavailable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, temp: TempFolder, stop: NotedWaits
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    source = HttpSource(photo_settings("https://127.0.0.1:1"), stop)
    bundle.unlink()
    with pytest.raises(PhotoUnavailable, match=r"^no se pudo conectar \(OSError\)$"):
        source.fetch(ANA, temp)
    assert source.check(ANA, Version()) == Answer(ANSWER_UNREACHABLE)
