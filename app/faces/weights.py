"""Find a model's weights in DeepFace's folder, or download them.

A file is downloaded under a temporary name, checked, and only then renamed, so that DeepFace never reads half a file;
its SHA-256 is kept in a file beside it.
"""

from __future__ import annotations

import bz2
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
from filelock import FileLock, Timeout

from app.core.config import Settings
from app.core.files import OWNER_ONLY_FILE, sha256_of, why
from app.core.proxies import find_proxy, refuse_unusable_proxy
from app.core.redaction import redacted, without_credentials
from app.errors import Interrupted, RunError, WeightsUnavailable
from app.faces.deepface_api import folder_utils, recognition_model

log = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024
ABANDONED_S = 24 * 3600  # since the last write to a partial file: its download was killed, and it is deleted
LOOK_EVERY_S = 0.5  # whether the run is to stop, while another process downloads
TIMEOUT_S = (10, 60)  # to connect, and between two chunks
# Names under which DeepFace's client modules keep the address, where it is not WEIGHTS_URL.
ADDRESS_NAMES = {"Facenet": "FACENET128_WEIGHTS", "Facenet512": "FACENET512_WEIGHTS", "Dlib": "WEIGHT_URL"}
# Approximate megabytes of the published files, for the message when they cannot be downloaded.
SIZES_MB = {"Facenet512": 94, "Facenet": 92, "Dlib": 22, "ArcFace": 137, "VGG-Face": 580, "SFace": 39}

Progress = Callable[[str, int, int], None]  # (file name, bytes so far, total bytes or 0 if unknown)
Check = Callable[[Path], object]  # raises when the file is not what it should be
Provide = Callable[["WeightsFile", Check], Path]  # `ensure` or `verify` of a WeightsStore


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A weights file: the name that DeepFace gives it, and the addresses to download it from."""

    model: str
    name: str
    addresses: tuple[str, ...]

    @property
    def packed(self) -> bool:
        """Whether the published file is compressed with bzip2."""
        return self.addresses[0].endswith(".bz2")

    def sources(self, mirror: str) -> list[str]:
        """Return the URLs to try, in order."""
        suffix = ".bz2" if self.packed else ""
        base, mark, query = mirror.partition("?")  # the query may hold a token, which goes behind the path
        mirrored = [f"{base.rstrip('/')}/{self.name}{suffix}{mark}{query}"] if mirror else []
        return [*mirrored, *self.addresses]


# The usual model's, as DeepFace's client has it: importing that client brings gdown and BeautifulSoup, which takes a
# tenth of the start. A test compares the two.
USUAL = WeightsFile(
    "Facenet512",
    "facenet512_weights.onnx",
    (
        "https://github.com/serengil/deepface_models/releases/download/v1.0/facenet512_weights.onnx",
        "https://huggingface.co/serengil/deepface/resolve/main/facenet512_weights.onnx",
    ),
)


def describe_weights(model: str) -> WeightsFile | None:
    """Return the weights file of a DeepFace model; None for a model that DeepFace fetches as several files. Raises
    UnknownModel."""
    return USUAL if model == USUAL.model else ask_client(model)


def ask_client(model: str) -> WeightsFile | None:
    """Return what DeepFace's own client has as the weights file, otherwise as `describe_weights`."""
    client = recognition_model(model)
    module = import_module(client.__module__)
    addresses = getattr(module, ADDRESS_NAMES.get(model, "WEIGHTS_URL"), None)
    if not addresses:
        return None
    addresses = (addresses,) if isinstance(addresses, str) else tuple(addresses)
    name = Path(urlsplit(addresses[0]).path).name.removesuffix(".bz2")
    return WeightsFile(model, name, addresses)


class WeightsStore:
    """DeepFace's weights folder in `home` (empty: its default). Interrupted downloads leave nothing behind; a recorded
    hash detects changed files. A `mirror` (http, https or file URL) is tried before DeepFace's addresses. Raises
    WeightsUnavailable when there is no default."""

    def __init__(
        self, home: str = "", mirror: str = "", progress: Progress | None = None, stop: threading.Event | None = None
    ) -> None:
        if home:
            os.environ["DEEPFACE_HOME"] = home  # DeepFace's own loaders read it too
        self.folder = Path(_deepface_home(), ".deepface", "weights")
        self._mirror = mirror
        self._stop = stop or threading.Event()
        self._progress = progress or (lambda name, done, total: None)

    def path_of(self, file: WeightsFile) -> Path:
        return self.folder / file.name

    def recorded_digest(self, file: WeightsFile) -> str:
        """Return the SHA-256 recorded when the file was checked, or computed now; empty while there is no file."""
        path = self.path_of(file)
        return noted_digest(path) if path.exists() else ""

    def is_recorded(self, file: WeightsFile) -> bool:
        return _hash_path(self.path_of(file)).exists()

    def ensure(self, file: WeightsFile, check: Check) -> Path:
        """Download the file if it is missing, check it, and return its path. Of several processes that miss it one
        downloads it. Raises WeightsUnavailable, Interrupted."""
        path = self.path_of(file)
        with _explained(path):
            if not path.exists() and self._download_alone(file, check):
                return path
            if self.is_recorded(file):
                self._compare(path)
            else:
                _check_file(path, check)
                try:
                    _write_beside(_hash_path(path), sha256_of(path).encode())
                except OSError:  # a folder shared by several users may be readable only
                    log.warning("No se pudo anotar la suma de %s", path, exc_info=True)
        return path

    def verify(self, file: WeightsFile, check: Check) -> Path:
        """Check the file that is there, by its noted SHA-256 and by `check`; download and note nothing. Raises
        WeightsUnavailable."""
        path = self.path_of(file)
        with _explained(path):
            if self.is_recorded(file):
                self._compare(path)
            _check_file(path, check)
        return path

    def _compare(self, path: Path) -> None:
        if sha256_of(path) != _hash_path(path).read_text().strip():
            raise WeightsUnavailable(
                f"El archivo de pesos cambió desde que se comprobó: {path}",
                f"Si no lo cambió usted, bórrelo junto con {_hash_path(path).name}: se descargará de nuevo.",
            )

    def _download_alone(self, file: WeightsFile, check: Check) -> bool:
        """Download the file unless another process has done so meanwhile: return whether this one did. Raises
        WeightsUnavailable, Interrupted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / f".{file.name}.lock", mode=OWNER_ONLY_FILE)
        while not lock.is_locked:
            if self._stop.is_set():
                raise Interrupted("Descarga de los pesos interrumpida")
            with suppress(Timeout):
                lock.acquire(timeout=LOOK_EVERY_S)
        try:
            if self.path_of(file).exists():
                return False
            self._download(file, check)
            return True
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)  # another user could not open it
            lock.release()

    def _download(self, file: WeightsFile, check: Check) -> None:
        """Download the file from the first address that gives a sound one. Raises WeightsUnavailable, Interrupted."""
        path = self.path_of(file)
        for partial in self.folder.glob(f"{path.name}.*.part"):
            with suppress(FileNotFoundError):  # another run has just finished its download
                if time.time() - partial.stat().st_mtime > ABANDONED_S:
                    partial.unlink()
        problems = []
        for address in file.sources(self._mirror):
            try:
                with _replacing(path) as partial:
                    self._fetch(address, partial, file)
                    _check_file(partial, check)
                    _write_beside(_hash_path(path), sha256_of(partial).encode())
                return
            except (requests.RequestException, OSError, EOFError, WeightsUnavailable) as error:
                proxy = find_proxy(address)
                problems.append(without_credentials(address) + (f" (por el proxy {proxy})" if proxy else ""))
                log.warning("Pesos de %s: %s: %s", file.model, problems[-1], redacted(str(error)))
        size = f", unos {SIZES_MB[file.model]} MB" if file.model in SIZES_MB else ""
        packed = " (descomprimido)" if file.packed else ""
        raise WeightsUnavailable(
            f"No se pudieron descargar los pesos de {file.model}{size}: {', '.join(problems)}",
            f"Descargue el archivo en un equipo con red y cópielo{packed} a {path}, "
            "o indique en WEIGHTS_MIRROR un servidor propio que lo tenga.",
        )

    def _fetch(self, address: str, target: Path, file: WeightsFile) -> None:
        unpacker = bz2.BZ2Decompressor() if file.packed else None
        with target.open("wb") as out:
            for chunk in self._chunks(address, file.name):
                if self._stop.is_set():
                    raise Interrupted("Descarga de los pesos interrumpida")
                out.write(unpacker.decompress(chunk) if unpacker else chunk)
        if unpacker and not unpacker.eof:
            raise EOFError(f"{address}: incompleto")

    def _chunks(self, address: str, name: str) -> Iterator[bytes]:
        """Yield the content of an address piece by piece, and report the progress of downloads."""
        if address.startswith("file://"):
            with open(url2pathname(urlsplit(address).path), "rb") as source:
                yield from iter(lambda: source.read(CHUNK_BYTES), b"")
            return
        refuse_unusable_proxy(address)
        with requests.get(address, stream=True, timeout=TIMEOUT_S) as response:
            response.raise_for_status()
            total, done = int(response.headers.get("Content-Length", 0)), 0
            for chunk in response.iter_content(CHUNK_BYTES):
                done += len(chunk)
                self._progress(name, done, total)
                yield chunk


def noted_digest(path: Path) -> str:
    """Return the SHA-256 that is noted beside a weights file, else compute it. Raises OSError."""
    noted = _hash_path(path)
    return noted.read_text().strip() if noted.exists() else sha256_of(path)


def _hash_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _deepface_home() -> str:
    """Return the folder in which DeepFace has its own. Where neither HOME nor an account names this user's, DeepFace
    would make one named `~` in the current folder. Raises WeightsUnavailable."""
    home = str(folder_utils.get_deepface_home())
    if not Path(home).is_absolute():
        raise WeightsUnavailable(
            "No se sabe en qué carpeta están los pesos: la variable HOME falta, o no es una ruta completa",
            "Ponga en .env DEEPFACE_HOME con la ruta completa de una carpeta, por ejemplo /opt/pesos.",
        )
    return home


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WeightsUnavailable(
            f"No se puede usar {error.filename or path}: {why(error)}",
            "Revise los permisos de esa carpeta, o indique otra en DEEPFACE_HOME.",
        ) from error


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; on success it replaces `path`, else it is deleted."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _write_beside(path: Path, content: bytes) -> None:
    with _replacing(path) as partial:
        partial.write_bytes(content)


def _check_file(path: Path, check: Check) -> None:
    with path.open("rb"):  # an engine would call a file damaged that it may not read
        pass
    try:
        check(path)
    except (RunError, ImportError, MemoryError):  # says nothing about the file
        raise
    except Exception as error:  # each engine raises its own errors for a file that is not a model
        raise WeightsUnavailable(
            f"El archivo de pesos está dañado o no es del modelo: {path}",
            "Bórrelo: se descargará de nuevo en la próxima ejecución.",
        ) from error


def open_weights(
    settings: Settings, progress: Progress | None = None, stop: threading.Event | None = None
) -> WeightsStore:
    return WeightsStore(settings.DEEPFACE_HOME, settings.WEIGHTS_MIRROR, progress, stop)
