"""Write the log files: a line per member and stage in `generate_embeddings.log`, all other messages in `app.log`."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from app.core.files import OWNER_ONLY_FILE, OWNER_ONLY_FOLDER, cannot_write, mode_of, why
from app.core.redaction import Redactor
from app.core.text import printable
from app.errors import SettingsError

RUN_LOGGER = "app.run"  # a line per member and stage
APP_LOGGER = "app"  # all other messages of this program
RUN_LOG, APP_LOG = "generate_embeddings.log", "app.log"
LINE = "%(asctime)s %(levelname)-7s %(message)s"
MODULE_LINE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Where the two files are and when they rotate. `names`: whether they may quote names of people and photos."""

    folder: Path
    max_bytes: int
    backups: int
    debug: bool = False
    names: bool = True
    secrets: tuple[str, ...] = ()


class Personal(str):
    """An argument of a log line that may quote a person's or photo's name: left out if LOG_NAMES is 0."""

    __slots__ = ()


class OneLineFormatter(logging.Formatter):
    """Keeps each message on one line and indents its traceback, so that no line of it looks like another entry. Removes
    secrets, vectors and names from everything that goes into the log files."""

    def __init__(self, line: str, options: LogOptions) -> None:
        super().__init__(line)
        self._names = options.names
        self._redacted = Redactor(options.secrets)

    def formatMessage(self, record: logging.LogRecord) -> str:
        message = record.message if self._names else _without_names(record)
        record.message = printable(self._redacted(message).rstrip(" "))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        """Format the traceback, without the errors' messages if names are unwanted: they may quote the roster."""
        text = super().formatException(ei) if self._names else "".join(_without_messages(ei[1]))
        return "\n".join(f"    {printable(line)}" for line in self._redacted(text).removesuffix("\n").split("\n"))


def _without_names(record: logging.LogRecord) -> str:
    if not isinstance(record.args, tuple) or not record.args:
        return record.message
    return str(record.msg) % tuple("" if isinstance(value, Personal) else value for value in record.args)


def _without_messages(error: BaseException) -> Iterator[str]:
    for link in reversed([*_chain(error)]):
        yield from ("Traceback (most recent call last):\n", *traceback.format_tb(link.__traceback__))
        yield f"{type(link).__name__}\n"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()  # some libraries raise errors that lead to themselves
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class PrivateLogHandler(RotatingFileHandler):
    """A rotating log file that only its owner may read, unless the owner has changed its mode. A failed write is
    reported once, on standard error, and does not stop the run."""

    _is_reported = False

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=_owner_only)

    def doRollover(self) -> None:
        mode = mode_of(Path(self.baseFilename))
        super().doRollover()
        Path(self.baseFilename).chmod(mode)

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._is_reported:
            self._is_reported = True
            sys.stderr.write(f"⚠️  No se puede escribir en {self.baseFilename}: {why(error)}\n")

    def close(self) -> None:
        """Close the file; what is still buffered is lost if it cannot be written."""
        with suppress(OSError):
            super().close()


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, OWNER_ONLY_FILE)


def configure_logs(options: LogOptions) -> None:
    """Send the loggers of this program, and no library's, to their files. Raises SettingsError."""
    try:
        options.folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
        _attach(logging.getLogger(RUN_LOGGER), RUN_LOG, LINE, options)
        _attach(logging.getLogger(APP_LOGGER), APP_LOG, MODULE_LINE, options)
    except OSError as error:
        where = Path(error.filename or options.folder)
        raise SettingsError(*cannot_write(where, error, "LOG_DIR")) from error


def is_logging() -> bool:
    """Tell whether the log files are open: some commands have none."""
    return any(isinstance(handler, logging.FileHandler) for handler in logging.getLogger(APP_LOGGER).handlers)


def _attach(logger: logging.Logger, file_name: str, line: str, options: LogOptions) -> None:
    close_handlers(logger)
    path = options.folder / file_name
    handler = PrivateLogHandler(path, maxBytes=options.max_bytes, backupCount=options.backups, encoding="utf-8")
    handler.setFormatter(OneLineFormatter(line, options))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if options.debug else logging.INFO)
    logger.propagate = False


def close_handlers(logger: logging.Logger) -> None:
    """Detach and close the handlers, so that a second run in this process does not write every line twice."""
    for handler in [*logger.handlers]:
        logger.removeHandler(handler)
        handler.close()
