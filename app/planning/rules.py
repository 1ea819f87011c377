"""What a run goes by: settings, request and contract come in, the `Rules` of its decisions go out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.core.config import Settings
from app.faces.embedder import DIMENSIONS
from app.planning.request import Request
from app.records import DIGEST_DIGITS, EmbeddingSpec


@dataclass(frozen=True, slots=True)
class Rules:
    """What a run goes by. `contract` is the digest, `judged_by` the digest of what photos are rejected by; `now` in
    UTC; a photo checked less than `recheck` ago is not asked about. `force` does everybody anew, `insist` retries
    whoever failed, `compare` looks at everybody's content."""

    model: str
    contract: str
    dimensions: int | None
    judged_by: str
    now: datetime
    recheck: timedelta
    force: bool = False
    insist: bool = False
    compare: bool = False


def make_rules(settings: Settings, request: Request, contract: EmbeddingSpec) -> Rules:
    """The rules of one run."""
    # To look at a file of this machine costs nothing; and whoever asks for one person wants to know now.
    asks_at_once = settings.IMAGE_BASE_URL.startswith("file://") or request.crew_id is not None
    return Rules(
        model=settings.FACE_MODEL,
        contract=contract.digest,
        dimensions=DIMENSIONS.get(settings.FACE_MODEL),
        judged_by=_rejection_digest(settings, request, contract),
        now=request.now,
        recheck=timedelta(hours=0 if asks_at_once else settings.PHOTO_RECHECK_HOURS),
        force=request.force,
        insist=request.retry_failed or request.crew_id is not None,
        compare=request.compare,
    )


def _rejection_digest(settings: Settings, request: Request, spec: EmbeddingSpec) -> str:
    """Digest what can reject a photo. A recorded failure is retried when this digest changes."""
    rules = {"spec": spec.digest, "accept": request.accept_low_quality} | settings.rejecting()
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:DIGEST_DIGITS]
