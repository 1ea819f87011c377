"""Files of ours: content comes in, a file that is complete and its owner's alone goes out, whatever the umask."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

OWNER_ONLY_FILE, OWNER_ONLY_FOLDER = 0o600, 0o700
CHUNK_BYTES = 1024 * 1024


def write_private(path: Path, content: bytes, mode: int = OWNER_ONLY_FILE) -> None:
    """Replace a file, or leave it as it was. Raises OSError."""
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        Path(partial).chmod(mode)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def create_private(path: Path) -> None:
    """An empty file, unless there is one: what opens it next leaves its permissions alone. Raises OSError."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, OWNER_ONLY_FILE))


def mode_of(path: Path) -> int:
    """The permissions of a file; of one that is still to be made, the owner's alone."""
    return path.stat().st_mode & 0o777 if path.exists() else OWNER_ONLY_FILE


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, hexadecimal, reading it a chunk at a time. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
