"""How long a photo may take in all: a time limit goes in, and no read of these connections goes on beyond it.

A read timeout starts anew with each byte: a server that sends one every few seconds never meets it.
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
from urllib3 import HTTPResponse, PoolManager, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

_end: ContextVar[float] = ContextVar("end", default=math.inf)  # a moment of time.monotonic(); each thread has its own


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """What this thread does inside over the adapter's connections ends by then, with a timeout if need be."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def is_over() -> bool:
    return time.monotonic() >= _end.get()


class BoundedAdapter(HTTPAdapter):
    """requests' own, with connections that keep to the time limit; those through a SOCKS proxy do not."""

    def init_poolmanager(self, *args: Any, **values: Any) -> None:
        super().init_poolmanager(*args, **values)
        _bound_pools(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **values: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **values)
        if isinstance(manager, ProxyManager):
            _bound_pools(manager)
        return manager


def _bound_pools(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


class _Bounded(socket.socket):
    """A socket none of whose waits is longer than what is left of the time."""

    def connect(self, address: Any) -> None:
        self._shorten_patience()
        super().connect(address)

    def recv_into(self, *args: Any, **values: Any) -> int:
        self._shorten_patience()
        return super().recv_into(*args, **values)

    def _shorten_patience(self) -> None:
        left_s = _end.get() - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the total time is over")
        patience_s = self.gettimeout()
        if left_s < (math.inf if patience_s is None else patience_s):
            self.settimeout(left_s)


class _BoundedTls(_Bounded, ssl.SSLSocket):
    """The same under TLS, whose reads and handshake each keep to the socket's timeout as a whole."""

    def do_handshake(self, block: bool = False) -> None:
        self._shorten_patience()
        super().do_handshake(block)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """As urllib3's, but the host's addresses share the time instead of having it each."""
        try:
            return _connect(self)
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "no answer in time") from error
        except (OSError, UnicodeError) as error:  # UnicodeError: no name that DNS could be asked for
            raise NewConnectionError(self, str(error)) from error

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 does
        connected = self.sock
        try:
            return super().getresponse()
        except HTTPError:  # urllib3 refuses the headers, and leaves closing the socket to the garbage collector
            socket.close(connected.detach())
            raise


class _TlsConnection(_Connection, HTTPSConnection):
    def connect(self) -> None:
        if self.ssl_context is None:
            self.ssl_context = create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
            self.ssl_context.sslsocket_class = _BoundedTls
        super().connect()


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _connect(connection: HTTPConnection) -> socket.socket:
    """To the first of the host's addresses that answers."""
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
