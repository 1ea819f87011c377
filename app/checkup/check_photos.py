"""Check the photo server: its address and certificate, one photo of the roster, and whether it announces changes."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import requests

from app.checkup.check_database import RENEW, is_loopback, judge_expiry, read_date
from app.checkup.check_roster import photo_urls
from app.checkup.finding import PHOTOS, Finding
from app.core.config import Settings
from app.core.files import why
from app.core.proxies import find_proxy
from app.core.redaction import without_credentials
from app.errors import DangerousImage, InvalidImage, ItemError, PhotoForbidden, PhotoNotFound, PhotoUnavailable
from app.photos.decoding import DecodeOptions
from app.photos.http_source import HttpSource
from app.photos.kinds import find_kind
from app.photos.sandbox import Sandbox
from app.photos.sources import Source, open_source
from app.records import ANSWER_CHANGED, Answer, CrewMember, Photo, Version

SAMPLES = 3  # members whose photos are requested, until one of them has one
ATTEMPTS = 3  # a failure that passes says little about the server
AGAIN = 4  # questions about a photo that was just downloaded
SLOW_S = 2.0  # with eight downloads at a time, 10,000 photos take forty minutes
SAME_VALIDATORS = (
    "Pida que todos los servidores den a la misma foto el mismo ETag y la misma fecha (en Apache: FileETag MTime Size, "
    "y copias con su fecha), o que no envíen ETag."
)
# By OpenSSL's error numbers, X509_V_ERR_...
UNTRUSTED = {
    10: "venció",
    18: "está firmado por sí mismo",
    19: "está firmado por una autoridad desconocida",
    20: "está firmado por una autoridad desconocida",
    62: "es de otro servidor",
    64: "es de otro servidor",
}


class InMemoryDownload:
    """A `DownloadTarget` that keeps the last download in memory, because a check writes no file."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, crew_id: str, content: bytes) -> Path:
        self.content = content
        return Path(crew_id)


@dataclass(frozen=True, slots=True)
class Sample:
    """A downloaded photo, the server's answer to the question before it, and the milliseconds that both took."""

    photo: Photo
    content: bytes
    answer: Answer
    asked_ms: float
    fetched_ms: float


def check_photos(
    settings: Settings, members: Sequence[CrewMember], stop: threading.Event
) -> Generator[Finding, None, None]:
    """Check the server with one photo: ask about it, download and decode it in memory, and ask about it again."""
    url = settings.IMAGE_BASE_URL
    patient = settings.model_copy(update={"HTTP_ATTEMPTS": ATTEMPTS})
    source = open_source(patient, stop)
    if isinstance(source, HttpSource):
        yield from _judge_way(url, settings.HTTP_CONNECT_TIMEOUT_S)
    tried: list[Sample | ItemError] = []
    for member in _choose_samples(members, url):
        tried.append(_take_sample(source, member))
        if not isinstance(tried[-1], PhotoNotFound | PhotoForbidden):
            break
    if source.moved_to:
        advice = "Ponga en IMAGE_BASE_URL esa dirección, con https:// en lugar de http://."
        yield PHOTOS.warning("redirect", f"el servidor redirige a {source.moved_to}", advice)
    if not tried:
        yield PHOTOS.unchecked("en el padrón no hay ninguna foto que pedir")
    elif isinstance(tried[-1], ItemError):
        yield _judge_failure(tried[-1], len(tried), url)
    else:
        yield from _judge_sample(source, tried[-1], patient, stop)


def _judge_sample(
    source: Source, sample: Sample, settings: Settings, stop: threading.Event
) -> Generator[Finding, None, None]:
    yield _judge_speed(sample)
    if isinstance(source, HttpSource):
        # Each over a connection of its own, which may lead to another server of a cluster.
        again = [open_source(settings, stop).check(sample.photo.member, sample.photo.version) for _ in range(AGAIN)]
        yield _judge_validators(sample, again, by_get=source.asks_by_get)
    yield _judge_image(sample, DecodeOptions(settings.MAX_PHOTO_MEGAPIXELS, settings.DECODE_MIN_SIDE), stop)


def _judge_way(url: str, timeout_s: float) -> Generator[Finding, None, None]:
    yield _judge_address(url)
    proxy = find_proxy(url)
    if proxy is not None:
        yield PHOTOS.ok("proxy", f"se llega a las fotos por el proxy {proxy}")
    if url.startswith("https://"):
        yield _check_certificate(url, timeout_s)


def _judge_address(url: str) -> Finding:
    parts = urlsplit(url)
    where = without_credentials(url)
    secret = ", con usuario y clave en la dirección (no se muestran)" if "@" in parts.netloc else ""
    secret += ", con lo que sigue a ? (no se muestra)" if parts.query else ""
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return PHOTOS.ok("address", f"{where}{secret}")
    advice = "Ponga en IMAGE_BASE_URL la dirección https:// del mismo servidor, si la tiene."
    return PHOTOS.warning("address", f"{where}: las fotos viajan sin cifrar{secret}", advice)


def _check_certificate(url: str, timeout_s: float) -> Finding:
    parts = urlsplit(url)
    if find_proxy(url):
        return PHOTOS.unchecked("se llega por un proxy: no se puede mirar desde aquí", "certificate")
    environment = requests.Session().merge_environment_settings(url, {}, None, None, None)
    verify = environment["verify"]
    trusted = Path(verify if isinstance(verify, str) else requests.utils.DEFAULT_CA_BUNDLE_PATH)
    try:
        until = _certificate_until(parts.hostname or "", parts.port or 443, trusted, timeout_s)
    except ssl.SSLCertVerificationError as error:
        message = f"el certificado del servidor no es válido: {UNTRUSTED.get(error.verify_code, error.verify_message)}"
        return PHOTOS.broken("certificate", message, RENEW)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have
        return PHOTOS.unchecked(f"no se pudo conectar ({type(error).__name__})", "certificate")
    if until is None:
        return PHOTOS.unchecked("no dice hasta cuándo vale", "certificate")
    return Finding(PHOTOS.name, "certificate", *judge_expiry(until, "del servidor de fotos"))


def _certificate_until(host: str, port: int, authorities: Path, timeout_s: float) -> datetime | None:
    """Return when the certificate of a TLS server expires; None if it does not say. `authorities`: whom to trust, as a
    file or folder of certificates. Raises ssl.SSLCertVerificationError, OSError, UnicodeError for an impossible host.
    """
    cafile, capath = (None, authorities) if authorities.is_dir() else (authorities, None)
    context = ssl.create_default_context(cafile=cafile, capath=capath)
    with (
        socket.create_connection((host, port), timeout_s) as plain,
        context.wrap_socket(plain, server_hostname=host) as encrypted,
    ):
        return read_date(str((encrypted.getpeercert() or {}).get("notAfter", "")))


def _choose_samples(members: Sequence[CrewMember], url: str) -> list[CrewMember]:
    """Return the first, the middle and the last member with a URL: neighbours may lack photos for the same reason."""
    urls = photo_urls(members, url)
    fetchable = [member for member in members if member.crew_id in urls]
    last = len(fetchable) - 1
    return [fetchable[place] for place in sorted({last * step // (SAMPLES - 1) for step in range(SAMPLES)}) if urls]


def _take_sample(source: Source, member: CrewMember) -> Sample | ItemError:
    download = InMemoryDownload()
    started = time.perf_counter()
    try:
        answer = source.check(member, Version())
        answered = time.perf_counter()
        photo = source.fetch(member, download)
    except ItemError as error:
        return error
    fetched = time.perf_counter()
    try:
        content = download.content if photo.temporary else photo.path.read_bytes()
    except OSError as error:
        return PhotoUnavailable(f"no se puede leer {photo.path}: {why(error)}")
    return Sample(photo, content, answer, (answered - started) * 1000, (fetched - answered) * 1000)


def _judge_failure(error: ItemError, tried: int, url: str) -> Finding:
    """Judge the last error of `tried` members of whom none gave a photo."""
    if isinstance(error, PhotoUnavailable):
        advice = "Compruebe que el servidor de fotos esté en marcha y que IMAGE_BASE_URL sea correcta."
        return PHOTOS.broken("reach", f"{without_credentials(url)}: {error.detail}", advice)
    if isinstance(error, PhotoNotFound | PhotoForbidden):
        message = f"ninguna de las fotos pedidas ({tried}) está en el servidor: {error.detail}"
        advice = "Compare IMAGE_BASE_URL con la dirección de una foto en el navegador."
        if isinstance(error, PhotoForbidden):
            message = f"el servidor no deja ver ninguna de las fotos pedidas ({tried}): {error.detail}"
            advice = error.advice
        # Fewer members than that may just lack their photos.
        return (PHOTOS.broken if tried == SAMPLES else PHOTOS.warning)("reach", message, advice)
    return PHOTOS.warning("reach", f"{error.title}: {error.detail}", error.advice)


def _judge_speed(sample: Sample) -> Finding:
    crew_id, kilobytes = sample.photo.member.crew_id, len(sample.content) / 1000
    message = f"foto de {crew_id}: {kilobytes:.0f} kB en {sample.fetched_ms:.0f} ms"
    if sample.fetched_ms > SLOW_S * 1000:
        return PHOTOS.warning("reach", f"{message}: es lento", "Revise la red, o suba DOWNLOAD_THREADS en .env.")
    return PHOTOS.ok("reach", message)


def _judge_image(sample: Sample, options: DecodeOptions, stop: threading.Event) -> Finding:
    """Decode the photo in the sandbox, as a run does."""
    with closing(Sandbox(stop)) as sandbox:
        try:
            kind = find_kind(sample.content)
            width, height = sandbox.read_pixels(sample.content, options).size
        except (InvalidImage, DangerousImage) as error:
            return PHOTOS.warning("image", f"foto de {sample.photo.member.crew_id}: {error.detail}", error.advice)
    return PHOTOS.ok("image", f"{kind} de {width} x {height} píxeles")


def _judge_validators(sample: Sample, again: Sequence[Answer], *, by_get: bool) -> Finding:
    """Judge whether a later run can learn from the server that a photo did not change. `again`: its answers on the
    photo right after the download; `by_get`: HEAD tells less than GET."""
    version = sample.photo.version
    if any(answer.kind == ANSWER_CHANGED for answer in again):
        message = (
            "recién descargada una foto, el servidor ya la da por cambiada (como un grupo de servidores en el que cada "
            "uno pone su ETag): cada ejecución descargará muchas de nuevo para nada"
        )
        return PHOTOS.warning("validators", message, SAME_VALIDATORS)
    names = [name for name, value in (("ETag", version.etag), ("Last-Modified", version.last_modified)) if value]
    if names and sample.answer.says_something:
        how = "preguntar con GET, sin descargar (HEAD no sirve)," if by_get else "preguntar sin descargar"
        message = f"{' y '.join(names)}; {how} tardó {sample.asked_ms:.0f} ms"
        return PHOTOS.ok("validators", message)
    if not sample.answer.says_something:
        message = "el servidor entrega fotos pero no responde cuando solo se pregunta por ellas"
    elif version.size_bytes is not None:
        message = "el servidor solo dice el tamaño: un cambio que no lo altere pasaría por el mismo archivo"
    else:
        message = "el servidor no dice si una foto cambió: se descargan todas de nuevo para saberlo"
    return PHOTOS.warning("validators", message, "Pida que el servidor web envíe ETag o Last-Modified con las fotos.")
