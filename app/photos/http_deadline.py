"""A time limit for all of a download: connecting, the headers, redirects and the body.

requests has only a read timeout, which starts again with each byte: a server that sends one every few seconds never
reaches it.
"""

from __future__ import annotations

import math
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

_end: ContextVar[float] = ContextVar("end", default=math.inf)  # in time.monotonic(); each thread has its own


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let this thread's requests over BoundedAdapter take `seconds` in all; then their reads raise a timeout."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def is_over() -> bool:
    return time.monotonic() >= _end.get()


class BoundedAdapter(HTTPAdapter):
    """requests' adapter with connections that keep to the time limit. Those through a SOCKS proxy do not."""

    def get_connection_with_tls_context(self, *args: Any, **values: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **values)
        pool.ConnectionCls = _BOUNDED.get(pool.ConnectionCls, pool.ConnectionCls)
        return pool


class _Bounded(socket.socket):
    """A socket that waits no longer than the time limit leaves."""

    def connect(self, address: Any) -> None:
        self._limit_timeout()
        super().connect(address)

    def recv_into(self, *args: Any, **values: Any) -> int:
        self._limit_timeout()
        return super().recv_into(*args, **values)

    def _limit_timeout(self) -> None:
        left_s = _end.get() - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the total time is over")
        timeout_s = self.gettimeout()
        if left_s < (math.inf if timeout_s is None else timeout_s):
            self.settimeout(left_s)


class _BoundedTls(_Bounded, ssl.SSLSocket):
    """The same under TLS. Python applies a socket's timeout to a whole TLS read and to the whole handshake."""

    def do_handshake(self, block: bool = False) -> None:
        self._limit_timeout()
        super().do_handshake(block)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """Connect as urllib3 does, but let the host's addresses share the time instead of giving it to each."""
        try:
            return _connect(self)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no answer in time") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that DNS cannot have
            raise NewConnectionError(self, str(error)) from error

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 does
        connected = self.sock
        try:
            return super().getresponse()
        except HTTPError:  # urllib3 refuses the headers and leaves the socket open
            socket.close(connected.detach())
            raise


class _TlsConnection(_Connection, HTTPSConnection):
    def connect(self) -> None:
        if self.ssl_context is None:
            self.ssl_context = create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
            self.ssl_context.sslsocket_class = _BoundedTls
        super().connect()


_BOUNDED = {HTTPConnection: _Connection, HTTPSConnection: _TlsConnection}


def _connect(connection: HTTPConnection) -> socket.socket:
    """Return a socket connected to the first of the host's addresses that answers. Raises OSError."""
    failure = OSError("no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        connection._dns_host, connection.port, type=socket.SOCK_STREAM
    ):
        connected = _Bounded(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                connected.setsockopt(*option)
            connected.settimeout(connection.timeout)
            connected.connect(address)
        except OSError as error:
            connected.close()
            failure = error
        else:
            return connected
    raise failure
