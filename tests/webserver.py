"""A real web server of photos in a thread, some routes of which misbehave. It remembers what it was asked for.

The first segment of the path says how it behaves, so that a crew id chooses it: `/flaky/foto.jpg`. Any other path
is looked up among `photos`, under its decoded name.
"""

from __future__ import annotations

import gzip
import socket
import struct
import sys
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import unquote, urlsplit

HOST = "127.0.0.1"
OK, FOUND, UNAUTHORISED, FORBIDDEN, NOT_FOUND = 200, 302, 401, 403, 404
TOO_MANY_REQUESTS, SERVER_ERROR, UNAVAILABLE = 429, 500, 503
CLOSE_WITH_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time at all
PIECE = b"x" * 65536
CHUNK_BYTES = 5000
DRIP_PAUSE_S, BREAK_PAUSE_S = 0.05, 0.1


class PhotoServer(ThreadingHTTPServer):
    """Serves `photos` (decoded path without the leading slash -> bytes)."""

    daemon_threads = False  # closing waits for every request, so that no socket is left open
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__((HOST, 0), Handler)
        self.photos: dict[str, bytes] = {}
        self.default_photo = b""  # what well-behaved routes serve
        self.slow_s = 5.0  # before /slow answers
        self.failures = 2  # of /flaky and /busy before they answer
        self.retry_after = "7"  # what /busy asks for
        self.credentials: str | None = None  # `user:password`, where the server asks for one
        self.redirect_target = ""  # of /elsewhere
        self.requests: list[str] = []  # the paths as they came over the wire
        self.errors: list[BaseException | None] = []  # the server's own
        self.to_reset: set[socket.socket] = set()
        self.closing = threading.Event()
        self._guard = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._opened = 0

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.server_port}"

    def count(self, path: str) -> int:
        """How often this path was asked for, as it came over the wire."""
        return Counter(self.requests)[path]

    @property
    def connections(self) -> int:
        """How many connections were opened so far."""
        return self._opened

    def process_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        with self._guard:
            self._connections.add(request)
            self._opened += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:  # type: ignore[no-untyped-def]
        with self._guard:
            self._connections.discard(request)
        if request in self.to_reset:
            self.close_request(request)  # without the farewell of a shutdown
        else:
            super().shutdown_request(request)

    def handle_error(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # a client that hangs up is not an error of ours
            self.errors.append(error)

    def close(self) -> None:
        """Stop, and hang up on whoever is still connected."""
        self.closing.set()
        self.shutdown()
        with self._guard:
            for connection in self._connections:
                with suppress(OSError):  # the client was faster
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    server: PhotoServer
    protocol_version = "HTTP/1.1"  # connections stay open, as with the servers out there
    ROUTES: ClassVar[dict[str, str]] = {
        "ok": "_ok",
        "404": "_status",
        "403": "_status",
        "401": "_status",
        "410": "_status",
        "418": "_status",
        "500": "_status",
        "503": "_status",
        "slow": "_slow",
        "flaky": "_flaky",
        "busy": "_busy",
        "truncated": "_truncated",
        "reset": "_reset",
        "broken": "_broken",
        "huge": "_huge",
        "drip": "_drip",
        "html": "_html",
        "empty": "_empty",
        "garbled": "_garbled",
        "gzip": "_gzip",
        "chunks": "_chunks",
        "cut": "_cut",
        "moved": "_moved",
        "elsewhere": "_elsewhere",
        "loop": "_loop",
        "badmove": "_badmove",
    }

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        if not self._is_let_in():
            self._send(UNAUTHORISED, b"")
            return
        route = urlsplit(self.path).path.split("/")[1]
        getattr(self, self.ROUTES.get(route, "_photo"))()

    def log_message(self, format: str, *args: object) -> None:
        """The console belongs to the tests."""

    def _is_let_in(self) -> bool:
        expected = self.server.credentials
        given = self.headers.get("Authorization", "")
        return expected is None or given == f"Basic {b64encode(expected.encode()).decode()}"

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Type": "image/jpeg", "Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _begin_endless(self) -> None:
        self.send_response(OK)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Connection", "close")
        self.end_headers()

    def _photo(self) -> None:
        body = self.server.photos.get(unquote(self.path).removeprefix("/"))
        self._send(NOT_FOUND if body is None else OK, body or b"")

    def _ok(self) -> None:
        self._send(OK, self.server.default_photo)

    def _status(self) -> None:
        self._send(int(self.path.split("/")[1]), b"<html>no</html>", Content_Type="text/html")

    def _slow(self) -> None:
        self.server.closing.wait(self.server.slow_s)
        self._ok()

    def _flaky(self) -> None:
        if self.server.count(self.path) <= self.server.failures:
            self._send(UNAVAILABLE, b"later")
        else:
            self._ok()

    def _busy(self) -> None:
        if self.server.count(self.path) <= self.server.failures:
            self._send(TOO_MANY_REQUESTS, b"", Retry_After=self.server.retry_after)
        else:
            self._ok()

    def _truncated(self) -> None:
        body = self.server.default_photo
        self._send(OK, body[: len(body) // 2], Content_Length=str(len(body) + 1))
        self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_WITH_RESET)
        self.server.to_reset.add(self.connection)
        self.close_connection = True

    def _broken(self) -> None:
        self._begin_chunks()
        self.server.closing.wait(BREAK_PAUSE_S)  # until the client has what was sent: a reset takes it back
        self._reset()

    def _huge(self) -> None:
        self._begin_endless()
        while not self.server.closing.is_set():
            self.wfile.write(PIECE)

    def _drip(self) -> None:
        self._begin_endless()
        while not self.server.closing.wait(DRIP_PAUSE_S):
            self.wfile.write(b"x")

    def _html(self) -> None:
        self._send(OK, b"<!DOCTYPE html><html><body>Inicie la sesi\xc3\xb3n</body></html>")

    def _empty(self) -> None:
        self._send(OK, b"")

    def _garbled(self) -> None:
        self._send(OK, b"this is not gzip", Content_Encoding="gzip")

    def _gzip(self) -> None:
        self._send(OK, gzip.compress(self.server.default_photo), Content_Encoding="gzip")

    def _chunks(self) -> None:
        self._begin_chunks()
        self.wfile.write(b"0\r\n\r\n")

    def _cut(self) -> None:
        self._begin_chunks()  # and never ends
        self.close_connection = True

    def _begin_chunks(self) -> None:
        self.send_response(OK)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        body = self.server.default_photo
        for start in range(0, len(body), CHUNK_BYTES):
            chunk = body[start : start + CHUNK_BYTES]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def _moved(self) -> None:
        self._send(FOUND, b"", Location="/ok/foto.jpg")

    def _elsewhere(self) -> None:
        self._send(FOUND, b"", Location=self.server.redirect_target)

    def _loop(self) -> None:
        self._send(FOUND, b"", Location=self.path)

    def _badmove(self) -> None:
        self._send(FOUND, b"", Location="http://[::1:99999/foto.jpg")


@contextmanager
def serving_photos() -> Iterator[PhotoServer]:
    """A server that runs while inside."""
    server = PhotoServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
    assert server.errors == []
