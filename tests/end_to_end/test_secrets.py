"""Runs that fail in every way: nothing that they leave behind holds a password or a part of a vector."""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, quote_plus

import numpy as np
import pytest
from sqlalchemy import MetaData, Table, inspect, select

from app.cli.arguments import parse_arguments
from app.cli.main import run
from app.pipeline.face_extractor import open_face_extractor
from app.runs.run import LoadFaces
from tests.conftest import OpenWorld
from tests.support.mariadb import MariaDb
from tests.support.program import World
from tests.support.tiny_faces import TinyLoader
from tests.support.tiny_pictures import draw

PASSWORD = "p@ss:/w%rd'QZ7x"  # all that URLs, logs and reprs treat in ways of their own
ENCODED = quote(PASSWORD, safe="")
USER = "lote"
HIRED = 3  # in every world: 1, 2 and 3
FORMS = {
    *(PASSWORD, ENCODED, ENCODED.lower(), quote(ENCODED), quote_plus(PASSWORD), repr(PASSWORD)[1:-1]),
    *(quote(PASSWORD), PASSWORD.replace("'", "\\'"), PASSWORD.replace("'", "&#39;")),
    base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
}
PIECES = ("QZ7x", "w%rd", "ss:/w", "w%25rd")  # what is left of one that was cut in two
# Four numbers in a row as a vector's are written, by JSON, by Python or by numpy; SVG's have fewer digits.
STRETCH = re.compile(r"(?:(?:np\.float32\()?-?\d+\.\d{4,}(?:e[-+]?\d+)?\)?[\s,;\]\[\\n]*){4}|array\(\[+-?\d")
VECTOR = np.linspace(-1.23456789, 1.3456789, 512, dtype=np.float32)


@dataclass
class Disaster:
    """A world in which a test makes one thing go wrong."""

    world: World
    request: pytest.FixtureRequest
    monkeypatch: pytest.MonkeyPatch

    def set(self, **settings: object) -> None:
        for name, value in settings.items():
            self.monkeypatch.setenv(name, str(value))

    @property
    def server(self) -> MariaDb:
        return self.request.getfixturevalue("mariadb")  # type: ignore[no-any-return]


def address(url: str, secret: str = ENCODED) -> str:
    """Return the URL with user and password."""
    return url.replace("://", f"://{USER}:{secret}@", 1)


# ------------------------------------------------------------------------------------------------- what goes wrong


def nothing(disaster: Disaster) -> None:
    disaster.world.web.credentials = f"{USER}:{PASSWORD}"
    disaster.set(IMAGE_BASE_URL=address(disaster.world.web.base_url))


def entered_with(disaster: Disaster, **settings: object) -> None:
    """Give the account another password on the server."""
    disaster.server.create_user(USER, "otra")
    port = disaster.server.port
    disaster.set(DB_URL="", DB_HOST="127.0.0.1", DB_PORT=port, DB_USER=USER, DB_PASSWORD=PASSWORD, DB_NAME="x")
    disaster.set(**{name: str(value).replace("PORT", str(port)) for name, value in settings.items()})


def without_tls(disaster: Disaster) -> None:
    photos_at(disaster, address(disaster.world.web.base_url.replace("http:", "https:")))


def photos_from_a_server_that_misbehaves(disaster: Disaster) -> None:
    web = disaster.world.web
    web.redirect_target = address("http://192.0.2.1/a.jpg")
    for route in ("401", "404", "500", "elsewhere", "badmove", "loop", "reset", "truncated", "garbled"):
        disaster.world.hire(route, "a.jpg")
    photos_at(disaster, address(web.base_url))


def refused_by_the_photo_server(disaster: Disaster) -> None:
    disaster.world.web.credentials = "otro:otra"
    disaster.set(IMAGE_BASE_URL=address(disaster.world.web.base_url))


def photos_at(disaster: Disaster, url: str) -> None:
    disaster.set(IMAGE_BASE_URL=url, HTTP_ATTEMPTS=1)


def weights_from(disaster: Disaster, mirror: str) -> None:
    home = disaster.world.folder / "home"
    home.mkdir()
    mirror = mirror.replace("WEB", disaster.world.web.base_url.removeprefix("http://"))
    disaster.set(FACE_MODEL="ArcFace", DEEPFACE_HOME=home, WEIGHTS_MIRROR=mirror)


def raising(errors: dict[tuple[str, str], Exception], disaster: Disaster) -> TinyLoader:
    """By stage and crew id."""
    for _, crew_id in errors:
        if int(crew_id) > HIRED:
            disaster.world.hire(crew_id, "a.jpg", draw(int(crew_id)))

    def hook(at: str, crew_id: str) -> None:
        if (at, crew_id) in errors:
            raise errors[at, crew_id]

    return TinyLoader(hook)


def tampered(disaster: Disaster) -> None:
    for number, content in enumerate((b"\xff\xd8\xff" + b"A" * 900, draw(5)[:700], b"<script>x</script>", b"")):
        disaster.world.hire(f"t{number}", "a.jpg", content)


def on_mariadb(disaster: Disaster) -> str:
    """Move the world to the server, where the account has the odd password; return the database's name."""
    name = disaster.request.getfixturevalue("mariadb_name")
    disaster.server.create_user(USER, PASSWORD.replace("'", "''"), f"ALL ON {name}.*")
    disaster.server.execute(
        "CREATE TABLE tripulantes (crew_id VARCHAR(10), imagen VARCHAR(99), nombres VARCHAR(99),"
        " apellidos VARCHAR(99), estatus INT)",
        name,
    )
    crew = "('1', 'a.jpg', 'Ana', 'Paz', 1), ('2', 'a.jpg', 'Ana', 'Paz', 1), ('3', 'a.jpg', 'Ana', 'Paz', 1)"
    disaster.server.execute(f"INSERT INTO tripulantes VALUES {crew}", name)  # noqa: S608  # our own words
    disaster.set(DB_URL=f"mysql://{USER}:{ENCODED}@127.0.0.1:{disaster.server.port}/{name}", DB_RETRY_TOTAL_S=1)
    return name


def going_away(disaster: Disaster) -> TinyLoader:
    on_mariadb(disaster)

    def hook(stage: str, crew_id: str) -> None:
        if (stage, crew_id) == ("detect", "2"):
            disaster.server.lock_out(USER)
            disaster.request.addfinalizer(lambda: disaster.server.let_in(USER))

    return TinyLoader(hook)


def refused_with_the_row(disaster: Disaster, body: str) -> TinyLoader:
    """The organisation's own trigger objects, and quotes what it objects to."""
    name = on_mariadb(disaster)
    disaster.server.need_mysql(5, 7, of="el modo estricto de fábrica, que un disparador toma de quien lo crea,")
    assert run(parse_arguments(["--crew-id", "1"]), TinyLoader()) == 0
    disaster.world.web.photos["1/a.jpg"] = draw(77)
    disaster.server.execute(f"CREATE TRIGGER t BEFORE INSERT ON face_embeddings FOR EACH ROW {body}", name)
    return TinyLoader()


def refused_at_the_end(disaster: Disaster) -> TinyLoader:
    """Drop a table of the program's own before its rows are written."""
    name = on_mariadb(disaster)

    def hook(stage: str, crew_id: str) -> None:
        if (stage, crew_id) == ("embed", "2"):
            disaster.server.execute("DROP TABLE IF EXISTS face_vectors", name)

    return TinyLoader(hook)


QUOTING = {
    ("decode", "2"): ValueError(f"bad input: {VECTOR.tolist()}"),
    ("detect", "3"): ValueError(VECTOR),
    ("embed", "4"): ValueError(repr(VECTOR[:40])),
    ("embed", "5"): ValueError(f"odd\n{VECTOR}"),
    ("embed", "6"): TypeError(list(VECTOR[:9])),
    ("embed", "7"): RuntimeError(f"401 for url: {address('http://fotos.example/a.jpg')}"),
}
SIGNAL = "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = "
DISASTERS: dict[str, tuple[Callable[[Disaster], LoadFaces | None], int]] = {
    "nothing": (nothing, 0),
    "wrong password": (entered_with, 3),
    "wrong password in a URL": (partial(entered_with, DB_URL=f"mysql://{USER}:{ENCODED}@127.0.0.1:PORT/x"), 3),
    "password not encoded": (partial(entered_with, DB_URL=f"mysql://{USER}:{PASSWORD}@127.0.0.1:PORT/x"), 2),
    "no TLS to be had": (partial(entered_with, DB_TLS="verify"), 3),
    "no server": (partial(entered_with, DB_PORT=9, DB_RETRY_TOTAL_S=0), 3),
    "no such host": (partial(entered_with, DB_HOST="no-hay.invalid"), 3),
    "a database that goes away": (going_away, 3),
    "a table that goes away": (refused_at_the_end, 3),
    "a row that is refused with its values": (
        partial(refused_with_the_row, body=f"BEGIN SET @t = LEFT(NEW.embedding, 100); {SIGNAL} @t; END"),
        1,
    ),
    "a value that is no number": (
        partial(refused_with_the_row, body="SET NEW.confidence = NEW.embedding"),
        1,
    ),
    "a photo server that refuses everyone": (refused_by_the_photo_server, 1),
    "a photo server that misbehaves": (photos_from_a_server_that_misbehaves, 1),
    "no photo server": (partial(photos_at, url=address("http://127.0.0.1:9")), 1),
    "no photo server of that name": (partial(photos_at, url=address("http://no-hay.invalid")), 1),
    "a photo server that does not speak TLS": (without_tls, 1),
    "a photo server's address with spaces": (partial(photos_at, url=address("http://ho st/")), 1),
    "a photo server's password not encoded": (partial(photos_at, url=address("http://127.0.0.1:9", PASSWORD)), 2),
    "a password that looks like a port": (partial(photos_at, url="http://lote:12/QZ7x@127.0.0.1/"), 2),
    "a mirror that has nothing": (partial(weights_from, mirror=address("http://WEB/404")), 3),
    "a mirror that refuses everyone": (partial(weights_from, mirror=address("http://WEB/401")), 3),
    "a mirror that is not there": (partial(weights_from, mirror=address("http://127.0.0.1:9")), 3),
    "a mirror with spaces": (partial(weights_from, mirror=address("http://ho st:80/")), 3),
    "a mirror whose password is not encoded": (partial(weights_from, mirror=address("http://WEB/404", PASSWORD)), 2),
    "a mirror of another kind": (partial(weights_from, mirror=address("ftp://127.0.0.1")), 2),
    "tampered photos": (tampered, 1),
    "stages that quote a vector": (partial(raising, QUOTING), 1),
}
OWN_NETS = ("mirror",)  # where the nets themselves are what is missing


# ------------------------------------------------------------------------------------------------- what is left


@pytest.fixture
def disaster(
    open_world: OpenWorld, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Disaster:
    world = open_world(f"sqlite:///{tmp_path / 'prueba.db'}", HTTP_TOTAL_TIMEOUT_S=2, HTTP_READ_TIMEOUT_S=0.5)
    for number in range(1, HIRED + 1):
        world.hire(str(number), "a.jpg", draw(number))
    return Disaster(world, request, monkeypatch)


def left_behind(world: World) -> Iterator[tuple[str, str]]:
    """Yield name and content of all that a run left: the console, every file but the databases, our tables' texts."""
    printed = world.capsys.readouterr()
    yield from (("console", printed.out), ("errors", printed.err))
    for path in world.folder.rglob("*"):
        if path.is_file() and path.suffix not in (".db", ".onnx", ".h5"):
            yield str(path.relative_to(world.folder)), path.read_bytes().decode("utf-8", "backslashreplace")
    engine = world.engine
    for name in ("face_runs", "face_photos"):
        if inspect(engine).has_table(name):
            with engine.connect() as connection:
                rows = connection.execute(select(Table(name, MetaData(), autoload_with=engine))).all()
            yield name, "\n".join(str([value for value in row if not isinstance(value, bytes)]) for row in rows)


def without_pictures(text: str) -> str:
    return re.sub(r"base64,[\w+/=]+", "", text)


def leaks(name: str, text: str) -> list[str]:
    text = without_pictures(text)
    found = [f"{name}: {form}" for form in (*FORMS, *PIECES) if form in text]
    stretch = STRETCH.search(text)
    return found + ([f"{name}: {stretch[0][:120]}"] if stretch else [])


QUIETLY = ("wrong password", "a mirror that is not there", "stages that quote a vector")  # without --debug, too


@pytest.mark.parametrize(
    ("name", "debug"), [*((name, True) for name in DISASTERS), *((name, False) for name in QUIETLY)]
)
def test_whatever_goes_wrong_no_secret_and_no_vector_is_left_behind(name: str, debug: bool, disaster: Disaster) -> None:
    prepare, exit_code = DISASTERS[name]
    loader = prepare(disaster) or (open_face_extractor if any(each in name for each in OWN_NETS) else TinyLoader())
    world = disaster.world
    options = parse_arguments(["--json", str(world.folder / "run.json"), *(["--debug"] if debug else [])])
    assert run(options, loader) == exit_code
    found = [leak for where, text in left_behind(world) for leak in leaks(where, text)]
    assert found == []


# ------------------------------------------------------------------------------------------------------- LOG_NAMES

WHOSE = "QUISPE"  # in the photos' names, and in an error's words


@pytest.mark.parametrize(("setting", "named", "debug"), [("1", True, False), ("0", False, False), ("0", False, True)])
def test_people_s_names_stay_out_of_the_logs_where_they_are_not_wanted(
    setting: str, named: bool, debug: bool, disaster: Disaster
) -> None:
    """The report, which needs the names, keeps them."""
    world = disaster.world
    photo = f"ANA_{WHOSE}.jpg"
    disaster.set(LOG_NAMES=setting)
    for crew_id, name in (("bad", f"../{photo}"), ("twice", photo), ("twice", f"2{photo}"), ("404", photo)):
        world.hire(crew_id, name)
    world.hire("odd", photo, b"GIF89a")
    words = ["--json", str(world.folder / "run.json"), *(["--debug"] if debug else [])]
    assert run(parse_arguments(words), raising({("detect", "2"): OSError(f"/fotos/{photo}")}, disaster)) == 1
    logs = {path.name: path.read_text(encoding="utf-8") for path in (world.folder / "logs").glob("*.log")}
    assert {name: WHOSE in text for name, text in logs.items()} == {"app.log": named, "generate_embeddings.log": named}
    assert not any("Paz" in text for text in logs.values())
    assert "OSError" in logs["app.log"]
    for line in ("bad roster: bad_name", "twice roster: duplicate_member", "odd decode", "404 download"):
        assert line in logs["generate_embeddings.log"]
    for name in ("report.html", "report.csv"):
        assert WHOSE in (world.folder / "logs" / name).read_text(encoding="utf-8")


def test_everything_that_a_run_leaves_behind_is_its_owner_s_alone(disaster: Disaster) -> None:
    """The caller's umask does not matter; with `--photos` the gallery is the owner's alone, too."""
    world = disaster.world
    photos = world.folder / "photos" / "7"
    photos.mkdir(parents=True)
    (photos / "a.jpg").write_bytes(draw(7))
    before = os.umask(0)
    words = ["--photos", str(photos.parent), "--json", str(world.folder / "run.json"), "--debug"]
    assert run(parse_arguments(words), TinyLoader()) == 0
    os.umask(before)
    paths = [photos.parent / "embeddings.db", world.folder / "run.json", *(world.folder / "logs").iterdir()]
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths} == dict.fromkeys(
        ["embeddings.db", "run.json", "app.log", "generate_embeddings.log", "report.html", "report.csv"], 0o600
    )
    assert [stat.S_IMODE((world.folder / name).stat().st_mode) for name in ("logs", "temp")] == [0o700, 0o700]
