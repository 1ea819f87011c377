"""A worker's process with the nets: runs the members that its supervisor sends through the pipeline.

`python -m app.scale.child PARENT`: reads a setup and members from stdin and writes what becomes of them to stdout. A
photo that crashes it costs this process; the supervisor knows who was under way.
"""

from __future__ import annotations

import ctypes
import logging
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any

from app.core.logs import APP_LOGGER, RUN_LOGGER, LogOptions, OneLineFormatter
from app.core.redaction import Redactor
from app.errors import Defect, MissingDependency, RunError
from app.faces.embedding_spec import describe_spec
from app.faces.weights import open_weights
from app.photos.sources import open_source
from app.photos.temp_folder import TempFolder
from app.pipeline.stages import Stages
from app.pipeline.thread_pipeline import Pipeline, PipelineOptions
from app.planning.decisions import Decision
from app.records import is_interrupted
from app.scale.contract import Contract, installed_versions
from app.scale.messages import BEAT, BEAT_S, BEGUN, ENDED, HELLO, LOG, MEMBER, TROUBLE, receive, send
from app.scale.setup import Setup

LOOK_EVERY_S = 0.2  # whether the pipeline has stopped, while nobody is under way
PR_SET_PDEATHSIG = 1  # Linux: the signal that a process gets when its parent ends


class Outbox:
    """The pipe to the supervisor, for several threads."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._guard = threading.Lock()

    def send(self, *frame: Any) -> None:
        with self._guard:
            send(self._pipe, *frame)


class Feed:
    """The members that the supervisor sends, as the pipeline takes them."""

    def __init__(self, inbox: IO[bytes], outbox: Outbox) -> None:
        self.stop = threading.Event()
        self.asked_to_stop = False
        self._inbox = inbox
        self._outbox = outbox
        self._waiting: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        self._under_way: dict[str, int] = {}

    def read(self) -> None:
        """Receive members until the pipe ends, or the supervisor asks to stop."""
        for kind, *values in receive(self._inbox):
            if kind != MEMBER:
                self.asked_to_stop = True
                self.stop.set()
                break
            self._waiting.put((values[0], values[1]))
        self._waiting.put(None)

    def decisions(self) -> Iterator[Decision | None]:
        """Yield the members' decisions, and None while others are under way and nobody waits."""
        while True:
            try:
                received = self._waiting.get(block=not self._under_way, timeout=LOOK_EVERY_S)
            except queue.Empty:
                if self.stop.is_set():  # by an error of the pipeline's own: nobody ends the pipe before it is told
                    return
                if self._under_way:
                    yield None
                continue
            if received is None:
                return
            number, decision = received[0], pickle.loads(received[1])  # noqa: S301  # the driver's
            self._under_way[decision.member.crew_id] = number
            self._outbox.send(BEGUN, number)
            yield decision

    def ended(self, crew_id: str) -> int:
        """Return the number of a member that is no longer under way."""
        return self._under_way.pop(crew_id)


class Forwarder(logging.Handler):
    """Sends the log's lines to the driver, which has the files. Secrets and unwanted names stay in this process."""

    def __init__(self, outbox: Outbox, options: LogOptions) -> None:
        super().__init__()
        self._outbox = outbox
        self.setFormatter(OneLineFormatter("%(message)s", options))

    def emit(self, record: logging.LogRecord) -> None:
        self._outbox.send(LOG, record.name, record.levelno, self.format(record))


def serve(setup: Setup, feed: Feed, outbox: Outbox) -> None:
    """State the contract, then process members until there are no more. Raises RunError."""
    settings = setup.settings
    faces = setup.load_faces(settings, None, feed.stop, accept_low_quality=setup.accept_low_quality)
    with closing(faces), closing(TempFolder(settings.TEMP_DIR)) as temp:
        spec = describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, open_weights(settings))
        contract = Contract(spec, faces.golden_vector(), installed_versions())
        outbox.send(HELLO, pickle.dumps(contract))
        source = open_source(settings, feed.stop)
        stages = Stages(source, faces, temp, setup.rules, setup.thumbnails, setup.keep_copies)
        for group in Pipeline(stages, PipelineOptions.of(settings), feed.stop).run(feed.decisions()):
            ended = [(feed.ended(each.decision.member.crew_id), each.result) for each in group]
            # An error stopped the pipeline: others may do better with these members.
            kept = [(number, pickle.dumps(each)) for number, each in ended if not _is_left(each, feed)]
            outbox.send(ENDED, kept)


def beat(outbox: Outbox) -> None:
    """Say for ever that this process is alive: not so when it is stopped, or when a library keeps Python's lock."""
    while True:
        outbox.send(BEAT)
        time.sleep(BEAT_S)


def _is_left(result: Any, feed: Feed) -> bool:
    return is_interrupted(result) and not feed.asked_to_stop


def _forward_logs(setup: Setup, outbox: Outbox) -> Redactor:
    settings = setup.settings
    options = LogOptions(settings.LOG_DIR, 0, 0, names=settings.LOG_NAMES, secrets=settings.secrets())
    for name in (APP_LOGGER, RUN_LOGGER):
        logger = logging.getLogger(name)
        logger.addHandler(Forwarder(outbox, options))
        logger.setLevel(logging.DEBUG if setup.keep_copies else logging.INFO)
        logger.propagate = False
    return Redactor(settings.secrets())


def _die_with(parent: int) -> None:
    """Let the system end this process when the supervisor's thread that started it ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended already
        os._exit(0)


def main() -> None:
    _die_with(int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGTERM):  # the supervisor ends this process
        signal.signal(number, signal.SIG_IGN)
    outbox = Outbox(os.fdopen(os.dup(sys.stdout.fileno()), "wb"))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # for a library that prints
    inbox = sys.stdin.buffer
    setup, feed = pickle.loads(next(receive(inbox))[0]), Feed(inbox, outbox)  # noqa: S301  # the driver's
    redactor = _forward_logs(setup, outbox)
    threading.Thread(target=feed.read, daemon=True).start()
    threading.Thread(target=beat, args=[outbox], daemon=True).start()
    try:
        serve(setup, feed, outbox)
    except RunError as error:
        trouble = error
    except ImportError as error:
        trouble = MissingDependency.of(error)
    except Exception as error:
        logging.getLogger(__name__).exception("Error inesperado en un proceso de trabajo")
        trouble = Defect.of(error, redactor(str(error)))
    else:
        os._exit(0)  # threads that hang in a net must not keep it
    outbox.send(TROUBLE, pickle.dumps(trouble))
    os._exit(1)


if __name__ == "__main__":
    main()
