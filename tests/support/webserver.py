"""Run a real web server of photos in a thread; it records its requests, and some of its routes misbehave.

The first segment of the path, so a member's crew id, chooses a route: `/flaky/foto.jpg`. Any other path is looked up
in `photos`, by its decoded name.
"""

from __future__ import annotations

import gzip
import hashlib
import select
import socket
import ssl
import struct
import sys
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

HOST = "127.0.0.1"
RESET, HANGING = -1, -2  # in place of a status
OK, PERMANENTLY, FOUND, NOT_MODIFIED, UNAUTHORISED, FORBIDDEN, NOT_FOUND, NOT_ALLOWED = (
    *(200, 301, 302, 304),
    *(401, 403, 404, 405),
)
TOO_MANY_REQUESTS, SERVER_ERROR, UNAVAILABLE = 429, 500, 503
MODIFIED = "Mon, 05 Jan 2026 10:00:00 GMT"  # Last-Modified of a photo that is not in `modified`
CLOSE_WITH_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time at all
PIECE = b"x" * 65536
CHUNK_BYTES = 5000
DRIP_PAUSE_S, BREAK_PAUSE_S, TUNNEL_PAUSE_S = 0.05, 0.1, 1.2
BOMB_BYTES = 50_000_000  # into which a few kilobytes of gzip expand
TLS_RECORD = b"\x16\x03\x03\x40\x00"  # the header of a handshake record of 16 KB


class PhotoServer(ThreadingHTTPServer):
    """Serve `photos` (decoded path without the leading slash -> bytes)."""

    daemon_threads = False  # closing waits for every request, so that no socket is left open
    request_queue_size = 64
    # Oddities, of which a usual server has none.
    head_status: int | None = None  # the answer to every HEAD, if set; also RESET and HANGING
    head_has_body = False  # which a client takes for the beginning of the next answer
    head_length: int | None = None  # the Content-Length of HEADs for photos, if set
    nodes = 0  # of a cluster whose ETags differ: the connections take turns
    moved_to = ""  # `https://<host>`, where every request is redirected to
    moved_by = PERMANENTLY
    tunnel_to: int | None = None  # the port that each CONNECT leads to: the server is also a proxy
    proxy_status: int | None = None  # the answer to everything that is asked of the proxy, if set
    query: str | None = None  # the query without which nothing is answered

    def __init__(self) -> None:
        super().__init__((HOST, 0), Handler)
        self.photos: dict[str, bytes] = {}
        self.default_photo = b""  # what well-behaved routes serve
        self.slow_s = 5.0  # before /slow answers
        self.failures = 2  # of /flaky and /busy before they answer
        self.retry_after = "7"  # what /busy asks for
        self.credentials: str | None = None  # `user:password`, where the server asks for one
        self.redirect_target = ""  # of /elsewhere
        self.validators = {"etag", "last-modified"}  # which of them photos are sent with and compared by
        self.modified: dict[str, str] = {}  # HTTP dates by path as in `photos`
        self.size_told = True  # False: photos are sent in chunks, without a Content-Length
        self.hidden_from_head: set[str] = set()  # headers that photos are sent with, but HEADs are not answered with
        self.refused_agents: dict[str, int] = {}  # how a program's User-Agent begins -> the status that it gets
        self.login_page: bytes | None = None  # the answer to every request, if set
        self.down = False
        self.requests: list[str] = []  # the undecoded paths of GETs
        self.heads: list[str] = []  # the undecoded paths of HEADs
        self.cookies: list[str] = []  # that clients sent back
        self.downloads: list[str] = []  # paths of the `photos` that were sent
        self.errors: list[BaseException | None] = []  # the server's own
        self.to_reset: set[socket.socket] = set()
        self.closing = threading.Event()
        self._guard = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._nodes: dict[socket.socket, int] = {}
        self._opened = 0

    @property
    def base_url(self) -> str:
        scheme = "https" if isinstance(self.socket, ssl.SSLSocket) else "http"
        return f"{scheme}://{HOST}:{self.server_port}"

    def speak_tls(self, certificate: Path) -> None:
        """Use TLS with that certificate, whose key lies beside it; the handshake runs in the request's thread."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def count(self, path: str) -> int:
        """Count the GETs for this undecoded path."""
        return Counter(self.requests)[path]

    @property
    def connections(self) -> int:
        """Number of connections opened so far."""
        return self._opened

    def node_of(self, connection: socket.socket) -> int:
        """Return which of the cluster's nodes this connection leads to."""
        return self._nodes.setdefault(connection, len(self._nodes)) % self.nodes

    def comes_down_to(self, open_connections: int) -> bool:
        """Wait until at most so many connections are open; False if that does not happen in time."""
        for _ in range(100):
            if len(self._connections) <= open_connections:
                return True
            self.closing.wait(DRIP_PAUSE_S)
        return False

    def process_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        with self._guard:
            self._connections.add(request)
            self._opened += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:  # type: ignore[no-untyped-def]
        with self._guard:
            self._connections.discard(request)
        if request in self.to_reset:
            self.close_request(request)  # without a shutdown, so that the client gets a reset
        else:
            super().shutdown_request(request)

    def handle_error(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # a client that hangs up is not an error of ours
            self.errors.append(error)

    def close(self) -> None:
        """Stop the server and close the connections that are still open."""
        self.closing.set()
        self.shutdown()
        with self._guard:
            for connection in self._connections:
                with suppress(OSError):  # the client closed it first
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answer the requests of one connection."""

    server: PhotoServer
    protocol_version = "HTTP/1.1"  # connections stay open, as with real servers
    ROUTES: ClassVar[dict[str, str]] = {
        "ok": "_ok",
        "404": "_status",
        "406": "_status",
        "403": "_status",
        "401": "_status",
        "410": "_status",
        "418": "_status",
        "500": "_status",
        "501": "_status",
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
        "204": "_no_content",
        "206": "_part",
        "304": "_no_content",
        "crawl": "_crawl",
        "endless-head": "_endless_head",
        "continue": "_continue",
        "long-line": "_long_line",
        "fat-head": "_fat_head",
        "rubbish": "_rubbish",
        "http09": "_http09",
        "too-long": "_too_long",
        "two-lengths": "_two_lengths",
        "absurd-length": "_absurd_length",
        "bad-chunk": "_bad_chunk",
        "bomb": "_bomb",
        "bombs": "_bombs",
        "brotli": "_brotli",
        "half-gzip": "_half_gzip",
        "padded-gzip": "_padded_gzip",
        "called": "_called",
        "gzip-members": "_gzip_members",
        "cookie": "_cookie",
    }

    def parse_request(self) -> bool:
        """Take the absolute address that a client sends to a proxy for the path that it would send to the server."""
        understood = super().parse_request()
        self.is_proxied = understood and "://" in self.path
        if self.is_proxied:
            self.path = urlsplit(self.path)._replace(scheme="", netloc="").geturl()
        return understood

    def do_CONNECT(self) -> None:
        if self.server.proxy_status is not None or self.server.tunnel_to is None:
            self._send(self.server.proxy_status or FORBIDDEN, b"")
            return
        self._send_headers(OK, {})
        with socket.create_connection((HOST, self.server.tunnel_to)) as upstream:
            pipe(self.connection, upstream)
        self.close_connection = True

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self._answer()

    def do_HEAD(self) -> None:
        self.server.heads.append(self.path)
        self._answer()

    def _answer(self) -> None:
        server = self.server
        server.cookies += self.headers.get_all("Cookie", [])
        refused = [status for agent, status in server.refused_agents.items() if self._is_of(agent)]
        if self.is_proxied and server.proxy_status is not None:
            self._send(server.proxy_status, b"")
        elif server.moved_to:
            self._send(server.moved_by, b"", Location=server.moved_to + self.path)
        elif refused:
            self._send(refused[0], b"")
        elif server.query is not None and urlsplit(self.path).query != server.query:
            self._send(FORBIDDEN, b"")
        else:
            self._answer_as_server()

    def _answer_as_server(self) -> None:
        server = self.server
        if server.down:
            self._send(UNAVAILABLE, b"")
        elif server.login_page is not None:
            self._send(OK, server.login_page, Content_Type="text/html")
        elif self._is_head and server.head_status is not None:
            self._refuse_head(server.head_status)
        elif not self._is_let_in():
            self._send(UNAUTHORISED, b"")
        else:
            route = urlsplit(self.path).path.split("/")[1]
            getattr(self, self.ROUTES.get(route, "_photo"))()

    def _is_of(self, agent: str) -> bool:
        return self.headers.get("User-Agent", "").startswith(agent)

    def _refuse_head(self, status: int) -> None:
        if status == RESET:
            self._reset()
        elif status == HANGING:
            self.server.closing.wait(self.server.slow_s)
            self.close_connection = True
        else:
            self._send(status, b"")

    @property
    def _is_head(self) -> bool:
        return self.command == "HEAD"

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the console belongs to the tests."""

    def _is_let_in(self) -> bool:
        expected = self.server.credentials
        given = self.headers.get("Authorization", "")
        return expected is None or given == f"Basic {b64encode(expected.encode()).decode()}"

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self._send_headers(status, {"Content_Type": "image/jpeg", "Content_Length": str(len(body))} | headers)
        self._write(body)

    def _send_headers(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if not (self._is_head and name.replace("_", "-") in self.server.hidden_from_head):
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _write(self, body: bytes) -> None:
        if not self._is_head or self.server.head_has_body:
            self.wfile.write(body)

    def _begin_endless(self) -> None:
        self._send_headers(OK, {"Content_Type": "image/jpeg", "Connection": "close"})

    def _photo(self) -> None:
        name = unquote(urlsplit(self.path).path).removeprefix("/")
        body = self.server.photos.get(name)
        if body is None:
            self._send(NOT_FOUND, b"")
            return
        validators = self._validators(name, body)
        if self._is_known(validators) and not (self._is_head and self.server.hidden_from_head):
            self._send_headers(NOT_MODIFIED, validators)
            return
        if not self._is_head:
            self.server.downloads.append(self.path)
        if self._is_head and self.server.head_length is not None:
            self._send(OK, body, **validators | {"Content_Length": str(self.server.head_length)})
        elif self.server.size_told:
            self._send(OK, body, **validators)
        else:
            self._begin_chunks(body, validators)
            self._write(b"0\r\n\r\n")

    def _validators(self, name: str, body: bytes) -> dict[str, str]:
        node = f"-{self.server.node_of(self.request)}" if self.server.nodes else ""
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}{node}"'
        known = {"ETag": etag, "Last-Modified": self.server.modified.get(name, MODIFIED)}
        return {header: value for header, value in known.items() if header.lower() in self.server.validators}

    def _is_known(self, validators: dict[str, str]) -> bool:
        """Tell whether the client has the photo. An ETag decides where both sides have one (RFC 9110, 13.2.2)."""
        tag, date = self.headers.get("If-None-Match"), self.headers.get("If-Modified-Since")
        if tag and "ETag" in validators:
            return tag == validators["ETag"]
        return date is not None and date == validators.get("Last-Modified")

    def _ok(self) -> None:
        self._send(OK, self.server.default_photo)

    def _status(self) -> None:
        self._send(int(self.path.split("/")[1]), b"<html>no</html>", Content_Type="text/html")

    def _slow(self) -> None:
        self.server.closing.wait(self.server.slow_s)
        self._ok()

    def _times_asked(self) -> int:
        return self.server.count(self.path) + self.server.heads.count(self.path)

    def _flaky(self) -> None:
        if self._times_asked() <= self.server.failures:
            self._send(UNAVAILABLE, b"later")
        else:
            self._ok()

    def _busy(self) -> None:
        if self._times_asked() <= self.server.failures:
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
        self._begin_chunks(self.server.default_photo)
        self.server.closing.wait(
            BREAK_PAUSE_S
        )  # until the client has received it: a reset discards what is still buffered
        self._reset()

    def _huge(self) -> None:
        self._begin_endless()
        while not self._is_head and not self.server.closing.is_set():
            self.wfile.write(PIECE)

    def _drip(self) -> None:
        self._begin_endless()
        while not self._is_head and not self.server.closing.wait(DRIP_PAUSE_S):
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
        self._begin_chunks(self.server.default_photo)
        self._write(b"0\r\n\r\n")

    def _cut(self) -> None:
        self._begin_chunks(self.server.default_photo)  # without the last, empty chunk
        self.close_connection = True

    def _begin_chunks(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._send_headers(OK, {"Transfer_Encoding": "chunked"} | (headers or {}))
        for start in range(0, len(body), CHUNK_BYTES):
            chunk = body[start : start + CHUNK_BYTES]
            self._write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def _moved(self) -> None:
        self._send(FOUND, b"", Location="/ok/foto.jpg")

    def _elsewhere(self) -> None:
        self._send(FOUND, b"", Location=self.server.redirect_target)

    def _loop(self) -> None:
        self._send(FOUND, b"", Location=self.path)

    def _badmove(self) -> None:
        self._send(FOUND, b"", Location="http://[::1:99999/foto.jpg")

    def _no_content(self) -> None:
        self._send_headers(int(self.path.split("/")[1]), {})

    def _part(self) -> None:
        body = self.server.default_photo
        self._send(206, body[:100], Content_Range=f"bytes 0-99/{len(body)}")

    def _say(self, *pieces: bytes) -> None:
        """Send bytes that no HTTP library would send, then close the connection."""
        self.close_connection = True
        for piece in pieces:
            self.wfile.write(piece)

    def _crawl(self) -> None:
        self.close_connection = True
        for letter in chain(b"HTTP/1.1 200 OK\r\nX-Slow: ", repeat(ord("a"))):
            if self.server.closing.wait(DRIP_PAUSE_S):
                break
            self.wfile.write(bytes([letter]))

    def _endless_head(self) -> None:
        self._say(b"HTTP/1.1 200 OK\r\n", b"X-Much: more\r\n" * 200)

    def _continue(self) -> None:
        self.close_connection = True
        while not self.server.closing.wait(DRIP_PAUSE_S / 10):
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)

    def _long_line(self) -> None:
        self._say(b"HTTP/1.1 200 OK\r\nX-Long: ", PIECE, b"\r\n\r\n")

    def _fat_head(self) -> None:
        """Send as large a header as a client accepts: 90 lines of 60 KB each, with an ETag and a date."""
        fat = {f"X-Fat-{number}": "a" * 60_000 for number in range(90)}
        self._send(OK, self.server.default_photo, ETag="e" * 60_000, Last_Modified="d" * 60_000, **fat)

    def _rubbish(self) -> None:
        self._say(bytes(range(256)) * 4)

    def _http09(self) -> None:
        self._say(b"<html>no status line</html>")

    def _too_long(self) -> None:
        body = self.server.default_photo
        self._send(OK, body + b"HTTP/1.1 200 OK\r\n\r\nsomebody else", Content_Length=str(len(body)))

    def _two_lengths(self) -> None:
        self._send(OK, self.server.default_photo, Content_Length="5, 6")
        self.close_connection = True

    def _absurd_length(self) -> None:
        """Send a length of more digits than Python reads and an invalid ETag; the body ends with the connection."""
        self._send(OK, self.server.default_photo, Content_Length="9" * 5000, ETag='"a\x01b"')
        self.close_connection = True

    def _bad_chunk(self) -> None:
        self._send_headers(OK, {"Transfer_Encoding": "chunked"})
        self._write(b"not a size\r\n")
        self.close_connection = True

    def _bomb(self) -> None:
        self._send(OK, gzip_bomb(), Content_Encoding="gzip")

    def _bombs(self) -> None:
        self._send(OK, gzip.compress(gzip_bomb()), Content_Encoding="gzip, gzip")

    def _brotli(self) -> None:
        self._send(OK, b"\x0b\x00\x80x\x03", Content_Encoding="br")

    def _half_gzip(self) -> None:
        self._send(OK, gzip.compress(self.server.default_photo)[:-20], Content_Encoding="gzip")

    def _padded_gzip(self) -> None:
        self._send(OK, gzip.compress(self.server.default_photo) + bytes(70_000), Content_Encoding="gzip")

    def _called(self) -> None:
        """Name an encoding that is not applied: `/called/<name>`."""
        self._send(OK, self.server.default_photo, Content_Encoding=unquote(self.path.split("/")[2]))

    def _gzip_members(self) -> None:
        body = self.server.default_photo
        self._send(OK, gzip.compress(body[:100]) + gzip.compress(body[100:]), Content_Encoding="x-gzip")

    def _cookie(self) -> None:
        self._send(OK, self.server.default_photo, Set_Cookie="much=" + "c" * 4000)


def pipe(one: socket.socket, other: socket.socket) -> None:
    """Pass on what each of two connections sends, until one of them ends."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            data = ready.recv(CHUNK_BYTES)
            if not data:
                return
            (other if ready is one else one).sendall(data)


@cache
def gzip_bomb() -> bytes:
    return gzip.compress(bytes(BOMB_BYTES))


@contextmanager
def serving_photos(certificate: Path | None = None) -> Iterator[PhotoServer]:
    """Start a server, with TLS if a certificate is given, and close it on leaving."""
    server = PhotoServer()
    if certificate:
        server.speak_tls(certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
    assert server.errors == []


@contextmanager
def serving_connections(serve: Callable[[socket.socket, threading.Event], None], backlog: int = 16) -> Iterator[int]:
    """Start a server without HTTP and give its port. `serve` gets each connection, and an event set at the end."""
    closing = threading.Event()
    with socket.create_server((HOST, 0), backlog=backlog) as listener:

        def accept() -> None:
            while not closing.is_set():
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    serve(connection, closing)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            closing.set()
            socket.create_connection(listener.getsockname()).close()  # so that accept() returns
            thread.join()


def never_answer(_connection: socket.socket, closing: threading.Event) -> None:
    closing.wait()


def drip_a_handshake(connection: socket.socket, closing: threading.Event) -> None:
    connection.sendall(TLS_RECORD)
    while not closing.wait(DRIP_PAUSE_S):
        connection.sendall(b"x")


def tunnel_to_nowhere(connection: socket.socket, closing: threading.Event) -> None:
    """Act as a proxy that opens its tunnel late and then sends nothing."""
    connection.recv(CHUNK_BYTES)
    closing.wait(TUNNEL_PAUSE_S)
    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    closing.wait()


def crawl_as_proxy(connection: socket.socket, closing: threading.Event) -> None:
    connection.recv(CHUNK_BYTES)
    while not closing.wait(DRIP_PAUSE_S):
        connection.sendall(b"H")


def speak_plainly(connection: socket.socket, _closing: threading.Event) -> None:
    """Answer in plain HTTP where TLS is expected."""
    connection.recv(CHUNK_BYTES)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def reset_at_once(connection: socket.socket, _closing: threading.Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_WITH_RESET)
