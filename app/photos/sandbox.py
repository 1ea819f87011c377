"""Decodes untrusted photo files in processes of their own.

A file that crashes its decoder, takes too long or too much memory fails for its member alone, and the run goes on.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader, BufferedWriter
from typing import cast

import numpy as np

from app.core.config import PROJECT_DIR
from app.errors import DangerousImage, Interrupted, Retry, kind_of
from app.photos.decoding import PIXELS_PER_MEGAPIXEL, DecodeOptions, Pixels
from app.photos.sandbox_worker import LARGE, READY, REFUSED, REPLY, REQUEST, SHAPE

COMMAND = (sys.executable, "-m", "app.photos.sandbox_worker")
TIME_LIMIT_S = 30.0  # thirty times what the largest photo takes, so that no photo fails because the machine is busy
START_LIMIT_S = 60.0  # an interpreter with its libraries starts in half a second on an idle machine
STARTS, PAUSE_S = 2, 0.2  # tries to start a process, and the pause between them
USUAL_MEGAPIXELS = 20.0  # larger photos are decoded one at a time, since memory is limited for each process alone
# The environment that a process gets: no passwords, which an attacker who controls it could read.
NEEDED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "PYTHONHOME")
POLL_S = 0.05


class Sandbox:
    """A pool of decoding processes: as many as there are threads that ask at a time, each started when it is needed.
    `stop` ends the work under way. Safe to use from several threads, also again after `close`."""

    def __init__(
        self,
        stop: threading.Event | None = None,
        *,
        command: Sequence[str] = COMMAND,
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        self._stop = stop or threading.Event()
        self._command = command
        self._time_limit_s = time_limit_s
        self._alone = threading.Lock()
        self._idle: list[_Child] = []
        self._finalizer = weakref.finalize(self, _end_all, self._idle)  # runs at the program's end, if not before

    def read_pixels(self, content: bytes, options: DecodeOptions) -> Pixels:
        """Call `decoding.read_pixels` in a process. Raises InvalidImage, DangerousImage; Interrupted by `stop`."""
        kind, payload = self._ask(content, options, USUAL_MEGAPIXELS)
        if kind == LARGE:
            with self._alone:
                kind, payload = self._ask(content, options, math.inf)
        if kind == REFUSED:
            code, _, detail = payload.decode().partition("\n")
            error = kind_of(code)
            # An attacker who controls the process may only choose among the errors of a decoder.
            raise (error if error.stage == "decode" and error.retry is Retry.OTHER_PHOTO else DangerousImage)(detail)
        width, height, reduction, rows, columns = SHAPE.unpack_from(payload)
        image = np.frombuffer(payload, np.uint8, offset=SHAPE.size).reshape(rows, columns, 3)
        return Pixels((width, height), image, reduction)

    def _ask(self, content: bytes, options: DecodeOptions, usual_megapixels: float) -> tuple[bytes, bytearray]:
        """Return the kind and the payload of a process's reply.

        Raises DangerousImage when the process dies or takes too long, Interrupted.
        """
        child = self._take()
        try:
            with self._watching(child, self._time_limit_s) as overdue:
                reply = child.ask(content, options, usual_megapixels)
        except BaseException as error:
            end = child.end()
            if self._stop.is_set():
                raise Interrupted("Interrumpido") from error
            if not isinstance(error, OSError | EOFError):
                raise
            late = f"abrirla toma más de {self._time_limit_s:g} s"
            detail = late if overdue.is_set() else f"al abrirla se cierra el programa ({_name(end)})"
            raise DangerousImage(detail) from error
        self._idle.append(child)
        return reply

    def close(self) -> None:
        _end_all(self._idle)

    def _take(self) -> _Child:
        with suppress(IndexError):
            while True:
                child = self._idle.pop()
                if child.poll() is None:
                    return child
                child.end()
        return self._start()

    def _start(self) -> _Child:
        """Raise RuntimeError when no process starts, Interrupted."""
        why = ""
        for _ in range(STARTS):
            try:
                child = _Child(self._command)
            except OSError as error:  # too many processes, or no such program
                why = str(error.strerror)
            else:
                with suppress(OSError, EOFError), self._watching(child, START_LIMIT_S):
                    if child.read(len(READY)) == READY:
                        return child
                why = _name(child.end())
            if self._stop.wait(PAUSE_S):
                raise Interrupted("Interrumpido")
        raise RuntimeError(f"no se puede poner en marcha el proceso que abre las fotos dudosas ({why})")

    @contextmanager
    def _watching(self, child: _Child, limit_s: float) -> Iterator[threading.Event]:
        """Kill the process when it takes too long or the run is to stop: the thread that reads its pipe then gets an
        error. No way to wait on a pipe with a time limit works on all systems. Raises EOFError when it was killed."""
        done, overdue = threading.Event(), threading.Event()
        deadline = time.monotonic() + limit_s

        def watch() -> None:
            while not done.wait(POLL_S):
                if self._stop.is_set() or time.monotonic() > deadline:
                    overdue.set()
                    child.kill()
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield overdue
        finally:
            done.set()
            watcher.join()
        if overdue.is_set():
            raise EOFError  # it was killed after its reply, so it must not be used again


class _Child(subprocess.Popen[bytes]):
    """One process. `ask` and `read` raise OSError or EOFError when it has died."""

    def __init__(self, command: Sequence[str]) -> None:
        kept = {name: os.environ[name] for name in NEEDED if name in os.environ}
        folders = [str(PROJECT_DIR), *filter(None, [os.environ.get("PYTHONPATH")])]
        # In a session of its own, so that Ctrl+C reaches only its parent, which ends it.
        super().__init__(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=PROJECT_DIR,
            env=kept | {"PYTHONPATH": os.pathsep.join(folders), "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
        self._requests = cast(BufferedWriter, self.stdin)
        self._replies = cast(BufferedReader, self.stdout)

    def ask(self, content: bytes, options: DecodeOptions, usual_megapixels: float) -> tuple[bytes, bytearray]:
        """Send one photo; return the reply's kind and payload."""
        limits = (options.max_megapixels, options.min_side_px, usual_megapixels)
        self._requests.write(REQUEST.pack(len(content), *limits))
        self._requests.write(content)
        self._requests.flush()
        kind, length = REPLY.unpack(self.read(REPLY.size))
        if length > SHAPE.size + 3 * options.max_megapixels * PIXELS_PER_MEGAPIXEL:
            raise EOFError("a longer reply than any photo has")
        return kind, self.read(length)

    def end(self) -> int:
        """Kill the process, if it is alive, and close its pipes. Returns its exit status."""
        self.kill()
        for pipe in (self._requests, self._replies):
            with suppress(OSError):  # closing sends what is buffered
                pipe.close()
        return self.wait()

    def read(self, length: int) -> bytearray:
        read = bytearray(length)
        if self._replies.readinto(read) != length:
            raise EOFError
        return read


def _end_all(children: list[_Child]) -> None:
    while children:
        children.pop().end()


def _name(status: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-status).name
    return f"código {status}"
