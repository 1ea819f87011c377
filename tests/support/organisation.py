"""An organisation over many days (roster, photo server, clock), and an oracle of what its gallery must hold."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

import numpy as np

from app.core.config import Settings
from app.core.database import Database
from app.gallery.run_history import RunEnd
from app.planning.decisions import UNCHANGED
from app.planning.rules import Request
from app.records import Failed
from app.runs.result import RunResult
from app.runs.run import close_run, run_batch
from tests.support.databases import Row, create_roster, read_tables, run_sql
from tests.support.dying_run import KILLED
from tests.support.tiny_faces import Silent, TinyLoader, close_to
from tests.support.tiny_pictures import QUALITY, draw
from tests.support.webserver import PhotoServer

FIRST_DAY = datetime(2026, 1, 5, 3)
LOGIN_PAGE = b"<!DOCTYPE html><html><body>Inicie la sesi\xc3\xb3n</body></html>"
INSERT_PERSON = "INSERT INTO tripulantes VALUES (:a, 'Ana', :b, :c, :d)"


@dataclass
class Person:
    """A person of the organisation. `status`: 1 on the roster, 0 departed, None row deleted; `lost`: the photo is
    missing on the server."""

    photo_name: str
    picture: int
    status: int | None = 1
    face: bool = True
    lost: bool = False
    quality: int = QUALITY
    padding: int = 0


@dataclass(frozen=True)
class File:
    """A photo on the server."""

    url: str
    sha256: str
    picture: int
    face: bool


@dataclass
class Ran:
    """One run: its result, exit code, and its downloads and embeddings by crew id."""

    result: RunResult
    exit_code: int
    downloads: Counter[str]
    embedded: Counter[str]

    @property
    def kinds(self) -> dict[str, str]:
        assert self.result.plan is not None, self.result.error
        plan = self.result.plan
        settled = {member.crew_id: UNCHANGED for member, _ in plan.settled}
        return settled | {each.member.crew_id: each.kind for each in plan.decisions}

    @property
    def codes(self) -> dict[str, str]:
        """Outcomes by crew id: the code or `stored`, with `!` for a failure recalled from an earlier run."""
        assert len({each.member.crew_id for each in self.result.outcomes}) == len(self.result.outcomes)
        return {
            each.member.crew_id: getattr(each, "code", "stored") + "!" * getattr(each, "recalled", False)
            for each in self.result.outcomes
        }


@dataclass
class Organisation:
    """An organisation; events change `people`, and `run` publishes them to roster and server first."""

    database: Database
    web: PhotoServer
    settings: Settings
    now: datetime = FIRST_DAY
    people: dict[str, Person] = field(default_factory=dict)
    roster_lost: bool = False
    loader: TinyLoader = field(default_factory=TinyLoader)
    always: dict[str, Any] = field(default_factory=dict)  # what every run is asked besides
    _pictures: int = 0

    def __post_init__(self) -> None:
        create_roster(self.database, [])

    # Events

    def hire(self, *crew_ids: str) -> None:
        for crew_id in crew_ids:
            self.people[crew_id] = Person(f"FAED({len(self.people)}).jpg", self._new_picture())

    def dismiss(self, crew_id: str, *, deleted: bool = False) -> None:
        self.people[crew_id].status = None if deleted else 0

    def rehire(self, crew_id: str) -> None:
        self.people[crew_id].status = 1

    def replace(self, crew_id: str, *, face: bool = True) -> None:
        """Replace the photo under the same name."""
        self._save(crew_id, picture=self._new_picture(), face=face, quality=QUALITY, lost=False)

    def rename(self, crew_id: str) -> None:
        self.people[crew_id].photo_name = f"nueva {self.people[crew_id].photo_name}"

    def reencode(self, crew_id: str) -> None:
        self._save(crew_id, quality=95 if self.people[crew_id].quality < 90 else 70)

    def lose(self, crew_id: str) -> None:
        self.people[crew_id].lost = True

    def find(self, crew_id: str) -> None:
        self.people[crew_id].lost = False

    def _save(self, crew_id: str, **changes: Any) -> None:
        """Change the photo; the new file gets another size, since some servers send no other validator."""
        person = self.people[crew_id]
        self.people[crew_id] = replace(person, **changes)
        while len(self.content(crew_id)) == len(_draw(person)):
            self.people[crew_id].padding += 1

    def _new_picture(self) -> int:
        self._pictures += 1
        return self._pictures

    # Roster and server

    def content(self, crew_id: str) -> bytes:
        return _draw(self.people[crew_id])

    @property
    def roster(self) -> dict[str, Person]:
        return {} if self.roster_lost else {each: who for each, who in self.people.items() if who.status == 1}

    @property
    def suspicious(self) -> bool:
        return self.web.down or self.web.login_page is not None

    def file(self, crew_id: str) -> File | None:
        person = self.people[crew_id]
        if person.lost:
            return None
        name = person.photo_name.replace("(", "%28").replace(")", "%29").replace(" ", "%20")
        digest = hashlib.sha256(self.content(crew_id)).hexdigest()
        return File(f"{self.web.base_url}/{crew_id}/{name}", digest, person.picture, person.face)

    def publish(self) -> None:
        run_sql(self.database, "DELETE FROM tripulantes")
        known = {} if self.roster_lost else self.people
        rows = [
            {"a": each, "b": each, "c": who.photo_name, "d": who.status}
            for each, who in known.items()
            if who.status is not None
        ]
        if rows:
            run_sql(self.database, INSERT_PERSON, *rows)
        self.web.photos = {
            f"{each}/{who.photo_name}": self.content(each) for each, who in self.people.items() if not who.lost
        }

    # Runs

    def run(self, *, stop_after: int = 0, recheck_hours: float | None = None, **request: Any) -> Ran:
        """Run the program once and close the run as the command line does."""
        self.publish()
        self.web.downloads.clear()
        self.loader.clear()
        stop = threading.Event()
        changes = {} if recheck_hours is None else {"PHOTO_RECHECK_HOURS": recheck_hours}
        settings, asked = self.settings.model_copy(update=changes), Request(now=self.now, **self.always | request)
        result = run_batch(settings, asked, Silent(stop, stop_after), stop, self.loader)
        blocked = result.plan is not None and bool(result.plan.blocked)
        failed = blocked or any(isinstance(each, Failed) for each in result.outcomes)
        exit_code = result.error.exit_code if result.error else int(failed)
        close_run(result, asked, RunEnd(exit_code, result.seconds))
        if result.gallery is not None:
            result.gallery.database.engine.dispose()
        downloads = Counter(unquote(path).split("/")[1] for path in self.web.downloads)
        return Ran(result, exit_code, downloads, self.loader.count())

    def die(self, stage: str, crew_id: str) -> None:
        """Run the program in its own process, which kills itself when this member comes to that stage."""
        self.publish()
        values = self.settings.model_dump(mode="json") | {"DB_URL": self.settings.DB_URL.get_secret_value()}
        given = json.dumps({"settings": values, "now": self.now.isoformat(), "stage": stage, "crew_id": crew_id})
        command = [sys.executable, "-m", "tests.support.dying_run"]
        done = subprocess.run(command, input=given, text=True, capture_output=True, check=False)
        assert done.returncode == KILLED, f"{done.returncode} {done.stdout}{done.stderr}"

    def tomorrow(self) -> None:
        self.now += timedelta(days=1)

    # Tables

    def dump(self, *without: str) -> dict[str, list[Row]]:
        """Read every table, except these columns of `face_photos`."""
        left_out = [f"face_photos.{name}" for name in without]
        tables = self.database.transaction(lambda connection: read_tables(connection, *left_out))
        return {table: sorted(rows, key=repr) for table, rows in tables.items()}

    def active_rows(self) -> list[Row]:
        """Read the active rows (crew id, URL, model, vector, SHA-256 of the photo, spec's digest), by crew id."""
        return run_sql(
            self.database,
            "SELECT e.crew_id, e.imagen_path, e.modelo, e.embedding, v.sha256, v.contract FROM face_embeddings e "
            "LEFT JOIN face_vectors v ON v.embedding_id = e.id WHERE e.active ORDER BY e.crew_id, e.id",
        )


@dataclass(frozen=True)
class Held:
    """The row that the gallery must hold for a person."""

    url: str
    sha256: str
    picture: int
    model: str
    active: bool = True


@dataclass
class Oracle:
    """Computes from roster and photos alone what the gallery must hold after each day, and the least downloads and
    embeddings for it. `looked`: each member's file when it was last processed, and the model."""

    held: dict[str, Held] = field(default_factory=dict)
    looked: dict[str, tuple[File, str]] = field(default_factory=dict)

    def pass_day(
        self, home: Organisation, *, allow_mass_change: bool = False
    ) -> tuple[Counter[str], Counter[str]] | None:
        """Advance by one day; return the expected downloads and embeddings by crew id. Return None and change nothing
        when the server's answers are implausible."""
        if home.suspicious:
            return None
        self._let_go(home, allow_mass_change=allow_mass_change)
        downloads: Counter[str] = Counter()
        embedded: Counter[str] = Counter()
        for crew_id in home.roster:
            downloads[crew_id], embedded[crew_id] = self._enrol(home, crew_id)
        model = home.settings.FACE_MODEL
        self.held = {each: row if row.model == model else replace(row, active=False) for each, row in self.held.items()}
        return +downloads, +embedded

    def _let_go(self, home: Organisation, *, allow_mass_change: bool) -> None:
        active = [crew_id for crew_id, row in self.held.items() if row.active]
        leavers = [crew_id for crew_id in active if crew_id not in home.roster]
        too_many = len(leavers) > max(1, len(active) / 10) or not home.roster
        for crew_id in leavers if allow_mass_change or not too_many else ():
            self.held[crew_id] = replace(self.held[crew_id], active=False)

    def _enrol(self, home: Organisation, crew_id: str) -> tuple[int, int]:
        file, row, model = home.file(crew_id), self.held.get(crew_id), home.settings.FACE_MODEL
        if file is None or not file.face:
            if row is not None and row.model == model:
                self.held[crew_id] = replace(row, active=True)  # back in the roster: the old row is still valid
            known = self.looked.pop(crew_id, None) == (file, model)
            if file is not None:
                self.looked[crew_id] = (file, model)
            return int(file is not None and not known), 0
        known = self.looked.get(crew_id) == (file, model)
        seen = self.looked.get(crew_id)
        was_last = seen is not None and (seen[0].sha256, seen[1]) == (file.sha256, model)
        same_file = was_last and row is not None and (row.sha256, row.model) == (file.sha256, model)
        self.looked[crew_id] = (file, model)
        self.held[crew_id] = Held(file.url, file.sha256, file.picture, model)
        return int(not (known and same_file)), int(not same_file)

    def check(self, home: Organisation) -> None:
        """Assert that the gallery holds exactly the expected active rows, each with the right vector."""
        rows = home.active_rows()
        found = [(*row[:3], row[4]) for row in rows]
        wanted = [(each, row.url, row.model, row.sha256) for each, row in sorted(self.held.items()) if row.active]
        assert found == wanted
        wrong = [
            row[0]
            for row in rows
            if not close_to(np.array(json.loads(row[3]), np.float32), self.held[row[0]].picture, row[2])
        ]
        assert wrong == []
        assert len({row[5] for row in home.active_rows()}) <= 1  # embedding specs


def _draw(person: Person) -> bytes:
    return draw(person.picture, face=person.face, quality=person.quality, padding=person.padding)
