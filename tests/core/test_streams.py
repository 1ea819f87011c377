"""Check that messages of native libraries are hidden, and that this program's own messages are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DECODER = """
import sys
from contextlib import nullcontext
from app.core.streams import without_native_chatter
import app.photos.decoding, cv2
with {guard}():
    cv2.imread("{path}")
    print("algo nuestro: \u00f1", file=sys.stderr)
print("y nuestro", file=sys.stderr)
"""
OURS = "algo nuestro: ñ\ny nuestro\n"


def say(guard: str, path: Path, ending: str = "") -> str:
    script = DECODER.format(guard=guard, path=path)
    command = ["bash", "-c", f"{sys.executable} -c '{script}' {ending}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    return done.stderr


@pytest.fixture
def damaged(tmp_path: Path, portrait_jpeg: bytes) -> Path:
    content = bytearray(portrait_jpeg)
    content[len(content) // 2 : len(content) // 2 + 200] = b"\xff\xd0" * 100
    path = tmp_path / "rota.jpg"
    path.write_bytes(content)
    return path


def test_a_library_prints_nothing_of_a_damaged_photo_and_our_lines_are_printed(damaged: Path) -> None:
    assert "Corrupt JPEG data" in say("nullcontext", damaged)
    assert say("without_native_chatter", damaged) == OURS


CLOSED = """
import os
from app.core.streams import prepare_streams
prepare_streams()
held = open("{path}", "ab")
os.write({number}, b"a word of a library")
assert held.fileno() > 2 and os.readlink("/proc/self/fd/{number}") == "/dev/null"
"""


@pytest.mark.parametrize(("number", "closed"), [(2, "2>&-"), (1, ">&-"), (2, "<&- >&- 2>&-"), (1, "<&- >&-")])
def test_where_a_standard_stream_is_closed_no_file_of_ours_takes_its_place(
    tmp_path: Path, number: int, closed: str
) -> None:
    path = tmp_path / "registro.log"
    command = ["bash", "-c", f"{sys.executable} -c '{CLOSED.format(path=path, number=number)}' {closed}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr, path.read_bytes()) == (0, "", "", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_standard_error_without_room_changes_no_exit_code(damaged: Path) -> None:
    assert say("without_native_chatter", damaged, "2>/dev/full") == ""
