"""What the user asks of a run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from app.roster.folder import FolderRoster


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: everyone, one `crew_id`, or those that failed (`retry_failed`); `force` regenerates what is
    current, `compare` looks at all photos' content; a `folder` roster instead of the table; `plan_only` writes nothing;
    `migrate` lays new vectors aside and switches at the end; `accept_low_quality` stores photos below the limits;
    `thumbnails` for the report; `debug` keeps intermediate files while the run lasts. `now` is the run's time, UTC."""

    crew_id: str | None = None
    retry_failed: bool = False
    force: bool = False
    compare: bool = False
    plan_only: bool = False
    migrate: bool = False
    purge_after_days: int | None = None
    allow_mass_change: bool = False
    folder: FolderRoster | None = None
    accept_low_quality: bool = False
    thumbnails: bool = True
    debug: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0))

    @property
    def is_whole(self) -> bool:
        """Whether the whole roster is looked at, so that whoever is missing has left."""
        return self.crew_id is None and not self.retry_failed and not self.migrate

    def options(self) -> dict[str, Any]:
        """What the history keeps of it."""
        given = dataclasses.asdict(dataclasses.replace(self, folder=None))
        kept = {name: value for name, value in given.items() if name not in ("now", "folder", "thumbnails", "debug")}
        return {name: value for name, value in kept.items() if value is not None and value is not False}
