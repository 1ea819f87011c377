"""Photos on a web server: downloaded, or only asked whether they are still what was seen last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from app.core.retry import RetryPolicy, call_with_retries
from app.errors import PhotoNotFound, PhotoUnavailable, SettingsError, TruncatedDownload
from app.photos.fingerprint import checksum
from app.photos.http_body import read_body
from app.photos.http_deadline import BoundedAdapter, time_limit
from app.photos.http_errors import TransientFailure, is_transient, named_failures
from app.photos.source import FetchOptions, compare, photo_url
from app.photos.temp_folder import DownloadTarget
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
NOT_THERE = {401, 403, 404, 410}
PASSING = {408, 425, 429, 500, 502, 503, 504}
REDIRECTS = {301, 302, 303, 307, 308}
NO_HEAD = {405, 501}  # from a server that does not know the method
MAX_VALIDATOR_CHARACTERS = 1000  # an ETag or a date beyond it is no such thing, and would fit no column
MAX_LENGTH_DIGITS = 15
NO_AUTHORITIES = (
    "No existe el archivo de certificados que nombra la variable de entorno REQUESTS_CA_BUNDLE (o CURL_CA_BUNDLE)",
    "Corrija esa variable, o quítela si el certificado del servidor de fotos es de una autoridad conocida.",
)

Outcome = TypeVar("Outcome")


class HttpSource:
    """Photos on a web server, by way of one pooled session. Raises SettingsError where the environment names no
    certificates to trust."""

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
        content, version = self._insist(lambda: self._download(url))
        path = temp.write(member.crew_id, content)
        return Photo(member, url, path, sha256=checksum(content), version=version)

    def check(self, member: CrewMember, version: Version) -> Answer:
        """Whether the photo is still that version, without downloading it; as patient as `fetch`. Raises BadName."""
        url = photo_url(self._options.base_url, member)
        try:
            answer = self._insist(lambda: self._ask("HEAD", url, version) or self._ask("GET", url, version))
            return answer or Answer(ANSWER_UNREACHABLE)
        except PhotoNotFound:
            return Answer(ANSWER_GONE)
        except PhotoUnavailable:
            return Answer(ANSWER_UNREACHABLE)

    def _insist(self, attempt: Callable[[], Outcome]) -> Outcome:
        try:
            with time_limit(self._options.total_timeout_s):
                return call_with_retries(attempt, self._policy, is_transient, self._stop)
        except TransientFailure as error:
            kind = TruncatedDownload if error.truncated else PhotoUnavailable
            raise kind(str(error)) from error

    def _download(self, url: str) -> tuple[bytes, Version]:
        def read(response: requests.Response) -> tuple[bytes, Version]:
            _check_status(response)
            return self._read(response), _version(response)

        return self._request("GET", url, {}, read)

    def _ask(self, method: str, url: str, version: Version) -> Answer | None:
        """The answer; None where the server does not know the method."""

        def judge(response: requests.Response) -> Answer | None:
            if method == "HEAD" and response.status_code in NO_HEAD:
                return None
            return _judge(response, version)

        return self._request(method, url, _conditions(version), judge)

    def _request(
        self, method: str, url: str, headers: dict[str, str], use: Callable[[requests.Response], Outcome]
    ) -> Outcome:
        """What `use` makes of the answer; each failure by its name: TransientFailure or PhotoUnavailable."""
        with named_failures(self._options.total_timeout_s):
            return self._follow(method, url, headers, use)

    def _follow(
        self, method: str, url: str, headers: dict[str, str], use: Callable[[requests.Response], Outcome]
    ) -> Outcome:
        target = self._with_credentials(url)
        timeouts = (self._options.connect_timeout_s, self._options.read_timeout_s)
        # Where nothing follows the headers the answer counts as read, and its connection is free for the next.
        stream = method != "HEAD"
        for _ in range(MAX_REDIRECTS + 1):
            with self._session.request(
                method, target, headers=headers, stream=stream, timeout=timeouts, allow_redirects=False
            ) as response:
                if response.status_code not in REDIRECTS:
                    return use(response)
                target = _same_origin(target, response.headers.get("Location", ""))
        raise PhotoUnavailable(f"más de {MAX_REDIRECTS} redirecciones")

    def _with_credentials(self, url: str) -> str:
        netloc = urlsplit(self._options.base_url).netloc
        return urlsplit(url)._replace(netloc=netloc).geturl()

    def _read(self, response: requests.Response) -> bytes:
        body = bytearray()
        for piece in read_body(response, self._options.max_bytes):
            body += piece
            if self._stop.is_set():
                raise PhotoUnavailable("ejecución interrumpida")
        return bytes(body)


class _Session(requests.Session):
    """requests without the work that it would do anew for each photo, and without a memory that a server could fill."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._read_environment(base_url)
        self.headers["Accept-Encoding"] = "identity"  # photos are compressed as they are
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def _read_environment(self, base_url: str) -> None:
        """Proxies, certificates and netrc as the environment has them for this one site. Raises SettingsError."""
        found = self.merge_environment_settings(base_url, {}, None, None, None)
        self.proxies, self.verify = found["proxies"], found["verify"]
        if base_url.startswith("https://") and isinstance(self.verify, str) and not Path(self.verify).exists():
            raise SettingsError(*NO_AUTHORITIES)
        self.auth = requests.utils.get_netrc_auth(base_url)
        self.trust_env = False

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No redirect is requests' affair: it would read all of the answer's body to prepare the next request."""


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status == requests.codes.ok:
        return
    if status in NOT_THERE:
        raise PhotoNotFound(f"el servidor respondió {status}")
    if status in PASSING:
        raise TransientFailure(f"el servidor respondió {status}", _retry_after_s(response))
    raise PhotoUnavailable(f"el servidor respondió {status}")


def _version(response: requests.Response) -> Version:
    """A length counts where it is the file's: a compressed answer has another, or another at each request."""
    headers = response.headers
    length = headers.get("Content-Length", "")
    plain = length.isdecimal() and len(length) <= MAX_LENGTH_DIGITS and "Content-Encoding" not in headers
    return Version(_validator(headers, "ETag"), _validator(headers, "Last-Modified"), int(length) if plain else None)


def _validator(headers: Mapping[str, str], name: str) -> str:
    """What the server can be asked with the next time."""
    value = headers.get(name, "")
    return value if len(value) <= MAX_VALIDATOR_CHARACTERS and value.isprintable() else ""


def _conditions(version: Version) -> dict[str, str]:
    headers = {"If-None-Match": version.etag, "If-Modified-Since": version.last_modified}
    return {name: value for name, value in headers.items() if value}


def _judge(response: requests.Response, version: Version) -> Answer:
    if response.status_code == requests.codes.not_modified and _conditions(version):
        return Answer(ANSWER_SAME, version)
    _check_status(response)
    said = _version(response)
    verdict = compare(said, version)
    if verdict == ANSWER_UNKNOWN and _is_page(response):
        return Answer(ANSWER_CHANGED, said)
    says_more = bool(said.etag or said.last_modified) or version == Version()
    return Answer(verdict, said if says_more else version)


def _is_page(response: requests.Response) -> bool:
    return response.headers.get("Content-Type", "").lower().startswith("text/html")


def _retry_after_s(response: requests.Response) -> float | None:
    """Seconds out of a Retry-After header, given as a number or as a date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
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
