"""The outcomes of a run: one for each member, in the order in which they came."""

from __future__ import annotations

import os
import pickle
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TypeVar

from app.records import Failed, Outcome, Skipped, Stored

Kind = TypeVar("Kind", Stored, Skipped, Failed)


class Outcomes:
    """One outcome for each member, found by crew id.

    What is Stored, with all that was seen of its photo, waits for the reports in a file without a name in `folder` (the
    system's, if none is given) instead of in memory: of a million members that is gigabytes. If the file cannot be
    written, it stays in memory.
    """

    def __init__(self, outcomes: Iterable[Outcome] = (), folder: Path | None = None) -> None:
        self._by_crew_id: dict[str, Outcome | int] = {}  # or where it begins in the file
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._end = 0
        self.extend(outcomes)

    def __len__(self) -> int:
        return len(self._by_crew_id)

    def __iter__(self) -> Iterator[Outcome]:
        return map(self._whole, self._by_crew_id.values())

    def of(self, kind: type[Kind]) -> Iterator[Kind]:
        """Yield the outcomes of one kind. Only what is Stored is read from the file."""
        for kept in self._by_crew_id.values():
            outcome = self._whole(kept) if kind is Stored else kept
            if isinstance(outcome, kind):
                yield outcome

    def crew_ids(self) -> Iterator[str]:
        """Yield the members' ids in the order of their outcomes."""
        return iter(self._by_crew_id)

    def get(self, crew_id: str) -> Outcome | None:
        """Return the member's outcome; None before there is one."""
        kept = self._by_crew_id.get(crew_id)
        return None if kept is None else self._whole(kept)

    def append(self, outcome: Outcome) -> None:
        """Add a member's only outcome."""
        crew_id = outcome.member.crew_id
        assert crew_id not in self._by_crew_id, f"{crew_id} has an outcome already"
        self._by_crew_id[crew_id] = self._spool(outcome) if isinstance(outcome, Stored) else outcome

    def extend(self, outcomes: Iterable[Outcome]) -> None:
        """Add the outcomes of several members."""
        for outcome in outcomes:
            self.append(outcome)

    def replace(self, failure: Failed) -> None:
        """Put a failure in the place of the member's first outcome."""
        assert failure.crew_id in self._by_crew_id
        self._by_crew_id[failure.crew_id] = failure

    def _spool(self, stored: Stored) -> Stored | int:
        pickled = pickle.dumps(stored, pickle.HIGHEST_PROTOCOL)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # as long as these outcomes live
                weakref.finalize(self, self._file.close)
            start, written = self._end, os.pwrite(self._file.fileno(), pickled, self._end)
        except OSError:
            return stored
        self._end += written  # also of a part: what was there may be in the buffer that is read from
        return start if written == len(pickled) else stored

    def _whole(self, kept: Outcome | int) -> Outcome:
        if not isinstance(kept, int):
            return kept
        assert self._file is not None
        self._file.seek(kept)
        stored: Stored = pickle.load(self._file)  # noqa: S301  # no other can write the file
        return stored
