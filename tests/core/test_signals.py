"""Check that signals, and the end of its time, stop a run."""

from __future__ import annotations

import os
import signal

import pytest

from app.core.signals import SIGNALS, stopping_on_signals


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_requests_a_stop_and_afterwards_acts_as_before(number: int) -> None:
    before = signal.getsignal(number)
    with stopping_on_signals() as stopper:
        os.kill(os.getpid(), number)
        assert stopper.event.wait(5)
        assert (stopper.signal_number, stopper.out_of_time) == (number, False)
    assert signal.getsignal(number) is before


def test_the_end_of_the_time_requests_a_stop_too() -> None:
    with stopping_on_signals(0.01) as stopper:
        assert stopper.event.wait(5)
        assert (stopper.signal_number, stopper.out_of_time) == (None, True)


def test_a_run_that_ends_earlier_is_not_out_of_time() -> None:
    with stopping_on_signals(3600) as stopper:
        pass
    assert (stopper.event.is_set(), stopper.out_of_time) == (False, False)


def test_what_is_ignored_stays_ignored_as_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping_on_signals() as stopper:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopper.event.wait(0.05)
    finally:
        signal.signal(signal.SIGHUP, before)
