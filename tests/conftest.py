"""Give the tests a real database of each kind, a real web server, real portraits, and settings of their own."""

from __future__ import annotations

import gc
import itertools
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.core.config import Settings, load_settings
from app.core.database import Database
from app.core.logs import APP_LOGGER, RUN_LOGGER, close_handlers
from app.faces import embedder, weights
from app.records import Image
from tests.support.mariadb import MariaDb, given_server, missing_programs, running_mariadb
from tests.support.models import prepare_home
from tests.support.organisation import Organisation
from tests.support.pictures import encode_picture, package_file, read_picture
from tests.support.program import World, live_in
from tests.support.remembering import RememberingNetwork, remembered_sha256, write_without_waiting
from tests.support.webserver import PhotoServer, serving_photos

SCALE = Path(__file__).parent / "scale"
DIALECTS = ("sqlite", "mariadb")
NOT_OURS = {"DEEPFACE_HOME", "WEIGHTS_MIRROR"}  # the machine says where its weights are
MakeSettings = Callable[..., Settings]
OpenDatabase = Callable[..., Database]
NewHome = Callable[..., Organisation]
OpenWorld = Callable[..., World]
FoundOrganisation = Callable[..., Organisation]
OLD_MODEL, NEW_MODEL = "Facenet512", "Dlib"  # of an organisation that changes from one to the other
_numbers = itertools.count(1)
Figure = Callable[[str, object], None]


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Record a name and a value that a test measured, for docs/reliability.md."""
    # pytest-xdist brings these properties back from its workers.
    return lambda name, value: request.node.user_properties.append((name, value))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures as a table under `./run_tests.sh --chaos`, and write them as lines of JSON to CHAOS_FIGURES."""
    reports = (each for each in terminalreporter.getreports("passed") if each.when == "call")
    figures = [figure for report in reports for figure in report.user_properties]
    if figures and os.environ.get("CHAOS") == "1":
        terminalreporter.section("figures")
        for name, value in figures:
            terminalreporter.write_line(f"{name:<72} {value}")
    if target := os.environ.get("CHAOS_FIGURES"):
        lines = (json.dumps({"name": name, "value": value}) for name, value in figures)
        Path(target).write_text("".join(f"{line}\n" for line in lines))


def pytest_sessionstart() -> None:
    """Switch off the fsync of SQLite before the first test."""
    write_without_waiting()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exclude the tests and their modules from garbage collection, since they stay in memory to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first, those of Ray: usually one worker of pytest-xdist then does them all on one cluster,
    and the suite does not end with one of them while the other workers have nothing left."""
    items.sort(key=lambda item: SCALE not in item.path.parents)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the settings and the proxy of the user's environment from the tests."""
    for name in Settings.model_fields.keys() - NOT_OURS:
        monkeypatch.delenv(name, raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture(autouse=True)
def closed_logs() -> Iterator[None]:
    """Close the log files that a run in this process leaves open."""
    yield
    for name in (RUN_LOGGER, APP_LOGGER):
        close_handlers(logging.getLogger(name))
        logging.getLogger(name).propagate = True


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """Start a private server for the whole session, or give the one of TEST_MYSQL_URL. Skips if none is installed,
    unless REQUIRE_MARIADB=1."""
    if given := given_server():
        yield given
        return
    missing = missing_programs()
    if missing:
        reason = f"falta el servidor MariaDB ({', '.join(missing)}): apt-get install mariadb-server"
        (pytest.fail if os.environ.get("REQUIRE_MARIADB") == "1" else pytest.skip)(reason)
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    try:
        with running_mariadb(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def mariadb_name(mariadb: MariaDb) -> Iterator[str]:
    """Create an empty database on the server, and give its name."""
    name = f"prueba_{next(_numbers)}"
    mariadb.execute(f"DROP DATABASE IF EXISTS {name}")  # of an earlier session, on a server that was given
    mariadb.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    yield name
    mariadb.execute(f"DROP DATABASE {name}")


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    """Make settings for a test: all files under its own folder, short timeouts. Overrides win."""

    def make(**overrides: Any) -> Settings:
        values: dict[str, Any] = {
            "DB_URL": f"sqlite:///{tmp_path / 'prueba.db'}",
            "DB_CONNECT_TIMEOUT_S": 3,
            "DB_RETRY_TOTAL_S": 5,
            "IMAGE_BASE_URL": "http://127.0.0.1:9",
            "HTTP_CONNECT_TIMEOUT_S": 2,
            "HTTP_READ_TIMEOUT_S": 1,
            "HTTP_TOTAL_TIMEOUT_S": 10,
            "HTTP_ATTEMPTS": 3,
            "WORKER_THREADS": 2,
            "LOG_DIR": tmp_path / "logs",
            "TEMP_DIR": tmp_path / "temp_uploads",
        }
        return load_settings(None, **values | overrides)

    return make


@pytest.fixture(params=DIALECTS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database. A test that uses it, or `database`, runs once for each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'prueba.db'}"
    server: MariaDb = request.getfixturevalue("mariadb")
    return server.url(request.getfixturevalue("mariadb_name")).render_as_string(hide_password=False)


@pytest.fixture
def open_database(make_settings: MakeSettings) -> Iterator[OpenDatabase]:
    """Open databases from settings, and close them after the test."""
    opened: list[Database] = []

    def open_one(**overrides: Any) -> Database:
        opened.append(Database(make_settings(**overrides)))
        return opened[-1]

    yield open_one
    for database in opened:
        database.engine.dispose()


@pytest.fixture
def database(database_url: str, open_database: OpenDatabase) -> Database:
    """Open an empty database of each kind."""
    return open_database(DB_URL=database_url)


@pytest.fixture
def sqlite_database(tmp_path: Path, open_database: OpenDatabase) -> Database:
    """Open an empty SQLite database."""
    return open_database(DB_URL=f"sqlite:///{tmp_path / 'prueba.db'}")


@pytest.fixture
def mariadb_database(mariadb: MariaDb, mariadb_name: str, open_database: OpenDatabase) -> Database:
    """Open an empty MariaDB database as root."""
    return open_database(DB_URL=mariadb.url(mariadb_name).render_as_string(hide_password=False))


@pytest.fixture
def web() -> Iterator[PhotoServer]:
    """Start a web server of photos; its well-behaved routes serve `default_photo`."""
    with serving_photos() as server:
        yield server


@pytest.fixture(scope="session")
def astronaut() -> Image:
    """Read the portrait of Eileen Collins, NASA: BGR uint8 (512, 512, 3)."""
    return _frozen(read_picture(package_file("skimage", "data", "astronaut.png")))


@pytest.fixture(scope="session")
def admiral() -> Image:
    """Read the portrait of Grace Hopper, US Navy: BGR uint8 (600, 512, 3)."""
    return _frozen(read_picture(package_file("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg")))


@pytest.fixture(scope="session")
def portrait_jpeg(astronaut: Image) -> bytes:
    """Encode the astronaut as a JPEG file."""
    return encode_picture(astronaut)


def _frozen(image: Image) -> Image:
    image.setflags(write=False)  # the whole session shares the array: no test may change it
    return image


@pytest.fixture(scope="session")
def weights_home() -> Path:
    """Prepare a DEEPFACE_HOME with both models; see tests/support/models.py."""
    return prepare_home()


@pytest.fixture
def open_world(
    tmp_path: Path,
    web: PhotoServer,
    weights_home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[OpenWorld]:
    """Make a World, a customer whose runs take place in this process, from the database's URL and settings."""
    monkeypatch.setattr(embedder, "DeepFaceNetwork", RememberingNetwork)
    monkeypatch.setattr(weights, "sha256_of", remembered_sha256)
    with ExitStack() as left_at_the_end:

        def open_one(url: str, **settings: object) -> World:
            world = World(url, web, tmp_path, capsys)
            values = {"FACE_MODEL": "Dlib", "DEEPFACE_HOME": weights_home} | settings
            return left_at_the_end.enter_context(live_in(world, monkeypatch, **values))

        yield open_one


@pytest.fixture
def found_organisation(web: PhotoServer, make_settings: MakeSettings, weights_home: Path) -> FoundOrganisation:
    """Found an organisation on a database; its runs use tests/support/tiny_faces.py. Given settings win over these."""

    def found(database: Database, **settings: Any) -> Organisation:
        values: dict[str, Any] = {
            "DB_URL": database.url.render_as_string(hide_password=False),
            "IMAGE_BASE_URL": web.base_url,
            "DEEPFACE_HOME": str(weights_home),
            "FACE_MODEL": OLD_MODEL,
            "HTTP_ATTEMPTS": 1,
            "DOWNLOAD_THREADS": 4,
            "BATCH_SIZE": 4,
        }
        return Organisation(database, web, make_settings(**values | settings))

    return found


@pytest.fixture
def new_home(database: Database, web: PhotoServer, found_organisation: FoundOrganisation) -> NewHome:
    """Found an organisation whose photo server gives validators, or none."""

    def make(*, validators: bool = True) -> Organisation:
        web.validators = {"etag", "last-modified"} if validators else set()
        return found_organisation(database)

    return make
