"""What the parts of one run work with, and who is notified of its progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from app.core.account_limits import Allowance
from app.core.config import Settings
from app.gallery.gallery import Gallery
from app.gallery.vector_writer import SavedRow
from app.photos.sources import Source
from app.planning.plan import Plan
from app.planning.rules import Request, Rules
from app.records import Embedding, Outcome, Stored

if TYPE_CHECKING:  # importing the nets takes longer than all the rest, and a plan needs none
    from app.pipeline.face_extractor import FaceExtractor


class Observer(Protocol):
    """Is notified of what a run does, and does not influence it."""

    def checking(self, done: int, total: int) -> None: ...

    def planned(self, plan: Plan, rules: Rules) -> None: ...

    def begin(self, pending: int, current: int) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...

    def withdrawn(self, outcome: Stored) -> None: ...

    def download(self, name: str, done: int, total: int) -> None: ...

    def notice(self, line: str) -> None: ...


class Observers:
    """A list of observers as one: each method of `Observer` is called on all of them, in their order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def __getattr__(self, name: str) -> Callable[..., None]:
        methods = [getattr(observer, name) for observer in self._observers]

        def call_each(*values: object) -> None:
            for method in methods:
                method(*values)

        return call_each


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What one run works with. `store` writes a batch of vectors; `load_faces` loads the nets, `load_elsewhere` does so
    in another process; `stop` ends the run. `allowance` is of the database's account."""

    settings: Settings
    request: Request
    gallery: Gallery
    allowance: Allowance
    source: Source
    rules: Rules
    store: Callable[[Sequence[Embedding]], list[SavedRow]]
    load_faces: Callable[[], FaceExtractor]
    load_elsewhere: Callable[..., FaceExtractor]
    observer: Observer
    stop: threading.Event
