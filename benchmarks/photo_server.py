"""Serve a folder's photos to a roster of any length, in a process of its own.

`python -m benchmarks.photo_server FOLDER [SECONDS [PLACES]]` prints its port. `/<any crew id>/<photo>` is the folder's
file of that name, sent after so many seconds; at most so many requests wait at a time, and others for them.
Each photo has an ETag of date and size, as Apache's; `/requests` returns the number of answers by method and status.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

import requests

from app.core.config import PROJECT_DIR

HOST = "127.0.0.1"
REQUESTS = "/requests"
MANY = 1000  # places: more than anybody asks for


class Handler(BaseHTTPRequestHandler):
    """Answer the requests of one connection, which stays open, as with real servers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a photo's last packet may wait 40 ms for an acknowledgement
    folder: Path
    answers: ClassVar[Counter[str]] = Counter()
    delay_s = 0.0
    places = threading.Semaphore(MANY)

    def do_GET(self) -> None:
        if self.path == REQUESTS:
            self._answer(HTTPStatus.OK, json.dumps(self.answers).encode(), "")
            return
        with self.places:
            time.sleep(self.delay_s)
            self._send_photo()

    def _send_photo(self) -> None:
        file = self.folder / Path(unquote(self.path)).name
        if not file.is_file():
            self._answer(HTTPStatus.NOT_FOUND, b"", "")
            return
        status = file.stat()
        tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        if self.headers.get("If-None-Match") == tag:
            self._answer(HTTPStatus.NOT_MODIFIED, b"", tag)
        else:
            self._answer(HTTPStatus.OK, file.read_bytes(), tag)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: HTTPStatus, body: bytes, tag: str) -> None:
        self.answers[f"{self.command} {status:d}"] += self.path != REQUESTS
        self.send_response(status)
        self.send_header("Content-Type", "image/jpeg")
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the console belongs to the benchmark."""


class Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


def count_requests(base_url: str) -> Counter[str]:
    """Count the answers so far by method and status, such as `HEAD 304`."""
    return Counter(requests.get(f"{base_url}{REQUESTS}", timeout=10).json())


@contextmanager
def serving(folder: Path, delay_s: float = 0.0, places: int = MANY) -> Iterator[str]:
    """Start a server, give its base URL, and stop it on leaving. It answers after `delay_s`, so many at a time."""
    words = [sys.executable, "-m", "benchmarks.photo_server", str(folder), str(delay_s), str(places)]
    with subprocess.Popen(words, cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://{HOST}:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def main(folder: Path, delay_s: float = 0.0, places: int = MANY) -> None:
    Handler.folder, Handler.delay_s, Handler.places = folder, delay_s, threading.Semaphore(places)
    with Server((HOST, 0), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(float, sys.argv[2:3]), *map(int, sys.argv[3:4]))
