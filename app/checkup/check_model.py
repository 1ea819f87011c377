"""Check the model: its weights, whether the networks load, and what the first run would download. Downloads nothing."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests

from app.checkup.check_installation import check_folder, format_bytes
from app.checkup.finding import MODEL, Finding
from app.core.config import BYTES_PER_MB, Settings
from app.faces.detector import LIBRARY_MTCNN
from app.faces.embedding_spec import OWN_MTCNN
from app.faces.weights import SIZES_MB, WeightsFile, WeightsStore, describe_weights, open_weights
from app.pipeline.face_extractor import FaceExtractor, open_face_extractor

ADDRESS_TIMEOUT_S = 5
UNKNOWN_SIZE_MB = 600  # DeepFace's largest file


def check_model(settings: Settings) -> Generator[Finding, None, FaceExtractor | None]:
    """Load the networks and return them; None if that needs a download. Raises UnknownModel, WeightsUnavailable."""
    weights, file = open_weights(settings), describe_weights(settings.FACE_MODEL)
    if file is None or settings.FACE_DETECTOR not in (OWN_MTCNN, LIBRARY_MTCNN):
        name = settings.FACE_MODEL if file is None else settings.FACE_DETECTOR
        yield MODEL.unchecked(f"DeepFace descarga {name} por su cuenta al ejecutar: no se puede mirar sin hacerlo")
        return None
    path = weights.path_of(file)
    if not path.exists():
        yield from _check_download(weights, file, settings.WEIGHTS_MIRROR)
        return None
    started = time.perf_counter()
    faces = open_face_extractor(settings, provide=weights.verify)
    recorded = "su suma es la anotada" if weights.is_recorded(file) else "la próxima ejecución anota su suma"
    yield MODEL.ok("weights", f"{path.name}, {format_bytes(path.stat().st_size)}; {recorded}")
    yield MODEL.ok("load", f"{settings.FACE_MODEL} carga en {time.perf_counter() - started:.1f} s".replace(".", ","))
    return faces


def _check_download(weights: WeightsStore, file: WeightsFile, mirror: str) -> Iterator[Finding]:
    guess = SIZES_MB.get(file.model, UNKNOWN_SIZE_MB) * BYTES_PER_MB
    for address in file.sources(mirror):
        size = _size_at(address)
        if size is not None:
            message = f"faltan los pesos: la próxima ejecución descarga unos {format_bytes(size or guess)}"
            host = urlsplit(address).hostname or address
            yield MODEL.warning("weights", f"{message} de {host}", "No hay que hacer nada, si eso está bien.")
            break
    else:
        message = f"faltan los pesos (unos {format_bytes(guess)}) y no se llega a ningún servidor que los tenga"
        advice = (
            f"Descargue {file.addresses[0]} en un equipo con red y cópielo a {weights.path_of(file)}, "
            "o indique en WEIGHTS_MIRROR un servidor propio que lo tenga."
        )
        yield MODEL.broken("weights", message, advice)
    yield from check_folder("weights", weights.path_of(file).parent, "DEEPFACE_HOME", guess)


def _size_at(address: str) -> int | None:
    """Return the bytes to download, 0 if the server does not announce them; None if the file cannot be had there."""
    with suppress(OSError, ValueError, requests.RequestException):
        if address.startswith("file://"):
            return Path(url2pathname(urlsplit(address).path)).stat().st_size
        with requests.head(address, timeout=ADDRESS_TIMEOUT_S, allow_redirects=True) as response:
            response.raise_for_status()
            return int(response.headers.get("Content-Length", 0))
    return None
