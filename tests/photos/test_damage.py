"""Damaged files are refused with what to do, and odd but sound ones are read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo

from app.errors import InvalidImage
from app.photos.damage import DAMAGED, MIN_LINE_FEEDS
from app.photos.decoding import DecodeOptions, read_pixels
from app.photos.jpeg_parts import SOS, read_parts
from app.photos.kinds import AS_TEXT
from app.photos.portrait import load_portrait
from app.photos.sandbox import Sandbox
from app.records import CrewMember, Image, Photo
from tests.support.mutations import with_good_checksums
from tests.support.pictures import encode_pillow, package_file

OPTIONS = DecodeOptions(max_megapixels=100.0, min_side_px=900)
BLOCK_BYTES = 4096
END = b"\xff\xd9"
Chance = np.random.Generator
pillow_heif.register_heif_opener()  # so that Pillow can write HEIC


@pytest.fixture(scope="module")
def picture() -> PillowImage.Image:
    """Return a portrait, RGB, 512 x 600."""
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
    """Choose a place in the compressed data: behind the headers, and two blocks before the end."""
    return int(chance.integers(len(content) // 8, len(content) - 2 * BLOCK_BYTES))


def as_dos_text(content: bytes, _: Chance) -> bytes:
    return content.replace(b"\n", b"\r\n")


def as_unix_text(content: bytes, _: Chance) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def as_utf_8(content: bytes, _: Chance) -> bytes:
    return content.decode("utf-8", "replace").encode()


HARMS = (lose_block, blank_block, cut, close_with_end_mark, blank_rest, as_dos_text, as_unix_text, as_utf_8)
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


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_photo_is_refused(picture: PillowImage.Image, form: str, harm: Callable[..., bytes]) -> None:
    """Unless its pixels are the same: some damage lies where no pixel depends on it."""
    kind, options = FORMS[form]
    content = encode_pillow(picture.quantize() if kind == "GIF" else picture, kind, **options)
    sound = read_pixels(content, OPTIONS).image
    for seed in range(3):
        damaged = harm(content, np.random.default_rng(seed))
        try:
            image = read_pixels(damaged, OPTIONS).image
        except InvalidImage as error:
            assert error.detail
        else:
            assert np.array_equal(image, sound), seed


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_an_uncompressed_photo_with_a_gap_is_refused(picture: PillowImage.Image, kind: str) -> None:
    content = encode_pillow(picture, kind)
    start = len(content) // 3
    assert reason(content[:start] + bytes(BLOCK_BYTES * 4) + content[start + BLOCK_BYTES * 4 :]) == DAMAGED


@pytest.mark.parametrize("shade", [0, 128, 255])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "HEIF", "AVIF"])
def test_photos_with_bars_and_plain_backgrounds_are_read(picture: PillowImage.Image, kind: str, shade: int) -> None:
    """Among them libjpeg's grey for missing data, and black, which a gap of zeros is."""
    canvas = PillowImage.new("RGB", (picture.width * 2, picture.height * 2), (shade,) * 3)
    canvas.paste(picture, (200, 300))
    assert read_pixels(encode_pillow(canvas, kind), OPTIONS).size == canvas.size


@pytest.mark.parametrize("number", range(1, 10))
def test_a_progressive_photo_without_its_last_scans_is_refused(picture: PillowImage.Image, number: int) -> None:
    """libjpeg makes a blurred picture of it without a warning."""
    content = encode_pillow(picture, "JPEG", progressive=True)
    starts = [each.start for each in read_parts(content).segments if each.marker == SOS]
    assert len(starts) == 10
    assert reason(content[: starts[number]] + END) == DAMAGED


def test_damage_in_an_animated_png_is_refused(picture: PillowImage.Image) -> None:
    """OpenCV fills such a picture with leftover memory."""
    content = encode_pillow(picture, "PNG", save_all=True, append_images=[picture.rotate(90)])
    sound = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(read_pixels(content, OPTIONS).image, np.asarray(sound))
    first = content.index(b"IDAT") + 4
    assert reason(with_good_checksums(content[: first + 99] + bytes(99) + content[first + 198 :])) == DAMAGED


def test_a_text_mode_transfer_is_named(picture: PillowImage.Image) -> None:
    for kind in ("JPEG", "PNG", "BMP", "WEBP"):
        content = encode_pillow(picture, kind)
        assert reason(as_dos_text(content, np.random.default_rng(0))) == AS_TEXT
    assert reason(as_utf_8(encode_pillow(picture, "JPEG"), np.random.default_rng(0))) == AS_TEXT
    assert reason(as_unix_text(encode_pillow(picture, "PNG"), np.random.default_rng(0))) == AS_TEXT


# ---------------------------------------------------------------------------------------------------- odd but sound

DOS_TEXT = "".join(f"<rdf:li>línea {number}</rdf:li>\r\n" for number in range(4000))  # more than BEGINNING_BYTES


def with_jpeg_segments(content: bytes, marker: int, body: bytes) -> bytes:
    """Insert two segments of this content behind the first one."""
    segment = struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
    return content[:20] + 2 * segment + content[20:]


def with_dos_text(picture: PillowImage.Image, name: str) -> bytes:
    """Encode a sound photo with metadata whose line ends are all CRLF."""
    text, kind = DOS_TEXT.encode(), name.split(maxsplit=1)[0]
    part = text[: 1 << 15]
    if name == "JPEG XMP":
        return with_jpeg_segments(encode_pillow(picture, kind), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + part)
    if name == "JPEG comment":
        return with_jpeg_segments(encode_pillow(picture, kind), 0xFE, part)
    if kind == "PNG":
        chunks = PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", DOS_TEXT)
        chunks.add_text("Comment", DOS_TEXT)
        return encode_pillow(picture, kind, pnginfo=chunks)
    return encode_pillow(picture, kind, **({"tiffinfo": {700: text}} if kind == "TIFF" else {"xmp": text}))


@pytest.mark.parametrize("name", ["JPEG XMP", "JPEG comment", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_metadata_with_dos_line_ends_is_no_text_mode_transfer(
    tmp_path: Path, picture: PillowImage.Image, name: str
) -> None:
    """The first 64 KiB of such a JPEG, TIFF or AVIF have no other line ends."""
    path = tmp_path / "foto.jpg"
    path.write_bytes(with_dos_text(picture, name))
    assert path.read_bytes().count(b"\r\n") > MIN_LINE_FEEDS
    photo = Photo(CrewMember("7", "foto.jpg"), "http://fotos/7/foto.jpg", path)
    with closing(Sandbox()) as sandbox:
        assert load_portrait(photo, OPTIONS, sandbox).image.shape == (600, 512, 3)


def samsung(content: bytes) -> bytes:
    """Write nonsense for a sequential scan's frequencies, as some of Samsung's cameras do."""
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
def test_oddities_of_sound_photos_are_no_damage(picture: PillowImage.Image, name: str, restarts: int) -> None:
    content = encode_pillow(picture, "JPEG", quality=90, restart_marker_blocks=restarts)
    assert content[18:20] == b"\0\0"
    assert content[20:21] == b"\xff"  # a segment begins
    image = read_pixels(ODD[name](content), OPTIONS).image
    assert np.array_equal(image, read_pixels(content, OPTIONS).image)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_pixels_equal_opencv_s_at_every_reduction(picture: PillowImage.Image, mode: str, scale: int) -> None:
    """DeepFace reads photos with OpenCV, and vectors must equal DeepFace's."""
    flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
    for options in ({"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"progressive": True}):
        content = encode_pillow(picture.convert(mode), "JPEG", **({} if mode != "RGB" else options))
        pixels = read_pixels(content, DecodeOptions(100.0, picture.height // scale))
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), flags.get(scale, cv2.IMREAD_REDUCED_COLOR_8))
        assert pixels.reduction == scale
        assert np.array_equal(pixels.image, np.asarray(expected))


def test_damage_in_planes_that_simplejpeg_does_not_know_is_refused(tmp_path: Path, picture: PillowImage.Image) -> None:
    """The first plane is sampled two by one and the second one by two."""
    content = bytearray(encode_pillow(picture, "JPEG", subsampling=1))
    frame = next(each for each in read_parts(bytes(content)).segments if each.marker == 0xC0)
    assert content[frame.start + 11] == 0x21
    content[frame.start + 14] = 0x12  # the file does not have so many blocks
    assert reason(bytes(content)) == DAMAGED


def test_long_runs_of_zeros_in_a_webp_of_a_plain_photo_are_no_damage(picture: PillowImage.Image) -> None:
    canvas = PillowImage.new("RGB", (2000, 2000), "white")
    canvas.paste(picture, (700, 0))
    content = encode_pillow(canvas, "WEBP")
    assert bytes(64) in content
    image: Image = read_pixels(content, OPTIONS).image
    assert (image[-1] > 250).all()


@pytest.mark.parametrize("reduction", [1, 2])
def test_a_seam_of_which_libjpeg_does_not_warn_is_refused(picture: PillowImage.Image, reduction: int) -> None:
    """A few lost bytes can make all blocks behind them darker by one number. A translucent banner from side to side
    is no seam."""
    image = np.asarray(picture)
    darker, banner = image.copy(), image.copy()
    darker[320:] = np.maximum(darker[320:].astype(int) - 30, 0)
    darker[320:336, : image.shape[1] // 3] = image[320:336, : image.shape[1] // 3]  # the blocks before the lost bytes
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
def test_block_edges_of_a_poor_jpeg_are_no_seams(picture: PillowImage.Image, quality: int) -> None:
    for subsampling in (0, 2):
        content = encode_pillow(picture, "JPEG", quality=quality, subsampling=subsampling)
        assert read_pixels(content, OPTIONS).size == picture.size
