"""Photos on a web server: download one, or ask whether one is still the version that an earlier run saw."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from app.core.retry import RetryPolicy, call_with_retries
from app.errors import PhotoNotFound, PhotoUnavailable, SettingsError, TruncatedDownload
from app.photos.http_body import read_body
from app.photos.http_deadline import BoundedAdapter, time_limit
from app.photos.http_errors import TransientFailure, is_transient, translated_failures
from app.photos.source_rules import compare_versions
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
NO_AUTHORITIES = (
    "No existe el archivo de certificados que nombra la variable de entorno REQUESTS_CA_BUNDLE (o CURL_CA_BUNDLE)",
    "Corrija esa variable, o quítela si el certificado del servidor de fotos es de una autoridad conocida.",
)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """Where the photos are, and how long and how often the program tries to get one (seconds, tries, bytes)."""

    base_url: str
    connect_timeout_s: float
    read_timeout_s: float
    total_timeout_s: float
    attempts: int
    threads: int
    max_bytes: int


class HttpSource:
    """Photos on a web server, over one pooled session. Safe to use from several threads.

    Raises SettingsError where the environment names a file of certificates that does not exist.
    """

    def __init__(self, options: FetchOptions, stop: threading.Event) -> None:
        self._options = options
        self._stop = stop
        self._policy = RetryPolicy(options.attempts, options.total_timeout_s)
        self._session = _Session(options.base_url)
        adapter = BoundedAdapter(pool_connections=1, pool_maxsize=options.threads)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def fetch(self, member: CrewMember, temp: DownloadTarget) -> Photo:
        """Download the member's photo to a file in `temp`.

        Raises BadName, PhotoNotFound, PhotoUnavailable, OversizedPhoto, TruncatedDownload.
        """
        url = photo_url(self._options.base_url, member)
        content, version = self._retry(lambda: self._download(url))
        path = temp.write(member.crew_id, content)
        return Photo(member, url, path, sha256=hashlib.sha256(content).hexdigest(), version=version)

    def check(self, member: CrewMember, version: Version) -> Answer:
        """Ask the server whether the photo is still `version`, without downloading it; with the time and the tries that
        `fetch` has. Raises BadName."""
        url = photo_url(self._options.base_url, member)
        try:
            answer = self._retry(lambda: self._ask("HEAD", url, version) or self._ask("GET", url, version))
            return answer or Answer(ANSWER_UNREACHABLE)
        except PhotoNotFound:
            return Answer(ANSWER_GONE)
        except PhotoUnavailable:
            return Answer(ANSWER_UNREACHABLE)

    def _retry(self, attempt: Callable[[], Result]) -> Result:
        """Call `attempt` until it succeeds, its failure is no transient one, or the total time is over."""
        try:
            with time_limit(self._options.total_timeout_s):
                return call_with_retries(attempt, self._policy, is_transient, self._stop)
        except TransientFailure as error:
            kind = TruncatedDownload if error.truncated else PhotoUnavailable
            raise kind(str(error)) from error

    def _download(self, url: str) -> tuple[bytes, Version]:
        def read(response: requests.Response) -> tuple[bytes, Version]:
            _check_status(response)
            return self._read_photo(response), _version(response)

        return self._request("GET", url, {}, read)

    def _ask(self, method: str, url: str, version: Version) -> Answer | None:
        """Ask with one method. Returns None where the server does not support it."""

        def read(response: requests.Response) -> Answer | None:
            if method == "HEAD" and response.status_code in NO_HEAD:
                return None
            return _read_answer(response, version)

        return self._request(method, url, _conditions(version), read)

    def _request(
        self, method: str, url: str, headers: dict[str, str], read: Callable[[requests.Response], Result]
    ) -> Result:
        """Send the request, following redirects within the server, and return what `read` makes of the response.

        Raises TransientFailure, and PhotoUnavailable for what no further try would mend.
        """
        target = self._with_credentials(url)
        timeouts = (self._options.connect_timeout_s, self._options.read_timeout_s)
        # Not streamed, a response without a body frees its connection for the next request at once.
        stream = method != "HEAD"
        with translated_failures(self._options.total_timeout_s):
            for _ in range(MAX_REDIRECTS + 1):
                with self._session.request(
                    method, target, headers=headers, stream=stream, timeout=timeouts, allow_redirects=False
                ) as response:
                    if response.status_code not in REDIRECTS:
                        return read(response)
                    target = _same_origin(target, response.headers.get("Location", ""))
        raise PhotoUnavailable(f"más de {MAX_REDIRECTS} redirecciones")

    def _with_credentials(self, url: str) -> str:
        netloc = urlsplit(self._options.base_url).netloc
        return urlsplit(url)._replace(netloc=netloc).geturl()

    def _read_photo(self, response: requests.Response) -> bytes:
        """Read the body. Raises what `read_body` does, and PhotoUnavailable when the run is to stop."""
        body = bytearray()
        for piece in read_body(response, self._options.max_bytes):
            body += piece
            if self._stop.is_set():
                raise PhotoUnavailable("ejecución interrumpida")
        return bytes(body)


class _Session(requests.Session):
    """A session that reads the environment once instead of for each photo, and keeps no cookies."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._read_environment(base_url)
        self.headers["Accept-Encoding"] = "identity"  # photos are compressed already
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def _read_environment(self, base_url: str) -> None:
        """Take the environment's proxies, certificates and netrc for this one site. Raises SettingsError."""
        found = self.merge_environment_settings(base_url, {}, None, None, None)
        self.proxies, self.verify = found["proxies"], found["verify"]
        if base_url.startswith("https://") and isinstance(self.verify, str) and not Path(self.verify).exists():
            raise SettingsError(*NO_AUTHORITIES)
        self.auth = requests.utils.get_netrc_auth(base_url)
        self.trust_env = False

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Leave redirects to `HttpSource`: requests would read all of the response's body to prepare the next one."""


def _check_status(response: requests.Response) -> None:
    """Raise PhotoNotFound, TransientFailure or PhotoUnavailable for any status but 200."""
    status = response.status_code
    if status == requests.codes.ok:
        return
    if status in NOT_FOUND:
        raise PhotoNotFound(f"el servidor respondió {status}")
    if status in TRANSIENT:
        raise TransientFailure(f"el servidor respondió {status}", _retry_after_s(response))
    raise PhotoUnavailable(f"el servidor respondió {status}")


def _version(response: requests.Response) -> Version:
    """Read the version off the headers. The length of a compressed response is not the file's, so it is left out."""
    headers = response.headers
    length = headers.get("Content-Length", "")
    plain = length.isdecimal() and len(length) <= MAX_LENGTH_DIGITS and "Content-Encoding" not in headers
    return Version(_validator(headers, "ETag"), _validator(headers, "Last-Modified"), int(length) if plain else None)


def _validator(headers: Mapping[str, str], name: str) -> str:
    """Return an ETag or a date that a later request can send back; empty for one that makes no sense."""
    value = headers.get(name, "")
    return value if len(value) <= MAX_VALIDATOR_CHARACTERS and value.isprintable() else ""


def _conditions(version: Version) -> dict[str, str]:
    """Return the headers by which the server answers 304 to an unchanged photo (RFC 9110, 13.1)."""
    headers = {"If-None-Match": version.etag, "If-Modified-Since": version.last_modified}
    return {name: value for name, value in headers.items() if value}


def _read_answer(response: requests.Response, version: Version) -> Answer:
    """Compare the response with the remembered version. Raises what `_check_status` does."""
    if response.status_code == requests.codes.not_modified and _conditions(version):
        return Answer(ANSWER_SAME, version)
    _check_status(response)
    current = _version(response)
    verdict = compare_versions(current, version)
    if verdict == ANSWER_UNKNOWN and _is_page(response):
        return Answer(ANSWER_CHANGED, current)
    # A server may send its ETag with the photo only: a remembered one is kept, so that a later request can use it.
    knows_more = bool(current.etag or current.last_modified) or version == Version()
    return Answer(verdict, current if knows_more else version)


def _is_page(response: requests.Response) -> bool:
    return response.headers.get("Content-Type", "").lower().startswith("text/html")


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
