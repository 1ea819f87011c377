"""Test that drawn faces are recognised, and that photographs, even bad ones, are not called drawings."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from app.faces.drawing import FULL_FACE_PX, LINES, SMALL_FLAT_LINE, DrawingJudge, Likeness, prepare_face
from app.faces.mtcnn import Mtcnn
from app.records import Image
from tests.support.pictures import draw_avatar, encode_picture, encode_pillow, render_svg

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its backslashes, where no compiled copy of it lies about
    from multiavatar.multiavatar import multiavatar

Box = tuple[int, int, int, int]
ASTRONAUT_BOX: Box = (182, 64, 83, 107)  # MTCNN's
ADMIRAL_BOX: Box = (178, 110, 173, 220)
AVATAR_PX = 480


def decode(data: bytes) -> Image:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def as_jpeg(image: Image, quality: int) -> Image:
    return decode(encode_picture(image, quality=quality))


def brighten(image: Image, factor: float) -> Image:
    return np.clip(image * factor, 0, 255).astype(np.uint8)


def with_palette(image: Image, colours: int) -> Image:
    picture = PillowImage.fromarray(np.ascontiguousarray(image[:, :, ::-1])).quantize(colours, dither=0)
    return decode(encode_pillow(PillowImage.open(io.BytesIO(encode_pillow(picture, "GIF"))).convert("RGB"), "PNG"))


def enlarge_from(image: Image, side: int) -> Image:
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def smooth_skin(image: Image) -> Image:
    return np.asarray(cv2.bilateralFilter(cv2.bilateralFilter(image, 9, 60, 6), 9, 60, 6), np.uint8)


def make_grey(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), np.uint8)


@cache
def judge() -> DrawingJudge:
    return DrawingJudge(Mtcnn())


def is_drawing(image: Image, box: Box) -> bool:
    return judge().is_drawing(image, box)


def score(face: Image) -> Likeness:
    return judge().score(*prepare_face(np.ascontiguousarray(face)))


BAD_SHAPES: dict[str, Callable[[Image], Image]] = {
    "untouched": lambda image: image,
    "grey": make_grey,
    "JPEG at 5": lambda image: as_jpeg(image, 5),
    "JPEG at 20": lambda image: as_jpeg(image, 20),
    "blurred": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 4), np.uint8),
    "dark": lambda image: as_jpeg(brighten(image, 0.1), 90),
    "almost black": lambda image: as_jpeg(brighten(image, 0.04), 90),
    "over-exposed": lambda image: brighten(image, 2.5),
    "over-exposed and grey": lambda image: make_grey(brighten(image, 4)),
    "skin smoothed": smooth_skin,
    "skin smoothed, then JPEG": lambda image: as_jpeg(smooth_skin(image), 75),
    "denoised": lambda image: np.asarray(cv2.fastNlMeansDenoisingColored(image, None, 20, 20, 5, 11), np.uint8),
    "median": lambda image: np.asarray(cv2.medianBlur(image, 9), np.uint8),
    "64 colours": lambda image: with_palette(image, 64),
    "16 colours": lambda image: with_palette(image, 16),
    "enlarged from 100 pixels": lambda image: enlarge_from(image, 100),
    "washed out": lambda image: (128 + (image.astype(np.float32) - 128) * 0.3).astype(np.uint8),
}


@pytest.mark.parametrize("shape", BAD_SHAPES)
def test_a_photograph_in_bad_shape_is_not_called_a_drawing(astronaut: Image, admiral: Image, shape: str) -> None:
    assert not is_drawing(BAD_SHAPES[shape](astronaut), ASTRONAUT_BOX)
    assert not is_drawing(BAD_SHAPES[shape](admiral), ADMIRAL_BOX)


@pytest.mark.parametrize("shape", BAD_SHAPES)
def test_photographs_score_well_below_the_limits(astronaut: Image, admiral: Image, shape: str) -> None:
    for photo, (x, y, width, height) in ((astronaut, ASTRONAUT_BOX), (admiral, ADMIRAL_BOX)):
        likeness = score(BAD_SHAPES[shape](photo)[y : y + height, x : x + width])
        if width < FULL_FACE_PX:  # the other scores do not count
            assert likeness.flat < SMALL_FLAT_LINE - 2
        else:
            assert all(got < line - 0.5 for got, line in zip(likeness, LINES, strict=True))


def shaded_portrait() -> Image:
    """Draw an oval head with light from the left, as a drawing program's gradients do, with smooth edges."""
    picture = np.full((1000, 1000, 3), (235, 220, 200), np.float32)
    dark, light = np.array((90, 120, 180)), np.array((150, 185, 235))
    slope = np.linspace(0, 1, 1000)[None, :, None]
    oval = np.zeros((1000, 1000), np.uint8)
    cv2.ellipse(oval, (500, 500), (230, 300), 0, 0, 360, 255, -1)
    np.copyto(picture, light + (dark - light) * slope, where=oval[:, :, None] > 0)
    for x in (410, 590):
        cv2.ellipse(picture, (x, 450), (45, 25), 0, 0, 360, (250, 250, 250), -1)
        cv2.circle(picture, (x, 450), 22, (70, 50, 30), -1)
        cv2.line(picture, (x - 60, 390), (x + 60, 385), (30, 40, 60), 14)
    cv2.ellipse(picture, (500, 560), (30, 50), 0, 0, 180, (70, 90, 140), 6)
    cv2.ellipse(picture, (500, 660), (85, 28), 0, 0, 180, (70, 60, 170), -1)
    return np.asarray(cv2.resize(picture, (500, 500), interpolation=cv2.INTER_AREA).astype(np.uint8), np.uint8)


DRAWINGS: dict[str, tuple[Callable[[], Image], Box]] = {
    "python_avatars": (draw_avatar, (160, 110, 160, 200)),
    "multiavatar": (lambda: render_svg(multiavatar("crew1", None, None), AVATAR_PX), (127, 111, 244, 314)),
    "shaded portrait": (shaded_portrait, (145, 115, 210, 270)),
}


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("quality", [None, 95, 75])
def test_a_drawn_face_is_recognised_in_png_and_in_jpeg(name: str, quality: int | None) -> None:
    draw, box = DRAWINGS[name]
    assert is_drawing(draw() if quality is None else as_jpeg(draw(), quality), box)


def pencil(image: Image) -> Image:
    grey, _ = cv2.pencilSketch(image, sigma_s=60, sigma_r=0.07, shade_factor=0.05)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def coloured_pencil(image: Image) -> Image:
    return np.asarray(cv2.pencilSketch(image, sigma_s=60, sigma_r=0.07, shade_factor=0.05)[1], np.uint8)


def ink(image: Image) -> Image:
    """Draw nothing but the lines, on white paper."""
    grey = cv2.medianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 5)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 5)
    return np.asarray(cv2.cvtColor(lines, cv2.COLOR_GRAY2BGR), np.uint8)


def cartoon(image: Image) -> Image:
    smooth = image
    for _ in range(6):
        smooth = np.asarray(cv2.bilateralFilter(smooth, 9, 40, 9), np.uint8)
    grey = cv2.medianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 7)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 11, 3)
    return np.where(lines[..., None] > 0, smooth // 40 * 40 + 15, 0).astype(np.uint8)


def stylised(image: Image) -> Image:
    """Paint even patches without outlines."""
    return np.asarray(cv2.stylization(image, sigma_s=150, sigma_r=0.6), np.uint8) // 32 * 32 + 16


FILTERS: dict[str, Callable[[Image], Image]] = {
    "pencil": pencil,
    "stylised": stylised,
    "coloured pencil": coloured_pencil,
    "ink": ink,
    "cartoon": cartoon,
}


def enlarge(astronaut: Image, face_px: int) -> tuple[Image, Box]:
    x, y, width, height = (round(side * face_px / ASTRONAUT_BOX[2]) for side in ASTRONAUT_BOX)
    size = (astronaut.shape[1] * face_px // ASTRONAUT_BOX[2], astronaut.shape[0] * face_px // ASTRONAUT_BOX[2])
    return np.asarray(cv2.resize(astronaut, size, interpolation=cv2.INTER_CUBIC), np.uint8), (x, y, width, height)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("quality", [92, 75])
def test_a_portrait_drawn_by_a_filter_is_a_drawing(astronaut: Image, name: str, quality: int) -> None:
    photo, box = enlarge(astronaut, 249)
    assert is_drawing(as_jpeg(FILTERS[name](photo), quality), box)
    assert not is_drawing(as_jpeg(photo, quality), box)


@pytest.mark.parametrize("face_px", [110, 150])
def test_a_cartoon_in_a_small_and_strongly_compressed_face_is_a_drawing(astronaut: Image, face_px: int) -> None:
    photo, box = enlarge(astronaut, face_px)
    assert is_drawing(as_jpeg(cartoon(photo), 40), box)
    assert not is_drawing(as_jpeg(photo, 40), box)


@pytest.mark.parametrize("name", ["ink", "cartoon"])
def test_a_filtered_portrait_of_another_person_is_a_drawing(admiral: Image, name: str) -> None:
    assert is_drawing(as_jpeg(FILTERS[name](admiral), 92), ADMIRAL_BOX)


def test_a_sketch_is_not_recognised_in_a_face_too_narrow_for_strokes(astronaut: Image) -> None:
    photo, (x, y, width, height) = enlarge(astronaut, 95)
    drawing = as_jpeg(ink(photo), 92)
    assert score(drawing[y : y + height, x : x + width]).sketch > LINES.sketch
    assert not is_drawing(drawing, (x, y, width, height))


def test_a_flat_drawing_is_recognised_in_a_small_face_but_not_in_the_smallest() -> None:
    draw, box = DRAWINGS["shaded portrait"]
    for face_px, told in ((80, True), (58, False)):
        scale = face_px / box[2]
        x, y, width, height = (round(side * scale) for side in box)
        small = np.asarray(cv2.resize(draw(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        assert score(small[y : y + height, x : x + width]).flat > SMALL_FLAT_LINE
        assert is_drawing(small, (x, y, width, height)) is told


UNDECIDED: dict[str, Callable[[Image], Image]] = {  # images in which even skin is no sign of a drawing
    "a palette of 16": lambda image: with_palette(image, 16),
    "so dark that steps of one level are even": lambda image: brighten(image, 0.1),
}


@pytest.mark.parametrize("shape", UNDECIDED)
def test_a_drawing_that_a_photograph_may_resemble_is_not_called_a_drawing(shape: str) -> None:
    draw, box = DRAWINGS["shaded portrait"]
    assert not is_drawing(UNDECIDED[shape](draw()), box)


def test_what_surrounds_the_face_does_not_matter(admiral: Image) -> None:
    x, y, width, height = ADMIRAL_BOX
    face = admiral[y : y + height, x : x + width]
    framed = np.full((600, 500, 3), (200, 120, 40), np.uint8)
    framed[150 : 150 + height, 150 : 150 + width] = face
    assert not is_drawing(framed, (150, 150, width, height))


@pytest.mark.parametrize("box", [(0, 0, 8, 8), (-90, -90, 100, 100), (900, 900, 50, 50), (0, 0, 0, 0)])
def test_too_little_of_a_face_is_never_called_drawn(box: Box) -> None:
    assert not is_drawing(shaded_portrait(), box)


def test_the_part_of_a_box_inside_the_picture_counts() -> None:
    picture = shaded_portrait()[115:385, 145:355]
    assert is_drawing(picture, (-10, -10, 230, 290))


def test_an_even_area_is_not_called_drawn() -> None:
    assert not is_drawing(np.full((300, 300, 3), 120, np.uint8), (50, 50, 200, 200))
