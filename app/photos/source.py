"""Where photos come from: a member comes in, a local file goes out, over HTTP or from a folder."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import IncompleteRead
from pathlib import Path
from urllib.parse import SplitResult, quote, urljoin, urlsplit
from urllib.request import url2pathname

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from app.core.config import BYTES_PER_MB
from app.core.retry import RetryPolicy, call_with_retries
from app.errors import BadName, OversizedPhoto, PhotoNotFound, PhotoUnavailable, TruncatedDownload
from app.photos.tempfiles import TempFolder
from app.records import CrewMember, Photo

CHUNK_BYTES = 256 * 1024
MAX_REDIRECTS = 5
NOT_THERE = {401, 403, 404, 410}
PASSING = {408, 425, 429, 500, 502, 503, 504}
REDIRECTS = {301, 302, 303, 307, 308}
FORBIDDEN_IN_NAMES = ("/", "\\")
FORBIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's: control, format, half a character, line ends


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """Where the photos hang and how patient to be with their server."""

    base_url: str
    connect_timeout_s: float
    read_timeout_s: float
    total_timeout_s: float
    attempts: int
    threads: int
    max_bytes: int


class TransientFailure(Exception):
    """A try that may go well next time; `retry_after_s` is what the server asked for."""

    def __init__(self, detail: str, retry_after_s: float | None = None, *, truncated: bool = False) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.truncated = truncated


def photo_url(base_url: str, member: CrewMember) -> str:
    """`base_url/<crew_id>/<photo>`, each segment percent-encoded, without the base's credentials.

    Raises BadName for a name that is more than one segment, or none.
    """
    for name in (member.crew_id, member.photo_name):
        check_segment(name)
    segments = (quote(name, safe="") for name in (member.crew_id, member.photo_name))
    return "/".join([without_credentials(base_url), *segments])


def check_segment(name: str) -> None:
    """Raises BadName unless the name is one plain path segment."""
    if name in ("", ".", ".."):
        raise BadName(f"«{name}»")
    if any(char in FORBIDDEN_IN_NAMES or unicodedata.category(char) in FORBIDDEN_CATEGORIES for char in name):
        raise BadName(f"«{name}» contiene una barra o un carácter de control")


def without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class FolderSource:
    """Photos under a `file://` base: nothing is copied."""

    def __init__(self, options: FetchOptions) -> None:
        self._options = options
        parts = urlsplit(options.base_url)
        server = f"//{parts.netloc}" if parts.netloc else ""  # a Windows share
        self._folder = Path(url2pathname(f"{server}{parts.path}"))

    def fetch(self, member: CrewMember) -> Photo:
        """The member's file. Raises BadName, PhotoNotFound, OversizedPhoto."""
        url = photo_url(self._options.base_url, member)
        path = self._folder / member.crew_id / member.photo_name
        if not path.is_file():
            raise PhotoNotFound(f"no existe {path}")
        if path.stat().st_size > self._options.max_bytes:
            raise OversizedPhoto(_too_large(self._options.max_bytes))
        return Photo(member, url, path, temporary=False)


class HttpSource:
    """Photos on a web server, by way of one pooled session."""

    def __init__(self, options: FetchOptions, temp: TempFolder, stop: threading.Event) -> None:
        self._options = options
        self._temp = temp
        self._stop = stop
        self._policy = RetryPolicy(options.attempts, options.total_timeout_s)
        self._session = _Session()
        self._session.read_environment_once(options.base_url)
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=options.threads)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def fetch(self, member: CrewMember) -> Photo:
        """Download the member's photo to a temporary file.

        Raises BadName, PhotoNotFound, PhotoUnavailable, OversizedPhoto, TruncatedDownload.
        """
        url = photo_url(self._options.base_url, member)
        content = self._insist(lambda deadline: self._download(url, deadline))
        return Photo(member, url, self._temp.write(member.crew_id, content))

    def _insist(self, attempt: Callable[[float], bytes]) -> bytes:
        deadline = time.monotonic() + self._options.total_timeout_s
        try:
            return call_with_retries(lambda: attempt(deadline), self._policy, _is_transient, self._stop)
        except TransientFailure as error:
            kind = TruncatedDownload if error.truncated else PhotoUnavailable
            raise kind(str(error)) from error

    def _download(self, url: str, deadline: float) -> bytes:
        try:
            return self._follow(url, deadline)
        except requests.exceptions.SSLError as error:
            raise PhotoUnavailable("el certificado del servidor no es válido") from error
        except (requests.exceptions.Timeout, ReadTimeoutError) as error:
            raise TransientFailure("el servidor tardó demasiado en responder") from error
        except ProtocolError as error:
            truncated = isinstance(error.args[-1], IncompleteRead)
            detail = "la descarga llegó incompleta" if truncated else "se cortó la conexión"
            raise TransientFailure(detail, truncated=truncated) from error
        except requests.exceptions.ConnectionError as error:
            raise TransientFailure("no se pudo conectar, o se cortó la conexión") from error
        except (requests.exceptions.RequestException, HTTPError) as error:
            raise PhotoUnavailable(f"respuesta ilegible ({type(error).__name__})") from error

    def _follow(self, url: str, deadline: float) -> bytes:
        target = self._with_credentials(url)
        for _ in range(MAX_REDIRECTS + 1):
            timeouts = (self._options.connect_timeout_s, self._options.read_timeout_s)
            with self._session.get(target, stream=True, timeout=timeouts, allow_redirects=False) as response:
                if response.status_code not in REDIRECTS:
                    _check_status(response)
                    return self._read(response, deadline)
                target = _same_origin(target, response.headers.get("Location", ""))
        raise PhotoUnavailable(f"más de {MAX_REDIRECTS} redirecciones")

    def _with_credentials(self, url: str) -> str:
        netloc = urlsplit(self._options.base_url).netloc
        return urlsplit(url)._replace(netloc=netloc).geturl()

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        limit = self._options.max_bytes
        body = bytearray()
        # As it arrives: `iter_content` waits for a whole chunk, however slowly the server drips.
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > limit:
                raise OversizedPhoto(_too_large(limit))
            if time.monotonic() > deadline:
                raise PhotoUnavailable(f"la descarga superó {self._options.total_timeout_s:g} segundos")
            if self._stop.is_set():
                raise PhotoUnavailable("ejecución interrumpida")
        return bytes(body)


class _Session(requests.Session):
    """requests without the work that it would do anew for each photo."""

    def read_environment_once(self, base_url: str) -> None:
        """Proxies, certificates and netrc as the environment has them for this one site."""
        found = self.merge_environment_settings(base_url, {}, None, None, None)
        self.proxies, self.verify = found["proxies"], found["verify"]
        self.auth = requests.utils.get_netrc_auth(base_url)
        self.trust_env = False

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No redirect is requests' affair: it would read all of the answer's body to prepare the next request."""


def _too_large(limit: int) -> str:
    return f"pesa más de {limit / BYTES_PER_MB:g} MB"


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, TransientFailure)


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status == requests.codes.ok:
        return
    if status in NOT_THERE:
        raise PhotoNotFound(f"el servidor respondió {status}")
    if status in PASSING:
        raise TransientFailure(f"el servidor respondió {status}", _retry_after_s(response))
    raise PhotoUnavailable(f"el servidor respondió {status}")


def _retry_after_s(response: requests.Response) -> float | None:
    """Seconds out of a Retry-After header, given as a number or as a date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _same_origin(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        same = _origin(urlsplit(target)) == _origin(urlsplit(url))
    except ValueError as error:  # no address at all
        raise PhotoUnavailable("el servidor redirige a una dirección ilegible") from error
    if not location or not same:
        raise PhotoUnavailable("el servidor redirige a otro sitio")
    return urlsplit(target)._replace(netloc=urlsplit(url).netloc).geturl()


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port
