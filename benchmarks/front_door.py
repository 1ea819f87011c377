"""Run the whole program from its command line, with a roster in MariaDB and photos on a web server."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, insert

from app.core.config import PROJECT_DIR, load_settings
from app.core.database import Database
from app.errors import EXIT_OK, EXIT_SOME_FAILED
from app.gallery.tables import PHOTOS
from benchmarks.machine import child_environment
from benchmarks.photo_server import count_requests, serving
from benchmarks.processes import Finished, run_process, tail
from tests.support.mariadb import MariaDb, missing_programs, running_mariadb

PROGRAM = ("generate_face_embeddings.py",)
STAND_INS = ("-m", "benchmarks.without_nets")
DATABASE = "medida"
ROSTER = "tripulantes"
LOG_MB = 2000  # so that one log file holds the whole run: the steady rate is read from it
LOG_TIME = "%Y-%m-%d %H:%M:%S,%f"
LOG_TIME_CHARACTERS = len("2025-01-31 23:59:59,999")


# Copy the rows of member 0 for all others of the roster. They are made of constants (S608).
PHOTO_COLUMNS = ", ".join(column.name for column in PHOTOS.columns if column.name not in ("crew_id", "url"))
COPIES = (
    "INSERT INTO face_embeddings (crew_id, embedding, modelo, confidence, imagen_path, active) "  # noqa: S608
    "SELECT who.crew_id, embedding, modelo, confidence, "
    "REPLACE(imagen_path, '/0/', CONCAT('/', who.crew_id, '/')), active "
    f"FROM {ROSTER} AS who, face_embeddings AS first WHERE who.crew_id <> '0' AND first.crew_id = '0'",
    "INSERT INTO face_vectors (embedding_id, crew_id, contract, sha256, perceptual_hash, grey) "
    "SELECT id, row.crew_id, contract, sha256, perceptual_hash, grey "
    "FROM face_embeddings AS row, face_vectors AS first WHERE row.crew_id <> '0' AND first.crew_id = '0'",
    f"INSERT INTO face_photos (crew_id, url, {PHOTO_COLUMNS}) "  # noqa: S608
    f"SELECT who.crew_id, REPLACE(url, '/0/', CONCAT('/', who.crew_id, '/')), {PHOTO_COLUMNS} "
    f"FROM {ROSTER} AS who, face_photos AS first WHERE who.crew_id <> '0' AND first.crew_id = '0'",
)


@dataclass(frozen=True, slots=True)
class ProgramRun:
    """One run: figures of its process, the document of `--json`, and the times of storing from its log."""

    process: Finished
    document: dict[str, Any]
    stored_at_s: list[float]

    @property
    def members(self) -> int:
        return int(self.document["summary"]["total"])

    @property
    def stages_ms(self) -> dict[str, float]:
        return dict(self.document["summary"]["stages_ms"])

    @property
    def ms_each(self) -> float:
        """Milliseconds per member of the whole process, start and end included."""
        return self.process.wall_s * 1000 / self.members

    def steady_ms_each(self, batch: int) -> float | None:
        """Compute the milliseconds per member from the end of the first batch to the end of the last, without start and
        loading; None with one batch only."""
        times = sorted(self.stored_at_s)
        if len(times) <= batch:
            return None
        return (times[-1] - times[batch - 1]) * 1000 / (len(times) - batch)


class FrontDoor:
    """What a run needs: a database server, a photo server, a DeepFace home, a folder for its files."""

    def __init__(self, server: MariaDb, base_url: str, folder: Path, home: Path) -> None:
        self._server = server
        self._base_url = base_url
        self._folder = folder
        self._log = folder / "logs" / "generate_embeddings.log"
        self._environment = child_environment(
            {
                "DB_URL": server.url(DATABASE).render_as_string(hide_password=False),
                "IMAGE_BASE_URL": base_url,
                "DEEPFACE_HOME": home,
                "LOG_DIR": folder / "logs",
                "LOG_MAX_MB": LOG_MB,
                "TEMP_DIR": folder / "temp_uploads",
                "SHARED_PHOTOS": "report",  # many members share a few photos
                "MULTIPLE_FACES": "largest",  # as DeepFace's side chooses
            }
        )

    def enrol(self, photo_names: Sequence[str], members: int) -> None:
        """Make a new database whose roster has that many members, who share these photos in turn."""
        self.enrol_as([str(number) for number in range(members)], photo_names)

    def enrol_as(self, crew_ids: Sequence[str], photo_names: Sequence[str]) -> None:
        """Make a new database whose roster has members of these ids, who share these photos in turn."""
        self._server.execute(f"CREATE OR REPLACE DATABASE {DATABASE} CHARACTER SET utf8mb4")
        names = ("crew_id", "imagen", "nombres", "apellidos")
        id_column = Column(names[0], String(10), primary_key=True)
        texts = (Column(name, String(100)) for name in names[1:])
        table = Table(ROSTER, MetaData(), id_column, *texts, Column("estatus", Integer))
        rows = [
            {"crew_id": crew_id, "imagen": photo_names[number % len(photo_names)], "estatus": 1}
            | {"nombres": "Nombre", "apellidos": f"Apellido {number}"}
            for number, crew_id in enumerate(crew_ids)
        ]
        database = Database(load_settings(None, DB_URL=self._environment["DB_URL"], IMAGE_BASE_URL="file:///"))
        database.transaction(table.create)
        database.transaction(lambda connection: connection.execute(insert(table), rows))
        database.engine.dispose()

    def enrol_stored(self, photo_name: str, members: int, tree: Path = PROJECT_DIR) -> None:
        """Make a new database whose roster has that many members, all stored already with this photo: the first by the
        program of the source tree with stand-ins for the nets, the others as copies of those rows."""
        self.enrol([photo_name], members)
        self.run("--crew-id", "0", program=STAND_INS, tree=tree)
        for statement in COPIES:
            self._server.execute(statement, DATABASE)

    def run(
        self, *words: str, program: Sequence[str] = PROGRAM, tree: Path = PROJECT_DIR, **settings: object
    ) -> ProgramRun:
        """Run the program of a source tree with these arguments. Raises RuntimeError when the run failed as a whole."""
        document = self._folder / "run.json"
        for left in (document, self._log):
            left.unlink(missing_ok=True)
        finished = self.start(*words, "--json", str(document), program=program, tree=tree, **settings)
        return ProgramRun(finished, json.loads(document.read_text()), self._stored_at_s())

    def start(
        self, *words: str, program: Sequence[str] = PROGRAM, tree: Path = PROJECT_DIR, **settings: object
    ) -> Finished:
        """Run any command of a source tree's program; no document is read. Raises RuntimeError when it failed."""
        output = self._folder / "run.txt"
        environment = self._environment | {name: str(value) for name, value in settings.items()}
        finished = run_process([*program, *words], environment, output, tree)
        if finished.exit_code not in (EXIT_OK, EXIT_SOME_FAILED):
            raise RuntimeError(f"{words}: {tail(output)}")
        return finished

    @property
    def database_url(self) -> str:
        return self._environment["DB_URL"]

    def slow_down(self, each_s: float) -> None:
        """Let the database take so many seconds more for each new row; the tables must be there."""
        sql = f"CREATE TRIGGER lenta BEFORE INSERT ON face_embeddings FOR EACH ROW DO SLEEP({each_s})"
        self._server.execute(sql, DATABASE)

    def rows(self) -> dict[str, tuple[str, datetime]]:
        """Read the active rows by crew_id: the vector's text, and when the row was last written."""
        sql = "SELECT crew_id, embedding, updated_at FROM face_embeddings WHERE active"
        return {str(crew_id): (text, written) for crew_id, text, written in self._server.execute(sql, DATABASE)}

    def requests(self) -> Counter[str]:
        """Count the photo server's answers so far, by method and status."""
        return count_requests(self._base_url)

    def _stored_at_s(self) -> list[float]:
        """Read from the run's log when each member was stored (seconds since 1970)."""
        if not self._log.exists():
            return []
        with self._log.open(encoding="utf-8") as lines:
            times = [line[:LOG_TIME_CHARACTERS] for line in lines if " store " in line]
        return [datetime.strptime(time, LOG_TIME).timestamp() for time in times]


@contextmanager
def open_front_door(folder: Path, photos: Path, home: Path) -> Iterator[FrontDoor]:
    """Start our own servers and stop them on leaving; `photos` is the folder that the web server serves. Ends the
    program where MariaDB is not installed."""
    missing = missing_programs()
    if missing:
        raise SystemExit(f"{', '.join(missing)} not found: apt-get install mariadb-server-core mariadb-client-core")
    with running_mariadb(folder) as server, serving(photos) as base_url:
        yield FrontDoor(server, base_url, folder, home)
