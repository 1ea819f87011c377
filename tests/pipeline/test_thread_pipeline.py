"""The order of the stages, with tiny real stages whose results one can compute by hand."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import BadVector, DatabaseUnavailable, NoFace, PhotoNotFound, RunError, Stuck
from app.gallery.vector_writer import SavedRow
from app.photos.http_source import HttpSource
from app.photos.shared_pictures import SharedPictures
from app.photos.temp_folder import TempFolder
from app.pipeline.thread_pipeline import Pipeline, PipelineOptions
from app.planning.decisions import NEW, Case, Decision
from app.records import CrewMember, Embedding, Face, Failed, Outcome, Photo, PhotoAnalysis, Portrait, Skipped, Stored
from app.runs.shared_photos import SharedPhotoCheck
from app.runs.storing import Storing
from tests.photos.test_http_source import photo_settings
from tests.support.webserver import PhotoServer

OPTIONS = PipelineOptions(download_threads=3, worker_threads=2, batch_size=4)
STAGES = ("download", "decode", "detect", "embed", "store")

SEEN = PhotoAnalysis((2, 2))


def crew(count: int) -> list[CrewMember]:
    return [CrewMember(str(number), "a.jpg") for number in range(count)]


def pending(members: Iterable[CrewMember]) -> Iterator[Decision]:
    """A decision to process for each member."""
    return (Decision(NEW, "", Case(member, f"http://x/{member.crew_id}")) for member in members)


@dataclass
class TinyStages:
    """Stages that are functions, with the store and the guard of the driver that stands behind the pipeline."""

    fetch: Callable[[Decision], Photo | Skipped | Failed]
    decode: Callable[[Photo], Portrait]
    find: Callable[[Portrait], Face]
    embed: Callable[[Sequence[Face]], list[Embedding]]
    store: Callable[[Sequence[Embedding]], list[SavedRow]]
    discard: Callable[[Photo], None]
    may_store: Callable[[], bool] = lambda: True

    def embedded(self, photo: Photo) -> None:
        """Nothing to count: `may_store` decides."""

    def is_satisfied(self) -> bool:
        return self.may_store()


class Recorder:
    """Stages that do next to nothing, and remember what they were given."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.discarded: list[str] = []
        self.batches: list[int] = []
        self.rows: list[str] = []

    def fetch(self, decision: Decision) -> Photo:
        member = decision.member
        self.fetched.append(member.crew_id)
        return Photo(member, f"http://x/{member.crew_id}", Path("a.jpg"))

    def decode(self, photo: Photo) -> Portrait:
        return Portrait(photo, np.full((2, 2, 3), int(photo.member.crew_id) % 256, np.uint8), SEEN)

    def find(self, portrait: Portrait) -> Face:
        return Face(portrait.photo, portrait.image.astype(np.float32), SEEN)

    def embed(self, faces: Sequence[Face]) -> list[Embedding]:
        self.batches.append(len(faces))
        return [Embedding(face.photo, face.pixels.mean(axis=(0, 1)), "mean", SEEN) for face in faces]

    def store(self, embeddings: Sequence[Embedding]) -> list[SavedRow]:
        self.rows += [embedding.member.crew_id for embedding in embeddings]
        return [SavedRow(1000 + int(embedding.vector[0])) for embedding in embeddings]

    def discard(self, photo: Photo) -> None:
        self.discarded.append(photo.member.crew_id)

    def stages(self, **changed: Callable[..., Any]) -> TinyStages:
        stages = TinyStages(self.fetch, self.decode, self.find, self.embed, self.store, self.discard)
        return replace(stages, **changed)


def outcomes_of(
    stages: TinyStages,
    members: Iterable[CrewMember],
    options: PipelineOptions = OPTIONS,
    stop: threading.Event | None = None,
) -> Iterator[Outcome]:
    """Pipeline and driver as a run joins them. Raises the RunError that ended it, after the outcomes."""
    stop, errors = stop or threading.Event(), []

    def give_up(error: RunError) -> None:
        errors.append(error)
        stop.set()

    shared = SharedPhotoCheck(SharedPictures({}, {}), reject=False)
    storing = Storing(stages, shared, stages.store, give_up, stop)
    yield from storing.outcomes(Pipeline(stages, options, stop).run(pending(members)))
    if errors:
        raise errors[0]


def run(stages: TinyStages, members: list[CrewMember], options: PipelineOptions = OPTIONS) -> list[Outcome]:
    return list(outcomes_of(stages, members, options))


def failing(stage: Callable[[Any], Any], crew_id: str, error: Exception) -> Callable[[Any], Any]:
    """The stage, but for one member."""

    def call(item: Any) -> Any:
        items = item if isinstance(item, list) else [item]
        if crew_id in {one.member.crew_id for one in items}:
            raise error
        return stage(item)

    return call


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def photo_of(crew_id: str) -> Photo:
    """What the recorder fetches."""
    return Photo(CrewMember(crew_id, "a.jpg"), f"http://x/{crew_id}", Path("a.jpg"))


def by_id(outcomes: list[Outcome]) -> dict[str, Outcome]:
    return {outcome.member.crew_id: outcome for outcome in outcomes}


def never(_: Any) -> Any:
    raise AssertionError("this stage is not for this member")


def test_every_member_is_stored_with_its_own_vector_and_every_stage_is_timed() -> None:
    outcomes = run(Recorder().stages(), crew(50))
    assert {outcome.member.crew_id: outcome.embedding_id for outcome in outcomes} == {
        str(number): 1000 + number for number in range(50)
    }
    assert all(tuple(outcome.timings_ms) == STAGES for outcome in outcomes)


def test_no_members_in_no_outcomes_out() -> None:
    assert run(Recorder().stages(), []) == []


@pytest.mark.parametrize(
    ("stage", "name", "error", "code"),
    [
        ("fetch", "download", PhotoNotFound("404"), "photo_not_found"),
        ("decode", "decode", ValueError("odd"), "unexpected"),
        ("find", "detect", NoFace(), "no_face"),
        ("embed", "embed", BadVector("NaN"), "bad_vector"),
        ("store", "store", TypeError("odd"), "unexpected"),
    ],
)
def test_one_members_trouble_costs_that_member_alone(stage: str, name: str, error: Exception, code: str) -> None:
    recorder = Recorder()
    stages = recorder.stages(**{stage: failing(getattr(recorder, stage), "3", error)})
    outcomes = run(stages, crew(9))
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    assert [(outcome.member.crew_id, outcome.stage, outcome.code) for outcome in failed] == [("3", name, code)]
    assert sum(isinstance(outcome, Stored) for outcome in outcomes) == 8


def test_the_traceback_of_what_was_not_foreseen_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder()
    run(recorder.stages(find=failing(recorder.find, "1", ValueError("odd"))), crew(2))
    assert "raise error\nValueError: odd" in caplog.text


def test_faces_are_embedded_in_batches_and_never_more_than_asked() -> None:
    recorder = Recorder()
    run(recorder.stages(), crew(41))
    assert max(recorder.batches) == OPTIONS.batch_size
    assert sum(recorder.batches) == 41


def test_a_photo_is_discarded_once_whatever_became_of_it() -> None:
    recorder = Recorder()
    run(recorder.stages(decode=failing(recorder.decode, "2", NoFace())), crew(5))
    assert sorted(recorder.discarded) == ["0", "1", "2", "3", "4"]


def test_a_fixed_number_is_under_way_whatever_the_rosters_length() -> None:
    recorder, handed_out = Recorder(), 0
    most = 0

    def members() -> Iterator[CrewMember]:
        nonlocal handed_out
        for member in crew(300):
            handed_out += 1
            yield member

    for done, _ in enumerate(outcomes_of(recorder.stages(), members(), replace(OPTIONS, stall_s=60))):
        most = max(most, handed_out - done)
    assert most <= OPTIONS.in_flight


def test_a_slow_photo_holds_up_no_other_member() -> None:
    recorder, release = Recorder(), threading.Event()

    def fetch(decision: Decision) -> Photo:
        if decision.member.crew_id == "0":
            assert release.wait(20)
        return recorder.fetch(decision)

    order = []
    for outcome in outcomes_of(recorder.stages(fetch=fetch), crew(30), OPTIONS):
        order.append(outcome.member.crew_id)
        if len(order) == 29:
            release.set()  # only after all others are through
    assert order[-1] == "0"
    assert len(order) == 30


def test_the_end_of_the_run_still_gives_everyone_an_outcome() -> None:
    recorder = Recorder()

    def store(embeddings: Sequence[Embedding]) -> list[SavedRow]:
        if recorder.rows:
            raise DatabaseUnavailable("gone")
        return recorder.store(embeddings)

    outcomes: list[Outcome] = []
    with pytest.raises(RunError, match="gone"):
        outcomes.extend(outcomes_of(recorder.stages(store=store), crew(100), OPTIONS))
    assert sorted(int(outcome.member.crew_id) for outcome in outcomes) == list(range(100))
    stored = [outcome.member.crew_id for outcome in outcomes if isinstance(outcome, Stored)]
    assert sorted(stored) == sorted(recorder.rows)
    assert {outcome.code for outcome in outcomes if isinstance(outcome, Skipped)} == {"interrupted"}


def test_a_run_error_in_a_thread_ends_the_run_too() -> None:
    recorder = Recorder()
    with pytest.raises(RunError, match="gone"):
        run(recorder.stages(find=failing(recorder.find, "5", DatabaseUnavailable("gone"))), crew(20))


def test_told_to_stop_it_takes_no_new_member_and_does_not_wait_for_a_hanging_download() -> None:
    recorder, stop, never = Recorder(), threading.Event(), threading.Event()

    def fetch(decision: Decision) -> Photo:
        if decision.member.crew_id == "0":
            never.wait(60)
        return recorder.fetch(decision)

    outcomes = []
    for outcome in outcomes_of(recorder.stages(fetch=fetch), crew(500), OPTIONS, stop):
        outcomes.append(outcome)
        stop.set()
    never.set()
    assert len(outcomes) == 500
    assert len(recorder.fetched) < 60
    assert all(isinstance(outcome, Stored | Skipped) for outcome in outcomes)
    assert {outcome.member.crew_id for outcome in outcomes if isinstance(outcome, Stored)} == set(recorder.rows)


def test_a_member_who_is_drawn_when_the_run_has_just_been_stopped_is_not_begun() -> None:
    """Nobody is marked any more: a crash would name no suspect."""
    recorder, stop = Recorder(), threading.Event()

    def members() -> Iterator[CrewMember]:
        yield from crew(3)
        stop.set()
        yield CrewMember("3", "a.jpg")

    outcomes = list(outcomes_of(recorder.stages(), members(), OPTIONS, stop))
    assert {each.member.crew_id for each in outcomes} == {"0", "1", "2", "3"}
    assert "3" not in recorder.fetched


def test_a_file_that_cannot_be_deleted_holds_up_no_member() -> None:
    recorder = Recorder()

    def discard(photo: Photo) -> None:
        raise PermissionError(13, "in use", "a.jpg")

    assert all(isinstance(outcome, Stored) for outcome in run(recorder.stages(discard=discard), crew(6)))


def test_rows_written_before_the_database_went_away_are_told_as_stored() -> None:
    """A refused batch is taken one by one; after two the database is gone."""
    recorder = Recorder()

    def store(embeddings: Sequence[Embedding]) -> list[SavedRow]:
        if len(embeddings) > 1:
            raise ValueError("one of these")
        if len(recorder.rows) == 2:
            raise DatabaseUnavailable("gone")
        return recorder.store(embeddings)

    told: list[Outcome] = []
    with pytest.raises(RunError):
        told.extend(outcomes_of(recorder.stages(store=store), crew(30), OPTIONS))
    assert sorted(outcome.member.crew_id for outcome in told if isinstance(outcome, Stored)) == sorted(recorder.rows)
    assert len(told) == 30


# ------------------------------------------------------------------------------- outcomes that stages give themselves


def test_a_photo_of_which_nothing_is_to_be_done_goes_no_further(recorder: Recorder) -> None:
    """Found when it was fetched, with its file, or when it was decoded."""

    def fetch(decision: Decision) -> Photo | Skipped:
        photo = recorder.fetch(decision)
        return Skipped(decision.member, "same_file", photo=photo) if decision.member.crew_id == "1" else photo

    def store(embeddings: Sequence[Embedding]) -> list[SavedRow]:
        rows = recorder.store(embeddings)
        pairs = zip(embeddings, rows, strict=True)
        return [replace(row, unmoved=each.member.crew_id == "2") for each, row in pairs]

    told = by_id(run(recorder.stages(fetch=fetch, store=store), crew(4)))
    assert told["1"] == Skipped(crew(2)[1], "same_file", told["1"].timings_ms, None, photo_of("1"))
    assert told["2"] == Skipped(crew(3)[2], "reencoded", told["2"].timings_ms, SEEN, photo_of("2"))
    assert [tuple(told[crew_id].timings_ms) for crew_id in "12"] == [STAGES[:1], STAGES]


def test_a_failure_that_a_stage_knows_already_is_the_outcome_and_keeps_its_photo(recorder: Recorder) -> None:
    def fetch(decision: Decision) -> Photo | Failed:
        photo = recorder.fetch(decision)
        known = Failed(decision.member, "detect", "no_face", "ninguna cara", photo=photo, recalled=True)
        return known if decision.member.crew_id == "1" else photo

    told = by_id(run(recorder.stages(fetch=fetch), crew(3)))
    expected = Failed(crew(2)[1], "detect", "no_face", "ninguna cara", told["1"].timings_ms, None, photo_of("1"), True)
    assert told["1"] == expected
    assert tuple(told["1"].timings_ms) == ("download",)
    assert sorted(recorder.rows) == ["0", "2"]


@pytest.mark.parametrize("found", [Skipped(crew(1)[0], "same_file"), Failed(crew(1)[0], "detect", "no_face")])
def test_a_member_who_is_done_when_fetched_is_neither_decoded_nor_looked_at(found: Outcome) -> None:
    (told,) = run(Recorder().stages(fetch=lambda _: found, decode=never, find=never, embed=never), crew(1))
    assert told == replace(found, timings_ms=told.timings_ms)


def test_every_outcome_carries_the_photo_as_far_as_there_was_one(recorder: Recorder) -> None:
    stages = recorder.stages(
        fetch=failing(recorder.fetch, "0", PhotoNotFound("404")),
        find=failing(recorder.find, "1", NoFace()),
        embed=failing(recorder.embed, "2", BadVector("NaN")),
    )
    told = by_id(run(stages, crew(4)))
    assert {crew_id: outcome.photo for crew_id, outcome in told.items()} == {
        "0": None,
        "1": photo_of("1"),
        "2": photo_of("2"),
        "3": photo_of("3"),
    }


# -------------------------------------------------------------------------------------------------- permission to store


def test_nothing_is_stored_before_it_may_be_and_everything_once_it_may(recorder: Recorder) -> None:
    """Here once forty are through the network: more than are under way at once."""
    rows_when_asked: list[tuple[bool, int]] = []

    def may_store() -> bool:
        allowed = sum(recorder.batches) >= 40
        rows_when_asked.append((allowed, len(recorder.rows)))
        return allowed

    assert OPTIONS.in_flight < 40
    outcomes = run(recorder.stages(may_store=may_store), crew(60))
    assert {rows for allowed, rows in rows_when_asked if not allowed} == {0}
    assert sorted(map(int, recorder.rows)) == list(range(60))
    assert all(isinstance(outcome, Stored) for outcome in outcomes)


def test_when_there_is_nothing_else_to_wait_for_all_is_stored(recorder: Recorder) -> None:
    """Also when more waited than are under way at once."""
    outcomes = run(recorder.stages(may_store=lambda: False), crew(100))
    assert {outcome.member.crew_id: outcome.embedding_id for outcome in outcomes} == {
        str(number): 1000 + number for number in range(100)
    }
    assert sorted(map(int, recorder.rows)) == list(range(100))


def test_nothing_of_what_waits_is_stored_when_the_run_is_stopped(recorder: Recorder) -> None:
    """The last outcome makes the observer stop the run, at the moment at which storing would be allowed."""
    stop = threading.Event()

    def find(portrait: Portrait) -> Face:
        if portrait.member.crew_id == "20":
            assert held.wait(20)
            raise NoFace
        return recorder.find(portrait)

    def embed(faces: Sequence[Face]) -> list[Embedding]:
        embeddings = recorder.embed(faces)
        if sum(recorder.batches) == 20:
            held.set()
        return embeddings

    held, outcomes = threading.Event(), []
    stages = recorder.stages(find=find, embed=embed, may_store=stop.is_set)
    for outcome in outcomes_of(stages, crew(21), OPTIONS, stop):
        outcomes.append(outcome)
        stop.set()
    assert recorder.rows == []
    assert [type(outcome) for outcome in outcomes] == [Failed] + [Skipped] * 20
    assert {outcome.code for outcome in outcomes[1:]} == {"interrupted"}


def test_of_several_batches_that_wait_none_is_stored_after_the_run_was_stopped(recorder: Recorder) -> None:
    stop, outcomes = threading.Event(), []
    stages = recorder.stages(may_store=lambda: False)
    for outcome in outcomes_of(stages, crew(40), OPTIONS, stop):
        outcomes.append(outcome)
        stop.set()
    stored = [outcome.member.crew_id for outcome in outcomes if isinstance(outcome, Stored)]
    assert (len(outcomes), stored) == (40, recorder.rows)
    assert 1 <= len(stored) <= OPTIONS.batch_size


# ------------------------------------------------------------------------------------------ threads that do not return


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What hanging stages wait for: at the latest the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def hanging(stage: Callable[[Any], Any], crew_ids: set[str], release: threading.Event) -> Callable[[Any], Any]:
    """The stage, but these members hang in it, and then come through all the same."""

    def call(item: Any) -> Any:
        first = item[0] if isinstance(item, list) else item
        if first.member.crew_id in crew_ids:
            assert release.wait(60)
        return stage(item)

    return call


def test_downloads_that_stall_let_everybody_else_pass(recorder: Recorder, release: threading.Event) -> None:
    """More of them than there are places, and first of all; when they come in the end, they are as good as any."""
    stages = recorder.stages(fetch=hanging(recorder.fetch, {"0", "1", "2", "3", "4"}, release))
    order = []
    for outcome in outcomes_of(stages, crew(60), replace(OPTIONS, stall_s=0.05)):
        order.append(outcome.member.crew_id)
        if len(order) == 55:
            release.set()
    assert (sorted(order[-5:]), len(order)) == (["0", "1", "2", "3", "4"], 60)
    assert sorted(recorder.rows, key=int) == [str(number) for number in range(60)]


def test_a_download_without_end_costs_that_member_alone(recorder: Recorder, release: threading.Event) -> None:
    stages = recorder.stages(fetch=hanging(recorder.fetch, {"1"}, release))
    told = by_id(run(stages, crew(30), replace(OPTIONS, stall_s=0.05, download_limit_s=0.6)))
    assert told["1"] == Failed(crew(2)[1], "download", "photo_unavailable", "la descarga no terminó en 0.6 segundos")
    assert sorted(recorder.rows, key=int) == [each.crew_id for each in crew(30) if each.crew_id != "1"]


@pytest.mark.parametrize(("stage", "name", "timed"), [("decode", "decode", 1), ("find", "detect", 2)])
def test_photos_that_threads_do_not_come_back_from_cost_those_members_alone(
    stage: str, name: str, timed: int, recorder: Recorder, release: threading.Event
) -> None:
    """As many as there are threads: the others go through fresh ones."""
    stages = recorder.stages(**{stage: hanging(getattr(recorder, stage), {"3", "8"}, release)})
    told = by_id(run(stages, crew(30), replace(OPTIONS, photo_limit_s=0.6)))
    for member in (crew(9)[3], crew(9)[8]):
        timings, seen = told[member.crew_id].timings_ms, None if stage == "decode" else SEEN
        photo = photo_of(member.crew_id)
        expected = Failed(member, name, "took_too_long", "más de 0.6 segundos", timings, seen, photo)
        assert (told[member.crew_id], tuple(timings)) == (expected, STAGES[:timed])
    assert sorted(recorder.rows, key=int) == [each.crew_id for each in crew(30) if each.crew_id not in ("3", "8")]


@pytest.mark.parametrize("late", [None, NoFace("late"), ValueError("late"), DatabaseUnavailable("late")])
def test_what_a_thread_says_after_it_was_given_up_changes_nothing(
    late: Exception | None, recorder: Recorder, release: threading.Event
) -> None:
    threads: list[threading.Thread] = []
    is_over = threading.Event()

    def find(portrait: Portrait) -> Face:
        if portrait.member.crew_id == "3":
            threads.append(threading.current_thread())
            assert release.wait(60)
            if late is not None:
                raise late
        return recorder.find(portrait)

    outcomes = []
    stages = recorder.stages(find=find, fetch=hanging(recorder.fetch, {"0"}, is_over))  # the run goes on meanwhile
    for outcome in outcomes_of(stages, crew(4), replace(OPTIONS, photo_limit_s=0.5)):
        outcomes.append(outcome)
        if isinstance(outcome, Failed):
            release.set()
            threads[0].join(60)
            is_over.set()
    assert [(each.member.crew_id, each.code) for each in outcomes if isinstance(each, Failed)] == [
        ("3", "took_too_long")
    ]
    assert tuple(by_id(outcomes)["3"].timings_ms) == STAGES[:2]
    assert (sorted(by_id(outcomes)), len(outcomes)) == (["0", "1", "2", "3"], 4)
    assert sorted(recorder.rows) == ["0", "1", "2"]


def test_when_every_photo_hangs_the_run_ends_before_threads_pile_up(
    recorder: Recorder, release: threading.Event
) -> None:
    """At the sixth of two threads; both may be overdue when it is noticed."""
    before = threading.active_count()
    outcomes: list[Outcome] = []
    stages = recorder.stages(find=hanging(recorder.find, {each.crew_id for each in crew(40)}, release))
    with pytest.raises(Stuck, match=r"El programa se quedó colgado con [67] fotos"):
        outcomes.extend(outcomes_of(stages, crew(40), replace(OPTIONS, photo_limit_s=0.1, leave_s=0.1)))
    codes = [each.code for each in outcomes if not isinstance(each, Stored)]
    lost = codes.count("took_too_long")
    assert lost in (6, 7)
    assert codes == ["took_too_long"] * lost + ["interrupted"] * (40 - lost)
    assert sorted(int(each.member.crew_id) for each in outcomes) == list(range(40))
    assert threading.active_count() - before <= lost + OPTIONS.worker_threads + OPTIONS.download_threads


def test_when_no_download_ends_the_run_does(recorder: Recorder, release: threading.Event) -> None:
    outcomes: list[Outcome] = []
    stages = recorder.stages(fetch=hanging(recorder.fetch, {each.crew_id for each in crew(40)}, release))
    with pytest.raises(Stuck, match=r"\d+ descargas no terminaron nunca"):
        outcomes.extend(outcomes_of(stages, crew(40), replace(OPTIONS, stall_s=0.05, download_limit_s=0.2)))
    assert sorted(int(each.member.crew_id) for each in outcomes) == list(range(40))
    assert {each.code for each in outcomes if not isinstance(each, Stored)} == {"photo_unavailable", "interrupted"}


def test_a_network_that_does_not_come_back_ends_the_run(recorder: Recorder, release: threading.Event) -> None:
    """No photo is to blame, so no member fails."""
    outcomes: list[Outcome] = []
    stages = recorder.stages(embed=hanging(recorder.embed, {each.crew_id for each in crew(9)}, release))
    with pytest.raises(Stuck, match="El modelo no terminó de calcular"):
        outcomes.extend(outcomes_of(stages, crew(9), replace(OPTIONS, photo_limit_s=0.2, leave_s=0.1)))
    assert sorted(outcomes, key=lambda each: each.member.crew_id) == [Skipped(each, "interrupted") for each in crew(9)]


def test_a_stop_does_not_wait_for_a_photo_that_hangs(recorder: Recorder, release: threading.Event) -> None:
    """Nor for the batch that it would have been in: the seven others are stored, or told as interrupted."""
    stop = threading.Event()
    outcomes: list[Outcome] = []
    stages = recorder.stages(find=hanging(recorder.find, {"2"}, release))
    for outcome in outcomes_of(stages, crew(300), replace(OPTIONS, leave_s=0.1), stop):
        outcomes.append(outcome)
        stop.set()
    assert not release.is_set()
    assert by_id(outcomes)["2"] == Skipped(crew(3)[2], "interrupted")
    assert sorted(int(each.member.crew_id) for each in outcomes) == list(range(300))
    assert sorted(each.member.crew_id for each in outcomes if isinstance(each, Stored)) == sorted(recorder.rows)


def test_with_real_downloads_in_all_places_that_never_end_the_others_are_stored(
    recorder: Recorder, web: PhotoServer, tmp_path: Path, portrait_jpeg: bytes
) -> None:
    """Eight of them, first of all: as many as there are places in a usual run."""
    places, never_s, stop = 8, 600.0, threading.Event()
    web.slow_s, web.default_photo = never_s, portrait_jpeg
    patience = {"HTTP_READ_TIMEOUT_S": never_s, "HTTP_TOTAL_TIMEOUT_S": never_s}
    settings = photo_settings(web.base_url, HTTP_ATTEMPTS=1, DOWNLOAD_THREADS=places, **patience)
    source, temp = HttpSource(settings, stop), TempFolder(tmp_path)
    endless = [CrewMember(route, f"{number}.jpg") for number in range(4) for route in ("slow", "drip")]
    good = [CrewMember("ok", f"{number}.jpg") for number in range(100)]
    stages = recorder.stages(
        fetch=lambda decision: source.fetch(decision.member, temp),
        decode=lambda photo: Portrait(photo, np.full((2, 2, 3), 7, np.uint8), SEEN),
    )
    outcomes: list[Outcome] = []
    options = PipelineOptions(places, worker_threads=2, batch_size=4, stall_s=0.1)
    for outcome in outcomes_of(stages, [*endless, *good], options, stop):
        outcomes.append(outcome)
        if sum(isinstance(each, Stored) for each in outcomes) == len(good):
            stop.set()
    temp.close()
    assert {each.member for each in outcomes[: len(good)]} == set(good)
    assert {(each.member.crew_id, each.member.photo_name) for each in outcomes[len(good) :]} == {
        (each.crew_id, each.photo_name) for each in endless
    }
    assert len(outcomes) == len(good) + places
