"""The folder of downloads: files that only their owner can read, and that the next run removes if this one dies."""

from __future__ import annotations

import itertools
import logging
import os
import re
import secrets
import threading
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from app.core.files import OWNER_ONLY_FILE, OWNER_ONLY_FOLDER, cannot_write, why
from app.errors import NotWritable, SettingsError

log = logging.getLogger(__name__)

SAFE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
MAX_ID_CHARACTERS = 40  # of a crew id, in a file's name
OURS = re.compile(r"crew_[^_]*_(?P<owner>[0-9a-f]{8})_\d+\D.*")


class DownloadTarget(Protocol):
    """Where a photo source puts what it downloaded: files in a `TempFolder`, or memory, as `--check` does."""

    def write(self, crew_id: str, content: bytes) -> Path:
        """Keep one download and return the path to give to the `Photo`."""


class TempFolder:
    """One run's files in a folder that several runs may share. Safe to use from several threads. Each run locks a file;
    the system drops the lock of a process that died, which tells the next run whose files to remove. Raises
    SettingsError when the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._token = secrets.token_hex(4)
        self._lock = FileLock(_lock_path(folder, self._token), mode=OWNER_ONLY_FILE)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
            self._lock.acquire()
        except OSError as error:
            raise SettingsError(*cannot_write(folder, error, "TEMP_DIR")) from error
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()
        self._closed = False
        remove_orphans(folder, self._token)

    def write(self, crew_id: str, content: bytes, ending: str = ".jpg") -> Path:
        """Write one file. Raises NotWritable, which ends the run, since no photo is at fault; FileNotFoundError after
        `close`."""
        name = f"crew_{_safe(crew_id)}_{self._token}_{next(self._numbers)}{ending}"
        path = self._folder / name
        with self._guard:  # a download that ends after `close` must not leave a file
            if self._closed:
                raise FileNotFoundError(f"{path.name}: la carpeta temporal ya se cerró")
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY_FILE)
                with open(descriptor, "wb") as file:
                    file.write(content)
            except OSError as error:
                raise NotWritable(*cannot_write(self._folder, error, "TEMP_DIR")) from error
        return path

    def close(self) -> None:
        """Remove this run's files and release its lock. A second call does nothing."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            for path in self._folder.glob(f"crew_*_{self._token}_*"):
                _remove_if_allowed(path)
        self._lock.release()
        _remove_if_allowed(_lock_path(self._folder, self._token))


def remove_orphans(folder: Path, owner: str = "") -> None:
    """Remove what runs that died have left in the folder; `owner` is the token of the run that asks."""
    for path in folder.glob("crew_*"):
        match = OURS.fullmatch(path.name)  # the folder may hold other programs' files
        if match and match["owner"] != owner and _is_dead(folder, match["owner"]):
            _remove_if_allowed(path)
            log.info("Archivo temporal de una ejecución anterior eliminado: %s", path.name)
    for path in folder.glob(".run_*.lock"):
        token = path.stem.removeprefix(".run_")
        if token != owner and _is_dead(folder, token):
            _remove_if_allowed(path)


def _is_dead(folder: Path, token: str) -> bool:
    path = _lock_path(folder, token)
    if not path.exists():
        return True
    try:
        with FileLock(path, timeout=0):
            return True
    except (Timeout, OSError):  # alive, or the run of another user, who cleans up after it, or the disk is read-only
        return False


def _lock_path(folder: Path, token: str) -> Path:
    return folder / f".run_{token}.lock"


def _remove_if_allowed(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # another user's file, or a folder without permission: the next run tries again
        log.warning("No se pudo borrar %s: %s", path.name, why(error))


def _safe(crew_id: str) -> str:
    return "".join(char if char in SAFE_CHARACTERS else "-" for char in crew_id)[:MAX_ID_CHARACTERS]
