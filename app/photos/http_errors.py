"""Translates the libraries' errors into ours: TransientFailure for what a retry may mend, else PhotoUnavailable."""

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
    """A failed try that another may mend. `retry_after_s` is the wait that the server asked for; `truncated` says that
    the server sent less than it had announced."""

    def __init__(self, detail: str, retry_after_s: float | None = None, *, truncated: bool = False) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        self.truncated = truncated


@contextmanager
def translated_failures(total_timeout_s: float) -> Iterator[None]:
    """Raise TransientFailure or PhotoUnavailable, with a sentence for HR, for each library's error inside."""
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
    except OSError as error:  # requests raises it for a file of certificates that was deleted
        raise PhotoUnavailable(f"no se pudo conectar ({type(error).__name__})") from error


def _tls_failure(error: BaseException) -> Exception:
    if _origin(error, SSLCertVerificationError):
        return PhotoUnavailable("el certificado del servidor no es válido")
    return TransientFailure("no se pudo acordar una conexión segura (TLS) con el servidor")


def _broken_exchange(error: BaseException) -> TransientFailure:
    if _origin(error, IncompleteRead):
        return TransientFailure("la descarga llegó incompleta", truncated=True)
    unreadable = _origin(error, HTTPException)
    if unreadable and not isinstance(unreadable, RemoteDisconnected):
        return TransientFailure(f"respuesta ilegible ({type(unreadable).__name__})")
    if isinstance(error, ProtocolError):
        return TransientFailure("se cortó la conexión")
    return TransientFailure("no se pudo conectar, o se cortó la conexión")


def _origin(error: BaseException | None, kind: type[Kind]) -> Kind | None:
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__context__
    return None
