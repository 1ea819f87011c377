"""Kill exports at any moment: the files that readers find are whole, and of one version."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from app.core.config import PROJECT_DIR
from tests.chaos.test_disk import fill, make_room, small_disk
from tests.conftest import Figure
from tests.support.chaos_options import rounds
from tests.support.exports import documented_readers, export, make_contents, read_whole

SUFFIXES = (".npy", ".npz", ".faiss", ".parquet")
LONGEST_S = 0.2  # a few exports


def child(target: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.chaos.export_child", str(target), *words]
    return subprocess.Popen(command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True)


def version_of(crew_ids: list[str]) -> str:
    """Return the prefix that all ids share."""
    (prefix,) = {crew_id[0] for crew_id in crew_ids}
    return prefix


@contextmanager
def reading(target: Path) -> Iterator[None]:
    """Read a .npy again and again, as docs/reconocimiento.md says, until the block ends. Raises what went wrong."""
    if target.suffix != ".npy":
        yield
        return
    stop, unit = threading.Event(), {}
    for seed, prefix in ((1, "a"), (2, "b")):
        ends = make_contents(3000, 128, seed, prefix).templates.vectors[[0, -1]]
        unit[prefix] = ends / np.linalg.norm(ends, axis=1, keepdims=True)

    def read() -> int:
        reader, readings = documented_readers().Galeria(target), 0
        while not stop.is_set():
            reader.abrir()
            np.testing.assert_allclose(reader.vectores[[0, -1]], unit[version_of(reader.datos["crew_ids"])], atol=1e-6)
            readings += 1
        return readings

    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(read)
        try:
            yield
        finally:
            stop.set()
        assert busy.result() > 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_export_that_dies_at_any_step_leaves_the_old_or_the_new(suffix: str, tmp_path: Path, figure: Figure) -> None:
    program = child(tmp_path / f"g{suffix}", "steps")
    printed, _ = program.communicate(timeout=300)
    assert (program.returncode, int(printed) > 8) == (0, True)
    figure(f"export to {suffix}: steps at which it died, old or new each time", int(printed))


def test_exports_that_are_killed_at_random_leave_the_old_or_the_new(
    tmp_path: Path, chance: random.Random, figure: Figure
) -> None:
    total, versions = rounds(quick=4, full=200), []
    for number in range(total):
        target = tmp_path / f"g{SUFFIXES[number % len(SUFFIXES)]}"
        if number < len(SUFFIXES):
            export(target, make_contents(3000, 128, 1, "a"))
        with child(target) as program, reading(target):
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0, LONGEST_S))
            program.send_signal(signal.SIGKILL)
        versions.append(version_of(read_whole(target)))
        of_it = [path for path in tmp_path.iterdir() if path.name.startswith("g.") and path.suffix == target.suffix]
        assert len(of_it) <= 4  # the target, its version, the one before, and one that was about to be published
    ends = (versions.count("a"), versions.count("b"))
    figure("kill -9 while exporting: rounds, all whole; ended with the one gallery, the other", (total, *ends))


def test_an_export_that_the_disk_has_no_room_for_leaves_the_old_one(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as disk:
        target = disk / "g.npy"
        export(target, make_contents(100))
        before = read_whole(target)
        fill(disk)
        with pytest.raises(OSError, match="No space left"):
            export(target, make_contents(3000, 128))
        assert read_whole(target) == before
        assert [path.name for path in disk.iterdir() if path.suffix == ".part"] == []
        make_room(disk)
        export(target, make_contents(101))
        assert len(read_whole(target)) == 101
