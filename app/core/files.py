"""Write complete files that only their owner may read, whatever the umask, and say why a file could not be used."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

OWNER_ONLY_FILE, OWNER_ONLY_FOLDER = 0o600, 0o700
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REASONS = {
    **dict.fromkeys(FULL, "no queda espacio en el disco"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "no hay permiso"),
    errno.EROFS: "el disco está en modo de solo lectura",
    errno.ENOENT: "ya no existe",
    errno.EEXIST: "ya existe y no es una carpeta",
    errno.ENOTDIR: "una parte de esa ruta es un archivo y no una carpeta",
    errno.EISDIR: "es una carpeta",
    errno.ENAMETOOLONG: "el nombre es demasiado largo",
    errno.ELOOP: "sus enlaces no llevan a ningún sitio",
    errno.EBUSY: "otro programa lo está usando",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "hay demasiados archivos abiertos"),
    errno.EPIPE: "el programa que lo leía se cerró",
    errno.EIO: "el disco falla",
    **dict.fromkeys((errno.ESTALE, errno.EHOSTDOWN, errno.ENOTCONN), "la unidad de red no responde"),
}
MAKE_ROOM = "Libere espacio en el disco y vuelva a ejecutar: continuará donde quedó."
CHUNK_BYTES = 1024 * 1024


def write_private(path: Path, content: bytes | Iterable[bytes], mode: int = OWNER_ONLY_FILE) -> None:
    """Write or replace the file in one step, from the whole or from pieces; an old file stays as it was if that fails.
    Raises OSError."""
    descriptor, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with open(descriptor, "wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
        Path(partial).chmod(mode)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def create_private(path: Path) -> None:
    """Create an empty file; an existing one keeps its content and permissions. Raises OSError."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, OWNER_ONLY_FILE))


def mode_of(path: Path) -> int:
    """Return the file's permissions; for a file that does not exist yet, those of a private one."""
    return path.stat().st_mode & 0o777 if path.exists() else OWNER_ONLY_FILE


def why(error: OSError) -> str:
    """Return the reason in Spanish if it is a usual one, else in the system's words."""
    return REASONS.get(error.errno or 0) or error.strerror or str(error)


def cannot_write(path: Path, error: OSError, setting: str) -> tuple[str, str]:
    """Return the Spanish message and advice for a path, given by `setting`, that cannot be written."""
    advice = MAKE_ROOM if error.errno in FULL else f"Revise {setting} y los permisos de esa carpeta."
    return f"No se puede escribir en {path}: {why(error)}", advice


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, hexadecimal, reading it a chunk at a time. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
