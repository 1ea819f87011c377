"""The console goes on when its reader, its terminal or its disk is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TALKER = """
import sys
from app.reports.console import open_console
console = open_console()
for number in range(20000):
    console.print(f"línea {number}")
print("se acabó", file=sys.stderr)
"""


def talk(shell: str) -> subprocess.CompletedProcess[str]:
    command = shell.format(talker=f"{sys.executable} -c '{TALKER}'")
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)  # noqa: S607


def test_a_reader_that_has_seen_enough_ends_nothing() -> None:
    done = talk("set -o pipefail; {talker} | head -n 1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "línea 0\n", "se acabó\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_ends_nothing() -> None:
    done = talk("{talker} > /dev/full")
    assert (done.returncode, done.stderr) == (0, "se acabó\n")


def test_a_closed_output_ends_nothing() -> None:
    done = talk("{talker} >&-")
    assert (done.returncode, done.stderr) == (0, "se acabó\n")
