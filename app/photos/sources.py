"""Opens the source that the settings name: a web server or a folder."""

from __future__ import annotations

import threading

from app.core.config import BYTES_PER_MB, Settings
from app.photos.folder_source import FolderSource
from app.photos.http_source import FetchOptions, HttpSource

Source = FolderSource | HttpSource


def open_source(settings: Settings, stop: threading.Event) -> Source:
    """Return the photo source for the scheme of IMAGE_BASE_URL. `stop` ends its downloads and waits.

    Raises SettingsError where the environment names certificates that do not exist.
    """
    max_bytes = int(settings.MAX_PHOTO_MB * BYTES_PER_MB)
    if settings.IMAGE_BASE_URL.startswith("file://"):
        return FolderSource(settings.IMAGE_BASE_URL, max_bytes)
    options = FetchOptions(
        base_url=settings.IMAGE_BASE_URL,
        connect_timeout_s=settings.HTTP_CONNECT_TIMEOUT_S,
        read_timeout_s=settings.HTTP_READ_TIMEOUT_S,
        total_timeout_s=settings.HTTP_TOTAL_TIMEOUT_S,
        attempts=settings.HTTP_ATTEMPTS,
        threads=settings.DOWNLOAD_THREADS,
        max_bytes=max_bytes,
    )
    return HttpSource(options, stop)
