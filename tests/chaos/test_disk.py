"""Fill the disk, make folders read-only, close the console: a run ends in good order or goes on without them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.errors import EXIT_NOT_AVAILABLE, EXIT_NOT_STARTED
from tests.chaos.conftest import OpenScene
from tests.chaos.scene import Ended, Scene
from tests.conftest import Figure, OpenDatabase
from tests.support.chaos_options import rounds
from tests.support.databases import run_sql

DISK_BYTES = 4_000_000
UNENDED = "SELECT id FROM face_runs WHERE ended_at IS NULL"
FULL = Path("/dev/full")  # every write to it fails for want of space
Disturb = Callable[[Path], None]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small file system. Skips unless root runs the tests."""
    folder.mkdir(parents=True)
    mounted = shutil.which("mount") and os.geteuid() == 0
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if not mounted or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("hace falta root para montar un disco pequeño")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as file:
        for piece in (b"x" * 65536, b"x" * 4096, b"x"):
            try:
                while True:
                    file.write(piece)
            except OSError:
                continue


def make_room(folder: Path) -> None:
    (folder / "filler").unlink()


def without_override() -> list[str]:
    """Return the command that takes root's right to write in every folder."""
    return [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]


def disturbed(scene: Scene, disturb: Disturb, folder: Path) -> Ended:
    program = scene.start(prefix=without_override())
    while program.is_running and not scene.home.web.downloads:
        scene.wait(0.01)
    scene.wait(scene.random.uniform(0, 0.3) * scene.whole_s)
    disturb(folder)
    return program.end()


def says_why_and_ends(scene: Scene, ended: Ended, why: str) -> None:
    assert "Traceback" not in ended.printed, ended.printed
    assert (ended.exit_code, why in ended.printed) == (EXIT_NOT_AVAILABLE, True), ended.printed
    assert "RESUMEN FINAL" in ended.printed
    assert run_sql(scene.home.database, UNENDED) == []
    assert run_sql(scene.home.database, "SELECT crew_id FROM face_photos WHERE code = 'unexpected'") == []


def test_photos_that_the_disk_has_no_room_for_end_the_run_and_the_next_one_goes_on(
    scene: Scene, tmp_path: Path, figure: Figure
) -> None:
    with small_disk(tmp_path / "small") as disk:
        scene.use(TEMP_DIR=disk / "temp")
        counts = hold_against(scene, fill, make_room, disk, "no queda espacio en el disco")
    figure("full disk under TEMP_DIR: rounds, of them ended with 3, saying why", counts)


def test_a_temp_folder_that_becomes_read_only_ends_the_run_and_the_next_one_goes_on(
    scene: Scene, tmp_path: Path, figure: Figure
) -> None:
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("hace falta setpriv")
    temp = scene.home.settings.TEMP_DIR
    temp.mkdir()
    closed, opened = (lambda folder: folder.chmod(0o500)), (lambda folder: folder.chmod(0o700))
    counts = hold_against(scene, closed, opened, temp, "no hay permiso")
    figure("TEMP_DIR made read-only: rounds, of them ended with 3, saying why", counts)


def hold_against(scene: Scene, disturb: Disturb, mend: Disturb, folder: Path, why: str) -> tuple[int, int]:
    """Return the number of rounds, and in how many the disturbance ended the run before all photos were fetched."""
    total, ended_by_it = rounds(quick=1, full=20), 0
    for number in range(total):
        if number % 2 == 0:
            scene.forget_everything()
        else:
            scene.live_on()
        downloads, _ = scene.undisturbed()
        ended = disturbed(scene, disturb, folder)
        before = scene.downloads()
        mend(folder)
        if ended.exit_code in (0, 1):
            scene.galleries_are_equal()
        else:
            ended_by_it += 1
            says_why_and_ends(scene, ended, why)
        assert scene.run().exit_code in (0, 1)
        scene.galleries_are_equal()
        scene.nothing_is_left_lying()
        assert (before + scene.downloads() - downloads).total() <= scene.most_done_twice
    assert ended_by_it
    return total, ended_by_it


def test_a_temp_folder_that_is_read_only_from_the_start_keeps_the_run_from_starting(scene: Scene) -> None:
    temp = scene.home.settings.TEMP_DIR
    temp.mkdir(mode=0o500)
    ended = scene.start(prefix=without_override()).end()
    assert (ended.exit_code, "Revise TEMP_DIR" in ended.printed) == (EXIT_NOT_STARTED, True), ended.printed


def test_logs_and_report_that_the_disk_has_no_room_for_do_not_stop_a_run(scene: Scene, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as disk:
        scene.use(LOG_DIR=disk)
        fill(disk)
        scene.undisturbed()
        ended = scene.run()
        assert "Traceback" not in ended.printed, ended.printed[:3000]
        assert ended.exit_code == 1
        assert "No se pudo escribir el informe" in ended.printed
        assert ended.printed.count("No se puede escribir en ") == 2  # once for each of the two logs
    scene.galleries_are_equal()


def test_a_console_without_room_does_not_stop_a_run(scene: Scene) -> None:
    scene.undisturbed()
    with FULL.open("wb") as full:
        ended = scene.start(stdout=full).end()
    assert (ended.exit_code, ended.printed) == (1, "")
    scene.galleries_are_equal()
    scene.nothing_is_left_lying()


def test_a_console_whose_reader_is_gone_does_not_stop_a_run(scene: Scene) -> None:
    scene.undisturbed()
    reader, writer = os.pipe()
    program = scene.start(stdout=writer)
    os.close(writer)
    os.read(reader, 100)  # as `| head -1` does
    os.close(reader)
    ended = program.end()
    assert (ended.exit_code, ended.printed) == (1, "")
    scene.galleries_are_equal()
    scene.nothing_is_left_lying()


def test_a_document_that_the_disk_has_no_room_for_is_said_at_the_end(scene: Scene, tmp_path: Path) -> None:
    scene.undisturbed()
    with small_disk(tmp_path / "small") as disk:
        fill(disk)
        ended = scene.run("--json", str(disk / "run.json"))
        assert "Traceback" not in ended.printed, ended.printed[-3000:]
        assert ended.exit_code == 1
        assert "no queda espacio en el disco" in ended.printed
        assert sorted(path.name for path in disk.iterdir()) == ["filler"]
    with FULL.open("wb") as full:
        ended = scene.start("--json", "-", stdout=full).end()
    assert (ended.exit_code, "no queda espacio en el disco" in ended.printed) == (1, True), ended.printed
    scene.galleries_are_equal()


def test_a_database_file_that_the_disk_has_no_room_for_ends_the_run_and_loses_nothing(
    open_scene: OpenScene, open_database: OpenDatabase, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "small") as disk:
        database = open_database(DB_URL=f"sqlite:///{disk / 'prueba.db'}")
        scene = open_scene(database)
        scene.undisturbed()
        scene.home.publish()
        fill(disk)
        ended = scene.start_another().end()
        assert "Traceback" not in ended.printed, ended.printed
        assert (ended.exit_code, "is full" in ended.printed) == (EXIT_NOT_AVAILABLE, True), ended.printed
        make_room(disk)
        assert scene.run().exit_code == 1
        scene.galleries_are_equal()
        database.engine.dispose()
