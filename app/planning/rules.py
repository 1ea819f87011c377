"""What a run goes by: settings, request and contract come in, the `Rules` of its decisions go out."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

from app.core.config import Settings
from app.faces.embedding_spec import DIMENSIONS
from app.planning.decisions import Rules
from app.records import DIGEST_DIGITS, EmbeddingSpec
from app.runs.context import Request


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
