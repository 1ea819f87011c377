"""Opens the source of photos that IMAGE_BASE_URL names."""

from __future__ import annotations

import threading

from app.core.config import BYTES_PER_MB, Settings
from app.photos.http_source import HttpSource
from app.photos.source import FetchOptions, FolderSource

Source = FolderSource | HttpSource


def open_source(settings: Settings, stop: threading.Event) -> Source:
    """Where photos come from, by the scheme of IMAGE_BASE_URL."""
    options = FetchOptions(
        base_url=settings.IMAGE_BASE_URL,
        connect_timeout_s=settings.HTTP_CONNECT_TIMEOUT_S,
        read_timeout_s=settings.HTTP_READ_TIMEOUT_S,
        total_timeout_s=settings.HTTP_TOTAL_TIMEOUT_S,
        attempts=settings.HTTP_ATTEMPTS,
        threads=settings.DOWNLOAD_THREADS,
        max_bytes=int(settings.MAX_PHOTO_MB * BYTES_PER_MB),
    )
    if settings.IMAGE_BASE_URL.startswith("file://"):
        return FolderSource(options)
    return HttpSource(options, stop)
