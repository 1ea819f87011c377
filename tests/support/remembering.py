"""Spare the tests what they would do hundreds of times over: the vector of a face that was computed before, the hash of
weights that are still the same file, and the disk's word that it has written a database file."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sqlalchemy import Engine, event

from app.core.files import sha256_of
from app.faces.embedder import DeepFaceNetwork, Floats


class RememberingNetwork(DeepFaceNetwork):
    """A network of DeepFace's that computes each face once per process. Dlib takes 60 ms for one, and most of the faces
    that the tests show it are those of the same few portraits."""

    _known: ClassVar[dict[tuple[str, bytes], Floats]] = {}

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._model = model

    def forward(self, batch: Floats) -> Floats:
        return np.concatenate([self._vector(batch[i : i + 1]) for i in range(len(batch))])

    def _vector(self, face: Floats) -> Floats:
        """Return the vector (1, dimensions) of a face (1, height, width, 3)."""
        key = (self._model, hashlib.sha256(face.tobytes()).digest())
        if key not in self._known:
            self._known[key] = super().forward(face)
        return self._known[key]


def remembered_sha256(path: Path) -> str:
    """Return what sha256_of does, which for Dlib's weights takes 15 ms and for Facenet512's 60."""
    state = path.stat()
    return _sha256(path, state.st_ino, state.st_size, state.st_mtime_ns)


@cache
def _sha256(path: Path, *_state: int) -> str:
    return sha256_of(path)


def write_without_waiting() -> None:
    """Let the SQLite files of this process be written as the server of tests/support/mariadb.py writes its own: they
    need not survive a power failure."""
    event.listen(Engine, "connect", _without_waiting)


def _without_waiting(connection: Any, _record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        with suppress(sqlite3.Error):  # a file that is no database is for the program to find
            connection.execute("PRAGMA synchronous=OFF")
