"""Repeat a call after a transient error: bounded in attempts and in total time, with jitter."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to retry. Waits double from `first_wait_s` up to `max_wait_s`, each with full jitter."""

    attempts: int
    total_s: float
    first_wait_s: float = 0.5
    max_wait_s: float = 8.0


def call_with_retries(
    call: Callable[[], Result],
    policy: RetryPolicy,
    is_transient: Callable[[BaseException], bool],
    stop: threading.Event | None = None,
) -> Result:
    """Return the result of `call`, repeated after errors that are transient. Raises its last error unchanged.

    A wait lasts as long as an error's `retry_after_s` says, if it has one. `stop` ends it and prevents another attempt.
    """
    backoff = tenacity.wait_random_exponential(multiplier=policy.first_wait_s, max=policy.max_wait_s)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        requested = getattr(error, "retry_after_s", None)
        return float(backoff(state)) if requested is None else float(requested)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: is_transient(error) and not (stop and stop.is_set())),
        stop=tenacity.stop_after_attempt(policy.attempts) | tenacity.stop_before_delay(policy.total_s),
        wait=wait,
        sleep=tenacity.sleep_using_event(stop or threading.Event()),
        reraise=True,
    )
    return retrying(call)
