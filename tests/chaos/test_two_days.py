"""Run for two days, every ninety seconds, in one process: nothing may grow but the history, which is pruned."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli.arguments import parse_arguments
from app.cli.main import run
from app.core.config import BYTES_PER_MB
from tests.chaos.scene import Scene, environment_of
from tests.conftest import Figure
from tests.support.chaos_options import rounds
from tests.support.databases import run_sql
from tests.support.mariadb import MariaDb
from tests.support.tiny_faces import TinyLoader

RUNS = rounds(quick=25, full=2000)
WARM_UP = RUNS // 5  # until caches and pools have reached their size
MEMBERS = 24
SETTLED_EVERY = 25
HELD_OPEN = 4  # connections to the photo server, which lives in this process, too: a thread and two files each
LOG_MB, LOG_BACKUPS = 0.05, 2
MAX_GROWTH_MB = rounds(quick=40, full=20)  # a short test is mostly warming up
LONGEST_LINE_BYTES = 2000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Use:
    """What the process uses, and what the database server uses for it."""

    memory_mb: float
    files: int
    threads: int
    connections: int
    temp_files: int
    log_bytes: int
    runs: int


def use_of(scene: Scene, server: MariaDb, name: str) -> Use:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what is free, perhaps since another test, does not count
    settings = scene.home.settings
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES / BYTES_PER_MB
    asked = f"SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{name}'"  # noqa: S608
    return Use(
        memory_mb=round(resident, 1),
        files=len(list(Path("/proc/self/fd").iterdir())),
        threads=threading.active_count(),
        connections=server.execute(asked)[0][0],
        temp_files=len(list(settings.TEMP_DIR.iterdir())),
        log_bytes=sum(path.stat().st_size for path in settings.LOG_DIR.glob("*.log*")),
        runs=run_sql(scene.home.database, "SELECT COUNT(*) FROM face_runs")[0][0],
    )


def change_a_little(scene: Scene) -> None:
    """Change the photo of one member, or replace a member, and keep the number of members."""
    home = scene.home
    crew_id = scene.random.choice(sorted(home.roster))
    event = scene.random.choice(["replace", "rename", "reencode", "lose", "find", "turn over"])
    if event == "rename":
        home.people[crew_id].photo_name = f"foto {scene.random.randrange(1000)}.jpg"
        return
    if event != "turn over":
        getattr(home, event)(crew_id)
        return
    home.dismiss(crew_id, deleted=True)
    away = [each for each, who in home.people.items() if who.status is None]
    for each in away[: len(away) - 3]:
        home.people[each].status = 1


def test_two_days_of_runs_leave_the_process_and_the_server_as_they_were(
    scene: Scene,
    mariadb: MariaDb,
    mariadb_name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    figure: Figure,
) -> None:
    scene.use(LOG_MAX_MB=LOG_MB, LOG_BACKUPS=LOG_BACKUPS)
    for crew_id in list(scene.home.people)[MEMBERS:]:
        del scene.home.people[crew_id]
    for variable, value in environment_of(scene.home.settings).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("LOG_MAX_MB", str(LOG_MB))
    monkeypatch.setenv("LOG_BACKUPS", str(LOG_BACKUPS))
    thresholds, used = gc.get_threshold(), []
    try:
        for number in range(RUNS):
            change_a_little(scene)
            scene.home.publish()
            assert run(parse_arguments(["--all"]), TinyLoader()) in (0, 1), capsys.readouterr()
            if (number >= WARM_UP and (RUNS - 1 - number) % SETTLED_EVERY == 0) or number == WARM_UP:
                capsys.readouterr()
                used.append(use_of(scene, mariadb, mariadb_name))
    finally:
        gc.set_threshold(*thresholds)
    first, last = used[0], used[-1]
    figure(f"{RUNS} runs: use after {WARM_UP}", vars(first))
    figure(f"{RUNS} runs: use after {RUNS}", vars(last))
    assert last.memory_mb - first.memory_mb < MAX_GROWTH_MB, used
    assert last.files - first.files <= 2 * HELD_OPEN, used
    assert last.threads - first.threads <= HELD_OPEN, used
    assert last.connections - first.connections <= HELD_OPEN, used
    assert {each.temp_files for each in used} == {0}
    most = 2 * (LOG_BACKUPS + 1) * (LOG_MB * BYTES_PER_MB + LONGEST_LINE_BYTES)
    assert max(each.log_bytes for each in used) <= most
    scene.one_active_row_each()
    scene.undisturbed()
    rows = "SELECT crew_id, imagen_path FROM face_embeddings WHERE active ORDER BY crew_id"
    assert {row[0] for row in run_sql(scene.home.database, rows)} >= {
        row[0] for row in run_sql(scene.twin.database, rows)
    }
