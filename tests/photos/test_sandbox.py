"""Untrusted files: what they do to the process that decodes them fails for their member alone."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from app.core.config import PROJECT_DIR
from app.errors import DangerousImage, Interrupted, InvalidImage
from app.photos.decoding import DecodeOptions, Pixels, is_plain, read_pixels
from app.photos.jpeg import USUAL_SCANS
from app.photos.portrait import load_portrait
from app.photos.sandbox import Sandbox
from app.records import CrewMember, Image, Photo
from tests.conftest import NewHome
from tests.support import fragile_decoder
from tests.support.databases import run_sql
from tests.support.fragile_decoder import CRASHING, HANGING, HUNGRY, LINGER_S, LINGERING
from tests.support.pictures import encode_picture, encode_pillow
from tests.support.tiny_faces import TinyLoader

OPTIONS = DecodeOptions(max_megapixels=20.0, min_side_px=900)
MOST_BITS = 14  # of a coefficient
LAX_S, IMPATIENT_S = 60.0, 1.0
KINDS = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"]


def children() -> set[int]:
    """Return the ids of this process's children, including dead ones that have not been waited for."""
    own, found = f"PPid:\t{os.getpid()}\n", set()
    for each in Path("/proc").glob("[0-9]*/status"):
        # Other tests' processes end meanwhile. Threads' own lists of children would miss one whose thread ends.
        with suppress(FileNotFoundError, ProcessLookupError):
            if own in each.read_text():
                found.add(int(each.parent.name))
    return found


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Give each test a sandbox of its own, which must leave no process."""
    before = children()
    one = Sandbox(command=fragile_decoder.COMMAND, time_limit_s=LAX_S)
    yield one
    one.close()
    assert children() == before


@pytest.fixture
def picture(astronaut: Image) -> Image:
    return np.ascontiguousarray(astronaut[:150, :210])


def looping_jpeg(side_px: int, scans: int) -> bytes:
    """Write a progressive JPEG with so many scans behind the first; each goes over all pixels and changes none."""
    content = encode_pillow(PillowImage.new("L", (side_px, side_px), 128), "JPEG", progressive=True)
    start = content.index(b"\xff\xda")
    first = content[: content.index(b"\xff\xc4", start)]
    one_code = b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + bytes([1] + [0] * 15 + [0xE0])
    blocks = (side_px // 8) ** 2
    bit_of_each = scan(0, 0x10, -(-blocks // 8))
    skipping_all = -(-(15 * -(-blocks // (1 << 14))) // 8)  # fifteen bits skip 2^14 blocks
    bits = [(high + 1 << 4 | high) if high < MOST_BITS - 1 else high for high in reversed(range(MOST_BITS))]
    passes = [scan(frequency, both, skipping_all) for both in bits for frequency in range(1, 64)]
    return first + one_code + b"".join([bit_of_each, *passes][:scans]) + b"\xff\xd9"


def scan(frequency: int, bits: int, data_bytes: int) -> bytes:
    return b"\xff\xda" + struct.pack(">HBBB", 8, 1, 1, 0) + bytes([frequency, frequency, bits]) + bytes(data_bytes)


def trouble(work: Callable[[], object]) -> str:
    with pytest.raises(DangerousImage) as caught:
        work()
    return caught.value.detail


def same(one: Pixels, other: Pixels) -> bool:
    return (one.size, one.reduction) == (other.size, other.reduction) and bool((one.image == other.image).all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1, 9])
def test_the_sandbox_s_pixels_equal_this_process_s(sandbox: Sandbox, picture: Image, kind: str, scale: int) -> None:
    content = encode_picture(np.kron(picture, np.ones((scale, scale, 1), np.uint8)), kind)
    assert same(sandbox.read_pixels(content, OPTIONS), read_pixels(content, OPTIONS))


def test_the_sandbox_refuses_a_file_with_this_process_s_sentence(sandbox: Sandbox, picture: Image) -> None:
    content = encode_picture(picture, "WEBP")
    for bad, options in ((content[:-500], OPTIONS), (content, DecodeOptions(0.01, 900))):
        with pytest.raises(InvalidImage) as here:
            read_pixels(bad, options)
        with pytest.raises(InvalidImage) as apart:
            sandbox.read_pixels(bad, options)
        assert apart.value.detail == here.value.detail


ACCIDENTS = {
    "a crash": (CRASHING, LAX_S, "al abrirla se cierra el programa (SIGSEGV)"),
    "no end": (HANGING, IMPATIENT_S, "abrirla toma más de 1 s"),
    "no memory": (HUNGRY, LAX_S, "para abrirla haría falta demasiada memoria"),
}


@pytest.mark.parametrize("name", ACCIDENTS)
def test_an_accident_fails_for_its_photo_and_the_next_one_is_read(picture: Image, name: str) -> None:
    ending, limit_s, detail = ACCIDENTS[name]
    good, before = encode_picture(picture), children()
    sandbox = Sandbox(command=fragile_decoder.COMMAND, time_limit_s=limit_s)
    try:
        assert trouble(lambda: sandbox.read_pixels(good + ending, OPTIONS)) == detail
        assert same(sandbox.read_pixels(good, OPTIONS), read_pixels(good, OPTIONS))
    finally:
        sandbox.close()
    assert children() == before


def test_a_jpeg_of_endless_scans_is_given_up() -> None:
    """With the real decoder: 70 kB that take seconds."""
    sandbox = Sandbox(time_limit_s=IMPATIENT_S)
    try:
        assert trouble(lambda: sandbox.read_pixels(looping_jpeg(4000, 10_000), OPTIONS)) == "abrirla toma más de 1 s"
    finally:
        sandbox.close()


def test_usual_photos_start_no_process(tmp_path: Path, picture: Image) -> None:
    nowhere = Sandbox(command=("/nowhere/decoder",))

    def load(content: bytes, *, suspect: bool = False) -> tuple[int, ...]:
        path = tmp_path / "foto.jpg"
        path.write_bytes(content)
        photo = Photo(CrewMember("7", "foto.jpg"), "http://fotos/7/foto.jpg", path, suspect=suspect)
        return load_portrait(photo, OPTIONS, nowhere).image.shape

    first, second = (PillowImage.fromarray(each) for each in (picture, picture[::-1]))
    plain = [
        *(encode_picture(picture), encode_picture(picture, progressive=True), encode_picture(picture, "PNG")),
        encode_pillow(first, "MPO", save_all=True, append_images=[second]),
    ]
    assert [load(content) for content in plain] == [(150, 210, 3)] * len(plain)
    apart = [encode_picture(picture, kind) for kind in KINDS[2:]]
    apart += [looping_jpeg(64, USUAL_SCANS), encode_pillow(first, "PNG", save_all=True, append_images=[second])]
    for content in apart:
        with pytest.raises(RuntimeError, match="No such file"):
            load(content)
    with pytest.raises(RuntimeError, match="No such file"):
        load(plain[0], suspect=True)
    with pytest.raises(InvalidImage):
        load(b"<html>", suspect=True)


@pytest.mark.parametrize(("scans", "plain"), [(USUAL_SCANS - 1, True), (USUAL_SCANS, False)])
def test_a_jpeg_with_more_scans_than_any_encoder_makes_is_not_plain(scans: int, plain: bool) -> None:
    assert is_plain(looping_jpeg(64, scans), OPTIONS) == plain


def test_each_thread_has_a_process_and_uses_it_again(sandbox: Sandbox, picture: Image) -> None:
    before, content = children(), encode_picture(picture, "WEBP")
    expected, good = read_pixels(content, OPTIONS), []

    def work() -> None:
        good.extend(same(sandbox.read_pixels(content, OPTIONS), expected) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert good == [True] * 60
    assert 1 <= len(children() - before) <= 3


@pytest.mark.parametrize("after_s", [0.01, 1.5], ids=["starting", "decoding"])
def test_a_run_that_is_to_stop_does_not_wait_for_a_decoder(picture: Image, after_s: float) -> None:
    stop, before = threading.Event(), children()
    sandbox = Sandbox(stop, command=fragile_decoder.COMMAND, time_limit_s=LAX_S)
    threading.Timer(after_s, stop.set).start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        sandbox.read_pixels(encode_picture(picture) + HANGING, OPTIONS)
    assert time.monotonic() - started < LAX_S / 2
    assert children() == before


def test_the_process_ignores_signals_to_stop(sandbox: Sandbox, picture: Image) -> None:
    content, before = encode_picture(picture), children()
    sandbox.read_pixels(content, OPTIONS)
    (child,) = children() - before
    assert os.getsid(child) == child  # Ctrl+C does not even reach it
    os.kill(child, signal.SIGINT)
    os.kill(child, signal.SIGTERM)
    time.sleep(0.2)
    sandbox.read_pixels(content, OPTIONS)
    assert children() - before == {child}


def test_a_process_that_died_while_it_was_idle_is_replaced(sandbox: Sandbox, picture: Image) -> None:
    content, before = encode_picture(picture), children()
    sandbox.read_pixels(content, OPTIONS)
    (child,) = children() - before
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert same(sandbox.read_pixels(content, OPTIONS), read_pixels(content, OPTIONS))


PROGRAM = """
import signal, os, sys
from app.photos.decoding import DecodeOptions
from app.photos.sandbox import Sandbox
sandbox = Sandbox()
sandbox.read_pixels(bytes.fromhex(sys.argv[1]), DecodeOptions(1, 900))
from pathlib import Path
print(*(each.read_text() for each in Path("/proc/self/task").glob("*/children")), flush=True)
"""


def run_program(ending: str, content: bytes) -> tuple[int, int, str]:
    """Run a program from stdin, which no child can import. Returns (exit status, the decoder's process id, stderr)."""
    done = subprocess.run(
        [sys.executable, "-", content.hex()],
        input=PROGRAM + ending,
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, int(done.stdout), done.stderr


@pytest.mark.parametrize(("ending", "status"), [("", 0), ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)])
def test_the_decoder_ends_with_its_program(picture: Image, ending: str, status: int) -> None:
    returned, child, said = run_program(ending, encode_picture(picture[:20, :20], "WEBP"))
    assert (returned, said) == (status, "")
    deadline = time.monotonic() + LAX_S
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_process_imports_only_what_decoding_needs() -> None:
    script = "import sys, app.photos.sandbox_worker; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    command = [sys.executable, "-c", script]
    said = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=True).stdout.split()
    assert {"cv2", "PIL", "numpy"} <= set(said)
    assert {"onnxruntime", "sqlalchemy", "pydantic", "requests", "deepface", "tensorflow", "rich", "pillow_heif"} & set(
        said
    ) == set()


def test_a_process_that_does_not_start_is_an_unexpected_error() -> None:
    sandbox = Sandbox(command=(sys.executable, "-c", "raise SystemExit(9)"))
    with pytest.raises(RuntimeError, match=r"^no se puede poner en marcha .* \(código 9\)$"):
        sandbox.read_pixels(b"", OPTIONS)


SLOW_START = """
import sys, time
from pathlib import Path
from tests.support.fragile_decoder import main, read
starts = Path(sys.argv[1])
starts.write_text(starts.read_text() + "x")
time.sleep({sleep_s})
if len(starts.read_text()) < {starts}:
    raise SystemExit(9)
main(read)
"""


@pytest.mark.parametrize(("sleep_s", "starts"), [(2 * IMPATIENT_S, 1), (0, 2)], ids=["slow", "at the second try"])
def test_the_photo_s_time_limit_does_not_include_the_start(
    tmp_path: Path, picture: Image, sleep_s: float, starts: int
) -> None:
    (tmp_path / "starts").touch()
    script = SLOW_START.format(sleep_s=sleep_s, starts=starts)
    sandbox = Sandbox(command=(sys.executable, "-c", script, str(tmp_path / "starts")), time_limit_s=IMPATIENT_S)
    try:
        assert sandbox.read_pixels(encode_picture(picture), OPTIONS).reduction == 1
        assert (tmp_path / "starts").read_text() == "x" * starts
    finally:
        sandbox.close()


def test_the_process_gets_only_the_environment_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, picture: Image
) -> None:
    """It gets no password, and no variable that keeps it from starting."""
    monkeypatch.setenv("DB_PASSWORD", "S3creta-larga")
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    before = children()
    sandbox.read_pixels(encode_picture(picture), OPTIONS)
    (child,) = children() - before
    found = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
    assert f"PYTHONPATH={PROJECT_DIR}".encode() in b"\n".join(found)
    assert not any(each.startswith((b"DB_PASSWORD", b"PYTHONSAFEPATH")) for each in found)


def at_once(work: Callable[[], object], times: int) -> float:
    """Do the work in so many threads at once. Returns the seconds that it took."""
    threads, started = [threading.Thread(target=work) for _ in range(times)], time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - started


ROOMY = DecodeOptions(max_megapixels=100.0, min_side_px=900)


def test_large_photos_are_decoded_one_at_a_time(sandbox: Sandbox, picture: Image) -> None:
    """Each takes memory for its pixels, however small the file: together they could take all of it."""
    large = encode_pillow(PillowImage.new("L", (7000, 3000), 128), "PNG") + LINGERING
    shapes = []
    usual = encode_picture(picture) + LINGERING
    at_once(lambda: sandbox.read_pixels(usual, ROOMY), 4)  # leaves four idle processes
    took_s = at_once(lambda: shapes.append(sandbox.read_pixels(large, ROOMY).image.shape), 4)
    assert shapes == [(750, 1750, 3)] * 4
    assert took_s >= 4 * LINGER_S, took_s


def test_a_usual_photo_gets_no_more_memory_than_the_largest_usual_one_needs(picture: Image) -> None:
    sandbox = Sandbox(command=fragile_decoder.COMMAND, time_limit_s=LAX_S)
    try:
        detail = trouble(lambda: sandbox.read_pixels(encode_picture(picture) + HUNGRY, ROOMY))
        assert detail == "para abrirla haría falta demasiada memoria"
    finally:
        sandbox.close()


TAKEN_OVER = """
import sys, time
from app.photos.sandbox_worker import PIXELS, READY, REPLY, SHAPE
sys.stdout.buffer.write(READY + REPLY.pack(PIXELS, {length}) + SHAPE.pack(1, 1, 1, 9, 9) + b"xyz" * 9)
sys.stdout.buffer.flush()
time.sleep(60)
"""


@pytest.mark.parametrize("length", [1 << 60, 10_000])
def test_a_false_reply_is_refused_in_time(length: int) -> None:
    """It takes neither much memory nor endless time."""
    sandbox = Sandbox(command=(sys.executable, "-c", TAKEN_OVER.format(length=length)), time_limit_s=IMPATIENT_S)
    details = {"al abrirla se cierra el programa (SIGKILL)", "abrirla toma más de 1 s"}
    assert trouble(lambda: sandbox.read_pixels(b"", OPTIONS)) in details


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_crash_suspect_is_tried_in_the_sandbox_and_fails_as_any_member(new_home: NewHome) -> None:
    """The member is neither quarantined nor crashes a second run, and a corrected photo is enrolled."""
    home, killer = new_home(), "P02"
    home.hire("P01", killer, "P03")
    home.people[killer].padding = len(CRASHING)
    home.die("decode", killer)
    sandbox = Sandbox(command=fragile_decoder.COMMAND)
    home.loader = TinyLoader(sandbox=sandbox)
    before = children()
    codes = home.run().codes
    assert codes | dict.fromkeys(codes.keys() - {killer}, "") == {"P01": "", killer: "dangerous_image", "P03": ""}
    assert [row[0] for row in home.active_rows()] == ["P01", "P03"]
    assert run_sql(home.database, "SELECT crew_id FROM face_attempts") == []
    assert children() == before
    assert home.run().codes == {"P01": "current", killer: "dangerous_image!", "P03": "current"}
    home.people[killer].padding = 0
    assert home.run(recheck_hours=0).codes == {"P01": "current", killer: "stored", "P03": "current"}
