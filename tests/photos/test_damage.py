"""Damaged files: refused with what to do; and sound ones, however odd, are read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image as PillowImage

from app.errors import InvalidImage
from app.photos.damage import DAMAGED
from app.photos.decoding import DecodeOptions, read_pixels
from app.photos.jpeg_parts import SOS, read_parts
from app.photos.kinds import AS_TEXT
from app.records import Image
from tests.support.pictures import encode_pillow, package_file

OPTIONS = DecodeOptions(max_megapixels=100.0, min_side_px=900)
BLOCK_BYTES = 4096
END = b"\xff\xd9"
Chance = np.random.Generator
pillow_heif.register_heif_opener()  # to write them


@pytest.fixture(scope="module")
def picture() -> PillowImage.Image:
    """A portrait, RGB, 512 x 600."""
    with PillowImage.open(package_file("matplotlib", "mpl-data", "sample_data", "grace_hopper.jpg")) as opened:
        return opened.convert("RGB")


def reason(content: bytes) -> str:
    with pytest.raises(InvalidImage) as caught:
        read_pixels(content, OPTIONS)
    return caught.value.detail


def lose_block(content: bytes, chance: Chance) -> bytes:
    start = place(content, chance)
    return content[:start] + content[start + BLOCK_BYTES :]


def blank_block(content: bytes, chance: Chance) -> bytes:
    start = place(content, chance)
    return content[:start] + bytes(BLOCK_BYTES) + content[start + BLOCK_BYTES :]


def cut(content: bytes, chance: Chance) -> bytes:
    return content[: place(content, chance)]


def close_with_end_mark(content: bytes, chance: Chance) -> bytes:
    return cut(content, chance) + content[-2:]


def blank_rest(content: bytes, chance: Chance) -> bytes:
    start = place(content, chance)
    return content[:start] + bytes(len(content) - start)


def place(content: bytes, chance: Chance) -> int:
    """In the compressed data: behind the headers, and a block before the end."""
    return int(chance.integers(len(content) // 8, len(content) - 2 * BLOCK_BYTES))


def as_dos_text(content: bytes, _: Chance) -> bytes:
    return content.replace(b"\n", b"\r\n")


def as_unix_text(content: bytes, _: Chance) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def as_utf_8(content: bytes, _: Chance) -> bytes:
    return content.decode("utf-8", "replace").encode()


DEEDS = (lose_block, blank_block, cut, close_with_end_mark, blank_rest, as_dos_text, as_unix_text, as_utf_8)
FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "JPEG": ("JPEG", {"quality": 90}),
    "JPEG progressive": ("JPEG", {"quality": 90, "progressive": True}),
    "JPEG with restarts": ("JPEG", {"quality": 90, "restart_marker_rows": 1}),
    "PNG": ("PNG", {}),
    "WEBP": ("WEBP", {"quality": 90}),
    "WEBP lossless": ("WEBP", {"lossless": True}),
    "GIF": ("GIF", {}),
    "TIFF": ("TIFF", {"compression": "tiff_lzw"}),
    "TIFF deflated": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "HEIF": ("HEIF", {"quality": 90}),
    "AVIF": ("AVIF", {"quality": 90}),
}


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_photo_is_refused(picture: PillowImage.Image, form: str, deed: Callable[..., bytes]) -> None:
    """Or it is what it was: where the damage is shows in no pixel."""
    kind, options = FORMS[form]
    content = encode_pillow(picture.quantize() if kind == "GIF" else picture, kind, **options)
    sound = read_pixels(content, OPTIONS).image
    for seed in range(3):
        damaged = deed(content, np.random.default_rng(seed))
        try:
            image = read_pixels(damaged, OPTIONS).image
        except InvalidImage as error:
            assert error.detail
        else:
            assert np.array_equal(image, sound), seed


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_a_gap_in_an_uncompressed_photo_is_seen(picture: PillowImage.Image, kind: str) -> None:
    content = encode_pillow(picture, kind)
    start = len(content) // 3
    assert reason(content[:start] + bytes(BLOCK_BYTES * 4) + content[start + BLOCK_BYTES * 4 :]) == DAMAGED


@pytest.mark.parametrize("shade", [0, 128, 255])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "HEIF", "AVIF"])
def test_bars_and_plain_backgrounds_are_no_damage(picture: PillowImage.Image, kind: str, shade: int) -> None:
    """The grey that libjpeg fills gaps with, and the black that a gap itself is, among them."""
    canvas = PillowImage.new("RGB", (picture.width * 2, picture.height * 2), (shade,) * 3)
    canvas.paste(picture, (200, 300))
    assert read_pixels(encode_pillow(canvas, kind), OPTIONS).size == canvas.size


@pytest.mark.parametrize("number", range(1, 10))
def test_a_progressive_photo_without_its_last_scans_is_refused(picture: PillowImage.Image, number: int) -> None:
    """libjpeg makes a blurred picture of it without a word; its sender has a sharp one."""
    content = encode_pillow(picture, "JPEG", progressive=True)
    starts = [each.start for each in read_parts(content).segments if each.marker == SOS]
    assert len(starts) == 10
    assert reason(content[: starts[number]] + END) == DAMAGED


def test_a_text_mode_transfer_is_called_by_its_name(picture: PillowImage.Image) -> None:
    for kind in ("JPEG", "PNG", "BMP", "WEBP"):
        content = encode_pillow(picture, kind)
        assert reason(as_dos_text(content, np.random.default_rng(0))) == AS_TEXT
    assert reason(as_utf_8(encode_pillow(picture, "JPEG"), np.random.default_rng(0))) == AS_TEXT
    assert reason(as_unix_text(encode_pillow(picture, "PNG"), np.random.default_rng(0))) == AS_TEXT


# -------------------------------------------------------------------------------------- odd, and sound all the same


def samsung(content: bytes) -> bytes:
    """Nonsense where a sequential scan says which frequencies it has, as some of Samsung's cameras write."""
    end = next(each.end for each in read_parts(content).segments if each.marker == SOS)
    return content[: end - 3] + b"\0\0\0" + content[end:]


ODD: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda content: content,
    "Samsung's scan": samsung,
    "two oddities": lambda content: samsung(content)[:-2] + b"\0\0\0" + END,
    "JFIF 2": lambda content: content.replace(b"JFIF\0\1", b"JFIF\0\2", 1),
    "no end mark": lambda content: content[:-2],
    "zeros before the end": lambda content: content[:-2] + bytes(7) + END,
    "0xFF before the end": lambda content: content[:-2] + b"\xff" * 7 + END,
    "bytes between segments": lambda content: content[:20] + b"\0\0\0" + content[20:],
    "zeros behind": lambda content: content + bytes(5000),
    "noise behind": lambda content: content + np.random.default_rng(0).bytes(5000) + END,
    "a film behind": lambda content: content + struct.pack(">I8s", 24, b"ftypmp42") + bytes(9000),
    "another photo behind": lambda content: content + content,
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("restarts", [0, 3])
def test_what_sound_photos_have_is_no_damage(picture: PillowImage.Image, name: str, restarts: int) -> None:
    content = encode_pillow(picture, "JPEG", quality=90, restart_marker_blocks=restarts)
    assert content[18:20] == b"\0\0"
    assert content[20:21] == b"\xff"  # a segment begins
    image = read_pixels(ODD[name](content), OPTIONS).image
    assert np.array_equal(image, read_pixels(content, OPTIONS).image)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_pixels_are_opencv_s_to_the_last_bit(picture: PillowImage.Image, mode: str, scale: int) -> None:
    """Vectors must stay what they are."""
    flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
    for options in ({"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"progressive": True}):
        content = encode_pillow(picture.convert(mode), "JPEG", **({} if mode != "RGB" else options))
        pixels = read_pixels(content, DecodeOptions(100.0, picture.height // scale))
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), flags.get(scale, cv2.IMREAD_REDUCED_COLOR_8))
        assert pixels.reduction == scale
        assert np.array_equal(pixels.image, np.asarray(expected))


def test_a_scanner_s_planes_are_read_and_their_damage_is_seen(tmp_path: Path, picture: PillowImage.Image) -> None:
    """Planes of sizes that simplejpeg does not know: two by one for the first colour, one by two for the second."""
    content = bytearray(encode_pillow(picture, "JPEG", subsampling=1))
    frame = next(each for each in read_parts(bytes(content)).segments if each.marker == 0xC0)
    assert content[frame.start + 11] == 0x21
    content[frame.start + 14] = 0x12  # which is a lie here: so many blocks are not there
    assert reason(bytes(content)) == DAMAGED


def test_a_flat_photo_has_long_runs_of_zeros_in_webp(picture: PillowImage.Image) -> None:
    canvas = PillowImage.new("RGB", (2000, 2000), "white")
    canvas.paste(picture, (700, 0))
    content = encode_pillow(canvas, "WEBP")
    assert bytes(64) in content
    image: Image = read_pixels(content, OPTIONS).image
    assert (image[-1] > 250).all()


@pytest.mark.parametrize("reduction", [1, 2])
def test_a_seam_that_libjpeg_does_not_see_is_seen(picture: PillowImage.Image, reduction: int) -> None:
    """From some block on all is darker by one number: what a few lost bytes leave, if they are the right ones. A
    translucent banner from side to side is none."""
    image = np.asarray(picture)
    darker, banner = image.copy(), image.copy()
    darker[320:] = np.maximum(darker[320:].astype(int) - 30, 0)
    darker[320:336, : image.shape[1] // 3] = image[320:336, : image.shape[1] // 3]  # the row's blocks before the place
    banner[320:400] = np.minimum(banner[320:400].astype(int) + 20, 255)
    options = DecodeOptions(100.0, picture.height // reduction)
    for pixels, seamed in ((image, False), (darker, True), (banner, False)):
        content = encode_pillow(PillowImage.fromarray(pixels), "JPEG", quality=95)
        if seamed:
            with pytest.raises(InvalidImage):
                read_pixels(content, options)
        else:
            assert read_pixels(content, options).reduction == reduction


@pytest.mark.parametrize("quality", [3, 5, 10, 15, 25, 40])
def test_blocks_of_a_poor_jpeg_are_no_seams(picture: PillowImage.Image, quality: int) -> None:
    for subsampling in (0, 2):
        content = encode_pillow(picture, "JPEG", quality=quality, subsampling=subsampling)
        assert read_pixels(content, OPTIONS).size == picture.size
