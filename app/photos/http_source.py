"""Photos on a web server: download one, or ask whether one is still the version that an earlier run saw."""

from __future__ import annotations

import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from ssl import SSLCertVerificationError
from typing import TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from urllib3.exceptions import DecodeError, HTTPError, ProtocolError, ReadTimeoutError

from app.core.config import PhotoSettings
from app.core.retry import RetryPolicy, call_with_retries
from app.errors import PhotoNotFound, PhotoUnavailable, SettingsError, TruncatedDownload
from app.photos.http_deadline import BoundedAdapter, is_over, time_limit
from app.photos.source_rules import compare_versions, refuse_oversized
from app.photos.temp_folder import DownloadTarget
from app.photos.urls import photo_url
from app.records import (
    ANSWER_CHANGED,
    ANSWER_GONE,
    ANSWER_SAME,
    ANSWER_UNKNOWN,
    ANSWER_UNREACHABLE,
    Answer,
    CrewMember,
    Photo,
    Version,
)

MAX_REDIRECTS = 5
# Status codes.
NOT_FOUND = {401, 403, 404, 410}
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
REDIRECTS = {301, 302, 303, 307, 308}
NO_HEAD = {405, 501}  # the server does not support the method
MAX_VALIDATOR_CHARACTERS = 1000  # a longer ETag or date makes no sense, and fits no column
MAX_LENGTH_DIGITS = 15
CHUNK_BYTES = 256 * 1024
GZIP = {"gzip", "x-gzip"}  # sent by servers that compress although the request forbids it
COMPRESSIONS = GZIP | {"deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz"}
GZIP_FORMAT = 16 + zlib.MAX_WBITS
NO_AUTHORITIES = (
    "No existe el archivo de certificados que nombra la variable de entorno REQUESTS_CA_BUNDLE (o CURL_CA_BUNDLE)",
    "Corrija esa variable, o quítela si el certificado del servidor de fotos es de una autoridad conocida.",
)

Result = TypeVar("Result")
Kind = TypeVar("Kind", bound=BaseException)


class TransientFailure(Exception):
    """A failed try that another may mend. `retry_after_s` is the wait that the server asked for; `truncated` says that
    the server sent less than it had announced."""

    def __init__(self, detail: str, retry_after_s: float | None = None, *, truncated: bool = False) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.truncated = truncated


class HttpSource:
    """Photos on a web server, over one pooled session. Safe to use from several threads. Raises SettingsError where the
    environment names a file of certificates that does not exist."""

    def __init__(self, settings: PhotoSettings, stop: threading.Event) -> None:
        self._settings = settings
        self._base_url = settings.IMAGE_BASE_URL
        self._stop = stop
        self._policy = RetryPolicy(settings.HTTP_ATTEMPTS, settings.HTTP_TOTAL_TIMEOUT_S)
        self._session = _Session(self._base_url)
        adapter = BoundedAdapter(pool_connections=1, pool_maxsize=settings.DOWNLOAD_THREADS)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def fetch(self, member: CrewMember, temp: DownloadTarget) -> Photo:
        """Download to `temp`. Raises BadName, PhotoNotFound, PhotoUnavailable, OversizedPhoto, TruncatedDownload."""
        url = photo_url(self._base_url, member)
        content, version = self._retry(lambda: self._download(url))
        path = temp.write(member.crew_id, content)
        return Photo(member, url, path, sha256=hashlib.sha256(content).hexdigest(), version=version)

    def check(self, member: CrewMember, version: Version) -> Answer:
        """Ask the server whether the photo is still `version`, without downloading it. Raises BadName."""
        url = photo_url(self._base_url, member)
        try:
            answer = self._retry(lambda: self._ask("HEAD", url, version) or self._ask("GET", url, version))
            return answer or Answer(ANSWER_UNREACHABLE)
        except PhotoNotFound:
            return Answer(ANSWER_GONE)
        except PhotoUnavailable:
            return Answer(ANSWER_UNREACHABLE)

    def _retry(self, attempt: Callable[[], Result]) -> Result:
        try:
            with time_limit(self._settings.HTTP_TOTAL_TIMEOUT_S):
                return call_with_retries(
                    attempt, self._policy, lambda error: isinstance(error, TransientFailure), self._stop
                )
        except TransientFailure as error:
            kind = TruncatedDownload if error.truncated else PhotoUnavailable
            raise kind(str(error)) from error

    def _download(self, url: str) -> tuple[bytes, Version]:
        def read(response: requests.Response) -> tuple[bytes, Version]:
            _check_status(response)
            body = bytearray()
            for piece in _read_body(response, self._settings.MAX_PHOTO_MB):
                body += piece
                if self._stop.is_set():
                    raise PhotoUnavailable("ejecución interrumpida")
            return bytes(body), _version(response)

        return self._request("GET", url, {}, read)

    def _ask(self, method: str, url: str, version: Version) -> Answer | None:
        """Return None where the server does not support the method."""

        def read(response: requests.Response) -> Answer | None:
            if method == "HEAD" and response.status_code in NO_HEAD:
                return None
            return _read_answer(response, version)

        return self._request(method, url, _conditions(version), read)

    def _request(
        self, method: str, url: str, headers: dict[str, str], read: Callable[[requests.Response], Result]
    ) -> Result:
        """Follow redirects within the server, and return what `read` makes of the response. Raises TransientFailure,
        and PhotoUnavailable for what no further try would mend."""
        target = urlsplit(url)._replace(netloc=urlsplit(self._base_url).netloc).geturl()
        timeouts = (self._settings.HTTP_CONNECT_TIMEOUT_S, self._settings.HTTP_READ_TIMEOUT_S)
        stream = method != "HEAD"  # not streamed, a response without a body frees its connection at once
        with _translated_failures(self._settings.HTTP_TOTAL_TIMEOUT_S):
            for _ in range(MAX_REDIRECTS + 1):
                with self._session.request(
                    method, target, headers=headers, stream=stream, timeout=timeouts, allow_redirects=False
                ) as response:
                    if response.status_code not in REDIRECTS:
                        return read(response)
                    target = _same_origin(target, response.headers.get("Location", ""))
        raise PhotoUnavailable(f"más de {MAX_REDIRECTS} redirecciones")


class _Session(requests.Session):
    """A session that reads the environment once instead of for each photo, and keeps no cookies."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self.headers["Accept-Encoding"] = "identity"  # photos are compressed already
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        found = self.merge_environment_settings(base_url, {}, None, None, None)
        self.proxies, self.verify = found["proxies"], found["verify"]
        if base_url.startswith("https://") and isinstance(self.verify, str) and not Path(self.verify).exists():
            raise SettingsError(*NO_AUTHORITIES)
        self.auth = requests.utils.get_netrc_auth(base_url)
        self.trust_env = False

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Leave redirects to `HttpSource`: requests would read all of the response's body to prepare the next one."""


def _read_body(response: requests.Response, limit_mb: float) -> Iterator[bytes]:
    """Yield the file's content in chunks. Both the content and what the server sends have at most `limit_mb`.

    urllib3's own unpacking applies every compression that the server names: a bomb within a bomb takes minutes.
    """
    words = (word.strip() for word in response.headers.get("Content-Encoding", "").lower().split(","))
    compressions = [word for word in words if word in COMPRESSIONS]  # `utf-8` or `aws-chunked` compress nothing
    sent = _limited(_sent(response), limit_mb)
    if not compressions:
        return sent
    if len(compressions) == 1 and compressions[0] in GZIP:
        return _limited(_unpacked(sent), limit_mb)
    raise PhotoUnavailable("respuesta comprimida de un modo que no se pidió")


def _sent(response: requests.Response) -> Iterator[bytes]:
    # `iter_content` would wait for a whole chunk, however slowly the server sends.
    while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
        yield chunk


def _limited(chunks: Iterable[bytes], limit_mb: float) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        refuse_oversized(total, limit_mb)
        if is_over():  # asked here too: the connections of a SOCKS proxy do not keep to the time limit
            raise TimeoutError
        yield chunk


def _unpacked(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip, CHUNK_BYTES at a time, however much the rest would expand to. A file may consist of several gzip
    members, each followed by zeros as padding."""
    member = zlib.decompressobj(GZIP_FORMAT)
    for chunk in packed:
        rest = chunk
        while rest:
            if member.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                member = zlib.decompressobj(GZIP_FORMAT)
            try:
                yield member.decompress(rest, CHUNK_BYTES)
            except zlib.error as error:
                raise DecodeError(str(error)) from error
            rest = member.unconsumed_tail or member.unused_data
    if not member.eof:
        raise IncompleteRead(b"")


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status == requests.codes.ok:
        return
    if status in NOT_FOUND:
        raise PhotoNotFound(f"el servidor respondió {status}")
    if status in TRANSIENT:
        raise TransientFailure(f"el servidor respondió {status}", _retry_after_s(response))
    raise PhotoUnavailable(f"el servidor respondió {status}")


def _version(response: requests.Response) -> Version:
    headers = response.headers
    length = headers.get("Content-Length", "")  # of a compressed response it is not the file's
    plain = length.isdecimal() and len(length) <= MAX_LENGTH_DIGITS and "Content-Encoding" not in headers
    return Version(_validator(headers, "ETag"), _validator(headers, "Last-Modified"), int(length) if plain else None)


def _validator(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    return value if len(value) <= MAX_VALIDATOR_CHARACTERS and value.isprintable() else ""


def _conditions(version: Version) -> dict[str, str]:
    """Return the headers by which the server answers 304 to an unchanged photo (RFC 9110, 13.1)."""
    headers = {"If-None-Match": version.etag, "If-Modified-Since": version.last_modified}
    return {name: value for name, value in headers.items() if value}


def _read_answer(response: requests.Response, version: Version) -> Answer:
    if response.status_code == requests.codes.not_modified and _conditions(version):
        return Answer(ANSWER_SAME, version)
    _check_status(response)
    current = _version(response)
    verdict = compare_versions(current, version)
    is_page = response.headers.get("Content-Type", "").lower().startswith("text/html")
    if verdict == ANSWER_UNKNOWN and is_page:
        return Answer(ANSWER_CHANGED, current)
    # A server may send its ETag with the photo only: a remembered one is kept, so that a later request can use it.
    knows_more = bool(current.etag or current.last_modified) or version == Version()
    return Answer(verdict, current if knows_more else version)


def _retry_after_s(response: requests.Response) -> float | None:
    """Read the seconds off a Retry-After header, a number or a date (RFC 9110, 10.2.3); None for anything else."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _same_origin(url: str, location: str) -> str:
    """Return where a redirect leads, with the URL's credentials. Raises PhotoUnavailable for another server."""
    try:
        target = urljoin(url, location)
        same = _origin(urlsplit(target)) == _origin(urlsplit(url))
    except ValueError as error:  # not a URL
        raise PhotoUnavailable("el servidor redirige a una dirección ilegible") from error
    if not location or not same:
        raise PhotoUnavailable("el servidor redirige a otro sitio")
    return urlsplit(target)._replace(netloc=urlsplit(url).netloc).geturl()


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


@contextmanager
def _translated_failures(total_timeout_s: float) -> Iterator[None]:
    """Raise TransientFailure or PhotoUnavailable, with a sentence for HR, for each library's error inside."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        if _cause(error, SSLCertVerificationError):
            raise PhotoUnavailable("el certificado del servidor no es válido") from error
        raise TransientFailure("no se pudo acordar una conexión segura (TLS) con el servidor") from error
    except (requests.exceptions.Timeout, ReadTimeoutError, TimeoutError) as error:
        if is_over():
            raise PhotoUnavailable(f"el servidor tardó más de {total_timeout_s:g} segundos en total") from error
        raise TransientFailure("el servidor tardó demasiado en responder") from error
    except (ProtocolError, IncompleteRead, requests.exceptions.ConnectionError) as error:
        raise _broken_exchange(error) from error
    except (requests.exceptions.RequestException, HTTPError) as error:
        raise PhotoUnavailable(f"respuesta ilegible ({type(error).__name__})") from error
    except OSError as error:  # requests raises it for a file of certificates that was deleted
        raise PhotoUnavailable(f"no se pudo conectar ({type(error).__name__})") from error


def _broken_exchange(error: BaseException) -> TransientFailure:
    if _cause(error, IncompleteRead):
        return TransientFailure("la descarga llegó incompleta", truncated=True)
    unreadable = _cause(error, HTTPException)
    if unreadable and not isinstance(unreadable, RemoteDisconnected):
        return TransientFailure(f"respuesta ilegible ({type(unreadable).__name__})")
    if isinstance(error, ProtocolError):
        return TransientFailure("se cortó la conexión")
    return TransientFailure("no se pudo conectar, o se cortó la conexión")


def _cause(error: BaseException | None, kind: type[Kind]) -> Kind | None:
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__context__
    return None
