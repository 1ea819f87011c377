"""The fixtures do what the other tests take for granted."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from sqlalchemy import text

from app.core.database import Database
from app.records import Image
from tests.conftest import MakeSettings
from tests.mariadb import MariaDb
from tests.pictures import encode_picture, read_picture, write_picture
from tests.webserver import PhotoServer


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


def test_the_portraits_are_the_real_ones(astronaut: Image, admiral: Image) -> None:
    assert (astronaut.shape, admiral.shape) == ((512, 512, 3), (600, 512, 3))
    assert astronaut[0, 0].tolist() == [151, 147, 154]  # blue first


def test_a_written_picture_reads_back(admiral: Image, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "nueva" / "foto.png", admiral, "PNG")
    assert path.read_bytes() == encode_picture(admiral, "PNG")
    assert (read_picture(path) == admiral).all()
