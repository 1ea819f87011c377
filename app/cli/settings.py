"""What a command begins with: the settings under the command line's options and the log files."""

from __future__ import annotations

import argparse
from pathlib import Path

from app.core.config import BYTES_PER_MB, ENV_FILE, Settings, load_settings
from app.core.files import why
from app.core.logs import LogOptions, configure_logs
from app.errors import SettingsError
from app.roster.folder import FOLDER_DATABASE


def read_settings(options: argparse.Namespace, **values: object) -> Settings:
    """Return the settings; options win over `values`, these over the environment and .env. Raises SettingsError."""
    if options.photos is not None:
        folder = _existing(options.photos)
        values |= {"DB_URL": f"sqlite:///{folder / FOLDER_DATABASE}", "IMAGE_BASE_URL": folder.as_uri()}
    named = {"FACE_MODEL": options.model, "FACE_DETECTOR": options.detector}
    values |= {name: value for name, value in named.items() if value}
    return load_settings(None if options.demo else ENV_FILE, **values)


def _existing(photos: Path) -> Path:
    try:
        folder = photos.resolve()
        if folder.is_dir():
            return folder
        message, advice = f"No existe la carpeta {folder}", "Indique en --photos una carpeta con las fotos."
    except OSError as error:  # a folder on the way that cannot be entered; or the current one is gone
        message = f"No se puede llegar a la carpeta {photos}: {why(error)}"
        advice = "Indique en --photos la ruta completa, y revise los permisos de las carpetas que la contienen."
    raise SettingsError(message, advice)


def open_logs(options: argparse.Namespace, settings: Settings) -> None:
    """Open the log files that the settings name. Raises SettingsError."""
    log_bytes = int(settings.LOG_MAX_MB * BYTES_PER_MB)
    names, secrets = settings.LOG_NAMES, settings.secrets()
    configure_logs(LogOptions(settings.LOG_DIR, log_bytes, settings.LOG_BACKUPS, options.debug, names, secrets))
