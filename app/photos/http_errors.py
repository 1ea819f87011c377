"""What goes wrong with the photo server: errors of the libraries go in, ours come out, by whether they pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from ssl import SSLCertVerificationError
from typing import TypeVar

import requests
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from app.errors import PhotoUnavailable
from app.photos import http_deadline as deadline

Kind = TypeVar("Kind", bound=BaseException)


class TransientFailure(Exception):
    """A try that may go well next time; `retry_after_s` is what the server asked for."""

    def __init__(self, detail: str, retry_after_s: float | None = None, *, truncated: bool = False) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.truncated = truncated


def is_transient(error: BaseException) -> bool:
    return isinstance(error, TransientFailure)


@contextmanager
def named_failures(total_timeout_s: float) -> Iterator[None]:
    """Each failure inside comes out as TransientFailure or PhotoUnavailable, with a sentence for people."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise _tls_failure(error) from error
    except (requests.exceptions.Timeout, ReadTimeoutError, TimeoutError) as error:
        if deadline.is_over():
            raise PhotoUnavailable(f"el servidor tardó más de {total_timeout_s:g} segundos en total") from error
        raise TransientFailure("el servidor tardó demasiado en responder") from error
    except (ProtocolError, IncompleteRead, requests.exceptions.ConnectionError) as error:
        raise _broken_exchange(error) from error
    except (requests.exceptions.RequestException, HTTPError) as error:
        raise PhotoUnavailable(f"respuesta ilegible ({type(error).__name__})") from error
    except OSError as error:  # requests' own, of a file with certificates that is gone
        raise PhotoUnavailable(f"no se pudo conectar ({type(error).__name__})") from error


def _tls_failure(error: BaseException) -> Exception:
    if _origin(error, SSLCertVerificationError):
        return PhotoUnavailable("el certificado del servidor no es válido")
    return TransientFailure("no se pudo acordar una conexión segura (TLS) con el servidor")


def _broken_exchange(error: BaseException) -> TransientFailure:
    if _origin(error, IncompleteRead):
        return TransientFailure("la descarga llegó incompleta", truncated=True)
    rubbish = _origin(error, HTTPException)
    if rubbish and not isinstance(rubbish, RemoteDisconnected):
        return TransientFailure(f"respuesta ilegible ({type(rubbish).__name__})")
    if isinstance(error, ProtocolError):
        return TransientFailure("se cortó la conexión")
    return TransientFailure("no se pudo conectar, o se cortó la conexión")


def _origin(error: BaseException | None, kind: type[Kind]) -> Kind | None:
    """The error of that kind which led to this one."""
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__context__
    return None
