"""A photo's file becomes upright pixels, or is refused with the reason."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from app.errors import InvalidImage, PhotoUnavailable
from app.photos.damage import DAMAGED
from app.photos.decoding import DecodeOptions, choose_reduction, read_header
from app.photos.kinds import BEFORE_PHOTO, UNKNOWN
from app.photos.opencv_decoding import decode
from app.photos.portrait import load_portrait
from app.photos.sandbox import Sandbox
from app.records import CrewMember, Image, Photo, Portrait
from tests.support.pictures import encode_picture, encode_pillow, package_file

OPTIONS = DecodeOptions(max_megapixels=100.0, min_side_px=1024)
SANDBOX = Sandbox()  # one process for all tests of this file
TOLERANCE = 4.0  # the largest mean difference of a pixel's value that JPEG causes

# For each EXIF orientation what undoes it: quarter turns to the left, after mirroring where True.
ORIENTATIONS = {1: (0, False), 2: (0, True), 3: (2, False), 4: (2, True), 5: (1, True), 6: (3, False), 7: (3, True)}
ORIENTATIONS[8] = (1, False)


def save(path: Path, content: bytes) -> Photo:
    path.write_bytes(content)
    return Photo(CrewMember("789123", path.name), f"http://fotos/{path.name}", path)


def load(path: Path, content: bytes, options: DecodeOptions = OPTIONS) -> Portrait:
    return load_portrait(save(path, content), options, SANDBOX)


def reason(path: Path, content: bytes, options: DecodeOptions = OPTIONS) -> str:
    with pytest.raises(InvalidImage) as caught:
        load(path, content, options)
    return caught.value.detail


def difference(one: Image, other: Image) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def turned(image: Image, orientation: int) -> Image:
    """Turn the pixels as a camera stores them that writes this orientation."""
    turns, mirrored = ORIENTATIONS[orientation]
    stored = np.rot90(image, -turns)
    return np.ascontiguousarray(stored[:, ::-1] if mirrored else stored)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "foto.jpg"  # of any kind: the bytes decide, not the name


@pytest.fixture(scope="module")
def picture(astronaut: Image) -> Image:
    """Return BGR (300, 420, 3). All its turns and mirrors differ, and so do its sides."""
    return np.ascontiguousarray(astronaut[:300, :420])


# --------------------------------------------------------------------------------------------------------- accepted


def test_a_portrait_carries_its_photo_and_pixels(file: Path, picture: Image) -> None:
    portrait = load(file, encode_picture(picture, "PNG"))
    assert (portrait.photo, portrait.member.crew_id, portrait.reduction) == (
        Photo(CrewMember("789123", "foto.jpg"), "http://fotos/foto.jpg", file),
        *("789123", 1),
    )
    assert portrait.image.dtype == np.uint8
    assert (portrait.image == picture).all()
    assert portrait.analysis.size == (420, 300)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_pixels_equal_those_that_opencv_reads(file: Path, picture: Image, kind: str) -> None:
    """DeepFace reads photos with cv2.imread, and the vectors depend on each pixel."""
    image = load(file, encode_picture(picture, kind)).image
    assert (image == cv2.imread(str(file))).all()
    assert difference(image, picture) < TOLERANCE


def test_pixels_of_a_camera_s_jpeg_equal_those_that_opencv_reads(file: Path) -> None:
    source = package_file("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg")
    assert (load(file, source.read_bytes()).image == cv2.imread(str(source))).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_photo_of_any_orientation_is_turned_upright(file: Path, picture: Image, kind: str, orientation: int) -> None:
    content = encode_picture(turned(picture, orientation), kind, orientation=orientation)
    assert difference(load(file, content).image, picture) < TOLERANCE


@pytest.mark.parametrize(("kind", "reduction"), [("JPEG", 4), ("PNG", 4), ("WEBP", 4), ("TIFF", 1)])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_reduced_photo_is_turned_upright(
    file: Path, picture: Image, kind: str, reduction: int, orientation: int
) -> None:
    """A TIFF is not reduced: OpenCV would lose its orientation."""
    small = picture[:150, :210]
    large = np.asarray(cv2.resize(small, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC), np.uint8)
    content = encode_picture(turned(large, orientation), kind, orientation=orientation)
    portrait = load(file, content, DecodeOptions(100.0, min_side_px=210))
    assert portrait.reduction == reduction
    assert difference(portrait.image, small if reduction > 1 else large) < 2 * TOLERANCE


@pytest.mark.parametrize(("kind", "reduction"), [("BMP", 2), ("GIF", 2)])
def test_photos_of_other_kinds_are_reduced(file: Path, picture: Image, kind: str, reduction: int) -> None:
    large = np.asarray(cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
    portrait = load(file, encode_picture(large, kind), DecodeOptions(100.0, min_side_px=420))
    assert portrait.reduction == reduction
    assert difference(portrait.image, picture) < 20


@pytest.mark.parametrize(
    ("size", "reduction"),
    [
        *(((1, 1), 1), ((1024, 1024), 1), ((2047, 2000), 1), ((2048, 1024), 2), ((4095, 4095), 2), ((4096, 2048), 4)),
        *(((8191, 8191), 4), ((8192, 4096), 8), ((4608, 8192), 8), ((50_000, 50_000), 8)),
        *(((8000, 1000), 1), ((8000, 1024), 2), ((1023, 8000), 1), ((8192, 4095), 4), ((30_000, 3), 1)),
    ],
)
def test_a_photo_is_reduced_as_far_as_both_its_sides_allow(size: tuple[int, int], reduction: int) -> None:
    """A face in a long strip is at most as high as the strip, so the shorter side counts, too."""
    assert choose_reduction(size, 1024) == reduction


def converted(picture: Image, mode: str) -> PillowImage.Image:
    return PillowImage.fromarray(np.ascontiguousarray(picture[:, :, ::-1])).convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind", "tolerance"),
    [
        ("L", "JPEG", TOLERANCE),
        ("L", "PNG", 1.0),
        ("1", "PNG", 0.0),
        ("P", "PNG", 20.0),
        ("P", "GIF", 20.0),
        ("RGBA", "PNG", 0.0),
        ("RGBA", "WEBP", TOLERANCE),
        ("LA", "PNG", 1.0),
        ("CMYK", "JPEG", TOLERANCE),
        ("CMYK", "TIFF", TOLERANCE),
        ("RGB", "GIF", 20.0),
    ],
)
def test_photos_of_any_colours_become_three_channels(
    file: Path, picture: Image, mode: str, kind: str, tolerance: float
) -> None:
    source = converted(picture, mode)
    portrait = load(file, encode_pillow(source, kind))
    expected = np.asarray(source.convert("RGB"), np.uint8)[:, :, ::-1]
    assert portrait.image.shape == (300, 420, 3)
    assert difference(portrait.image, expected) <= tolerance


def test_transparent_parts_are_white(file: Path, picture: Image) -> None:
    """The colours that were erased are still in the file."""
    alpha = np.full((300, 420, 1), 255, np.uint8)
    alpha[:150] = 0
    _, content = cv2.imencode(".png", np.concatenate([picture, alpha], axis=2))
    image = load(file, content.tobytes()).image
    assert (image[150:] == picture[150:]).all()
    assert (image[:150] == 255).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_eight(file: Path, picture: Image, channels: int) -> None:
    eight = picture[:, :, :channels]
    _, content = cv2.imencode(".png", eight.astype(np.uint16) * 256 + 128)
    assert (load(file, content.tobytes()).image == np.broadcast_to(eight, (300, 420, 3))).all()


@pytest.mark.parametrize("options", [{"progressive": True}, {"quality": 30}, {"subsampling": 0}, {"dpi": (300, 300)}])
def test_jpegs_of_all_usual_settings_are_read(file: Path, picture: Image, options: dict[str, object]) -> None:
    assert difference(load(file, encode_picture(picture, **options)).image, picture) < 2 * TOLERANCE


def test_the_first_picture_of_a_phone_s_mpo_file_is_read(file: Path, picture: Image) -> None:
    first, second = converted(picture, "RGB"), converted(picture[::-1], "RGB")
    content = encode_pillow(first, "MPO", save_all=True, append_images=[second])
    assert difference(load(file, content).image, picture) < TOLERANCE


def test_the_first_picture_of_an_animation_is_read(file: Path, picture: Image) -> None:
    frames = [converted(picture, "P"), converted(picture[::-1], "P")]
    content = encode_pillow(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert difference(load(file, content).image, picture) < 20


def test_a_photo_of_one_pixel_is_read(file: Path) -> None:
    assert load(file, encode_picture(np.full((1, 1, 3), 7, np.uint8), "PNG")).image.tolist() == [[[7, 7, 7]]]


def test_bytes_behind_the_end_change_no_pixel(file: Path, picture: Image) -> None:
    content = encode_picture(picture)
    assert (load(file, content + b"\n\n<html>").image == decode(content)).all()


# ---------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "el archivo está vacío"),
        (b"<!DOCTYPE html><html></html>", "el servidor entregó una página web en lugar de una foto"),
        (b"\xef\xbb\xbf\xff\xd8\xff\xe0" + bytes(99), BEFORE_PHOTO.format(bytes=3)),
        (b"<br />\n<b>Notice</b>\x89PNG\r\n\x1a\n" + bytes(99), BEFORE_PHOTO.format(bytes=20)),
        (b"\n  <HTML><body>Inicie la sesion", "el servidor entregó una página web en lugar de una foto"),
        (b"\xff\xd8\xff", DAMAGED),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", DAMAGED),
        (b"hola", UNKNOWN),
        (b"\x00" * 5000, UNKNOWN),
        (b'{"error": 404}', UNKNOWN),
    ],
)
def test_a_file_that_is_no_photo_is_refused_with_what_it_is(file: Path, content: bytes, detail: str) -> None:
    assert reason(file, content) == detail


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
@pytest.mark.parametrize("part", [0.98, 0.5, 0.2])
def test_a_truncated_photo_is_refused_and_no_library_writes_to_the_console(
    file: Path, picture: Image, kind: str, part: float, capfd: pytest.CaptureFixture[str]
) -> None:
    """Half a face would give a vector, too."""
    content = encode_picture(picture, kind)
    assert reason(file, content[: int(len(content) * part)]) in (DAMAGED, UNKNOWN)
    written = [line for line in "".join(capfd.readouterr()).splitlines() if not line.startswith("libpng error")]
    assert written == []  # libpng writes its line itself, and OpenCV cannot stop it


def test_a_truncated_progressive_photo_is_refused_although_libjpeg_guesses_the_rest(file: Path, picture: Image) -> None:
    content = encode_picture(picture, progressive=True)
    assert reason(file, content[: int(len(content) * 0.9)]) == DAMAGED


def test_a_png_whose_pixels_are_damaged_is_refused(file: Path, picture: Image) -> None:
    content = bytearray(encode_picture(picture, "PNG"))
    content[len(content) // 2] ^= 0xFF
    assert reason(file, bytes(content)) == DAMAGED


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b"")


def test_a_photo_of_too_many_pixels_is_refused_by_its_header(file: Path) -> None:
    """The file has no pixels: decoded first, it would be refused as damaged."""
    detail = "mide 60000 x 60000 píxeles; el límite son 100 megapíxeles"
    assert reason(file, png_header(60_000, 60_000)) == detail
    assert reason(file, png_header(100, 100)) == DAMAGED


def test_a_photo_of_exactly_the_limit_is_read(file: Path, picture: Image) -> None:
    content = encode_picture(picture)  # 420 x 300: 0.126 megapixels
    assert load(file, content, DecodeOptions(0.126, 1024)).image.shape == (300, 420, 3)
    detail = "mide 420 x 300 píxeles; el límite son 0.1259 megapíxeles"
    assert reason(file, content, DecodeOptions(0.1259, 1024)) == detail


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_the_header_has_the_size_and_the_kind(picture: Image, kind: str) -> None:
    header = read_header(encode_picture(picture, kind))
    assert (header.size, header.kind) == ((420, 300), kind)


def test_a_file_that_is_gone_fails_for_its_member_alone(file: Path) -> None:
    photo = save(file, b"")
    file.unlink()
    with pytest.raises(PhotoUnavailable) as caught:
        load_portrait(photo, OPTIONS, SANDBOX)
    assert caught.value.detail == "no se puede leer el archivo: ya no existe"


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_photo_with_any_bytes_damaged_is_read_or_refused(file: Path, kind: str) -> None:
    """Any error but InvalidImage would be an unexpected one."""
    tile = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
    content = encode_picture(tile, kind, orientation=1 if kind in ("BMP", "GIF") else 6)
    chance = np.random.default_rng(7)
    for _ in range(150):
        damaged = bytearray(content)
        for place in chance.integers(0, min(len(damaged), 400), 3):
            damaged[place] = chance.integers(256)
        try:
            portrait = load(file, bytes(damaged), DecodeOptions(1.0, 1024))
        except InvalidImage:
            continue
        assert (portrait.image.ndim, portrait.image.dtype) == (3, np.uint8)
