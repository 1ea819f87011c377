"""Log files: one line per member and stage in `generate_embeddings.log`, all else of ours in `app.log`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from app.errors import SettingsError

RUN_LOGGER = "app.run"  # what happened to whom
APP_LOGGER = "app"  # everything else that our modules say
LINE = "%(asctime)s %(levelname)-7s %(message)s"
MODULE_LINE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Where the two files are and when they rotate."""

    folder: Path
    max_bytes: int
    backups: int
    debug: bool = False


def printable(text: str) -> str:
    """The text with every control character shown as `\\x1b`, so that no roster value can forge a line."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def printable_lines(text: str) -> str:
    """The same for a text of ours that has several lines."""
    return "\n".join(printable(line) for line in text.split("\n"))


class OneLineFormatter(logging.Formatter):
    """Keeps a message on its line; a traceback follows, indented: no line of it passes for another entry."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        lines = super().formatException(ei).split("\n")  # an error's message may hold a value of the roster
        return "\n".join(f"    {printable(line)}" for line in lines)


def configure_logs(options: LogOptions) -> None:
    """Send our loggers to their files; only ours: other libraries keep their own ways. Raises SettingsError."""
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        _attach(logging.getLogger(RUN_LOGGER), "generate_embeddings.log", LINE, options)
        _attach(logging.getLogger(APP_LOGGER), "app.log", MODULE_LINE, options)
    except OSError as error:
        raise SettingsError(*cannot_write(options.folder, error, "LOG_DIR")) from error


def cannot_write(path: Path, error: OSError, setting: str) -> tuple[str, str]:
    """What to say, and what to do, when a folder or file of ours cannot be written."""
    return f"No se puede escribir en {path}: {error.strerror}", f"Revise {setting} y los permisos de esa carpeta."


def _attach(logger: logging.Logger, file_name: str, line: str, options: LogOptions) -> None:
    close_handlers(logger)
    handler = RotatingFileHandler(
        options.folder / file_name,
        maxBytes=options.max_bytes,
        backupCount=options.backups,
        encoding="utf-8",
    )
    handler.setFormatter(OneLineFormatter(line))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if options.debug else logging.INFO)
    logger.propagate = False


def close_handlers(logger: logging.Logger) -> None:
    """Detach and close, so that a second run in this process does not write every line twice."""
    for handler in [*logger.handlers]:
        logger.removeHandler(handler)
        handler.close()
