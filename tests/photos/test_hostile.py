"""Files that a stranger could upload give the right pixels or a clear reason."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms

from app.errors import InvalidImage
from app.photos.damage import DAMAGED
from app.photos.decoding import DecodeOptions, is_as_measured
from app.photos.kinds import BEFORE_PHOTO, UNKNOWN
from app.photos.portrait import load_portrait
from app.photos.sandbox import Sandbox
from app.records import CrewMember, Image, Photo, Portrait
from tests.support.pictures import encode_picture, encode_pillow

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # pytest resets the program's own filter
OPTIONS = DecodeOptions(max_megapixels=100.0, min_side_px=900)
EXACT, JPEG_LOSS, PALETTE_LOSS = 0.0, 4.0, 1.0  # mean difference of a value
PDF = "es un documento PDF; saque de él la foto y guárdela como JPG"
ZIP = "es un archivo comprimido (ZIP); descomprímalo y suba la foto que contiene"
HTML = "el servidor entregó una página web en lugar de una foto"
WIDTH, HEIGHT = 210, 150
Load = Callable[[bytes], Portrait]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    one = Sandbox()
    yield one
    one.close()


@pytest.fixture
def load(tmp_path: Path, sandbox: Sandbox) -> Load:
    def load_one(content: bytes) -> Portrait:
        path = tmp_path / "foto.jpg"
        path.write_bytes(content)
        return load_portrait(Photo(CrewMember("7", "foto.jpg"), "http://fotos/7/foto.jpg", path), OPTIONS, sandbox)

    return load_one


@pytest.fixture
def picture(astronaut: Image) -> PillowImage.Image:
    """Return RGB (210 x 150) whose turns and mirrors all differ."""
    return PillowImage.fromarray(np.ascontiguousarray(astronaut[:HEIGHT, :WIDTH, ::-1]))


def pixels(picture: PillowImage.Image) -> Image:
    """Return BGR as Pillow shows the picture on white."""
    if picture.has_transparency_data:
        white = PillowImage.new("RGBA", picture.size, "white")
        picture = PillowImage.alpha_composite(white, picture.convert("RGBA"))
    return np.asarray(picture.convert("RGB"), np.uint8)[:, :, ::-1]


def difference(portrait: Portrait, picture: PillowImage.Image) -> float:
    expected = pixels(picture)
    assert portrait.image.shape == expected.shape
    return float(np.abs(portrait.image.astype(int) - expected).mean())


def reason(load: Load, content: bytes) -> str:
    with pytest.raises(InvalidImage) as caught:
        load(content)
    return caught.value.detail


# ---------------------------------------------------------------------------------------------------------- colours


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("apart", [False, True], ids=["", "poster"])
def test_of_an_animation_the_first_picture_is_the_photo(
    load: Load, picture: PillowImage.Image, kind: str, apart: bool
) -> None:
    """An animated PNG may have a poster, which programs without animated PNG show: that is read."""
    options = {"default_image": True} if apart and kind == "PNG" else {}
    content = encode_pillow(picture, kind, save_all=True, append_images=[picture.rotate(180)], **options)
    assert difference(load(content), picture) <= JPEG_LOSS


COLOURS: dict[str, tuple[str, Callable[[PillowImage.Image], PillowImage.Image], dict[str, object], float]] = {
    "grey": ("TIFF", lambda picture: picture.convert("L"), {}, EXACT),
    "grey and alpha": ("TIFF", lambda picture: picture.convert("LA"), {}, EXACT),
    "alpha": ("TIFF", lambda picture: picture.convert("RGBA"), {}, EXACT),
    "one bit": ("TIFF", lambda picture: picture.convert("1"), {}, EXACT),
    "fax": ("TIFF", lambda picture: picture.convert("1"), {"compression": "group4"}, EXACT),
    "palette": ("TIFF", lambda picture: picture.quantize(64), {}, EXACT),
    "ink": ("TIFF", lambda picture: picture.convert("CMYK"), {"compression": "tiff_lzw"}, EXACT),
    "grey PNG": ("PNG", lambda picture: picture.convert("LA"), {}, EXACT),
    "one colour transparent": ("PNG", lambda picture: picture.quantize(64), {"transparency": 3}, EXACT),
    "all half transparent": ("PNG", lambda picture: picture.quantize(64), {"transparency": bytes(range(64))}, EXACT),
    "GIF transparent": ("GIF", lambda picture: picture.quantize(64), {"transparency": 3}, PALETTE_LOSS),
    "BMP palette": ("BMP", lambda picture: picture.quantize(64), {}, EXACT),
    "BMP one bit": ("BMP", lambda picture: picture.convert("1"), {}, EXACT),
}


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_what_pillow_makes_of_them(load: Load, picture: PillowImage.Image, name: str) -> None:
    kind, convert, options, tolerance = COLOURS[name]
    content = encode_pillow(convert(picture), kind, **options)
    assert difference(load(content), PillowImage.open(io.BytesIO(content))) <= tolerance


@pytest.mark.parametrize("ending", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_become_the_upper_eight(
    load: Load, picture: PillowImage.Image, ending: str, channels: int
) -> None:
    colours = pixels(picture)[:, :, :channels]
    _, content = cv2.imencode(ending, colours.astype(np.uint16) * 256 + 128)
    assert (load(content.tobytes()).image == np.broadcast_to(colours, (HEIGHT, WIDTH, 3))).all()


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_a_printer_s_jpeg_has_the_colours_that_pillow_sees(
    load: Load, picture: PillowImage.Image, transform: int
) -> None:
    content = bytearray(encode_pillow(picture.convert("CMYK"), "JPEG", quality=95))
    content[content.index(b"Adobe") + 11] = transform
    assert difference(load(bytes(content)), PillowImage.open(io.BytesIO(content))) <= JPEG_LOSS


def colour_profile(name: str) -> bytes:
    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {"good": good, "broken": b"\0\xff" * 200, "huge": good + np.random.default_rng(0).bytes(3_000_000)}[name]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("name", ["good", "broken", "huge"])
def test_a_colour_profile_changes_nothing(load: Load, picture: PillowImage.Image, kind: str, name: str) -> None:
    """DeepFace ignores profiles. A scanner's may have megabytes."""
    assert difference(load(encode_pillow(picture, kind, icc_profile=colour_profile(name))), picture) <= JPEG_LOSS


# ------------------------------------------------------------------------------------------------------------- lies


def with_exif(content: bytes, tiff: bytes) -> bytes:
    """Insert an EXIF block behind a JPEG's start."""
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff + content[2:]


def entry(tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, count, value)


def directory(*entries: bytes, following: int = 0) -> bytes:
    return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)


TIFF_START = b"II*\0\x08\0\0\0"
SHORT, ASCII, LONG, RATIONAL = 3, 2, 4, 5
ORIENTATION = 0x0112
UPRIGHT_EXIF = {
    **{f"orientation {each}": directory(entry(ORIENTATION, SHORT, 1, each)) for each in (0, 9, 65535)},
    "no number": directory(entry(ORIENTATION, ASCII, 4, 0x41414141)),
    "far away": directory(entry(ORIENTATION, RATIONAL, 1, 0xFFFF_FFF0)),
    "for ever": directory(entry(ORIENTATION, SHORT, 0xFFFF_FFFF, 1)),
    "cut off": struct.pack("<H", 500) + entry(ORIENTATION, SHORT, 1, 1)[:7],
    "round and round": directory(entry(0x8769, LONG, 1, 8), following=8),
}


@pytest.mark.parametrize("name", UPRIGHT_EXIF)
def test_false_exif_does_not_turn_the_photo(load: Load, picture: PillowImage.Image, name: str) -> None:
    content = with_exif(encode_pillow(picture, "JPEG"), TIFF_START + UPRIGHT_EXIF[name])
    portrait = load(content)
    assert difference(portrait, picture) <= JPEG_LOSS
    assert portrait.analysis.size == (WIDTH, HEIGHT)


def test_a_thumbnail_of_another_size_and_with_another_orientation_is_not_the_photo(
    load: Load, picture: PillowImage.Image
) -> None:
    small = encode_pillow(picture.resize((96, 160)), "JPEG")
    second = len(TIFF_START) + len(directory(b"\0" * 12))
    third = second + len(directory(*[b"\0" * 12] * 4))
    thumbnail = [entry(0x0103, SHORT, 1, 6), entry(ORIENTATION, SHORT, 1, 6)]
    thumbnail += [entry(0x0201, LONG, 1, third), entry(0x0202, LONG, 1, len(small))]
    first = directory(entry(ORIENTATION, SHORT, 1, 1), following=second)
    portrait = load(with_exif(encode_pillow(picture, "JPEG"), TIFF_START + first + directory(*thumbnail) + small))
    assert difference(portrait, picture) <= JPEG_LOSS


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_photo_cut_off_anywhere_is_refused(load: Load, picture: PillowImage.Image, kind: str) -> None:
    content = encode_pillow(picture, kind)
    said = {reason(load, content[: len(content) * tenth // 10]) for tenth in range(10)}
    assert said <= {DAMAGED, UNKNOWN, "el archivo está vacío"}


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../etc/cron.d/x", "* * * * * root id")
    return file.getvalue()


POLYGLOTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "photo and archive": (lambda photo: photo + zipped(), ""),
    "photo and page": (lambda photo: photo + b"<script>alert(1)</script>", ""),
    "photo and PNG": (lambda photo: photo + encode_picture(np.zeros((9, 9, 3), np.uint8), "PNG"), ""),
    "photo and another": (lambda photo: photo + encode_picture(np.zeros((400, 400, 3), np.uint8)), ""),
    "GIF and script": (lambda photo: b"GIF89a/*" + photo + b"*/=1;alert(1)", BEFORE_PHOTO.format(bytes=8)),
    "document and photo": (
        lambda photo: b"%PDF-1.7\n1 0 obj<<>>stream\n" + photo,
        "es un documento PDF; saque de él la foto y guárdela como JPG",
    ),
    "page and photo": (lambda photo: b"<!DOCTYPE html><!--" + photo, BEFORE_PHOTO.format(bytes=19)),
    "archive and photo": (
        lambda photo: zipped() + photo,
        "es un archivo comprimido (ZIP); descomprímalo y suba la foto que contiene",
    ),
    "program and photo": (lambda photo: b"\x7fELF" + photo, BEFORE_PHOTO.format(bytes=4)),
    "PostScript": (lambda photo: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id)(r)file\n", UNKNOWN),
    "icon": (lambda photo: b"\0\0\1\0\1\0" + bytes(100), UNKNOWN),
    "sound": (lambda photo: b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(32), UNKNOWN),
}


@pytest.mark.parametrize("name", POLYGLOTS)
def test_a_file_that_is_two_things_is_the_photo_it_begins_as_or_none(
    load: Load, picture: PillowImage.Image, name: str
) -> None:
    make, detail = POLYGLOTS[name]
    content = make(encode_pillow(picture, "JPEG"))
    if detail:
        assert reason(load, content) == detail
    else:
        assert difference(load(content), picture) <= JPEG_LOSS


def patched(content: bytes, place: int, form: str, *values: int) -> bytes:
    return content[:place] + struct.pack(form, *values) + content[place + struct.calcsize(form) :]


def test_a_gif_s_screen_and_its_frame_have_to_agree(load: Load, picture: PillowImage.Image) -> None:
    content = encode_pillow(picture.quantize(64), "GIF")
    frame = content.index(struct.pack("<BHHHH", 0x2C, 0, 0, WIDTH, HEIGHT)) + 1
    huge_screen = patched(content, 6, "<HH", 60_000, 60_000)
    assert reason(load, huge_screen) == "mide 60000 x 60000 píxeles; el límite son 100 megapíxeles"
    huge_frame = patched(content, frame, "<HHHH", 0, 0, 60_000, 60_000)
    outside = patched(content, frame, "<HH", 65_000, 65_000)
    assert reason(load, huge_frame) == "mide 60000 x 60000 píxeles; el límite son 100 megapíxeles"
    assert reason(load, outside) == "mide 65210 x 65150 píxeles; el límite son 100 megapíxeles"


def test_a_bmp_with_its_rows_from_the_top_is_read_and_false_sizes_are_refused(
    load: Load, picture: PillowImage.Image
) -> None:
    content = encode_pillow(picture, "BMP")
    assert difference(load(patched(content, 22, "<i", -HEIGHT)), picture.transpose(PillowImage.Transpose(1))) == EXACT
    sizes = {(22, -(2**31)): (WIDTH, 2**31), (22, 2**31 - 1): (WIDTH, 2**31 - 1)}
    sizes |= {(18, -WIDTH): (2**32 - WIDTH, HEIGHT), (18, 2**31 - 1): (2**31 - 1, HEIGHT)}
    for (place, value), (width, height) in sizes.items():
        said = f"mide {width} x {height} píxeles; el límite son 100 megapíxeles"
        assert reason(load, patched(content, place, "<i", value)) == said
    for offset in (0xFFFF_FFFF, len(content)):
        assert reason(load, patched(content, 10, "<I", offset)) == DAMAGED
    for place, form, value in ((14, "<I", 0xFFFF_FFFF), (28, "<H", 77)):  # the header's own length, bits a pixel
        assert reason(load, patched(content, place, form, value)) == UNKNOWN


# ------------------------------------------------------------------------------------------------------------ bombs


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """Write a black, grey PNG with these chunks before the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes((width + 1) * height)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(30_001, 1), (1, 30_001), (65_000, 1_000)])
def test_a_photo_with_too_long_a_side_is_refused_by_its_header(load: Load, width: int, height: int) -> None:
    assert reason(load, png(width, height)) == f"mide {width} x {height} píxeles; el límite son 30000 por lado"


@pytest.mark.parametrize(("width", "height"), [(30_000, 1), (1, 30_000), (30_000, 3)])
def test_a_thin_photo_of_exactly_the_longest_side_is_read(load: Load, width: int, height: int) -> None:
    assert load(png(width, height)).analysis.size == (width, height)


@pytest.mark.parametrize("number", [1, 100])
def test_texts_and_profiles_that_unpack_to_too_much_are_refused(load: Load, number: int) -> None:
    """60 MB each, out of 60 kB."""
    bomb = zlib.compress(bytes(60_000_000))
    for name, head in ((b"zTXt", b"a\0\0"), (b"iCCP", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")):
        assert reason(load, png(9, 9, *[chunk(name, head + bomb)] * number)) == UNKNOWN


def test_a_second_header_of_another_size_is_refused(load: Load, picture: PillowImage.Image) -> None:
    """The decoder reads the second size, and the check of the header the first."""
    jpeg = encode_pillow(picture, "JPEG")
    size = jpeg.index(b"\xff\xc0")
    segment = jpeg[size : size + 2 + struct.unpack_from(">H", jpeg, size + 2)[0]]
    assert reason(load, jpeg[:size] + patched(segment, 5, ">HH", 9000, 9000) + jpeg[size:]) == DAMAGED
    header = png(WIDTH, HEIGHT)[8:33]
    assert reason(load, png(9, 9, header)) in (DAMAGED, UNKNOWN)


@pytest.mark.parametrize(
    ("shape", "reduction", "right"),
    [
        *(((90, 41), 1, True), ((41, 90), 1, True), ((90, 40), 1, False), ((90, 90), 1, False)),
        *(((22, 10), 4, True), ((23, 11), 4, True), ((11, 23), 4, True), ((24, 11), 4, False), ((90, 41), 4, False)),
    ],
)
def test_pixels_are_measured_again_upright_or_on_their_side(
    shape: tuple[int, int], reduction: int, right: bool
) -> None:
    """No file is known whose header Pillow and OpenCV read differently, but another version may do so."""
    assert is_as_measured(np.zeros((*shape, 3), np.uint8), (41, 90), reduction) == right
