"""A long run says in the log how far it is."""

from __future__ import annotations

import logging
import re
import time

import pytest

from app.records import SKIPPED_INTERRUPTED, CrewMember, Skipped, Stored
from app.runs.progress_log import ProgressLog

MEMBER = CrewMember("A1", "a.jpg")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the logged lines, with every rate and time left as R."""
    said = [record.getMessage() for record in caplog.records]
    return [re.sub(r"\d+\.\d por segundo; quedan unos \d+ min", "R", line) for line in said]


def test_how_far_it_is_and_that_nothing_came(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    progress = ProgressLog()
    progress.write_line()
    progress.checking(0, 9)
    progress.checking(3, 9)
    progress.write_line()
    progress.checking(9, 9)
    progress.write_line()
    progress.begin(3, 0)
    progress.outcome(Stored(MEMBER, 1))
    progress.write_line()
    progress.outcome(Skipped(MEMBER, SKIPPED_INTERRUPTED))
    progress.write_line()
    progress.outcome(Stored(MEMBER, 1))
    progress.outcome(Stored(MEMBER, 1))
    progress.write_line()
    assert lines(caplog) == [
        "Preguntas al servidor de fotos: van 3 de 9; R",
        "Fotos procesadas: van 1 de 3; R",
        "Fotos procesadas: van 1 de 3; ninguna desde la última línea",
    ]


def test_it_beats_by_itself_while_inside_and_not_after(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with ProgressLog(every_s=0.01) as progress:
        progress.begin(2, 0)
        deadline = time.monotonic() + 10
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.01)
    said = len(caplog.records)
    assert said
    time.sleep(0.05)
    assert len(caplog.records) == said
