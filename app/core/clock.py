"""The time as our tables keep it."""

from __future__ import annotations

from datetime import datetime, timezone


def utc_now() -> datetime:
    """Return the current time: UTC, without a time zone, in whole seconds."""
    return datetime.now(timezone.utc).replace(tzinfo=None, microsecond=0)
