"""Check that the fixtures do what the other tests rely on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import requests
from sqlalchemy import text

from app.core.database import Database
from app.records import Image
from tests.conftest import MakeSettings
from tests.support.mariadb import MariaDb
from tests.support.pictures import encode_picture, read_picture, write_picture
from tests.support.webserver import MODIFIED, NOT_ALLOWED, PhotoServer


def test_each_kind_of_database_is_empty_and_writable(database: Database) -> None:
    def work(connection):  # type: ignore[no-untyped-def]
        connection.execute(text("CREATE TABLE hecho (n INT)"))
        connection.execute(text("INSERT INTO hecho VALUES (7)"))
        return connection.execute(text("SELECT n FROM hecho")).all()

    assert database.transaction(work) == [(7,)]


def test_the_server_lets_root_look_into_a_test_s_own_database(mariadb: MariaDb, mariadb_name: str) -> None:
    mariadb.execute("CREATE TABLE año (nombre VARCHAR(9))", mariadb_name)
    mariadb.execute("INSERT INTO año VALUES (%(nombre)s)", mariadb_name, nombre="Peña 100%")
    assert mariadb.execute("SELECT * FROM año", mariadb_name) == [("Peña 100%",)]
    assert mariadb.execute("SHOW TABLES", mariadb_name) == [("año",)]


def test_settings_lie_under_the_test_s_folder_and_overrides_win(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(HTTP_ATTEMPTS=9)
    assert [tmp_path / "logs", tmp_path / "temp_uploads"] == [settings.LOG_DIR, settings.TEMP_DIR]
    assert settings.HTTP_ATTEMPTS == 9


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/ok/foto.jpg", (200, b"photo")),
        ("/12/a%C3%B1o%231.jpg", (200, b"another")),
        ("/12/perdida.jpg", (404, b"")),
        ("/403/foto.jpg", (403, b"<html>no</html>")),
        ("/moved/foto.jpg", (302, b"")),
    ],
)
def test_the_web_server_answers(web: PhotoServer, path: str, answer: tuple[int, bytes]) -> None:
    web.default_photo, web.photos = b"photo", {"12/año#1.jpg": b"another"}
    response = requests.get(web.base_url + path, allow_redirects=False, timeout=5)
    assert (response.status_code, response.content) == answer
    assert web.requests == [path]


def test_the_web_server_fails_first_where_it_is_flaky(web: PhotoServer) -> None:
    answers = [requests.get(f"{web.base_url}/flaky/a.jpg", timeout=5).status_code for _ in range(3)]
    assert answers == [503, 503, 200]


@pytest.mark.parametrize(
    ("route", "reason"), [("reset", "reset by peer"), ("truncated", "IncompleteRead"), ("cut", "ended prematurely")]
)
def test_the_web_server_breaks_off(web: PhotoServer, route: str, reason: str) -> None:
    web.default_photo = b"photo"
    with pytest.raises(requests.exceptions.RequestException, match=reason):
        requests.get(f"{web.base_url}/{route}/a.jpg", timeout=5)


@pytest.mark.parametrize("route", ["huge", "drip"])
def test_the_web_server_never_ends(web: PhotoServer, route: str) -> None:
    with requests.get(f"{web.base_url}/{route}/a.jpg", timeout=5, stream=True) as response:
        assert response.headers.get("Content-Length") is None
        assert response.raw.read(10) == b"x" * 10


def test_the_web_server_asks_for_credentials(web: PhotoServer) -> None:
    web.credentials = "ana:ñandú"
    url = f"{web.base_url}/ok/a.jpg"
    answers = [requests.get(url, auth=auth, timeout=5).status_code for auth in (None, (b"ana", "ñandú".encode()))]
    assert answers == [401, 200]


ETAG = f'"{hashlib.sha256(b"photo").hexdigest()[:16]}"'


def ask(web: PhotoServer, method: str, path: str = "/7/foto.jpg", **headers: str) -> tuple[int, bytes, tuple[str, ...]]:
    """Return status, body, and the headers about the file: ETag, date, size, and transfer encoding."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    response = requests.request(method, web.base_url + path, headers=given, timeout=5)
    names = ("ETag", "Last-Modified", "Content-Length", "Transfer-Encoding")
    return response.status_code, response.content, tuple(response.headers.get(name, "") for name in names)


@pytest.mark.parametrize(("method", "body"), [("GET", b"photo"), ("HEAD", b"")])
def test_the_web_server_s_photos_have_validators_and_size_as_told(web: PhotoServer, method: str, body: bytes) -> None:
    web.photos = {"7/foto.jpg": b"photo"}
    assert ask(web, method) == (200, body, (ETAG, MODIFIED, "5", ""))
    web.validators = {"etag"}
    assert ask(web, method) == (200, body, (ETAG, "", "5", ""))
    web.validators = {"last-modified"}
    web.modified["7/foto.jpg"] = "Tue, 06 Jan 2026 10:00:00 GMT"
    assert ask(web, method) == (200, body, ("", "Tue, 06 Jan 2026 10:00:00 GMT", "5", ""))
    web.validators, web.size_told = set(), False
    assert ask(web, method) == (200, body, ("", "", "", "chunked"))
    paths = ["/7/foto.jpg"] * 4
    assert (web.requests, web.heads, web.downloads) == ((paths, [], paths) if method == "GET" else ([], paths, []))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("validators", "conditions", "status"),
    [
        ({"etag"}, {"If_None_Match": ETAG}, 304),
        ({"etag"}, {"If_None_Match": '"other"'}, 200),
        ({"etag"}, {"If_Modified_Since": MODIFIED}, 200),
        ({"last-modified"}, {"If_Modified_Since": MODIFIED}, 304),
        ({"last-modified"}, {"If_Modified_Since": "Sun, 04 Jan 2026 10:00:00 GMT"}, 200),
        ({"last-modified"}, {"If_None_Match": '"other"', "If_Modified_Since": MODIFIED}, 304),
        ({"last-modified"}, {}, 200),
        ({"etag", "last-modified"}, {"If_None_Match": '"other"', "If_Modified_Since": MODIFIED}, 200),
        (set(), {"If_None_Match": ETAG, "If_Modified_Since": MODIFIED}, 200),
    ],
)
def test_the_web_server_does_not_send_again_what_is_known(
    web: PhotoServer, method: str, validators: set[str], conditions: dict[str, str], status: int
) -> None:
    web.photos, web.validators = {"7/foto.jpg": b"photo"}, validators
    body = b"photo" if (method, status) == ("GET", 200) else b""
    assert ask(web, method, **conditions)[:2] == (status, body)
    assert web.downloads == (["/7/foto.jpg"] if body else [])


@pytest.mark.parametrize("route", ["ok", "404", "slow", "flaky", "huge", "drip", "gzip", "chunks", "moved", "7"])
def test_the_web_server_answers_a_head_in_kind_and_without_a_body(web: PhotoServer, route: str) -> None:
    web.default_photo, web.photos, web.failures, web.slow_s = b"photo", {"7/foto.jpg": b"photo"}, 0, 0.0
    path = f"/{route}/foto.jpg"
    with requests.Session() as session:
        head = session.head(web.base_url + path, timeout=5)
        # A body sent for the first HEAD would break the answer to the second.
        assert session.head(f"{web.base_url}/ok/foto.jpg", timeout=5).status_code == 200
    with requests.get(web.base_url + path, timeout=5, stream=True, allow_redirects=False) as get:
        said = [{name: value for name, value in each.headers.items() if name != "Date"} for each in (head, get)]
    assert (head.status_code, said[0], head.content) == (get.status_code, said[1], b"")
    assert (web.requests, web.heads) == ([path], [path, "/ok/foto.jpg"])


def test_the_web_server_counts_every_request_where_it_is_flaky(web: PhotoServer) -> None:
    assert [ask(web, method, "/flaky/a.jpg")[0] for method in ("HEAD", "GET", "HEAD", "GET")] == [503, 503, 200, 200]
    assert web.count("/flaky/a.jpg") == 2


def test_the_web_server_may_refuse_heads_show_a_page_or_be_down(web: PhotoServer) -> None:
    web.photos = {"7/foto.jpg": b"photo"}
    web.head_status = NOT_ALLOWED
    answers = [ask(web, method)[:2] for method in ("HEAD", "GET")]
    web.login_page = b"<html>"
    answers += [ask(web, method, "/404/foto.jpg")[:2] for method in ("HEAD", "GET")]
    assert requests.get(web.base_url, timeout=5).headers["Content-Type"] == "text/html"
    web.down = True
    answers += [ask(web, method)[:2] for method in ("HEAD", "GET")]
    assert answers == [(405, b""), (200, b"photo"), (200, b""), (200, b"<html>"), (503, b""), (503, b"")]
    assert (len(web.requests), len(web.heads), web.downloads) == (4, 3, ["/7/foto.jpg"])


def test_the_portraits_are_the_real_ones(astronaut: Image, admiral: Image) -> None:
    assert (astronaut.shape, admiral.shape) == ((512, 512, 3), (600, 512, 3))
    assert astronaut[0, 0].tolist() == [151, 147, 154]  # blue first


def test_a_written_picture_reads_back(admiral: Image, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "nueva" / "foto.png", admiral, "PNG")
    assert path.read_bytes() == encode_picture(admiral, "PNG")
    assert (read_picture(path) == admiral).all()


def test_the_web_server_has_the_oddities_of_foreign_ones(web: PhotoServer) -> None:
    """A query without which it gives nothing, a program that it refuses, another address, and a HEAD of its own."""
    web.photos = {"7/foto.jpg": b"photo"}
    web.query = "sig=x"
    assert [ask(web, "GET", path)[0] for path in ("/7/foto.jpg", "/7/foto.jpg?sig=x")] == [403, 200]
    web.query, web.refused_agents = None, {"odd": 406}
    assert [ask(web, "GET", User_Agent=agent)[0] for agent in ("odd/1", "usual/1")] == [406, 200]
    web.moved_to = "https://otro.example"
    answer = requests.get(f"{web.base_url}/7/foto.jpg", allow_redirects=False, timeout=5)
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://otro.example/7/foto.jpg")
    web.moved_to, web.head_length, web.hidden_from_head = "", 0, {"ETag"}
    answer = requests.head(f"{web.base_url}/7/foto.jpg", timeout=5)
    assert (answer.headers["Content-Length"], "ETag" in answer.headers) == ("0", False)
    web.nodes = 2
    tags = [requests.get(f"{web.base_url}/7/foto.jpg", timeout=5).headers["ETag"] for _ in range(3)]
    assert (tags[0] == tags[2], tags[0] == tags[1]) == (True, False)
