"""Log files: one line per member and stage in `generate_embeddings.log`, all else of ours in `app.log`."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.disk import FULL, MAKE_ROOM, SteadyHandler, why
from app.core.files import OWNER_ONLY_FILE, OWNER_ONLY_FOLDER, mode_of
from app.core.redaction import Redactor
from app.errors import SettingsError

RUN_LOGGER = "app.run"  # what happened to whom
APP_LOGGER = "app"  # everything else that our modules say
RUN_LOG, APP_LOG = "generate_embeddings.log", "app.log"
LINE = "%(asctime)s %(levelname)-7s %(message)s"
MODULE_LINE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Where the two files are and when they rotate. `names`: whether they may quote people's and photos' names;
    `secrets` they never do."""

    folder: Path
    max_bytes: int
    backups: int
    debug: bool = False
    names: bool = True
    secrets: tuple[str, ...] = ()


class Personal(str):
    """An argument of a log line that may quote somebody's name, or a photo's: left out where LOG_NAMES says so."""

    __slots__ = ()


def printable(text: str) -> str:
    """The text with every control character shown as `\\x1b`, so that no roster value can forge a line."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def printable_lines(text: str) -> str:
    """The same for a text of ours that has several lines."""
    return "\n".join(printable(line) for line in text.split("\n"))


class OneLineFormatter(logging.Formatter):
    """Keeps a message on its line; a traceback follows, indented: no line of it passes for another entry.

    The last place where a secret, a vector or a name could get into a file: whatever is written comes through here.
    """

    def __init__(self, line: str, options: LogOptions) -> None:
        super().__init__(line)
        self._names = options.names
        self._redacted = Redactor(options.secrets)

    def formatMessage(self, record: logging.LogRecord) -> str:
        message = record.message if self._names else _without_names(record)
        record.message = printable(self._redacted(message).rstrip(" "))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        # An error's message may hold a value of the roster.
        text = super().formatException(ei) if self._names else "".join(_without_messages(ei[1]))
        return "\n".join(f"    {printable(line)}" for line in self._redacted(text).removesuffix("\n").split("\n"))


def _without_names(record: logging.LogRecord) -> str:
    if not isinstance(record.args, tuple) or not record.args:
        return record.message
    return str(record.msg) % tuple("" if isinstance(each, Personal) else each for each in record.args)


def _without_messages(error: BaseException) -> Iterator[str]:
    """Where it was raised, and of what kind it and those before it are."""
    for each in reversed([*_chain(error)]):
        yield from ("Traceback (most recent call last):\n", *traceback.format_tb(each.__traceback__))
        yield f"{type(each).__name__}\n"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """It and what led to it, each once: libraries raise errors that in the end lead to themselves."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class OwnersHandler(SteadyHandler):
    """Its files are their owner's alone; one that has been given to others is succeeded by one of the same mode."""

    def _open(self) -> Any:
        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=_owner_only)

    def doRollover(self) -> None:
        mode = mode_of(Path(self.baseFilename))
        super().doRollover()
        Path(self.baseFilename).chmod(mode)


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, OWNER_ONLY_FILE)


def configure_logs(options: LogOptions) -> None:
    """Send our loggers to their files; only ours: other libraries keep their own ways. Raises SettingsError."""
    try:
        options.folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
        _attach(logging.getLogger(RUN_LOGGER), RUN_LOG, LINE, options)
        _attach(logging.getLogger(APP_LOGGER), APP_LOG, MODULE_LINE, options)
    except OSError as error:
        where = Path(error.filename or options.folder)
        raise SettingsError(*cannot_write(where, error, "LOG_DIR")) from error


def is_logging() -> bool:
    """Whether our log files are open: some commands have none."""
    return any(isinstance(each, logging.FileHandler) for each in logging.getLogger(APP_LOGGER).handlers)


def cannot_write(path: Path, error: OSError, setting: str) -> tuple[str, str]:
    """What to say, and what to do, when a folder or file of ours cannot be written."""
    advice = MAKE_ROOM if error.errno in FULL else f"Revise {setting} y los permisos de esa carpeta."
    return f"No se puede escribir en {path}: {why(error)}", advice


def _attach(logger: logging.Logger, file_name: str, line: str, options: LogOptions) -> None:
    close_handlers(logger)
    handler = OwnersHandler(
        options.folder / file_name,
        maxBytes=options.max_bytes,
        backupCount=options.backups,
        encoding="utf-8",
    )
    handler.setFormatter(OneLineFormatter(line, options))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if options.debug else logging.INFO)
    logger.propagate = False


def close_handlers(logger: logging.Logger) -> None:
    """Detach and close, so that a second run in this process does not write every line twice."""
    for handler in [*logger.handlers]:
        logger.removeHandler(handler)
        handler.close()
