"""Members with the same picture, made by hand; two photos of one picture have close descriptions, two pictures not."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from app.photos.opencv_decoding import decode
from app.photos.shared_pictures import (
    GREY_SIDE,
    HASHES_AT_ONCE,
    SAME_PICTURE_BITS,
    SamePhotoGroup,
    SharedPictures,
    describe_picture,
    same_pictures,
)
from app.records import Image, Picture
from tests.support.pictures import encode_picture

GREY = np.random.default_rng(1).integers(0, 256, GREY_SIDE**2, np.uint8).tobytes()
BITS = 0x0123_4567_89AB_CDEF
EIGHT_BITS = 0x0101_0101_0101_0101
ONE = Picture(BITS, GREY)
OTHER = Picture(0xFEDC_BA98_7654_3210, GREY)
SAVED_AGAIN = Picture(BITS ^ EIGHT_BITS, GREY)
TOO_FAR = Picture(BITS ^ EIGHT_BITS ^ (1 << 60), GREY)


def fresh() -> SharedPictures:
    return SharedPictures({}, {})


def test_members_with_different_pictures_are_not_reported() -> None:
    pictures = fresh()
    assert pictures.register("1", ONE) is None
    assert pictures.register("2", OTHER) is None
    assert pictures.take_late() == []


def test_the_second_member_with_a_picture_gets_the_first_one_s_id_and_the_first_is_late() -> None:
    pictures = fresh()
    pictures.register("1", ONE)
    assert pictures.register("2", ONE) == SamePhotoGroup(1, ("1",))
    assert pictures.take_late() == ["1"]
    assert pictures.group_of("1") == SamePhotoGroup(1, ("2",))


def test_each_late_member_is_returned_once() -> None:
    pictures = fresh()
    for crew_id in ("1", "2", "3"):
        pictures.register(crew_id, ONE)
    assert pictures.take_late() == ["1"]
    assert pictures.take_late() == []


def test_eight_different_bits_are_the_same_picture_and_nine_are_not() -> None:
    assert EIGHT_BITS.bit_count() == SAME_PICTURE_BITS
    pictures = fresh()
    pictures.register("1", ONE)
    assert pictures.register("2", SAVED_AGAIN) == SamePhotoGroup(1, ("1",))
    assert pictures.register("3", TOO_FAR) == SamePhotoGroup(1, ("2",))  # one bit from the second, nine from the first


def test_any_eight_bits_may_differ() -> None:
    for start in range(64 - SAME_PICTURE_BITS):
        pictures = fresh()
        pictures.register("1", ONE)
        assert pictures.register("2", Picture(BITS ^ (0xFF << start), GREY)) is not None


def test_a_member_already_stored_with_a_shared_picture_is_only_reported() -> None:
    pictures = SharedPictures({"1": ONE, "2": ONE}, {})
    assert pictures.register("1", ONE) is None
    assert pictures.register("9", ONE) == SamePhotoGroup(2, ("2", "1"))
    assert pictures.take_late() == []
    assert dict(pictures.groups_to_report(["1", "2"])) == {
        "1": SamePhotoGroup(2, ("2", "9")),
        "2": SamePhotoGroup(2, ("1", "9")),
    }


def test_stored_members_are_not_reported_unless_this_run_registered_their_picture() -> None:
    pictures = SharedPictures({"1": ONE, "2": ONE}, {})
    pictures.register("3", OTHER)
    assert list(pictures.groups_to_report(["1", "2", "unknown"])) == []


def test_a_member_s_old_picture_no_longer_counts_after_a_new_one() -> None:
    pictures = SharedPictures({"1": ONE}, {})
    assert pictures.register("1", OTHER) is None
    assert pictures.register("2", ONE) is None


def test_a_stored_member_whose_new_picture_is_another_member_s_is_rejected() -> None:
    pictures = SharedPictures({"1": ONE, "2": OTHER}, {})
    assert pictures.register("2", ONE) == SamePhotoGroup(1, ("1",))


def test_members_rejected_in_an_earlier_run_still_count() -> None:
    pictures = SharedPictures({}, {"1": ONE})
    assert pictures.register("2", ONE) == SamePhotoGroup(1, ("1",))


def test_whose_picture_an_earlier_run_rejected_elsewhere_is_reported() -> None:
    pictures = SharedPictures({"1": ONE, "3": OTHER}, {"2": ONE})
    assert dict(pictures.groups_to_report("123")) == {"1": SamePhotoGroup(1, ("2",)), "2": SamePhotoGroup(1, ("1",))}


def test_a_group_counts_all_members_and_names_three() -> None:
    pictures = fresh()
    for number in range(20):
        group = pictures.register(str(number), ONE)
    assert str(group) == "0, 1, 2 y 16 más"


def test_two_people_in_front_of_one_background_are_two_pictures_of_the_same_hash() -> None:
    studio = np.full((GREY_SIDE, GREY_SIDE), 220, np.uint8)
    studio[16:] = 60
    faces = [studio.copy() for _ in range(2)]
    for face, seed in zip(faces, (1, 2), strict=True):
        face[6:15, 8:16] = np.random.default_rng(seed).integers(60, 200, (9, 8))
    one, other = (Picture(BITS, face.tobytes()) for face in faces)
    pictures = fresh()
    pictures.register("1", one)
    assert pictures.register("2", other) is None
    brighter = np.clip(faces[0].astype(int) * 1.05 + 5, 0, 255).astype(np.uint8)
    assert pictures.register("3", Picture(BITS, brighter.tobytes())) == SamePhotoGroup(1, ("1",))


def random_hashes(number: int) -> list[int]:
    return [int(each) for each in np.random.default_rng(17).integers(0, 2**64, number, np.uint64)]


def test_a_picture_is_found_wherever_it_lies_in_an_index_of_several_blocks() -> None:
    """At both ends of each block, and last: the same others as a comparison with each of them finds."""
    hashes = random_hashes(2 * HASHES_AT_ONCE + 5)
    borders = (0, HASHES_AT_ONCE - 1, HASHES_AT_ONCE, 2 * HASHES_AT_ONCE - 1, 2 * HASHES_AT_ONCE, len(hashes) - 1)
    for number, place in enumerate(borders):
        hashes[place] = BITS ^ (0xFF << number)
    hashes[HASHES_AT_ONCE + 1] = TOO_FAR.perceptual_hash
    pictures = SharedPictures({str(place): Picture(each, GREY) for place, each in enumerate(hashes)}, {})
    near = [str(place) for place, each in enumerate(hashes) if (each ^ BITS).bit_count() <= SAME_PICTURE_BITS]
    assert near == [*map(str, borders)]
    assert pictures.register("new", ONE) == SamePhotoGroup(6, tuple(near[:3]))
    for place in borders:
        pictures.keep(str(place), OTHER)  # has another picture from now on
        near.remove(str(place))
        assert pictures.group_of("new") == (SamePhotoGroup(len(near), tuple(near[:3])) if near else None)


def test_a_picture_in_no_block_is_new() -> None:
    hashes = random_hashes(2 * HASHES_AT_ONCE + 5)
    pictures = SharedPictures({str(place): Picture(each, GREY) for place, each in enumerate(hashes)}, {})
    assert pictures.register("new", ONE) is None
    assert pictures.group_of("new") is None
    assert pictures.register("second", SAVED_AGAIN) == SamePhotoGroup(1, ("new",))
    assert pictures.group_of("new") == SamePhotoGroup(1, ("second",))


def test_those_are_reported_whose_picture_is_like_one_of_this_run_also_if_that_came_first() -> None:
    """Pictures in a row, each like its neighbours only; the run registers the second one."""
    chain = [Picture(BITS ^ ((1 << bits) - 1), GREY) for bits in (0, 8, 16, 24)]
    for at_first in (0, 1, 2, 3):  # so many are known when it comes
        known = dict(zip("acd", (chain[0], *chain[2:]), strict=True))
        pictures = SharedPictures(dict(list(known.items())[:at_first]), {})
        pictures.register("b", chain[1])
        for crew_id, picture in known.items():
            pictures.keep(crew_id, picture)
        found = {crew_id: set(group.shown) for crew_id, group in pictures.groups_to_report("abcd")}
        assert found == {"a": {"b"}, "b": {"a", "c"}, "c": {"b", "d"}}, at_first


COPIES: dict[str, Callable[[Image], Image]] = {
    "JPEG quality 10": lambda image: decode(encode_picture(image, quality=10)),
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "three times the size": lambda image: cv2.resize(image, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC),
    "brighter": lambda image: cv2.convertScaleAbs(image, alpha=1.1, beta=10),
}


def bits(one: Image, other: Image) -> int:
    return (describe_picture(one).perceptual_hash ^ describe_picture(other).perceptual_hash).bit_count()


@pytest.mark.parametrize("how", COPIES)
def test_a_picture_saved_again_is_the_same(astronaut: Image, admiral: Image, how: str) -> None:
    for image in (astronaut, admiral):
        again = describe_picture(np.asarray(COPIES[how](image), np.uint8))
        assert same_pictures(describe_picture(image), [again]) == [again]


def test_the_hashes_of_two_pictures_differ_in_many_bits(astronaut: Image, admiral: Image) -> None:
    assert bits(astronaut, admiral) > 3 * SAME_PICTURE_BITS
    assert bits(astronaut, np.ascontiguousarray(astronaut[:, ::-1])) > 3 * SAME_PICTURE_BITS


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 900, 3), (17, 5, 3)])
def test_an_empty_picture_of_any_shape_has_a_description(shape: tuple[int, ...]) -> None:
    picture = describe_picture(np.full(shape, 77, np.uint8))
    assert 0 <= picture.perceptual_hash < 2**64
    assert same_pictures(picture, [picture]) == [picture]
