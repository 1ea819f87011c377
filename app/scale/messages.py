"""What travels between the driver, a worker's supervisor and its child: small values, and frames of bytes on a pipe."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

LENGTH = struct.Struct("<Q")
# The kinds of frames. To the child: a member, and the request to end at once; when the pipe ends, the child ends what
# it has. From the child: that it is alive, its contract, members begun and ended, a line for the log, why it gives up.
MEMBER, STOP = "member", "stop"
BEAT, HELLO, BEGUN, ENDED, LOG, TROUBLE = "beat", "hello", "begun", "ended", "log", "trouble"
BEAT_S = 1.0  # after so long without other news, workers and their children say that they are alive
LogLine = tuple[str, int, str]  # logger, level, text without secrets


@dataclass(frozen=True, slots=True)
class Assignment:
    """A member for a worker. `number` is the member's in the run; `decision` is pickled. A `suspect` goes alone."""

    number: int
    decision: bytes
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a member: its pickled result; None if so many `deaths` of processes set it aside."""

    number: int
    result: bytes | None
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a worker answers. `trouble` is the pickled RunError with which it gave up; after `is_last` nothing comes."""

    ended: tuple[Ended, ...] = ()
    log: tuple[LogLine, ...] = ()
    trouble: bytes | None = None
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a worker states before its first member: its pickled contract, or the RunError that kept it from loading."""

    contract: bytes | None
    trouble: bytes | None = None


def send(pipe: IO[bytes], *frame: Any) -> None:
    """Write one frame. Raises OSError when nobody reads."""
    content = pickle.dumps(frame, pickle.HIGHEST_PROTOCOL)
    pipe.write(LENGTH.pack(len(content)) + content)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Iterator[tuple[Any, ...]]:
    """Yield frames until the pipe ends, be it in the middle of one: the other side has died."""
    while len(head := pipe.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        content = pipe.read(length)
        if len(content) != length:
            return
        yield pickle.loads(content)  # noqa: S301  # the other side is this program, too
