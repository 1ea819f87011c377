"""The heartbeat: a long run says in the log how far it is."""

from __future__ import annotations

import logging
import re
import threading
import time

import pytest

from app.records import SKIPPED_INTERRUPTED, CrewMember, Skipped, Stored
from app.runs.progress_log import ProgressLog
from tests.support.tiny_faces import Silent

MEMBER = CrewMember("A1", "a.jpg")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """With every rate as R and every time left as T."""
    said = [record.getMessage() for record in caplog.records]
    return [re.sub(r"\d+\.\d por segundo; quedan unos \d+ min", "R", line) for line in said]


def test_how_far_it_is_and_that_nothing_came(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    heart = ProgressLog(Silent(threading.Event()))
    heart.beat()
    heart.checking(0, 9)
    heart.checking(3, 9)
    heart.beat()
    heart.checking(9, 9)
    heart.beat()
    heart.begin(3, 0)
    heart.outcome(Stored(MEMBER, 1))
    heart.beat()
    heart.outcome(Skipped(MEMBER, SKIPPED_INTERRUPTED))
    heart.beat()
    heart.outcome(Stored(MEMBER, 1))
    heart.outcome(Stored(MEMBER, 1))
    heart.beat()
    assert lines(caplog) == [
        "Fotos comprobadas en el servidor: van 3 de 9; R",
        "Fotos procesadas: van 1 de 3; R",
        "Fotos procesadas: van 1 de 3; ninguna desde la última línea",
    ]


def test_it_beats_by_itself_while_inside_and_not_after(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with ProgressLog(Silent(threading.Event()), every_s=0.01) as heart:
        heart.begin(2, 0)
        deadline = time.monotonic() + 10
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.01)
    said = len(caplog.records)
    assert said
    time.sleep(0.05)
    assert len(caplog.records) == said
