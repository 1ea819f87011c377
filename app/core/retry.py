"""Repeats a call that failed in a way named transient: bounded in attempts and in total time, with jitter."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to insist. Waits double from `first_wait_s` up to `max_wait_s`, each with full jitter."""

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
    """`call()`, repeated while `is_transient` says so; the last error is raised as it came.

    An error with a `retry_after_s` (what the server asked for) is waited for that long instead; `stop` cuts
    any wait short.
    """
    backoff = tenacity.wait_random_exponential(multiplier=policy.first_wait_s, max=policy.max_wait_s)

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = getattr(error, "retry_after_s", None)
        return float(backoff(state)) if asked is None else float(asked)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: is_transient(error) and not (stop and stop.is_set())),
        stop=tenacity.stop_after_attempt(policy.attempts) | tenacity.stop_before_delay(policy.total_s),
        wait=wait,
        sleep=tenacity.sleep_using_event(stop or threading.Event()),
        reraise=True,
    )
    return retrying(call)
