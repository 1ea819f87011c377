"""Compare an organisation whose runs are disturbed with its twin, whose runs are not: their galleries must be equal."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from app.core.config import PROJECT_DIR, Settings
from app.gallery.tables import ATTEMPTS, CONTRACTS, PHOTOS, RUNS, VECTORS, VERSIONS
from app.pipeline.thread_pipeline import PipelineOptions
from app.runs.result_writer import AT_ONCE
from tests.support.chaos_options import rounds
from tests.support.databases import run_sql
from tests.support.organisation import Organisation

MEMBERS = rounds(quick=60, full=200)
START_S = 0.3  # to read settings and open logs, after the imports
PATIENCE_S = 120  # after which a run is taken to hang
TABLES = ("face_embeddings", *(table.name for table in (PHOTOS, VECTORS, CONTRACTS, ATTEMPTS, RUNS, VERSIONS)))
SHARES = {"replace": 0.15, "rename": 0.05, "reencode": 0.05, "find": 0.02, "dismiss": 0.04}
ONE_EACH = "SELECT crew_id FROM face_embeddings WHERE active GROUP BY crew_id HAVING COUNT(*) > 1"


@dataclass
class Ended:
    """A run that is over: its exit code, its output, its duration, and how many vectors it computed of each member."""

    exit_code: int
    printed: str
    seconds: float
    embedded: Counter[str]


@dataclass
class Program:
    """A run in its own process. Everything is imported; it begins at `go`."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    notes: Path
    starter: int
    began: float = 0

    def go(self) -> None:
        os.close(self.starter)
        self.began = time.monotonic()

    def strike(self, number: signal.Signals, after_s: float) -> None:
        time.sleep(after_s)
        self.process.send_signal(number)

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def end(self) -> Ended:
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"la ejecución no termina:\n{self._printed()}") from None
        seconds = time.monotonic() - self.began
        embedded = Counter(self.notes.read_text().split())
        self.notes.unlink()
        return Ended(self.process.returncode, self._printed(), seconds, embedded)

    def _printed(self) -> str:
        with self.output:
            self.output.seek(0)
            return self.output.read().decode()


@dataclass
class Scene:
    """`home` has disturbed runs, `twin` undisturbed ones; both have the same people and photos."""

    home: Organisation
    twin: Organisation
    folder: Path
    random: random.Random
    whole_s: float = 0

    def __post_init__(self) -> None:
        self.twin.people = self.home.people
        self.home.hire(*(f"P{number:03}" for number in range(MEMBERS)))
        self.spoil_some()

    # Between two runs

    def spoil_some(self) -> None:
        """Replace some photos by photos without a face, and remove others."""
        for crew_id in self._some(0.05):
            self.home.replace(crew_id, face=False)
        for crew_id in self._some(0.03):
            self.home.lose(crew_id)

    def live_on(self) -> None:
        """Let people join, leave and change their photos."""
        here = len(self.home.people)
        self.home.hire(*(f"P{number:03}" for number in range(here, here + 10)))
        for event, share in (
            ("replace", 0.15),
            ("rename", 0.05),
            ("reencode", 0.05),
            ("find", 0.02),
            ("dismiss", 0.04),
        ):
            for crew_id in self._some(share):
                getattr(self.home, event)(crew_id)
        self.spoil_some()

    def _some(self, share: float) -> list[str]:
        present = sorted(self.home.roster)
        return self.random.sample(present, int(len(present) * share))

    def forget_everything(self) -> None:
        """Empty both galleries and keep the people."""
        for organisation in (self.home, self.twin):
            for table in TABLES:
                run_sql(organisation.database, f"DROP TABLE IF EXISTS {table}")

    def undisturbed(self) -> tuple[Counter[str], Counter[str]]:
        """Run the twin. Return what it downloaded and embedded; set `whole_s` to about how long it took."""
        ran = self.twin.run()
        assert ran.result.error is None
        self.whole_s = START_S + ran.result.seconds
        return ran.downloads, ran.embedded

    def use(self, **settings: object) -> None:
        """Change settings for the next runs."""
        self.home.settings = self.home.settings.model_copy(update=settings)

    @staticmethod
    def wait(seconds: float) -> None:
        time.sleep(seconds)

    # Runs

    def start(self, *words: str, prefix: Sequence[str] = (), stdout: Any = None, **settings: object) -> Program:
        """Start a run; it has imported everything and goes on as soon as this returns."""
        self.home.publish()
        self.home.web.downloads.clear()
        return self.start_another(*words, prefix=prefix, stdout=stdout, **settings)

    def start_together(self, number: int, *words: str) -> list[Program]:
        """Start that many runs at the same moment."""
        self.home.publish()
        self.home.web.downloads.clear()
        programs = [self.prepare(*words) for _ in range(number)]
        for program in programs:
            program.go()
        return programs

    def start_another(self, *words: str, prefix: Sequence[str] = (), stdout: Any = None, **settings: object) -> Program:
        """Start a run beside one that is running."""
        program = self.prepare(*words, prefix=prefix, stdout=stdout, **settings)
        program.go()
        return program

    def prepare(self, *words: str, prefix: Sequence[str] = (), stdout: Any = None, **settings: object) -> Program:
        """Start a process that has imported everything and waits for `go`."""
        output = tempfile.TemporaryFile()  # noqa: SIM115  # until `end`
        descriptor, notes = tempfile.mkstemp(prefix="embedded-", dir=self.folder)
        os.close(descriptor)
        reader, writer = os.pipe()
        waiting, go = os.pipe()
        environment = os.environ | environment_of(self.home.settings)
        environment |= {name: str(value) for name, value in settings.items()}
        environment |= {"CHAOS_READY": str(writer), "CHAOS_GO": str(waiting), "CHAOS_EMBEDDED": notes}
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.chaos.child", *words],
            cwd=PROJECT_DIR,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout or output,
            stderr=output,
            pass_fds=(writer, waiting),
        )
        os.close(writer)
        os.close(waiting)
        with os.fdopen(reader, "rb") as ready:
            ready.read()  # until the child closes its end
        return Program(process, output, Path(notes), go)

    def run(self, *words: str, **settings: object) -> Ended:
        """Run undisturbed, to the end."""
        return self.start(*words, **settings).end()

    def downloads(self) -> Counter[str]:
        """Count the downloads of each member since `start`."""
        return Counter(unquote(path).split("/")[1] for path in self.home.web.downloads)

    # Checks

    @property
    def most_done_twice(self) -> int:
        """Photos under way, and outcomes that were not yet in the books."""
        return PipelineOptions.of(self.home.settings).in_flight + AT_ONCE

    def one_active_row_each(self) -> None:
        assert run_sql(self.home.database, ONE_EACH) == []

    def nothing_is_left_lying(self) -> None:
        temp = self.home.settings.TEMP_DIR
        assert not temp.exists() or sorted(path.name for path in temp.iterdir()) == []

    def galleries_are_equal(self) -> None:
        """Check that rows and photo records are equal, and that no crash suspect is left."""
        self.one_active_row_each()
        assert self.home.active_rows() == self.twin.active_rows()
        remembered = "SELECT crew_id, url, sha256, code FROM face_photos ORDER BY crew_id"
        assert run_sql(self.home.database, remembered) == run_sql(self.twin.database, remembered)
        assert run_sql(self.home.database, "SELECT crew_id FROM face_attempts WHERE run_id IS NOT NULL") == []


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the settings as environment variables."""
    values = settings.model_dump(mode="json", include=settings.model_fields_set)
    values |= {"DB_URL": settings.DB_URL.get_secret_value()}
    return {name: str(value) for name, value in values.items() if not isinstance(value, list | dict)}
