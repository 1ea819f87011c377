"""Files that are complete or not there at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Write the file beside its place, with exactly these permissions, then rename it. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "wb") as file:
            file.write(content)
        partial.chmod(mode)  # whatever the caller's umask
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
