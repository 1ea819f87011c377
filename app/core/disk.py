"""What a disk that cannot be written does to us: an OSError comes in, a Spanish reason goes out; a log goes on."""

from __future__ import annotations

import errno
import logging
import sys
from contextlib import suppress
from logging.handlers import RotatingFileHandler

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REASONS = {
    **dict.fromkeys(FULL, "no queda espacio en el disco"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "no hay permiso de escritura"),
    errno.EROFS: "el disco está en modo de solo lectura",
    errno.ENOENT: "la carpeta ya no existe",
    errno.EPIPE: "el programa que lo leía se cerró",
    errno.EIO: "el disco falla",
}
MAKE_ROOM = "Libere espacio en el disco y vuelva a ejecutar: continuará donde quedó."


def why(error: OSError) -> str:
    """What the system says, in Spanish where it is a usual thing."""
    return REASONS.get(error.errno or 0) or error.strerror or str(error)


class SteadyHandler(RotatingFileHandler):
    """A log that cannot be written is said once, on the console: it is no reason to stop a run, nor to write a
    traceback for each line."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            sys.stderr.write(f"⚠️  No se puede escribir en {self.baseFilename}: {why(error)}\n")

    def close(self) -> None:
        with suppress(OSError):  # of what is still waiting to be written
            super().close()
