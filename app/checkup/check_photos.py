"""The photo server: members come in, one of whose photos is asked for; what was found goes out."""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from app.checkup.check_certificate import RENEW, certificate_until, judge_expiry
from app.checkup.check_database import is_loopback
from app.checkup.finding import PHOTOS, UNCHECKED, Finding
from app.core.config import Settings
from app.core.redaction import without_credentials
from app.errors import BadName, DangerousImage, InvalidImage, ItemError, PhotoNotFound, PhotoUnavailable
from app.photos.decoding import DecodeOptions
from app.photos.kinds import find_kind
from app.photos.sandbox import Sandbox
from app.photos.sources import Source, open_source
from app.photos.temp_folder import TempFolder
from app.photos.urls import photo_url
from app.records import Answer, CrewMember, Photo, Version

FILES = "file://"
SAMPLES = 3  # members asked for, until one has a photo
ATTEMPTS = 3  # trouble that passes says little of the server
SLOW_S = 2.0  # with eight downloads at a time, 10,000 photos in forty minutes
HTTPS_PORT = 443
UNREACHABLE_ADVICE = "Compruebe que el servidor de fotos esté en marcha y que IMAGE_BASE_URL sea correcta."
# OpenSSL's numbers, X509_V_ERR_...
UNTRUSTED = {
    10: "venció",
    18: "está firmado por sí mismo",
    19: "está firmado por una autoridad desconocida",
    20: "está firmado por una autoridad desconocida",
    62: "es de otro servidor",
    64: "es de otro servidor",
}


class InMemory(TempFolder):
    """Where a download stays that no file is made of."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, crew_id: str, content: bytes, ending: str = ".jpg") -> Path:
        self.content = content
        return Path(f"{crew_id}{ending}")


@dataclass(frozen=True, slots=True)
class Sample:
    """A photo that came, with what its server said when it was only asked, and what each took."""

    photo: Photo
    content: bytes
    answer: Answer
    asked_ms: float
    fetched_ms: float


def look_at_photos(settings: Settings, members: Sequence[CrewMember], stop: threading.Event) -> Iterator[Finding]:
    """One photo is asked for, and fetched. Nothing is written."""
    url = settings.IMAGE_BASE_URL
    source = open_source(settings.model_copy(update={"HTTP_ATTEMPTS": ATTEMPTS}), stop)
    if not url.startswith(FILES):
        yield _privacy(url)
        if url.startswith("https://"):
            yield _certificate(url, settings.HTTP_CONNECT_TIMEOUT_S)
    tried = []
    for member in _spread(list(_fetchable(members, url))):
        tried.append(_take(source, member))
        if not isinstance(tried[-1], PhotoNotFound):
            break
    sample = tried[-1] if tried else None
    if isinstance(sample, Sample):
        yield from judge_sample(sample, is_file=url.startswith(FILES))
        yield _judge_image(sample, DecodeOptions(settings.MAX_PHOTO_MEGAPIXELS, settings.DECODE_MIN_SIDE), stop)
    else:
        yield PHOTOS.unchecked("en el padrón no hay ninguna foto que pedir") if sample is None else _judge(tried, url)


def _privacy(url: str) -> Finding:
    parts = urlsplit(url)
    where = without_credentials(url)
    secret = ", con usuario y clave en la dirección (no se muestran)" if "@" in parts.netloc else ""
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return PHOTOS.ok("address", f"{where}{secret}")
    advice = "Ponga en IMAGE_BASE_URL la dirección https:// del mismo servidor, si la tiene."
    return PHOTOS.warning("address", f"{where}: las fotos viajan sin cifrar{secret}", advice)


def _certificate(url: str, timeout_s: float) -> Finding:
    parts = urlsplit(url)
    environment = requests.Session().merge_environment_settings(url, {}, None, None, None)
    if requests.utils.select_proxy(url, environment["proxies"]):
        return Finding(PHOTOS.name, "certificate", UNCHECKED, "se llega por un proxy: no se puede mirar desde aquí")
    trusted = Path(
        environment["verify"] if isinstance(environment["verify"], str) else requests.utils.DEFAULT_CA_BUNDLE_PATH
    )
    try:
        until = certificate_until(parts.hostname or "", parts.port or HTTPS_PORT, trusted, timeout_s)
    except ssl.SSLCertVerificationError as error:
        text = f"el certificado del servidor no es válido: {UNTRUSTED.get(error.verify_code, error.verify_message)}"
        return PHOTOS.broken("certificate", text, RENEW)
    except (OSError, UnicodeError) as error:  # the latter of a name that no host can have
        return Finding(PHOTOS.name, "certificate", UNCHECKED, f"no se pudo conectar ({type(error).__name__})")
    if until is None:
        return Finding(PHOTOS.name, "certificate", UNCHECKED, "no dice hasta cuándo vale")
    return Finding(PHOTOS.name, "certificate", *judge_expiry(until, "del servidor de fotos"))


def _fetchable(members: Sequence[CrewMember], url: str) -> Iterator[CrewMember]:
    for member in members:
        with suppress(BadName):
            photo_url(url, member)
            yield member


def _spread(members: Sequence[CrewMember]) -> list[CrewMember]:
    """The first, the last and those between: neighbours in a roster may lack their photos for the same reason."""
    last = len(members) - 1
    return [members[place] for place in sorted({last * step // (SAMPLES - 1) for step in range(SAMPLES)}) if members]


def _take(source: Source, member: CrewMember) -> Sample | ItemError:
    """Ask for it, then fetch it."""
    memory, moments = InMemory(), [time.perf_counter()]
    try:
        answer = source.check(member, Version())
        moments.append(time.perf_counter())
        photo = source.fetch(member, memory)
        moments.append(time.perf_counter())
    except ItemError as error:
        return error
    try:
        content = memory.content if photo.temporary else photo.path.read_bytes()
    except OSError as error:
        return PhotoUnavailable(f"no se puede leer {photo.path}: {error.strerror}")
    asked_ms, fetched_ms = ((after - before) * 1000 for before, after in itertools.pairwise(moments))
    return Sample(photo, content, answer, asked_ms, fetched_ms)


def _judge(tried: Sequence[Sample | ItemError], url: str) -> Finding:
    """No photo came."""
    error = next(each for each in reversed(tried) if isinstance(each, ItemError))
    if isinstance(error, PhotoUnavailable):
        return PHOTOS.broken("reach", f"{without_credentials(url)}: {error.detail}", UNREACHABLE_ADVICE)
    if isinstance(error, PhotoNotFound):
        text = f"ninguna de las fotos pedidas ({len(tried)}) está en el servidor: {error.detail}"
        tell = PHOTOS.broken if len(tried) == SAMPLES else PHOTOS.warning
        return tell("reach", text, "Compare IMAGE_BASE_URL con la dirección de una foto en el navegador.")
    return PHOTOS.warning("reach", f"{error.title}: {error.detail}", error.advice)


def judge_sample(sample: Sample, *, is_file: bool) -> Iterator[Finding]:
    """What one photo tells of all."""
    who, kilobytes = sample.photo.member.crew_id, len(sample.content) / 1000
    text = f"foto de {who}: {kilobytes:.0f} kB en {sample.fetched_ms:.0f} ms"
    if sample.fetched_ms > SLOW_S * 1000:
        yield PHOTOS.warning("reach", f"{text}: es lento", "Revise la red, o suba DOWNLOAD_THREADS en .env.")
    else:
        yield PHOTOS.ok("reach", text)
    if not is_file:
        yield _validators(sample)


def _judge_image(sample: Sample, options: DecodeOptions, stop: threading.Event) -> Finding:
    """Whether the photo can be read, in the process for files that nobody trusts."""
    with closing(Sandbox(stop)) as sandbox:
        try:
            kind = find_kind(sample.content)
            width, height = sandbox.read_pixels(sample.content, options).size
        except (InvalidImage, DangerousImage) as error:
            return PHOTOS.warning("image", f"foto de {sample.photo.member.crew_id}: {error.detail}", error.advice)
    return PHOTOS.ok("image", f"{kind} de {width} x {height} píxeles")


def _validators(sample: Sample) -> Finding:
    said = sample.photo.version
    names = [name for name, value in (("ETag", said.etag), ("Last-Modified", said.last_modified)) if value]
    if names and sample.answer.says_something:
        return PHOTOS.ok("validators", f"{' y '.join(names)}; preguntar sin descargar tardó {sample.asked_ms:.0f} ms")
    if not sample.answer.says_something:
        text = "el servidor entrega fotos pero no responde cuando solo se pregunta por ellas (HEAD)"
    elif said.size_bytes is not None:
        text = "el servidor solo dice el tamaño: un cambio que no lo altere pasaría por el mismo archivo"
    else:
        text = "el servidor no dice si una foto cambió: se descargan todas de nuevo para saberlo"
    return PHOTOS.warning("validators", text, "Pida que el servidor web envíe ETag o Last-Modified con las fotos.")
