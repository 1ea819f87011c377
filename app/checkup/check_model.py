"""The model: settings come in; what was found of weights and nets goes out, and the nets. Nothing is downloaded."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests

from app.checkup.check_machine import in_bytes, look_at_folder
from app.checkup.finding import MODEL, Finding
from app.core.config import BYTES_PER_MB, Settings
from app.errors import WeightsUnavailable
from app.faces.detector import LIBRARY_MTCNN, OWN_MTCNN
from app.faces.weights import SIZES_MB, Check, WeightsFile, WeightsOptions, WeightsStore, describe_weights
from app.pipeline.face_extractor import FaceExtractor, open_face_extractor

NOTHING_TO_LOAD = (OWN_MTCNN, LIBRARY_MTCNN)  # detectors that download nothing
ADDRESS_TIMEOUT_S = 5
UNKNOWN_SIZE_MB = 600  # the largest that DeepFace has


class UntouchedWeights(WeightsStore):
    """The weights as they are: what `ensure` would download or note is left to a run."""

    def ensure(self, file: WeightsFile, check: Check) -> Path:
        path = self.path_of(file)
        if self.is_noted(file):
            return super().ensure(file, check)  # compares, and writes nothing
        check(path)
        return path

    def is_noted(self, file: WeightsFile) -> bool:
        """Whether its hash was noted when it was last checked."""
        return self._hash_path(self.path_of(file)).exists()


def open_untouched(settings: Settings) -> UntouchedWeights:
    return UntouchedWeights(WeightsOptions(settings.DEEPFACE_HOME, settings.WEIGHTS_MIRROR))


def look_at_model(settings: Settings) -> Generator[Finding, None, FaceExtractor | None]:
    """The nets; None where they are not to be had without a download. Raises UnknownModel, WeightsUnavailable."""
    weights, file = open_untouched(settings), describe_weights(settings.FACE_MODEL)
    if file is None or settings.FACE_DETECTOR not in NOTHING_TO_LOAD:
        what = settings.FACE_MODEL if file is None else settings.FACE_DETECTOR
        yield MODEL.unchecked(f"DeepFace descarga {what} por su cuenta al ejecutar: no se puede mirar sin hacerlo")
        return None
    path = weights.path_of(file)
    if not path.exists():
        yield from _to_download(weights, file, settings.WEIGHTS_MIRROR)
        return None
    started = time.perf_counter()
    faces = _load(settings, weights, path)
    noted = "su suma es la anotada" if weights.is_noted(file) else "la próxima ejecución anota su suma"
    yield MODEL.ok("weights", f"{path.name}, {in_bytes(path.stat().st_size)}; {noted}")
    yield MODEL.ok("load", f"{settings.FACE_MODEL} carga en {time.perf_counter() - started:.1f} s".replace(".", ","))
    return faces


def _load(settings: Settings, weights: WeightsStore, path: Path) -> FaceExtractor:
    try:
        return open_face_extractor(settings, weights=weights)
    except (ValueError, RuntimeError, OSError) as error:  # as the engines say that a file is no model
        raise WeightsUnavailable(
            f"El archivo de pesos está dañado o no es del modelo: {path}",
            "Bórrelo: se descargará de nuevo en la próxima ejecución.",
        ) from error


def _to_download(weights: WeightsStore, file: WeightsFile, mirror: str) -> Iterator[Finding]:
    """The first run fetches them: how much that is, from where, and whether there is room."""
    guess = SIZES_MB.get(file.model, UNKNOWN_SIZE_MB) * BYTES_PER_MB
    for address in file.sources(mirror):
        size = _size_at(address)
        if size is not None:
            text = f"faltan los pesos: la próxima ejecución descarga unos {in_bytes(size or guess)}"
            yield MODEL.warning("weights", f"{text} de {_host(address)}", "No hay que hacer nada, si eso está bien.")
            break
    else:
        text = f"faltan los pesos (unos {in_bytes(guess)}) y no se llega a ningún servidor que los tenga"
        advice = (
            f"Descargue {file.addresses[0]} en un equipo con red y cópielo a {weights.path_of(file)}, "
            "o indique en WEIGHTS_MIRROR un servidor propio que lo tenga."
        )
        yield MODEL.broken("weights", text, advice)
    yield from look_at_folder("weights", weights.path_of(file).parent, "DEEPFACE_HOME", guess)


def _host(address: str) -> str:
    return urlsplit(address).hostname or address


def _size_at(address: str) -> int | None:
    """Bytes to download, 0 where the server does not say; None where there is nothing to be had."""
    with suppress(OSError, ValueError, requests.RequestException):
        if address.startswith("file://"):
            return Path(url2pathname(urlsplit(address).path)).stat().st_size
        with requests.head(address, timeout=ADDRESS_TIMEOUT_S, allow_redirects=True) as response:
            response.raise_for_status()
            return int(response.headers.get("Content-Length", 0))
    return None
