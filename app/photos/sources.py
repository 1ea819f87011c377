"""Opens the source that the settings name: a web server or a folder."""

from __future__ import annotations

import threading

from app.core.config import PhotoSettings
from app.photos.folder_source import FolderSource
from app.photos.http_source import HttpSource

Source = FolderSource | HttpSource


def open_source(settings: PhotoSettings, stop: threading.Event) -> Source:
    """Return the source for the scheme of IMAGE_BASE_URL. `stop` ends its downloads and waits. Raises SettingsError."""
    return FolderSource(settings) if settings.IMAGE_BASE_URL.startswith("file://") else HttpSource(settings, stop)
