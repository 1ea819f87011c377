"""What a worker needs to process members: settings without a database, the run's rules, and how to load the nets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.core.config import DatabaseSettings, Settings
from app.planning.rules import Rules


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker needs. `load_faces` loads the nets; `keep_copies` is for `--debug`."""

    settings: Settings
    rules: Rules
    load_faces: Callable[..., Any]
    accept_low_quality: bool
    thumbnails: bool
    keep_copies: bool

    def of_worker(self, download_threads: int, worker_threads: int) -> Setup:
        """Return the setup of a worker with so many threads, whose settings name no database."""
        changes = {"DOWNLOAD_THREADS": download_threads, "WORKER_THREADS": worker_threads}
        nothing = {name: field.get_default() for name, field in DatabaseSettings.model_fields.items()}
        settings = self.settings.model_copy(update=nothing | changes)
        return Setup(settings, self.rules, self.load_faces, self.accept_low_quality, self.thumbnails, self.keep_copies)
