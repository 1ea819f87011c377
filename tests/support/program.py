"""Run the whole program in this process, with a roster, a web server and settings in the environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine, delete, insert, select, update

from generate_face_embeddings import main
from tests.support.webserver import PhotoServer

CREW = Table(
    "tripulantes",
    MetaData(),
    *(Column(name, String(100)) for name in ("crew_id", "imagen", "nombres", "apellidos")),
    Column("estatus", Integer),
)


@dataclass
class Result:
    """The results of a run: exit code, output, and the document of `--json`."""

    exit_code: int
    stdout: str
    stderr: str
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def codes(self) -> dict[str, str]:
        """Outcomes by crew id, with the code where there is one."""
        return {
            member["crew_id"]: ":".join(filter(None, (member["outcome"], member["code"])))
            for member in self.document["members"]
        }


@dataclass
class World:
    """A customer: a database with a roster, photos on a web server, and a folder for files."""

    url: str
    web: PhotoServer
    folder: Path
    capsys: pytest.CaptureFixture[str]
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = create_engine(self.url)
        CREW.create(self.engine, checkfirst=True)

    def hire(self, crew_id: str, photo: str | None, content: bytes | None = None, *, active: int = 1) -> None:
        """Add a member; with `content` the photo is on the server."""
        row = {"crew_id": crew_id, "imagen": photo, "nombres": "Ana", "apellidos": "Paz", "estatus": active}
        with self.engine.begin() as connection:
            connection.execute(insert(CREW), row)
        if content is not None:
            self.web.photos[f"{crew_id}/{photo}"] = content

    def rename_photo(self, crew_id: str, photo: str) -> None:
        (old,) = [path for path in self.web.photos if path.startswith(f"{crew_id}/")]
        self.web.photos[f"{crew_id}/{photo}"] = self.web.photos.pop(old)
        with self.engine.begin() as connection:
            connection.execute(update(CREW).where(CREW.c.crew_id == crew_id).values(imagen=photo))

    def set_active(self, crew_id: str, *, active: bool) -> None:
        """Let a member leave the crew, or come back."""
        with self.engine.begin() as connection:
            connection.execute(update(CREW).where(CREW.c.crew_id == crew_id).values(estatus=int(active)))

    def dismiss_all(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(delete(CREW))

    def rows(self) -> list[Any]:
        """Read all rows of face_embeddings, by id."""
        table = Table("face_embeddings", MetaData(), autoload_with=self.engine)
        with self.engine.connect() as connection:
            return list(connection.execute(select(table).order_by(table.c.id)))

    def run(self, *words: str) -> Result:
        """Run the program with these arguments and `--json`."""
        target = self.folder / "run.json"
        target.unlink(missing_ok=True)
        exit_code = main([*words, "--json", str(target)])
        printed = self.capsys.readouterr()
        document = json.loads(target.read_text()) if target.exists() else {}
        return Result(exit_code, printed.out, printed.err, document)


@contextmanager
def live_in(world: World, monkeypatch: pytest.MonkeyPatch, **settings: object) -> Iterator[World]:
    """Put the world's settings into the environment; close its database on leaving."""
    values = {
        "DB_URL": world.url,
        "DB_RETRY_TOTAL_S": 3,
        "IMAGE_BASE_URL": world.web.base_url,
        "HTTP_CONNECT_TIMEOUT_S": 2,
        "HTTP_READ_TIMEOUT_S": 1,
        "HTTP_TOTAL_TIMEOUT_S": 6,
        "HTTP_ATTEMPTS": 2,
        "WORKER_THREADS": 2,
        "LOG_DIR": world.folder / "logs",
        "TEMP_DIR": world.folder / "temp",
        "SHARED_PHOTOS": "report",  # members share a few pictures here; the tests of shared photos set it themselves
    }
    for name, value in (values | settings).items():
        monkeypatch.setenv(name, str(value))
    yield world
    world.engine.dispose()
