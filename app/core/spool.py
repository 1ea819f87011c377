"""Keep values in a file without a name instead of in memory: those of a long roster would be hundreds of megabytes."""

from __future__ import annotations

import os
import pickle
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

Item = TypeVar("Item")

AT_ONCE = 128  # items that are written together, and so wait in memory
RESERVE_BYTES = 200_000_000  # of the disk that are left to others, downloads for one
PARTS = 32  # of 100,000 members: 3,000 in each


class SpoolFile:
    """A file without a name in `folder` (the system's, if none is given or it is not there), gone when this object is.
    Not for several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._end = 0

    def put(self, value: object) -> int | None:
        """Write a value; return where `get` finds it. None if it could not be written: the caller has to keep it."""
        pickled = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        try:
            file = self._opened()
            disk = os.fstatvfs(file.fileno())
            if disk.f_bavail * disk.f_frsize < RESERVE_BYTES + len(pickled):
                return None
            start, written = self._end, os.pwrite(file.fileno(), pickled, self._end)
        except OSError:
            return None
        self._end += written  # also of a part: what was there may be in the buffer that is read from
        return start if written == len(pickled) else None

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            folder = self._folder if self._folder and self._folder.is_dir() else None
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # as long as this object lives
            weakref.finalize(self, self._file.close)
        return self._file

    def get(self, start: int) -> Any:
        """Read the value that `put` has written there."""
        if self._file is None:
            raise LookupError(start)
        self._file.seek(start)
        return pickle.load(self._file)  # noqa: S301  # no other can write the file


class Spool(Generic[Item]):
    """A sequence that grows at its end and is read in its order, as often as wanted. What the file does not take stays
    in memory."""

    def __init__(self, file: SpoolFile) -> None:
        self._file = file
        self._written: list[int | list[Item]] = []  # where AT_ONCE items lie, or they themselves
        self._waiting: list[Item] = []

    def add(self, item: Item) -> None:
        """Add an item at the end."""
        self._waiting.append(item)
        if len(self._waiting) == AT_ONCE:
            place = self._file.put(self._waiting)
            self._written.append(self._waiting if place is None else place)
            self._waiting = []

    def __len__(self) -> int:
        return AT_ONCE * len(self._written) + len(self._waiting)

    def __iter__(self) -> Iterator[Item]:
        for written in self._written:
            yield from self._file.get(written) if isinstance(written, int) else written
        yield from self._waiting


class Partition(Generic[Item]):
    """Items of many members, divided by crew id: all of one member are in the same of PARTS parts, in their order."""

    def __init__(self, file: SpoolFile) -> None:
        self._parts = [Spool[Item](file) for _ in range(PARTS)]

    def add(self, crew_id: str, item: Item) -> None:
        """Add an item of a member, whose id may hold bytes that are no text."""
        self._parts[zlib.crc32(crew_id.encode("utf-8", "replace")) % PARTS].add(item)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[Spool[Item]]:
        """Yield the parts."""
        return iter(self._parts)
