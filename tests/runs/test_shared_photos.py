"""Photos that several members have: who is refused, who stays and is only reported; by hand, then for real."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import InvalidImage, ItemError, NoFace, Retry, SharedPhoto, codes_with
from app.photos.shared_pictures import SamePhotoGroup, SharedPictures, describe_picture, same_pictures
from app.pipeline.stages import Stages, with_picture
from app.pipeline.work_item import Processed
from app.planning.decisions import CHANGED, DEACTIVATE, KNOWN_FAILURE, NEW, PROCESSED, STALE, UNCHANGED, Case, Decision
from app.planning.planner import no_longer_shared, open_pictures
from app.records import (
    CrewMember,
    Embedding,
    Enrolment,
    Face,
    Failed,
    Image,
    Outcome,
    Photo,
    PhotoAnalysis,
    Picture,
    Portrait,
    Skipped,
    Stored,
)
from app.runs.outcomes import Outcomes
from app.runs.shared_photos import SharedPhotoCheck
from tests.conftest import OpenWorld
from tests.support.pictures import encode_picture
from tests.support.program import Result, World

SIDE = 48
IMAGES = [
    np.kron(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8), np.ones((6, 6, 1), np.uint8))
    for seed in (1, 2)
]
ONE, OTHER = (describe_picture(image) for image in IMAGES)


def member(crew_id: str) -> CrewMember:
    return CrewMember(crew_id, "a.jpg")


def url_of(crew_id: str) -> str:
    return f"http://fotos/{crew_id}/a.jpg"


def decision(crew_id: str, kind: str, code: str = "", row_url: str | None = None) -> Decision:
    """With the failure of this code, and with a row of a photo at this address."""
    enrolment = None if row_url is None else Enrolment(1, "Facenet512", row_url, (1,), (1,))
    failure = Failed(member(crew_id), "decode", code, recalled=True) if code else None
    return Decision(kind, "", Case(member(crew_id), url_of(crew_id), enrolment), failure)


# ------------------------------------------------------------------------------------- which pictures a run begins with


@pytest.mark.parametrize(
    ("kind", "row_url", "force", "first"),
    [
        (STALE, url_of("1"), False, "1"),  # its vector is made anew of the same photo
        (STALE, "http://fotos/1/antes.jpg", False, "1"),
        (CHANGED, url_of("1"), True, "1"),
        (CHANGED, "http://fotos/1/antes.jpg", True, None),
        (NEW, None, True, None),
        *((kind, url_of("1"), False, None) for kind in PROCESSED if kind != STALE),
    ],
)
def test_a_picture_counts_as_stored_unless_its_member_is_about_to_have_another(
    kind: str, row_url: str | None, force: bool, first: str | None
) -> None:
    pending = {"1": decision("1", kind, row_url=row_url)}
    pictures = open_pictures({"1": ONE, "2": OTHER}, {}, pending, force=force)
    assert pictures.register("8", ONE) == (None if first is None else SamePhotoGroup(1, (first,)))
    assert pictures.register("9", OTHER) == SamePhotoGroup(1, ("2",))
    if first is not None:
        assert pictures.register("1", ONE) is None  # the one who was first stays


def test_a_rejected_picture_counts_unless_its_member_is_about_to_be_processed() -> None:
    pictures = open_pictures({}, {"1": ONE, "2": OTHER}, {"1": decision("1", CHANGED)}, force=False)
    assert [pictures.register("8", ONE), pictures.register("9", OTHER)] == [None, SamePhotoGroup(1, ("2",))]


# ------------------------------------------------------------------------------------------------------ second chances


@pytest.mark.parametrize("code", sorted(codes_with(Retry.UNSHARED)))
@pytest.mark.parametrize(
    ("others", "in_gallery", "rejected", "alone"),
    [
        ([], {}, {"1": ONE}, {"1"}),  # the other one is gone
        ([decision("2", CHANGED)], {"2": ONE}, {"1": ONE}, {"1"}),  # has a new photo
        ([decision("2", UNCHANGED)], {"2": ONE}, {"1": ONE}, set()),
        ([decision("2", STALE)], {"2": ONE}, {"1": ONE}, set()),
        ([decision("2", KNOWN_FAILURE, "shared_photo")], {}, {"1": ONE, "2": ONE}, set()),
        ([decision("2", KNOWN_FAILURE, "shared_photo")], {}, {"1": ONE, "2": OTHER}, {"1", "2"}),
        ([decision("2", NEW)], {}, {"1": ONE, "2": ONE}, {"1"}),
        ([], {"1": OTHER}, {"1": ONE}, {"1"}),  # with an older picture in the gallery
        ([], {}, {}, set()),  # whose picture is unknown
    ],
)
def test_a_member_who_has_the_picture_alone_by_now_is_retried(
    others: list[Decision], in_gallery: dict[str, Picture], rejected: dict[str, Picture], alone: set[str], code: str
) -> None:
    assert no_longer_shared([decision("1", KNOWN_FAILURE, code), *others], in_gallery, rejected) == alone


def test_of_other_failures_no_member_is_retried() -> None:
    decisions = [decision("1", KNOWN_FAILURE, "no_face"), decision("2", CHANGED), decision("3", DEACTIVATE)]
    assert no_longer_shared(decisions, {}, {"1": ONE, "2": OTHER, "3": ONE}) == set()


# ------------------------------------------------------------------------------------------------ rows that stay as is


def portrait(crew_id: str, picture: Picture) -> Portrait:
    photo = Photo(member(crew_id), url_of(crew_id), Path("a.jpg"))
    return Portrait(photo, IMAGES[picture is OTHER], PhotoAnalysis((SIDE, SIDE)))


def shared_check(
    *, reject: bool = True, stored: dict[str, Picture] | None = None, row_pictures: dict[int, Picture] | None = None
) -> SharedPhotoCheck:
    return SharedPhotoCheck(SharedPictures(stored or {}, {}), row_pictures, reject=reject)


def kept(crew_id: str) -> Case:
    """Of a member whose row 1 stays as it is."""
    return decision(crew_id, CHANGED, row_url=url_of(crew_id)).case


def embedded(seen: Portrait) -> Processed:
    """The face of a photo as a vector."""
    embedding = Embedding(seen.photo, np.zeros(3, np.float32), "Facenet512", with_picture(seen, seen.analysis))
    return Processed(decision(seen.member.crew_id, NEW), embedding)


def admitted(check: SharedPhotoCheck, processed: Processed) -> Embedding | Failed | Skipped:
    """Raises SharedPhoto where the check refuses the photo."""
    result = check.admit(processed)
    if isinstance(result, Failed) and result.code == SharedPhoto.code:
        raise SharedPhoto(result.detail, result.analysis)
    return result


def watched(check: SharedPhotoCheck, crew_id: str, picture: Picture) -> Embedding | Failed | Skipped:
    return admitted(check, embedded(portrait(crew_id, picture)))


def test_a_member_after_a_row_that_stays_is_the_second_and_the_row_is_reported() -> None:
    watch = shared_check(row_pictures={1: ONE})
    watch.keep(kept("1"))
    with pytest.raises(SharedPhoto) as caught:
        watched(watch, "2", ONE)
    assert caught.value.detail == "la misma foto que 1"
    stays: Outcome = Skipped(member("1"), "same_file")
    assert list(watch.reported(Outcomes([stays]))) == [(member("1"), "la misma foto que 2")]


def test_a_member_stored_before_the_row_that_stays_is_withdrawn() -> None:
    watch, first = shared_check(row_pictures={1: ONE}), Stored(member("2"), 12)
    assert watched(watch, "2", ONE).analysis.picture == ONE
    watch.keep(kept("1"))
    assert list(watch.take_late(Outcomes([Skipped(member("1"), "same_file"), first]))) == [first]
    assert list(watch.take_late(Outcomes([first]))) == []


def test_one_who_keeps_his_row_is_never_late_himself() -> None:
    watch = shared_check(stored={"1": OTHER}, row_pictures={1: ONE})
    watch.keep(kept("1"))
    with pytest.raises(SharedPhoto):
        watched(watch, "2", ONE)
    assert list(watch.take_late(Outcomes([Stored(member("1"), 11)]))) == []
    assert watched(watch, "3", OTHER).member == member("3")  # no member has that one any more


def test_a_row_whose_picture_is_unknown_keeps_no_other_out() -> None:
    watch = shared_check()
    watch.keep(kept("1"))
    assert watched(watch, "2", ONE).member == member("2")


def test_a_member_whose_picture_comes_again_is_not_the_second() -> None:
    """Saved again: the row in the gallery is of this picture, and another member has it in this run, too."""
    pictures = open_pictures({"1": ONE}, {}, {"1": decision("1", CHANGED, row_url=url_of("1"))}, force=False)
    watch = SharedPhotoCheck(pictures, reject=True)
    assert watched(watch, "2", ONE).member == member("2")  # until the row's member comes, no one has it
    assert watched(watch, "1", ONE).member == member("1")
    first = Stored(member("2"), 12)
    assert list(watch.take_late(Outcomes([first]))) == [first]


def looked_at(seen: Portrait, error: ItemError) -> PhotoAnalysis:
    """What is known of a photo in which the face extractor finds this error."""

    class Failing:
        def find(self, _: Portrait) -> Face:
            raise error

    unused: Any = None
    stages = Stages(unused, Failing(), unused, unused, thumbnails=False)
    with pytest.raises(type(error)) as refused:
        stages.find(seen)
    return refused.value.analysis


def failed(crew_id: str, analysis: PhotoAnalysis) -> Processed:
    return Processed(decision(crew_id, NEW), Failed(member(crew_id), "detect", "no_face", analysis=analysis))


def test_a_shared_photo_without_a_face_is_shared_all_the_same() -> None:
    watch = shared_check()
    seen = [portrait(crew_id, ONE) for crew_id in "12"]
    analyses = [looked_at(each, NoFace(analysis=each.analysis)) for each in seen]
    refused = admitted(watch, failed("1", analyses[0]))
    assert isinstance(refused, Failed) and refused.code == "no_face"
    assert refused.analysis.picture == ONE
    with pytest.raises(SharedPhoto):
        admitted(watch, failed("2", analyses[1]))


def test_an_error_that_saw_nothing_is_told_with_what_is_known_of_the_photo() -> None:
    """A second look at the file may find damage that the first did not see."""
    seen = looked_at(portrait("1", ONE), InvalidImage("dañada"))
    assert (seen.size, seen.picture) == ((SIDE, SIDE), ONE)


def test_a_row_that_was_kept_is_reported_when_its_twin_comes() -> None:
    """Its vector had not moved: the run wrote nothing that could be withdrawn."""
    watch = shared_check()
    analysis = watched(watch, "1", ONE).analysis
    with pytest.raises(SharedPhoto):
        watched(watch, "2", ONE)
    kept: Outcome = Skipped(member("1"), "reencoded", analysis=analysis)
    assert list(watch.take_late(Outcomes([kept]))) == []
    assert list(watch.reported(Outcomes([kept]))) == [(member("1"), "la misma foto que 2")]


def test_of_a_face_the_picture_is_its_surroundings_whatever_the_frame() -> None:
    """Within another frame, at half the size and with its landmarks: the same; another face in the same frame: not."""
    marks = np.array([[60, 70], [84, 70], [72, 82], [62, 94], [82, 94]], np.float32)  # 24 + 24 px: a square of 77

    def framed(face: Image, left: int, ground: int) -> Portrait:
        image = np.full((200, 260, 3), ground, np.uint8)
        image[40 : 40 + 96, left : left + 96] = cv2.resize(face, (96, 96), interpolation=cv2.INTER_NEAREST)
        return Portrait(portrait("1", ONE).photo, image, PhotoAnalysis((520, 400)), reduction=2)

    def seen(at: Portrait, left: int) -> PhotoAnalysis:
        shifted = 2 * (marks + np.array([left - 24, 0]))
        return with_picture(at, replace(at.analysis, box=(2 * left, 80, 192, 192), landmarks=shifted))

    pictures = [seen(framed(IMAGES[0], 24, 10), 24), seen(framed(IMAGES[0], 100, 200), 100)]
    assert pictures[0].picture == pictures[1].picture
    other = seen(framed(IMAGES[1], 24, 10), 24).picture
    assert pictures[0].picture is not None
    assert same_pictures(pictures[0].picture, [other]) == []


@pytest.mark.parametrize(("x", "shown"), [(10, True), (11, True), (20, False)])
def test_the_twins_small_copy_is_shown_only_where_the_face_lies_at_the_same_place(x: int, shown: bool) -> None:
    """In another frame it would be another picture, with a box beside the face."""
    watch = shared_check(reject=True)
    analyses = [PhotoAnalysis((100, 100), ONE, box=(left, 10, 30, 40)) for left in (10, x)]
    for crew_id in ("1", "2"):
        with suppress(SharedPhoto):
            watched(watch, crew_id, ONE)
    twin = replace(analyses[1], thumbnail=b"copy")
    outcomes = Outcomes(
        Failed(member(each), "decode", "shared_photo", analysis=seen)
        for each, seen in (("1", analyses[0]), ("2", twin))
    )
    watch.settle(outcomes)
    first = outcomes.get("1")
    assert first is not None and first.analysis is not None
    assert first.analysis.thumbnail == (b"copy" if shown else b"")


@pytest.mark.parametrize("turns", range(4))
def test_a_photo_that_was_turned_is_the_same_picture(turns: int) -> None:
    marks = 4 * np.array([[14, 18], [34, 18], [24, 26], [16, 34], [32, 34]], np.float32)
    image, side = np.kron(IMAGES[0], np.ones((4, 4, 1), np.uint8)), 4 * SIDE

    def turned(points: NDArray[np.float32]) -> NDArray[np.float32]:
        for _ in range(turns):  # anticlockwise
            points = np.stack([points[:, 1], side - 1 - points[:, 0]], axis=1)
        return points

    upright, lying = (
        with_picture(
            replace(portrait("1", ONE), image=np.ascontiguousarray(shown)),
            PhotoAnalysis((side, side), box=(16, 16, 160, 160), landmarks=points),
        ).picture
        for shown, points in ((image, marks), (np.rot90(image, turns), turned(marks)))
    )
    assert upright is not None and lying is not None
    assert same_pictures(upright, [lying]) == [lying]


# ----------------------------------------------------------------------------------------------------- the real program


@pytest.fixture
def world(open_world: OpenWorld, database_url: str) -> World:
    return open_world(database_url, SHARED_PHOTOS="reject")


def saved_anew(image: Image) -> bytes:
    """The same picture at another size and quality: other bytes."""
    return encode_picture(cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA), quality=60)


def listed(result: Result) -> dict[str, str]:
    """The codes of HR's list."""
    return {entry["crew_id"]: entry["code"] for entry in result.document["report"]["entries"]}


def hire_one_who_leaves(world: World, astronaut: Image, admiral: Image) -> None:
    """Store members 1 and 3; then let 1 leave the crew, before the next run."""
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.hire("3", "c.jpg", encode_picture(admiral))
    world.run("--all")
    world.set_active("1", active=False)


def active(world: World) -> list[str]:
    return sorted(row.crew_id for row in world.rows() if row.active)


def test_a_picture_that_two_people_have_is_refused_for_both(world: World, astronaut: Image, admiral: Image) -> None:
    """Whichever comes first is withdrawn when the second comes, or stopped on its way."""
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.hire("2", "b.jpg", saved_anew(astronaut))
    world.hire("3", "c.jpg", encode_picture(admiral))
    result = world.run("--all")
    assert result.codes == {"1": "failed:shared_photo", "2": "failed:shared_photo", "3": "stored"}
    assert active(world) == ["3"]
    details = {member["crew_id"]: member["detail"] for member in result.document["members"]}
    assert details["1"] == "La misma foto en varias personas: la misma foto que 2"
    assert details["2"] == "La misma foto en varias personas: la misma foto que 1"


def test_the_first_is_withdrawn_when_it_was_stored_before_its_twin_came(
    world: World, astronaut: Image, admiral: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One at a time, so that the first is surely in the gallery by then."""
    for name in ("DOWNLOAD_THREADS", "WORKER_THREADS", "BATCH_SIZE"):
        monkeypatch.setenv(name, "1")
    world.hire("1", "a.jpg", encode_picture(astronaut))
    between = [admiral, admiral[:, ::-1], astronaut[:, ::-1]]
    for number, image in enumerate(between, start=2):
        world.hire(str(number), "b.jpg", encode_picture(np.ascontiguousarray(image)))
    world.hire("6", "c.jpg", encode_picture(astronaut))
    result = world.run("--all")
    assert result.codes["1"] == result.codes["6"] == "failed:shared_photo"
    assert "Embedding de 1 retirado: otra persona tiene la misma foto" in result.stdout
    assert "1" not in active(world)
    assert "❌ Errores: 2" in result.stdout
    recognised = {entry["crew_id"]: entry["recognised"] for entry in result.document["report"]["entries"]}
    assert (recognised["1"], recognised["6"]) == (False, False)


def test_a_picture_of_many_is_a_placeholder_also_where_no_face_was_found(world: World, admiral: Image) -> None:
    avatar = np.full((240, 240, 3), 200, np.uint8)
    cv2.circle(avatar, (120, 90), 45, (90, 90, 90), -1)
    cv2.ellipse(avatar, (120, 230), (90, 80), 0, 180, 360, (90, 90, 90), -1)
    for number in range(6):
        world.hire(f"n{number}", "avatar.png", encode_picture(avatar, "PNG"))
    world.hire("good", "a.jpg", encode_picture(admiral))
    result = world.run("--all")
    assert result.codes == {f"n{number}": "failed:placeholder_photo" for number in range(6)} | {"good": "stored"}


def test_a_member_stored_by_an_earlier_run_stays_and_is_reported(world: World, astronaut: Image) -> None:
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.run("--all")
    world.hire("2", "b.jpg", saved_anew(astronaut))
    result = world.run("--all")
    assert result.codes == {"1": "skipped:current", "2": "failed:shared_photo"}
    assert active(world) == ["1"]
    assert listed(result) == {"1": "shared_photo", "2": "shared_photo"}
    assert world.run("--all", "--force").codes == {"1": "stored", "2": "failed:shared_photo"}


def test_both_stay_in_the_list_until_one_of_them_has_another_photo(
    world: World, astronaut: Image, admiral: Image
) -> None:
    both = {"1": "shared_photo", "2": "shared_photo"}
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.run("--all")
    world.hire("2", "b.jpg", saved_anew(astronaut))
    world.run("--all")
    assert listed(world.run("--all")) == both  # without any photo to process
    world.hire("3", "c.jpg", b"no photo")
    assert listed(world.run("--all")) == both | {"3": "invalid_image"}
    world.rename_photo("2", "mine.jpg")
    world.web.photos["2/mine.jpg"] = encode_picture(admiral)
    assert listed(world.run("--all")) == {"3": "invalid_image"}


def test_the_list_names_those_who_have_the_photo_now(world: World, astronaut: Image, admiral: Image) -> None:
    def named(result: Result) -> dict[str, str]:
        return {entry["crew_id"]: entry["detail"] for entry in result.document["report"]["entries"]}

    for crew_id in ("1", "2", "3"):
        world.hire(crew_id, "a.jpg", encode_picture(astronaut))
    assert named(world.run("--all"))["1"] in ("la misma foto que 2, 3", "la misma foto que 3, 2")
    world.rename_photo("3", "mine.jpg")
    world.web.photos["3/mine.jpg"] = encode_picture(admiral)
    now = {"1": "la misma foto que 2", "2": "la misma foto que 1"}
    assert named(world.run("--all")) == now
    assert named(world.run("--all")) == now  # without any photo to process


@pytest.mark.parametrize("words", [("--all",), ("--all", "--force")])
def test_who_is_back_is_the_first_with_a_photo_that_comes_the_same_night(
    world: World, astronaut: Image, admiral: Image, words: tuple[str, ...]
) -> None:
    hire_one_who_leaves(world, astronaut, admiral)
    world.run("--all")
    world.set_active("1", active=True)
    world.hire("2", "b.jpg", saved_anew(astronaut))
    done = world.run(*words)
    assert done.codes["2"] == "failed:shared_photo"
    assert (active(world), listed(done)) == (["1", "3"], {"1": "shared_photo", "2": "shared_photo"})


@pytest.mark.parametrize("words", [("--all",), ("--crew-id", "1")])
def test_who_is_back_is_not_used_again_beside_another_with_the_same_photo(
    world: World, astronaut: Image, admiral: Image, words: tuple[str, ...]
) -> None:
    hire_one_who_leaves(world, astronaut, admiral)
    world.hire("2", "b.jpg", saved_anew(astronaut))
    assert world.run("--all").codes == {"2": "stored", "3": "skipped:current"}
    world.set_active("1", active=True)
    planned, done = world.run("--plan", *words), world.run(*words)
    assert "volvió al padrón, y otra persona tiene su foto de antes" in planned.stdout
    assert (done.codes["1"], done.document["summary"]["reactivated"]) == ("failed:shared_photo", [])
    assert active(world) == ["2", "3"]
    assert listed(world.run("--all")) == {"1": "shared_photo", "2": "shared_photo"}
    world.rename_photo("2", "mine.jpg")
    world.web.photos["2/mine.jpg"] = encode_picture(np.ascontiguousarray(admiral[:, ::-1]))
    assert world.run("--all").codes == {"1": "stored", "2": "stored", "3": "skipped:current"}


def test_one_whose_photo_is_corrected_is_stored_and_the_other_too(
    world: World, astronaut: Image, admiral: Image
) -> None:
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.hire("2", "b.jpg", encode_picture(astronaut))
    world.run("--all")
    world.rename_photo("2", "mine.jpg")
    world.web.photos["2/mine.jpg"] = encode_picture(admiral)
    result = world.run("--all")
    assert result.codes == {"1": "stored", "2": "stored"}
    assert sorted(result.document["report"]["changes"]["fixed"]) == ["Ana Paz (1)", "Ana Paz (2)"]


def test_alone_the_other_of_a_known_pair_is_still_refused(world: World, astronaut: Image) -> None:
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.hire("2", "b.jpg", encode_picture(astronaut))
    world.run("--all")
    assert world.run("--crew-id", "2").codes == {"2": "failed:shared_photo"}


def test_with_report_all_are_stored_and_said(world: World, astronaut: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARED_PHOTOS", "report")
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.hire("2", "b.jpg", encode_picture(astronaut))
    result = world.run("--all")
    assert result.codes == {"1": "stored", "2": "stored"}
    assert len(result.document["report"]["entries"]) == 2
