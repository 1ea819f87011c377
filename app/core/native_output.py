"""What native libraries print by themselves (libjpeg, libpng: one line for each damaged photo) goes nowhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def without_native_chatter() -> Iterator[None]:
    """While inside, only Python writes to standard error: a quiet run's mail is not about what HR's page says."""
    try:
        ours = os.dup(STDERR)
    except OSError:  # closed by whoever called
        yield
        return
    before = sys.stderr
    is_ours = before is sys.__stderr__ and before is not None  # not so when a test replaced it
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if is_ours:
        before.flush()
        sys.stderr = os.fdopen(ours, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)
    os.dup2(nowhere, STDERR)
    os.close(nowhere)
    try:
        yield
    finally:
        if is_ours:
            sys.stderr.flush()
            sys.stderr = before
        os.dup2(ours, STDERR)
        os.close(ours)
