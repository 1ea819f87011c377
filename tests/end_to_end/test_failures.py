"""Every failure that a user can meet, each with its stage, code, message and exit code, through the real program."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.core.config import PROJECT_DIR
from app.errors import ItemError, item_errors
from app.records import Image
from tests.conftest import OpenWorld
from tests.support.mariadb import MariaDb
from tests.support.pictures import draw_avatar, encode_picture
from tests.support.program import World

SCRIPT = PROJECT_DIR / "generate_face_embeddings.py"
FACE = (182, 64, 83, 107)  # the astronaut's, by MTCNN: x, y, width, height
SOME_FAILED, NOT_STARTED, NOT_AVAILABLE = 1, 2, 3


@pytest.fixture
def world(open_world: OpenWorld, tmp_path: Path) -> World:
    limits = {"MAX_PHOTO_MB": 2, "MAX_PHOTO_MEGAPIXELS": 4, "HTTP_READ_TIMEOUT_S": 0.3, "HTTP_TOTAL_TIMEOUT_S": 3}
    return open_world(f"sqlite:///{tmp_path / 'prueba.db'}", **limits)


@dataclass(frozen=True)
class Case:
    """One member's failure: how the photo is, and what the program makes of it."""

    stage: str
    code: str
    message: str
    crew_id: str = "photo"  # a route of the web server
    photo: str | None = "a.jpg"
    content: Callable[[Image], bytes] | None = None


def within_scene(image: Image, face_px: int, place: tuple[float, float]) -> Image:
    """A large photo of nothing but a picture with this face in it: so many pixels wide, its middle at these shares of
    the photo's width and height."""
    scene = cv2.GaussianBlur(np.random.default_rng(5).integers(60, 190, (1200, 1600, 3)).astype(np.uint8), (0, 0), 12)
    x, y, width, height = FACE
    scale = face_px / width
    around = image[y - height // 2 : y + 2 * height, x - width // 2 : x + 2 * width]
    small = cv2.resize(around, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rows, columns = small.shape[:2]
    left, top = (
        round(share * side - size / 2) for share, side, size in zip(place, (1600, 1200), (columns, rows), strict=True)
    )
    scene[top : top + rows, left : left + columns] = small
    return np.asarray(scene, np.uint8)


HTML = b"<!DOCTYPE html><html><body>Iniciar sesion</body></html>"
CASES = {
    "404": Case("download", "photo_not_found", "Imagen no encontrada: el servidor respondió 404", "404"),
    "403": Case("download", "photo_forbidden", "El servidor no deja ver la imagen: el servidor respondió 403", "403"),
    "time-out": Case("download", "photo_unavailable", "Imagen no disponible: el servidor tardó demasiado", "slow"),
    "reset": Case("download", "photo_unavailable", "Imagen no disponible: no se pudo conectar, o se cortó", "reset"),
    "500": Case("download", "photo_unavailable", "Imagen no disponible: el servidor respondió 500", "500"),
    "503": Case("download", "photo_unavailable", "Imagen no disponible: el servidor respondió 503", "503"),
    "429": Case("download", "photo_unavailable", "Imagen no disponible: el servidor respondió 429", "busy"),
    "byte by byte": Case("download", "photo_unavailable", "Imagen no disponible: el servidor tardó más de", "drip"),
    "redirect loop": Case("download", "photo_unavailable", "Imagen no disponible: más de 5 redirecciones", "loop"),
    "other site": Case("download", "photo_unavailable", "Imagen no disponible: el servidor redirige a", "elsewhere"),
    "HTML": Case("decode", "invalid_image", "No es una imagen válida: el servidor entregó una página web", "html"),
    "zero bytes": Case("decode", "invalid_image", "No es una imagen válida: el archivo está vacío", "empty"),
    "cut short": Case(
        "download", "invalid_image", "No es una imagen válida: la descarga llegó incompleta", "truncated"
    ),
    "too heavy": Case("download", "invalid_image", "No es una imagen válida: pesa más de 2 MB", "huge"),
    "half a file": Case(
        "decode",
        "invalid_image",
        "No es una imagen válida: los datos están dañados o incompletos",
        content=lambda image: encode_picture(image)[:9000],
    ),
    "too many pixels": Case(
        "decode",
        "invalid_image",
        "No es una imagen válida: mide 3000 x 2000 píxeles",
        content=lambda image: encode_picture(np.zeros((2000, 3000, 3), np.uint8), "PNG"),
    ),
    "not an image": Case(
        "decode",
        "invalid_image",
        "No es una imagen válida: no se reconoce como foto",
        content=lambda image: b"abc" * 99,
    ),
    "no face": Case(
        "detect",
        "no_face",
        "No se detectaron rostros",
        content=lambda image: encode_picture(np.full((200, 200, 3), 120, np.uint8)),
    ),
    "two people": Case(
        "detect",
        "several_faces",
        "Varias personas en la foto: se ven 2",
        content=lambda image: encode_picture(np.hstack([image, image[:, ::-1]])),
    ),
    "blurred": Case(
        "detect",
        "low_quality",
        "La foto no sirve para reconocer a la persona: La cara está borrosa (Sharpness: ",
        content=lambda image: encode_picture(np.asarray(cv2.GaussianBlur(image, (0, 0), 8), np.uint8)),
    ),
    "far away": Case(
        "detect",
        "face_too_small",
        "La cara sale demasiado pequeña: mide ",
        content=lambda image: encode_picture(within_scene(image, 30, (0.5, 0.4))),
    ),
    "poster behind": Case(
        "detect",
        "not_a_portrait",
        "La única cara que se ve puede ser de otra persona: ocupa el ",
        content=lambda image: encode_picture(within_scene(image, 110, (0.88, 0.15))),
    ),
    "avatar": Case(
        "detect",
        "not_a_photo",
        "Es un dibujo, no una fotografía",
        content=lambda _: encode_picture(draw_avatar(), "PNG"),
    ),
    "no photo": Case("roster", "no_photo", "Sin foto registrada", photo=None),
    "climbing name": Case("roster", "bad_name", "Nombre no permitido", photo="../../etc/passwd"),
    "backslash": Case("roster", "bad_name", "Nombre no permitido", photo="..\\a.jpg"),
    "dots": Case("roster", "bad_name", "Nombre no permitido", photo=".."),
    "control character": Case("roster", "bad_name", "Nombre no permitido", photo="a\x00.jpg"),
    "long id": Case(
        "store",
        "row_refused",
        "La base de datos rechazó la fila: crew_id tiene 192",
        "x" * 192,
        content=encode_picture,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_members_failure(name: str, world: World, astronaut: Image, portrait_jpeg: bytes) -> None:
    """The failure has its stage, code and sentence, costs one member, and the next one is stored all the same."""
    case = CASES[name]
    world.web.default_photo = portrait_jpeg
    world.web.failures = 99
    world.web.retry_after = "0"
    world.web.redirect_target = "http://127.0.0.2:9/a.jpg"
    world.hire(case.crew_id, case.photo, case.content(astronaut) if case.content else None)
    world.hire("good", "a.jpg", portrait_jpeg)
    result = world.run("--all")
    members = {member["crew_id"]: member for member in result.document["members"]}
    failed = members[case.crew_id]
    assert (failed["outcome"], failed["stage"], failed["code"]) == ("failed", case.stage, case.code)
    assert failed["detail"].startswith(case.message)
    assert f"❌ Error al extraer embedding para {case.crew_id}: {case.message}" in result.stdout
    assert members["good"]["outcome"] == "stored"
    assert (result.exit_code, [row.crew_id for row in world.rows()]) == (SOME_FAILED, ["good"])


def test_every_kind_of_failure_is_in_the_table_or_tested_elsewhere() -> None:
    elsewhere = {"duplicate_member", "several_photos", "bad_vector", "unexpected"}  # roster, folder, embedder, pipeline
    elsewhere |= {"shared_photo", "placeholder_photo", "set_aside"}  # screening, month
    elsewhere |= {"dangerous_image", "took_too_long"}  # sandbox, pipeline
    elsewhere |= {"unclear_orientation"}  # finder
    assert {kind.code for kind in item_errors()} == {case.code for case in CASES.values()} | elsewhere


def test_every_kind_of_failure_says_what_to_do() -> None:
    for kind in item_errors(ItemError):
        assert kind.title and kind.advice.endswith("."), kind


def test_a_failed_photo_is_not_asked_for_again_when_it_is_not_there(world: World) -> None:
    world.hire("404", "a.jpg")
    world.run("--all")
    assert world.web.count("/404/a.jpg") == 1


def test_a_failure_that_is_recalled_has_the_stage_that_it_had(world: World) -> None:
    """An oversized photo fails while it is downloaded, although most failures of its code are of decoding."""
    world.hire("huge", "a.jpg")
    nights = [world.run("--all").document["members"] for _ in range(2)]
    assert [(member["stage"], member["code"]) for (member,) in nights] == [("download", "invalid_image")] * 2
    assert world.web.count("/huge/a.jpg") == 1


RUN_CASES = {
    "unknown option": (["--nope"], {}, NOT_STARTED, "argumentos desconocidos: --nope"),
    "two wishes": (["--all", "--demo"], {}, NOT_STARTED, "--demo no se puede usar junto con --all"),
    "no value": (["--crew-id"], {}, NOT_STARTED, "a --crew-id le falta su valor"),
    "no photos": (["--match"], {}, NOT_STARTED, "a --match le falta su valor"),
    "one of two": (["--audit", "--accept", "1"], {}, NOT_STARTED, "--accept lleva dos valores"),
    "empty id": (["--crew-id", ""], {}, NOT_STARTED, "a --crew-id le falta su valor"),
    "empty forget": (["--forget", ""], {}, NOT_STARTED, "a --forget le falta su valor"),
    "empty folder": (["--photos", " "], {}, NOT_STARTED, "a --photos le falta su valor"),
    "empty model": (["--model="], {}, NOT_STARTED, "a --model le falta su valor"),
    "empty detector": (["--detector", ""], {}, NOT_STARTED, "a --detector le falta su valor"),
    "empty json": (["--json", ""], {}, NOT_STARTED, "a --json le falta su valor"),
    "empty days": (["--purge-after", ""], {}, NOT_STARTED, "a --purge-after le falta su valor"),
    "zero days": (
        ["--crew-id", "7", "--purge-after", "0"],
        {},
        NOT_STARTED,
        "--purge-after no se puede usar junto con --crew-id",
    ),
    "schema as json": (
        ["--print-schema", "--json", "-"],
        {},
        NOT_STARTED,
        "--json no se puede usar junto con --print-schema",
    ),
    "settings": (
        ["--all"],
        {"DB_PORT": "x", "IMAGE_BASE_URL": "ftp://a", "BATCH_SIZE": "-1"},
        NOT_STARTED,
        "BATCH_SIZE",
    ),
    "no folder": (["--photos", "/nowhere"], {}, NOT_STARTED, "No existe la carpeta"),
    "unknown model": (["--all", "--model", "Facenet999"], {}, NOT_STARTED, "Modelo desconocido: Facenet999"),
    "unknown detector": (["--all", "--detector", "eyes"], {}, NOT_STARTED, "Detector desconocido: eyes"),
    "no database": (
        ["--all"],
        {"DB_URL": "mysql://u:secreta@127.0.0.1:9/b"},
        NOT_AVAILABLE,
        "Conexión a base de datos",
    ),
    "no roster": (
        ["--all"],
        {"ROSTER_TABLE": "gente"},
        NOT_AVAILABLE,
        "face_vectors, tripulantes",
    ),
    "no column": (["--all"], {"ROSTER_PHOTO_COLUMN": "foto"}, NOT_AVAILABLE, "no tiene la columna foto"),
    "provider": (["--all"], {"ONNX_PROVIDERS": "TpuProvider"}, NOT_STARTED, "ONNX_PROVIDERS: TpuProvider no está"),
    "json nowhere": (
        ["--all", "--json", "/nowhere/x.json"],
        {},
        NOT_STARTED,
        "No se puede escribir en /nowhere/x.json",
    ),
    "logs nowhere": (["--all"], {"LOG_DIR": "/dev/null/logs"}, NOT_STARTED, "No se puede escribir en /dev/null/logs"),
    "temp nowhere": (["--all"], {"TEMP_DIR": "/dev/null/temp"}, NOT_STARTED, "No se puede escribir en /dev/null/temp"),
    "other database": (["--all"], {"DB_URL": "postgresql://u:secreta@h/b"}, NOT_STARTED, "solo se admiten mysql"),
    "no weights": (["--all"], {"FACE_MODEL": "ArcFace", "WEIGHTS_MIRROR": "file:///nowhere"}, NOT_AVAILABLE, "arcface"),
}


@pytest.mark.parametrize("name", RUN_CASES)
def test_what_ends_a_run(name: str, world: World, portrait_jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, what to do, the exit code; no traceback, no password, nothing stored."""
    words, settings, exit_code, message = RUN_CASES[name]
    world.hire("1", "a.jpg", portrait_jpeg)
    for key, value in settings.items():
        monkeypatch.setenv(key, value)
    result = run_script(*words)
    assert result.returncode == exit_code
    printed = result.stdout + result.stderr
    assert message in printed
    assert "Traceback" not in printed
    assert "secreta" not in printed


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        *[([word], NOT_AVAILABLE) for word in ("--plan", "--all", "--audit")],
        (["--forget", "7"], NOT_AVAILABLE),
        (["--check"], NOT_STARTED),
    ],
)
def test_an_sqlite_file_that_should_hold_the_roster_and_is_missing_is_said_and_not_created(
    words: list[str], exit_code: int, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "errata.db"
    monkeypatch.setenv("DB_URL", f"sqlite:///{missing}")
    result = world.run(*words)
    assert (result.exit_code, missing.exists()) == (exit_code, False), result.stdout
    assert "no existe el archivo" in " ".join(result.stdout.split())
    assert "Todo listo" not in result.stdout


def run_script(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=120)


def test_a_missing_module_is_named_with_the_line_that_installs_it(tmp_path: Path, world: World) -> None:
    (tmp_path / "sqlalchemy.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'sqlalchemy'\", name='sqlalchemy')"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(SCRIPT), "--all"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert result.returncode == NOT_STARTED
    assert "Módulo no encontrado: sqlalchemy. Ejecute: pip install -r requirements.txt" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_cleanly(
    number: signal.Signals, exit_code: int, world: World, portrait_jpeg: bytes
) -> None:
    """What was written stays, the summary is printed, no file is left, and the next run continues."""
    world.web.default_photo = portrait_jpeg
    world.web.slow_s = 30
    for crew_id in range(20):
        world.hire(str(crew_id), "a.jpg", portrait_jpeg)
    world.hire("slow", "a.jpg")
    environment = os.environ | {"HTTP_READ_TIMEOUT_S": "30", "HTTP_TOTAL_TIMEOUT_S": "60"}
    with subprocess.Popen([sys.executable, str(SCRIPT)], stdout=subprocess.PIPE, text=True, env=environment) as process:
        wait_until(lambda: stored(world) >= 20)
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == exit_code
    assert "📊 RESUMEN FINAL" in output
    assert "✅ Exitosos: 20" in output
    assert "Interrumpido: 1 sin procesar" in output
    assert list((world.folder / "temp").iterdir()) == []
    assert world.run("--crew-id", "7").codes == {"7": "skipped:current"}


def test_a_signal_while_the_nets_compute_ends_the_run_cleanly(world: World, portrait_jpeg: bytes) -> None:
    for crew_id in range(400):
        world.hire(str(crew_id), "a.jpg", portrait_jpeg)
    with subprocess.Popen([sys.executable, str(SCRIPT)], stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: stored(world) >= 1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"✅ Exitosos: {stored(world)}\n" in output
    assert "📋 Total procesados: 400" in output


def stored(world: World) -> int:
    try:
        return len(world.rows())
    except Exception:  # the table is not there yet
        return 0


def wait_until(condition: Callable[[], bool], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_database_that_goes_away_ends_the_run_with_what_was_stored(
    mariadb: MariaDb, mariadb_name: str, open_world: OpenWorld, portrait_jpeg: bytes
) -> None:
    """The account loses its right to enter while a slow photo is on its way, and its connections are cut."""
    mariadb.create_user("batch", "secreta", f"ALL ON {mariadb_name}.*")
    url = mariadb.url(mariadb_name, "batch", "secreta").render_as_string(hide_password=False)
    settings = {"DB_URL": url, "DB_RETRY_TOTAL_S": 2, "HTTP_READ_TIMEOUT_S": 20, "HTTP_TOTAL_TIMEOUT_S": 40}
    world = open_world(mariadb.url(mariadb_name).render_as_string(hide_password=False), **settings)
    world.web.default_photo, world.web.slow_s = portrait_jpeg, 3.0
    for crew_id in ("1", "2", "slow"):
        world.hire(crew_id, "a.jpg", portrait_jpeg)
    with subprocess.Popen([sys.executable, str(SCRIPT)], stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: stored(world) >= 2)
        mariadb.lock_out("batch")
        output, _ = process.communicate(timeout=60)
    mariadb.let_in("batch")
    assert process.returncode == NOT_AVAILABLE
    assert "✅ Exitosos: 2" in output
    assert re.search(r"❌ Conexión a base de datos: 127\.0\.0\.1:\d+, base \w+, usuario batch", output)
    assert "secreta" not in output
    assert world.run().codes == {"1": "skipped:current", "2": "skipped:current", "slow": "stored"}


def test_numbers_and_counts_agree_when_all_goes_wrong_at_once(world: World, portrait_jpeg: bytes) -> None:
    """Members in = outcomes out, each once, numbered from one to the last."""
    for number, route in enumerate(itertools.islice(itertools.cycle(["404", "html", "empty", "ok"]), 24)):
        world.hire(route if number < 4 else f"m{number}", "a.jpg", portrait_jpeg if number % 3 else None)
    world.web.default_photo = portrait_jpeg
    result = world.run()
    numbers = [int(found) for found in re.findall(r"^\[(\d+)/24\]", result.stdout, re.MULTILINE)]
    assert numbers == list(range(1, 25))
    summary = result.document["summary"]
    assert summary["stored"] + summary["failed"] + summary["skipped"] == summary["total"] == 24
