"""A photo that was corrected under the same name, and one that was only saved again: through the real program."""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from app.core.vectors import cosine_distance
from app.gallery.vector_writer import UNMOVED
from app.pipeline.face_extractor import extract_face_embedding
from app.records import Image
from tests.conftest import OpenWorld
from tests.support.pictures import encode_picture
from tests.support.program import Result, World

Vector: TypeAlias = NDArray[np.float32]
FACE = (slice(30, 220), slice(130, 320))  # of the astronaut, with its surroundings


@pytest.fixture
def world(open_world: OpenWorld, database_url: str) -> World:
    return open_world(database_url, SHARED_PHOTOS="reject", PHOTO_RECHECK_HOURS="0")


def entries(result: Result) -> list[tuple[str, str]]:
    """HR's list: who, and in which part of it."""
    return [(entry["crew_id"], entry["kind"]) for entry in result.document["report"]["entries"]]


SPOILT: dict[str, Callable[[Image], Image]] = {
    "soft": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 2.2), np.uint8),
    "blurred": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 6), np.uint8),
    "dark": lambda image: (image * 0.15).astype(np.uint8),
    "light": lambda image: np.clip(image * 2.2, 0, 255).astype(np.uint8),
    "without a face": lambda image: np.full_like(image, 120),
    "small": lambda image: np.asarray(cv2.resize(image[FACE], (60, 60), interpolation=cv2.INTER_AREA), np.uint8),
    "squeezed": lambda image: np.asarray(cv2.resize(image, (380, 512), interpolation=cv2.INTER_AREA), np.uint8),
    "on its head": lambda image: np.ascontiguousarray(image[::-1, ::-1]),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_corrected_photo_has_the_vector_of_a_fresh_enrolment_and_leaves_the_list(
    world: World, astronaut: Image, how: str
) -> None:
    """Whatever was wrong with the first one, and whether it was stored or refused."""
    world.hire("1", "a.jpg", encode_picture(SPOILT[how](astronaut)))
    world.run("--all")
    world.web.photos["1/a.jpg"] = encode_picture(astronaut)  # the same name, another file
    result = world.run("--all")
    (row,) = [row for row in world.rows() if row.active]
    assert cosine_distance(vector_of(row), fresh_vector(world, astronaut)) < UNMOVED
    assert entries(result) == []
    assert world.run("--all").codes == {"1": "skipped:current"}


def test_a_photo_that_became_worse_is_in_the_list(world: World, astronaut: Image) -> None:
    """Also when its vector hardly moves and the row stays as it is."""
    world.hire("1", "a.jpg", encode_picture(astronaut))
    assert entries(world.run("--all")) == []
    world.web.photos["1/a.jpg"] = encode_picture((astronaut * 0.2).astype(np.uint8))
    worse = world.run("--all")
    assert worse.exit_code == 0
    assert entries(worse) == [("1", "improve")]
    assert entries(world.run("--all")) == [("1", "improve")]  # in the next night, too, without a look at it
    world.web.photos["1/a.jpg"] = encode_picture(astronaut)
    assert entries(world.run("--all")) == []


def test_whose_new_photo_fails_is_told_from_who_was_never_registered(world: World, astronaut: Image) -> None:
    world.hire("1", "a.jpg", encode_picture(astronaut))
    world.run("--all")
    world.web.photos["1/a.jpg"] = encode_picture(astronaut)[:-2000]
    world.hire("2", "b.jpg", encode_picture(astronaut)[:-2000])
    for _ in range(2):  # also where it is known
        listed = world.run("--all").document["report"]["entries"]
        assert {each["crew_id"]: each["recognised"] for each in listed} == {"1": True, "2": False}


def test_photos_that_were_saved_again_without_a_change_leave_every_row_as_it_is(
    world: World, astronaut: Image, admiral: Image
) -> None:
    for crew_id, image in (("1", astronaut), ("2", admiral)):
        world.hire(crew_id, "a.png", encode_picture(image, "PNG"))
    world.run("--all")
    before = world.rows()
    for crew_id, image in (("1", astronaut), ("2", admiral)):
        world.web.photos[f"{crew_id}/a.png"] = encode_picture(image, "PNG", compress_level=1)
    again = world.run("--all")
    assert again.codes == {"1": "skipped:reencoded", "2": "skipped:reencoded"}
    assert (again.exit_code, world.rows()) == (0, before)
    assert world.run("--all").codes == {"1": "skipped:current", "2": "skipped:current"}


def vector_of(row: Any) -> Vector:
    return np.array(json.loads(row.embedding), np.float32)


def fresh_vector(world: World, image: Image) -> Vector:
    """The vector of a first enrolment."""
    path = world.folder / "fresh.jpg"
    path.write_bytes(encode_picture(image))
    return np.array(extract_face_embedding(path, "Dlib"), np.float32)
