from __future__ import annotations

import threading

import pytest

from app.core.retry import RetryPolicy, call_with_retries
from tests.support.waits import NotedWaits

PATIENT = RetryPolicy(attempts=5, total_s=100.0)


class Passing(Exception):
    def __init__(self, retry_after_s: float | None = None) -> None:
        super().__init__("passing")
        self.retry_after_s = retry_after_s


class Failing:
    """Raise the given errors one after the other, then return the number of calls."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls


def is_passing(error: BaseException) -> bool:
    return isinstance(error, Passing)


def test_a_call_that_goes_well_is_made_once() -> None:
    stop = NotedWaits()
    assert call_with_retries(Failing(), PATIENT, is_passing, stop) == 1
    assert stop.waits == []


def test_transient_errors_are_retried() -> None:
    assert call_with_retries(Failing(Passing(), Passing()), PATIENT, is_passing, NotedWaits()) == 3


def test_an_error_that_is_not_named_transient_is_raised_at_once() -> None:
    call = Failing(KeyError("lasting"))
    with pytest.raises(KeyError, match="lasting"):
        call_with_retries(call, PATIENT, is_passing, NotedWaits())
    assert call.calls == 1


def test_after_the_last_attempt_the_last_error_is_raised_as_it_came() -> None:
    errors = [Passing() for _ in range(9)]
    call = Failing(*errors)
    with pytest.raises(Passing) as caught:
        call_with_retries(call, PATIENT, is_passing, NotedWaits())
    assert call.calls == 5
    assert caught.value is errors[4]


def test_pauses_have_jitter_under_a_bound_that_doubles_up_to_the_longest() -> None:
    stop = NotedWaits()
    policy = RetryPolicy(attempts=40, total_s=1e9, first_wait_s=1.0, max_wait_s=8.0)
    with pytest.raises(Passing):
        call_with_retries(Failing(*[Passing() for _ in range(40)]), policy, is_passing, stop)
    bounds = [1.0, 2.0, 4.0] + [8.0] * 36
    assert all(0 <= wait <= bound for wait, bound in zip(stop.waits, bounds, strict=True))
    assert len(set(stop.waits)) > 30
    assert max(stop.waits) > 4.0


def test_the_wait_that_the_server_requests_is_used_instead() -> None:
    stop = NotedWaits()
    assert call_with_retries(Failing(Passing(7.0), Passing(0.0)), PATIENT, is_passing, stop) == 3
    assert stop.waits == [7.0, 0.0]


def test_a_pause_that_would_pass_the_total_time_is_not_begun() -> None:
    stop, call = NotedWaits(), Failing(Passing(3600.0))
    with pytest.raises(Passing):
        call_with_retries(call, PATIENT, is_passing, stop)
    assert (call.calls, stop.waits) == (1, [])


def test_without_total_time_there_is_one_attempt() -> None:
    call = Failing(Passing())
    with pytest.raises(Passing):
        call_with_retries(call, RetryPolicy(attempts=50, total_s=0), is_passing)
    assert call.calls == 1


def test_a_run_that_is_stopped_does_not_try_again() -> None:
    stop, call = threading.Event(), Failing(Passing())
    stop.set()
    with pytest.raises(Passing):
        call_with_retries(call, PATIENT, is_passing, stop)
    assert call.calls == 1


def test_stopping_cuts_a_pause_short() -> None:
    """If `stop` did not end the pause, this test would take half an hour."""
    stop, call = threading.Event(), Failing(Passing(1800.0), Passing(1800.0))
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    with pytest.raises(Passing):
        call_with_retries(call, RetryPolicy(attempts=5, total_s=7200.0), is_passing, stop)
    timer.join()
    assert call.calls == 2
