"""The web server of photos, in a process of its own: `/<any crew id>/<photo>` is the folder's file of that name.

`python -m benchmarks.photo_server FOLDER` prints its port. So one folder serves a roster of any length.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from app.core.config import PROJECT_DIR

HOST = "127.0.0.1"


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests, which stays open, as with the servers out there."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a photo's last packet may wait 40 ms for an acknowledgement
    folder: Path

    def do_GET(self) -> None:
        file = self.folder / Path(unquote(self.path)).name
        body = file.read_bytes() if file.is_file() else b""
        self.send_response(HTTPStatus.OK if body else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The console belongs to the benchmark."""


class Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The base URL of a server that runs while inside."""
    words = [sys.executable, "-m", "benchmarks.photo_server", str(folder)]
    with subprocess.Popen(words, cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://{HOST}:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def main(folder: Path) -> None:
    Handler.folder = folder
    with Server((HOST, 0), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
