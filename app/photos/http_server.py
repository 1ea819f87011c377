"""One exchange with the photo server: a request, its redirects, and a named error for whatever goes wrong."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from ssl import SSLCertVerificationError, SSLError
from typing import TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from urllib3 import disable_warnings
from urllib3.exceptions import HTTPError, InsecureRequestWarning, ProtocolError, ReadTimeoutError

from app.core.config import PhotoSettings
from app.core.proxies import find_proxy, refuse_unusable_proxy
from app.errors import ItemError, PhotoForbidden, PhotoNotFound, PhotoUnavailable, SettingsError
from app.photos.http_deadline import BoundedAdapter, is_over

log = logging.getLogger(__name__)

MAX_REDIRECTS = 5
# Status codes.
NOT_FOUND = {404, 410}
FORBIDDEN = {401, 403, 406, 451}  # 406: what some firewalls answer to a program that they do not know
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
REDIRECTS = {301, 302, 303, 307, 308}
PROXY_WANTS_PASSWORD = 407
NO_PASSWORD = "el proxy pide usuario y clave, o no acepta los que tiene"  # noqa: S105  # a sentence
PORTS = {"http": 80, "https": 443}
TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})")
MAX_HOST_CHARACTERS = 253  # of a name in DNS
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


class HttpServer:
    """The server of IMAGE_BASE_URL, over one pooled session. Safe to use from several threads. Raises SettingsError
    where the environment names a proxy or a file of certificates that cannot be used."""

    def __init__(self, settings: PhotoSettings) -> None:
        self._base = urlsplit(settings.IMAGE_BASE_URL)
        self._total_s = settings.HTTP_TOTAL_TIMEOUT_S
        self._timeouts = (settings.HTTP_CONNECT_TIMEOUT_S, settings.HTTP_READ_TIMEOUT_S)
        refuse_unusable_proxy(settings.IMAGE_BASE_URL)
        self._session = _Session(settings.IMAGE_BASE_URL, settings.HTTP_USER_AGENT)
        adapter = BoundedAdapter(pool_connections=1, pool_maxsize=settings.DOWNLOAD_THREADS)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self.moved_to = ""  # `https://<host>`, once the server has redirected from http:// to it

    def request(
        self, method: str, url: str, headers: dict[str, str], read: Callable[[requests.Response], Result]
    ) -> Result:
        """Send the credentials and the query of the base with the request, follow redirects within the server, and
        return what `read` makes of the response. Raises TransientFailure, what `read` raises, and PhotoUnavailable for
        what no further try would mend."""
        base = self._base
        target = urlsplit(url)._replace(scheme=base.scheme, netloc=base.netloc, query=base.query).geturl()
        stream = method != "HEAD"  # not streamed, a response without a body frees its connection at once
        with _naming_the_proxy(target), _translated_failures(self._total_s):
            for _ in range(MAX_REDIRECTS + 1):
                with self._session.request(
                    method, target, headers=headers, stream=stream, timeout=self._timeouts, allow_redirects=False
                ) as response:
                    if response.status_code not in REDIRECTS:
                        return _read_and_release(response, read)
                    target = self._follow(target, response.headers.get("Location", ""))
        raise PhotoUnavailable(f"más de {MAX_REDIRECTS} redirecciones")

    def _follow(self, url: str, location: str) -> str:
        """Return where a redirect leads, with the URL's credentials. Raises PhotoUnavailable for another server.

        From http:// to https:// of the same host the server is the same: later requests begin there.
        """
        try:
            here, there = urlsplit(url), urlsplit(urljoin(url, location))
            origins = _origin(here), _origin(there)
        except ValueError as error:  # not a URL
            raise PhotoUnavailable("el servidor redirige a una dirección ilegible") from error
        if location and origins[0] == origins[1]:
            return there._replace(netloc=here.netloc).geturl()
        if not _only_encrypts(*origins):
            raise PhotoUnavailable(f"el servidor redirige a {_site(there) if location else 'ningún sitio'}")
        credentials = here.netloc.rpartition("@")[0]
        host = there.netloc.rpartition("@")[2]
        netloc = f"{credentials}@{host}" if credentials else host
        self._base = self._base._replace(scheme=there.scheme, netloc=netloc)
        if not self.moved_to:
            self.moved_to = _site(there)
            log.warning("El servidor de fotos redirige a %s: corrija IMAGE_BASE_URL", self.moved_to)
        return there._replace(netloc=netloc).geturl()


class _Session(requests.Session):
    """A session that reads the environment once instead of for each photo, and keeps no cookies."""

    def __init__(self, base_url: str, user_agent: str) -> None:
        super().__init__()
        # Of http:// photos through a proxy that is asked by TLS: they travel unencrypted beyond it anyway.
        disable_warnings(InsecureRequestWarning)
        self.headers["User-Agent"] = user_agent
        self.headers["Accept-Encoding"] = "identity"  # photos are compressed already
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        found = self.merge_environment_settings(base_url, {}, None, None, None)
        self.proxies, self.verify = found["proxies"], found["verify"]
        if base_url.startswith("https://") and isinstance(self.verify, str) and not Path(self.verify).exists():
            raise SettingsError(*NO_AUTHORITIES)
        self.auth = requests.utils.get_netrc_auth(base_url)
        self.trust_env = False

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Leave redirects to `HttpServer`: requests would read all of the response's body to prepare the next one."""


def check_status(response: requests.Response) -> None:
    """Raise the error of any status but 200."""
    status = response.status_code
    said = f"el servidor respondió {status}"
    if status == requests.codes.ok:
        return
    if status in NOT_FOUND:
        raise PhotoNotFound(said)
    if status in FORBIDDEN:
        raise PhotoForbidden(said)
    if status in TRANSIENT:
        raise TransientFailure(said, _retry_after_s(response))
    raise PhotoUnavailable(NO_PASSWORD if status == PROXY_WANTS_PASSWORD else said)


def _retry_after_s(response: requests.Response) -> float | None:
    """Read the seconds off a Retry-After header, a number or a date (RFC 9110, 10.2.3); None for anything else."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _read_and_release(response: requests.Response, read: Callable[[requests.Response], Result]) -> Result:
    """Return what `read` makes of the response. A body that is left unread costs the connection; one that is empty, as
    of a 304, must not."""
    result = read(response)
    if response.raw.length_remaining == 0:
        response.raw.read()
    return result


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or PORTS.get(parts.scheme)


def _only_encrypts(here: tuple[str, str | None, int | None], there: tuple[str, str | None, int | None]) -> bool:
    """Tell whether a redirect leads from http:// to https:// of the same host, both at their usual ports."""
    return here == ("http", here[1], PORTS["http"]) and there == ("https", here[1], PORTS["https"])


def _site(parts: SplitResult) -> str:
    """Return scheme, host and port of where a redirect leads, or that it is another site where they cannot be shown."""
    host = parts.hostname or ""
    if not host or len(host) > MAX_HOST_CHARACTERS or not (host.isascii() and host.isprintable()):
        return "otro sitio"
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{parts.port}" if parts.port else "")


@contextmanager
def _naming_the_proxy(url: str) -> Iterator[None]:
    """Say in each failure that the request went through a proxy: the fault may be the proxy's."""
    try:
        yield
    except (TransientFailure, PhotoForbidden, PhotoUnavailable) as error:
        proxy = find_proxy(url)
        if proxy is None:
            raise
        said = f"{error} (por el proxy {proxy})"
        if isinstance(error, ItemError):
            raise type(error)(said) from error
        raise TransientFailure(said, error.retry_after_s, truncated=error.truncated) from error


@contextmanager
def _translated_failures(total_timeout_s: float) -> Iterator[None]:
    """Raise TransientFailure or PhotoUnavailable, with a sentence for HR, for each library's error inside."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise _refused_by_tls(error) from error
    except (requests.exceptions.Timeout, ReadTimeoutError, TimeoutError) as error:
        if is_over():
            raise PhotoUnavailable(f"el servidor tardó más de {total_timeout_s:g} segundos en total") from error
        raise TransientFailure("el servidor tardó demasiado en responder") from error
    except requests.exceptions.ProxyError as error:
        raise _refused_by_proxy(error) from error
    except (ProtocolError, IncompleteRead, requests.exceptions.ConnectionError) as error:
        raise _broken_exchange(error) from error
    except (requests.exceptions.RequestException, HTTPError) as error:
        raise PhotoUnavailable(f"respuesta ilegible ({type(error).__name__})") from error
    except OSError as error:  # requests raises it for a file of certificates that was deleted
        raise PhotoUnavailable(f"no se pudo conectar ({type(error).__name__})") from error


def _refused_by_tls(error: BaseException) -> TransientFailure | PhotoUnavailable:
    if _cause(error, SSLCertVerificationError):
        return PhotoUnavailable("el certificado del servidor no es válido")
    return TransientFailure("no se pudo acordar una conexión segura (TLS) con el servidor")


def _refused_by_proxy(error: requests.exceptions.ProxyError) -> TransientFailure | PhotoUnavailable:
    refusal = TUNNEL_REFUSED.search(str(error))
    if refusal is None:
        if _cause(error, SSLCertVerificationError):
            return PhotoUnavailable("el certificado del proxy no es válido")
        if _cause(error, SSLError):
            return TransientFailure(
                "no se pudo hablar con el proxy por TLS: quizá su dirección sea http:// y no https://"
            )
        return TransientFailure("no se pudo conectar con el proxy, o se cortó la conexión")
    status = int(refusal[1])
    if status == PROXY_WANTS_PASSWORD:
        return PhotoUnavailable(NO_PASSWORD)
    return (TransientFailure if status in TRANSIENT else PhotoUnavailable)(f"el proxy respondió {status}")


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
