"""`--demo`: the real program on a small roster under `demo/`, whose photos a web server of this process serves.
Portraits: two public-domain NASA and US Navy photographs that Python packages contain."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage
from rich.console import Console
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, insert

from app.cli.commands.run import carry_out
from app.cli.settings import read_settings
from app.core.config import PROJECT_DIR
from app.core.files import write_private
from app.errors import EXIT_OK, EXIT_SOME_FAILED, MissingDependency, SettingsError, WeightsUnavailable
from app.faces.embedder import load_network
from app.faces.weights import WeightsStore, describe_weights
from app.pipeline.face_loading import LoadFaces
from app.records import Image

DEMO_DIR = PROJECT_DIR / "demo"
FALLBACK_MODEL = "Dlib"
SMALL_SIDE_PX, LARGE_FACTOR = 240, 11
EXIF_ORIENTATION, TURNED_RIGHT = 0x0112, 6  # "the camera was turned": viewers turn it 90 degrees clockwise

# crew_id, imagen, nombres, apellidos; the photos are made in _pictures
CREW = [
    ("100001", "FAED(1).jpg", "Eileen", "Collins"),
    ("100002", "retrato.jpg", "Grace", "Hopper"),
    ("100003", "espejo.jpg", "Eileen", "en el espejo"),
    ("100004", "espejo ñ.png", "Grace", "en el espejo"),
    ("100005", "girada por EXIF.jpg", "Eileen", "girada"),
    ("100006", "pequeña.jpg", "Grace", "pequeña"),
    ("100007", "grande.jpg", "Eileen", "de 7 megapíxeles"),
    ("100008", "taza.jpg", "Taza", "de café"),
    ("100009", "dañada.jpg", "Foto", "dañada"),
    ("100010", "perdida.jpg", "Foto", "perdida"),
    ("100011", "repetida.jpg", "Grace", "por error"),
    ("100012", "repetida.jpg", "Eileen", "con la foto de Grace"),
]
EXPECTED_STORED = 9
EXPECTED_ERRORS = {"no_face": 1, "invalid_image": 1, "photo_not_found": 1}

NEXT_STEPS = """
Eso fue la demostración: los errores de arriba son parte de ella. El padrón, las fotos y los vectores están en demo/.

Qué sigue:
  1. Copie .env.example como .env y ponga los datos de su base y la dirección de sus fotos.
     ./run_embeddings.sh --check dice si falta algo.
  2. Pruebe con una persona:  ./run_embeddings.sh --crew-id SU_ID
  3. Y después con todas:     ./run_embeddings.sh --all
  4. docs/errores.md explica cada mensaje de error, y el README la línea de cron."""


def run(options: argparse.Namespace, console: Console, load_faces: LoadFaces | None) -> int:
    """Carry out a run on the demonstration's roster. The errors that it shows on purpose do not make it a failure."""
    photos, database_url = DEMO_DIR / "fotos", f"sqlite:///{DEMO_DIR / 'demo.db'}"
    try:
        shutil.rmtree(DEMO_DIR, ignore_errors=True)
        _make_photos(photos)
    except OSError as error:
        advice = "Ejecute la demostración con el dueño de esa carpeta."
        raise SettingsError(f"No se puede escribir en {DEMO_DIR}", advice) from error
    _create_roster(database_url)
    console.print(f"Demostración con {len(CREW)} tripulantes inventados, en {DEMO_DIR.name}/\n")
    with _serving(photos) as base_url:
        values = {
            "DB_URL": database_url,
            "IMAGE_BASE_URL": base_url,
            # Two people, cut out in many ways: a run refuses one photo under several ids by default.
            "SHARED_PHOTOS": "report",
            "LOG_DIR": str(DEMO_DIR / "logs"),
            "TEMP_DIR": str(DEMO_DIR / "temp_uploads"),
        }
        settings = read_settings(options, **values, **_choose_model(console.print))
        exit_code, counts = carry_out(options, settings, console, load_faces)
    if (counts.stored, dict(counts.by_code)) != (EXPECTED_STORED, EXPECTED_ERRORS):
        console.print("\n❌ La demostración no salió como debía: los errores de arriba dicen por qué.")
        return exit_code or EXIT_SOME_FAILED
    console.print(NEXT_STEPS)
    return EXIT_OK


def _pictures() -> dict[str, Image]:
    astronaut = _read(_package_file("skimage", "data", "astronaut.png"))
    admiral = _read(_package_file("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg"))
    closer, nearer = astronaut[20:260, 110:350], admiral[20:330, 130:400]
    nearby = admiral[:400, 80:430]
    small = SMALL_SIDE_PX / max(nearby.shape[:2])
    return {
        "100001": astronaut,
        "100002": admiral,
        "100003": astronaut[:, ::-1],
        "100004": admiral[:, ::-1],
        "100005": np.rot90(astronaut[:330, 60:390]),
        "100006": _resized(nearby, small, cv2.INTER_AREA),
        "100007": _resized(closer, LARGE_FACTOR, cv2.INTER_CUBIC),
        "100008": _read(_package_file("skimage", "data", "coffee.png")),
        "100011": nearer,
        "100012": nearer,
    }


def _resized(image: Image, scale: float, interpolation: int) -> Image:
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation), np.uint8)


def _make_photos(folder: Path) -> None:
    files = {crew_id: folder / crew_id / name for crew_id, name, _, _ in CREW}
    for crew_id, image in _pictures().items():
        files[crew_id].parent.mkdir(parents=True)
        exif = PillowImage.Exif()
        if crew_id == "100005":
            exif[EXIF_ORIENTATION] = TURNED_RIGHT
        PillowImage.fromarray(np.ascontiguousarray(image[:, :, ::-1])).save(files[crew_id], exif=exif, quality=92)
    whole = files["100001"].read_bytes()
    files["100009"].parent.mkdir()
    files["100009"].write_bytes(whole[: len(whole) // 2])


def _package_file(package: str, *parts: str) -> Path:
    """Return the path of a package's data file without importing the package. Raises MissingDependency."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependency(
            f"Módulo no encontrado: {package}. Ejecute: pip install --no-deps -r requirements-demo.txt"
        )
    return Path(spec.submodule_search_locations[0], *parts)


def _read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path)), np.uint8)


def _create_roster(database_url: str) -> None:
    names = ("crew_id", "imagen", "nombres", "apellidos")
    table = Table("tripulantes", MetaData(), *(Column(name, String(100)) for name in names), Column("estatus", Integer))
    engine = create_engine(database_url)
    with engine.begin() as connection:
        table.create(connection)
        connection.execute(insert(table), [dict(zip(names, row, strict=True)) | {"estatus": 1} for row in CREW])
    engine.dispose()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log no requests: the console belongs to the program."""


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # Where the environment names a proxy, this machine's own server must still be asked directly.
    os.environ["no_proxy"] = f"127.0.0.1,{os.environ.get('no_proxy') or os.environ.get('NO_PROXY', '')}"
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _choose_model(say: Callable[[str], None]) -> dict[str, object]:
    """Return Facenet512 if its weights are here or can be downloaded, else the model whose weights a package has."""
    try:
        mirror = os.environ.get("WEIGHTS_MIRROR", "")
        load_network("Facenet512", WeightsStore(mirror=mirror).ensure)
    except WeightsUnavailable:
        say("Sin red para descargar Facenet512: la demostración usa el modelo Dlib (una ejecución real no lo haría).\n")
        file = describe_weights(FALLBACK_MODEL)
        assert file is not None
        source = _package_file("face_recognition_models", "models", file.name)
        target = WeightsStore(str(DEMO_DIR)).path_of(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_private(target, source.read_bytes())
        return {"FACE_MODEL": FALLBACK_MODEL, "DEEPFACE_HOME": str(DEMO_DIR)}
    return {"FACE_MODEL": "Facenet512"}
