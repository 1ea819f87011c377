"""Test the parts of `field_pictures`: its files are what their names claim, its judge tells right from wrong."""

from __future__ import annotations

import io
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageOps

from benchmarks.field_album import Album, Case, Portrait, as_jpeg, may_store, must_refuse, must_store, to_pillow
from benchmarks.field_damage import DAMAGES, damaged
from benchmarks.field_formats import interlaced_png, transparency
from benchmarks.field_geometry import encode_oriented, tight_crops
from benchmarks.field_judge import LOST, REFUSED, STORED, UNMARKED, WRONG_CODE, WRONG_VECTOR, Row, Seen, Verdict, judge
from benchmarks.field_runs import without_metadata
from benchmarks.field_scenes import badges_and_forms, others_faces, roomy
from tests.support.pictures import package_file, read_picture

VECTORS = {
    "ada.jpg": np.array([1.0, 0.0, 0.0]),
    "ada-2.jpg": np.array([0.9, 0.3, 0.0]),
    "grace.jpg": np.array([0.0, 1.0, 0.0]),
}


@pytest.fixture(scope="module")
def album() -> Album:
    """Build an album of two people; their boxes each hold a face."""
    astronaut = read_picture(package_file("skimage", "data", "astronaut.png"))
    hopper = read_picture(package_file("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg"))
    ada = Portrait("ada.jpg", "ada", as_jpeg(astronaut), astronaut, (176, 65, 96, 124), ((199, 113), (247, 115)))
    again = Portrait("ada-2.jpg", "ada", as_jpeg(astronaut), astronaut, ada.box, ada.eyes)
    grace = Portrait("grace.jpg", "grace", as_jpeg(hopper), hopper, (150, 90, 200, 260), ((210, 190), (300, 190)))
    return Album([ada, again, grace], [], VECTORS)


def judged(case: Case, seen: Seen, album: Album) -> str:
    return judge(case, seen, album).result


def cases_about(album: Album) -> Iterator[tuple[Case, Seen, str]]:
    ada, _, grace = album.portraits
    fit, spare = must_store("a", b"", ada, {"low_quality"}), may_store("a", b"", ada, {"invalid_image"})
    flagged, refuse = (
        may_store("a", b"", ada, {"low_quality"}, flagged=True),
        must_refuse("a", b"", {"no_face"}, "cara"),
    )
    right, close = Seen(VECTORS["ada.jpg"]), Seen(np.array([1.0, 0.1, 0.0]))
    yield fit, right, STORED
    yield fit, close, STORED
    yield fit, Seen(VECTORS["grace.jpg"]), WRONG_VECTOR
    yield must_store("a", b"", grace), right, WRONG_VECTOR
    yield fit, Seen(code="low_quality"), REFUSED
    yield fit, Seen(code="no_face"), LOST
    yield spare, right, STORED
    yield spare, Seen(code="invalid_image"), REFUSED
    yield spare, Seen(code="no_face"), WRONG_CODE
    yield flagged, right, UNMARKED
    yield flagged, Seen(VECTORS["grace.jpg"]), WRONG_VECTOR
    yield flagged, Seen(VECTORS["ada.jpg"], improvable=True), STORED
    yield refuse, right, WRONG_VECTOR
    yield refuse, Seen(code="no_face", detail="ninguna CARA"), REFUSED
    yield refuse, Seen(code="no_face", detail="otra cosa"), WRONG_CODE


def test_the_judge_distinguishes_every_outcome(album: Album) -> None:
    for case, seen, wanted in cases_about(album):
        assert judged(case, seen, album) == wanted, (case, seen)


@pytest.mark.parametrize(
    ("kind", "results", "share", "failures"),
    [
        ("any", [STORED] * 95 + [LOST] * 5, 0.0, []),
        ("any", [STORED] * 94 + [REFUSED] * 6, 0.0, ["too few stored"]),
        ("untouched", [STORED] * 99 + [LOST], 0.0, ["too few stored"]),
        ("any", [STORED] * 95 + [UNMARKED] * 5, 0.0, []),
        ("any", [STORED] * 94 + [UNMARKED] * 6, 0.0, ["too many unmarked"]),
        ("any", [STORED] * 99 + [WRONG_VECTOR], 0.0, ["wrong vectors"]),
        ("any", [STORED] * 98 + [WRONG_VECTOR] * 2, 0.02, []),
        ("any", [STORED] * 97 + [WRONG_VECTOR] * 3, 0.02, ["wrong vectors"]),
    ],
)
def test_a_row_fails_beyond_the_limits_of_the_issue(
    kind: str, results: list[str], share: float, failures: list[str]
) -> None:
    assert Row(kind, [Verdict("a", result, fit=True) for result in results], share).failures == failures


def test_an_interlaced_png_holds_the_picture(album: Album) -> None:
    image = album.portraits[0].image[:101, :203]
    content = interlaced_png(image)
    assert np.array_equal(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), image)
    assert PillowImage.open(io.BytesIO(content)).info["interlace"] == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_oriented_picture_is_upright_after_applying_exif(album: Album, orientation: int) -> None:
    image = album.portraits[2].image
    upright = ImageOps.exif_transpose(PillowImage.open(io.BytesIO(encode_oriented(image, orientation))))
    difference = np.asarray(upright, np.int16) - np.asarray(to_pillow(image), np.int16)
    assert difference.shape == image.shape
    assert np.abs(difference).mean() < 3


def test_a_file_without_metadata_decodes_to_the_same_pixels(album: Album) -> None:
    plain = album.portraits[0].content
    comment = b"\xff\xfe\x00\x08remark"
    bare = without_metadata(plain[:2] + comment + plain[2:])
    assert b"remark" not in bare
    assert b"Exif" in plain
    assert b"Exif" not in bare
    before, after = (cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR) for each in (plain, bare))
    assert np.array_equal(before, after)
    assert without_metadata(b"\x89PNG") == b"\x89PNG"


def test_every_damage_changes_the_file_and_is_repeatable(album: Album) -> None:
    ada = album.portraits[0].content
    for name, damage in DAMAGES.items():
        broken = [damage(ada, 700, np.random.default_rng(1)) for _ in range(2)]
        assert broken[0] == broken[1] != ada, name
    assert [case.content for case in damaged(album)] == [case.content for case in damaged(album)]


def test_the_pixels_of_an_erased_partner_are_kept(album: Album) -> None:
    erased = next(case for case in transparency(album) if case.name.endswith("erased.png"))
    pixels = cv2.imdecode(np.frombuffer(erased.content, np.uint8), cv2.IMREAD_UNCHANGED)
    hidden = pixels[pixels[..., 3] == 0]
    assert len(hidden) > 10_000
    assert hidden[:, :3].std() > 20


def test_a_bust_has_the_size_that_was_asked_for(album: Album) -> None:
    bust = album.portraits[0].bust(300)
    assert bust.box[3] == pytest.approx(300)
    assert bust.image.shape[0] == pytest.approx(300 * 2.4, abs=5)


def test_every_kind_builds_the_same_files_each_time(album: Album) -> None:
    for build in (badges_and_forms, damaged, others_faces, roomy, tight_crops, transparency):
        first, again = list(build(album)), list(build(album))
        assert [case.content for case in first] == [case.content for case in again], build.__name__
        assert {case.name.split("-")[0] for case in first} >= {"ada.jpg", "grace.jpg"}
