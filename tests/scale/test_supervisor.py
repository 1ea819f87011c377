"""Test the supervisor's books of whom it has given to a child, and a child's feed, without Ray and without nets."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import threading
from typing import Any

from app.core.config import PROJECT_DIR
from app.pipeline.face_loading import open_faces
from app.planning.decisions import NEW, Case, Decision
from app.planning.rules import Request, make_rules
from app.records import CrashSuspect, CrewMember, EmbeddingSpec, Enrolment, PhotoRecord
from app.scale.child import Feed, Outbox
from app.scale.messages import BEGUN, ENDED, Assignment
from app.scale.setup import Setup
from app.scale.supervisor import USELESS_STARTS, Supervisor
from tests.conftest import MakeSettings

RECEIVED_BY_CHILD = """
import pickle, sys
from app.scale import child
setup, _ = pickle.load(sys.stdin.buffer)
child._forward_logs(setup, child.Outbox(sys.stderr.buffer))
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


class Books(Supervisor):
    """A supervisor whose children are the test, with these suspects."""

    def __init__(self, *suspects: int) -> None:
        super().__init__(b"", 600.0, 60.0)
        with self._changed:
            self._suspects.extend(Assignment(number, b"", True) for number in suspects)

    def _serve(self) -> None:
        """Start nothing."""

    def lose_child_with(self, number: int) -> None:
        """Let a child begin this member, and die."""
        with self._changed:
            self._loaded = True
            self._feed()
            self._take(BEGUN, [number])
            self._loaded = False
            self._bury(-9)

    def end(self, number: int) -> None:
        with self._changed:
            self._loaded = True
            self._feed()
            self._take(ENDED, [[(number, b"")]])


def test_who_kills_the_child_twice_alone_is_set_aside_and_says_so_once_another_is_done() -> None:
    books = Books(1, 2)
    books.lose_child_with(1)
    books.lose_child_with(1)
    assert books._ended == []
    books.end(2)
    assert [(each.number, each.deaths) for each in books.exchange([]).ended] == [(1, 2), (2, 0)]


def test_the_last_one_needs_no_other() -> None:
    books = Books(1)
    books.lose_child_with(1)
    books.lose_child_with(1)
    assert [each.number for each in (*books.exchange([]).ended, *books.exchange([]).ended)] == [1]


def test_a_machine_where_every_photo_ends_the_child_gives_up_and_sets_nobody_aside() -> None:
    books = Books(*range(USELESS_STARTS + 1))
    for number in range(USELESS_STARTS):
        books.lose_child_with(number)
        books.lose_child_with(number)
    delivery = books.exchange([])
    assert (delivery.ended, delivery.is_last) == ((), True)
    assert "con cualquier foto" in str(pickle.loads(delivery.trouble or b""))  # noqa: S301


def test_deaths_of_a_member_who_was_done_after_all_are_forgotten() -> None:
    books = Books(1)
    books.lose_child_with(1)
    books.end(1)
    assert not books._deaths
    assert not books._deaths_alone


def test_an_error_of_the_pipeline_ends_the_feed_though_the_pipe_stays_open() -> None:
    """The pipeline draws those who wait before it raises."""
    feed = Feed(io.BytesIO(), Outbox(io.BytesIO()))
    decisions = feed.decisions()
    drawn: list[Any] = []
    thread = threading.Thread(target=lambda: drawn.extend(decisions))
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    feed.stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_a_child_which_starts_again_after_each_crash_imports_no_database(make_settings: MakeSettings) -> None:
    settings = make_settings(DB_URL="mysql://somebody:secret@db.example/crew")
    spec = EmbeddingSpec("Facenet512", "0" * 64, "mtcnn", "eyes", "base", "bgr", 1)
    setup = Setup(settings, make_rules(settings, Request(), spec), open_faces, False, False, False)
    case = Case(CrewMember("A", "a.jpg"), "u", Enrolment(1, "Facenet512", "u"), PhotoRecord("u"), CrashSuspect("u", 1))
    received = pickle.dumps((setup.of_worker(1, 1), Decision(NEW, "", case)))
    command = [sys.executable, "-c", RECEIVED_BY_CHILD]
    said = subprocess.run(command, cwd=PROJECT_DIR, input=received, capture_output=True, check=True).stdout.split()
    assert {b"onnxruntime", b"cv2", b"pydantic"} <= set(said)
    assert {b"sqlalchemy", b"mysql", b"rich", b"tensorflow", b"ray"} & set(said) == set()
