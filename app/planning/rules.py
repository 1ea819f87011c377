"""What the user asks of a run, and the rules that follow from it and from the settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.core.clock import utc_now
from app.core.config import Settings
from app.faces.embedding_spec import DIMENSIONS
from app.records import DIGEST_DIGITS, EmbeddingSpec
from app.roster.folder import FolderRoster

NOT_IN_HISTORY = ("now", "folder", "thumbnails", "debug", "ray_address")


@dataclass(frozen=True, slots=True)
class Request:
    """What was requested: all members, one `crew_id`, or those that failed (`retry_failed`).

    `compare` compares the content of all photos; `plan_only` writes nothing; `migrate` stages new vectors and switches
    to them at the end; `accept_low_quality` stores photos below the limits; `debug` keeps intermediate files while the
    run lasts; `ray` processes the photos on a Ray cluster, at `ray_address` (host:port) or one of its own. `now` is the
    run's time, UTC.
    """

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
    ray: bool = False
    ray_address: str | None = None
    now: datetime = field(default_factory=utc_now)

    @property
    def is_whole(self) -> bool:
        """Tell whether the run reads the whole roster, so that a known person who is missing in it has departed."""
        return self.crew_id is None and not self.retry_failed and not self.migrate

    def options(self) -> dict[str, Any]:
        """Return what the history keeps."""
        given = dataclasses.asdict(dataclasses.replace(self, folder=None))
        kept = {name: value for name, value in given.items() if name not in NOT_IN_HISTORY}
        return {name: value for name, value in kept.items() if value is not None and value is not False}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the decisions of a run depend on, apart from the member.

    `judged_by` is the digest of what can reject a photo; `now` is UTC; a photo checked less than `recheck` ago is not
    checked again. `force` makes all vectors anew, `insist` retries all failures. Departed people are deleted after
    `purge_after`, or never; `allow_mass_change` lifts the caps on mass changes.
    """

    model: str
    spec_digest: str
    dimensions: int | None
    judged_by: str
    now: datetime
    recheck: timedelta
    force: bool = False
    insist: bool = False
    compare: bool = False
    purge_after: timedelta | None = None
    allow_mass_change: bool = False


def make_rules(settings: Settings, request: Request, spec: EmbeddingSpec) -> Rules:
    """Return the rules of one run."""
    # To check a local file costs nothing; and a user who names one member wants the answer now.
    checks_at_once = settings.IMAGE_BASE_URL.startswith("file://") or request.crew_id is not None
    days = request.purge_after_days
    return Rules(
        model=settings.FACE_MODEL,
        spec_digest=spec.digest,
        dimensions=DIMENSIONS.get(settings.FACE_MODEL),
        judged_by=_rejection_digest(settings, request, spec),
        now=request.now,
        recheck=timedelta(hours=0 if checks_at_once else settings.PHOTO_RECHECK_HOURS),
        force=request.force,
        insist=request.retry_failed or request.crew_id is not None,
        compare=request.compare,
        purge_after=None if days is None else timedelta(days=days),
        allow_mass_change=request.allow_mass_change,
    )


def _rejection_digest(settings: Settings, request: Request, spec: EmbeddingSpec) -> str:
    rules = {"spec": spec.digest, "accept": request.accept_low_quality} | settings.rejecting()
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:DIGEST_DIGITS]
