"""Files of every kind that people upload: read upright and on white, or named with what HR can do."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image as PillowImage

from app.errors import InvalidImage
from app.photos.decoding import DecodeOptions, is_plain, read_pixels
from app.photos.kinds import RAW, SAVE_AS_JPG
from app.photos.orientation import UNDOING, read_orientation, turn_upright
from app.photos.portrait import load_portrait
from app.photos.sandbox import Sandbox
from app.records import CrewMember, Image, Photo, Portrait
from tests.support.odd_jpegs import GREY_SLOPE, SLOPES, odd_jpeg
from tests.support.pictures import encode_picture, encode_pillow

OPTIONS = DecodeOptions(max_megapixels=100.0, min_side_px=900)
LOSS = 4.0  # the largest mean difference of a value that compression causes
ORIENTATION = 0x0112
pillow_heif.register_heif_opener()  # so that Pillow can write HEIC


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    one = Sandbox()
    yield one
    one.close()


@pytest.fixture(scope="module")
def picture(astronaut: Image) -> Image:
    """Return BGR (300, 420, 3). All its turns and mirrors differ, and so do its sides."""
    return np.ascontiguousarray(astronaut[:300, :420])


def rgb(image: Image) -> PillowImage.Image:
    return PillowImage.fromarray(np.ascontiguousarray(image[:, :, ::-1]))


def load(content: bytes, path: Path, sandbox: Sandbox, options: DecodeOptions = OPTIONS) -> Portrait:
    path.write_bytes(content)
    return load_portrait(Photo(CrewMember("7", "foto.jpg"), "http://fotos/7/foto.jpg", path), options, sandbox)


def difference(one: Image, other: Image) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def exif(orientation: int) -> bytes:
    block = PillowImage.Exif()
    block[ORIENTATION] = orientation
    return block.tobytes()


def lying(image: Image, orientation: int) -> Image:
    """Turn the pixels as a camera stores them that writes this orientation."""
    return next(
        stored
        for each in UNDOING
        if (stored := turn_upright(image, each)).shape and np.array_equal(turn_upright(stored, orientation), image)
    )


# ----------------------------------------------------------------------------------------------------------- phones


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", UNDOING)
def test_a_phone_s_photo_is_turned_once(
    tmp_path: Path, sandbox: Sandbox, picture: Image, kind: str, orientation: int
) -> None:
    """The file has its orientation twice: in boxes for its decoder, and in EXIF."""
    content = encode_pillow(rgb(lying(picture, orientation)), kind, quality=90, exif=exif(orientation))
    assert (b"irot" in content or b"imir" in content) == (orientation != 1)
    portrait = load(content, tmp_path / "foto.heic", sandbox)
    assert difference(portrait.image, picture) < LOSS
    assert portrait.analysis.size == (420, 300)


@pytest.mark.parametrize(("kind", "fast"), [("HEIF", {"enc_params": {"preset": "ultrafast"}}), ("AVIF", {"speed": 10})])
def test_a_phone_s_large_photo_is_reduced_as_a_jpeg_is(
    sandbox: Sandbox, picture: Image, kind: str, fast: dict[str, object]
) -> None:
    large = np.asarray(cv2.resize(picture, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC), np.uint8)
    pixels = sandbox.read_pixels(encode_pillow(rgb(large), kind, quality=90, **fast), OPTIONS)
    jpeg = read_pixels(encode_picture(large, quality=95), OPTIONS)
    assert (pixels.reduction, pixels.size) == (jpeg.reduction, jpeg.size) == (2, (2520, 1800))
    assert difference(pixels.image, jpeg.image) < LOSS


def test_ten_bits_become_eight(sandbox: Sandbox, picture: Image) -> None:
    deep = np.ascontiguousarray(picture[:, :, ::-1]).astype(np.uint16) * 257
    file = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (420, 300), deep.tobytes()).save(file, quality=90)
    assert pillow_heif.open_heif(file.getvalue(), convert_hdr_to_8bit=False).info["bit_depth"] == 10
    assert difference(sandbox.read_pixels(file.getvalue(), OPTIONS).image, picture) < LOSS


def test_the_primary_one_of_several_pictures_is_read(sandbox: Sandbox, picture: Image) -> None:
    file = io.BytesIO()
    photos = pillow_heif.from_pillow(rgb(picture[::-1]))
    photos.add_from_pillow(rgb(picture))
    photos.save(file, quality=90, primary_index=1)
    assert difference(sandbox.read_pixels(file.getvalue(), OPTIONS).image, picture) < LOSS


def test_heic_and_avif_are_never_decoded_in_the_program_s_own_process(picture: Image) -> None:
    for kind in ("HEIF", "AVIF"):
        assert not is_plain(encode_pillow(rgb(picture), kind), OPTIONS)


def test_the_limit_of_pixels_counts_what_a_jpeg_is_reduced_to(picture: Image) -> None:
    """Phones take photos of 108 megapixels. Files of other kinds are in memory as a whole."""
    small = DecodeOptions(max_megapixels=0.5, min_side_px=420)
    large = np.kron(picture, np.ones((5, 5, 1), np.uint8))  # 3.15 megapixels, and 0.2 at a quarter
    assert read_pixels(encode_picture(large), small).reduction == 4
    said = "mide 2100 x 1500 píxeles; el límite son 0.5 megapíxeles"
    for content in (encode_picture(large, progressive=True), encode_picture(large, "PNG")):
        with pytest.raises(InvalidImage) as caught:
            read_pixels(content, small)
        assert caught.value.detail == said
    assert not is_plain(encode_picture(large), small)  # decoding it all would take long
    assert is_plain(encode_picture(large), OPTIONS)


# ------------------------------------------------------------------------------------------------------------ JPEGs


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("lossless", SLOPES), ("lossless grey", GREY_SLOPE)),
        *(("arithmetic", SLOPES), ("planes of three to one", SLOPES)),
    ],
)
def test_jpegs_of_rare_kinds_are_read(tmp_path: Path, sandbox: Sandbox, name: str, expected: Image) -> None:
    loss = 0.0 if name.startswith("lossless") else 12.0  # steep slopes lose much in planes of low resolution
    content = odd_jpeg(name)
    for orientation in (1, 6):
        segment = b"Exif\0\0" + exif(orientation).removeprefix(b"Exif\0\0")
        turned = content[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + content[2:]
        image = load(turned, tmp_path / "foto.jpg", sandbox, DecodeOptions(1.0, 8)).image
        whole = turn_upright(expected, orientation)
        shrunk = image.shape[0] < whole.shape[0]
        assert shrunk != name.startswith("lossless")
        factor = whole.shape[0] // image.shape[0]
        wanted = cv2.resize(whole, image.shape[1::-1], interpolation=cv2.INTER_AREA) if factor > 1 else whole
        assert difference(image, np.asarray(wanted, np.uint8)) <= loss


def test_planes_that_simplejpeg_does_not_know_are_read_in_the_sandbox_and_their_damage_is_seen() -> None:
    content = odd_jpeg("planes of three to one")
    assert not is_plain(content, OPTIONS)
    with pytest.raises(InvalidImage):
        read_pixels(content[:-40] + b"\xff\xd9", OPTIONS)


def test_jpegs_that_no_decoder_reads_are_named(picture: Image) -> None:
    content = encode_picture(picture, quality=90)
    frame = content.index(b"\xff\xc0")
    for marker, bits, said in (
        (0xC1, 12, f"es una foto JPEG de 12 bits por color, que no se lee; {SAVE_AS_JPG}"),
        (0xC3, 16, f"es una foto JPEG de 16 bits por color, que no se lee; {SAVE_AS_JPG}"),
        (0xC5, 8, f"es una foto JPEG de un tipo que no se lee; {SAVE_AS_JPG}"),
        (0xF7, 8, f"es una foto JPEG-LS, que no se lee; {SAVE_AS_JPG}"),
    ):
        other = bytearray(content)
        other[frame + 1], other[frame + 4] = marker, bits
        with pytest.raises(InvalidImage) as caught:
            read_pixels(bytes(other), OPTIONS)
        assert caught.value.detail == said


# ------------------------------------------------------------------------------------------------------------ TIFFs


def test_the_largest_page_of_a_tiff_is_read_upright(sandbox: Sandbox, picture: Image) -> None:
    thumbnail = rgb(picture[::-1]).resize((160, 114))
    for orientation in UNDOING:
        page = rgb(lying(picture, orientation))
        page.encoderinfo = {"tiffinfo": {ORIENTATION: orientation}}
        content = encode_pillow(thumbnail, "TIFF", save_all=True, append_images=[page, thumbnail])
        pixels = sandbox.read_pixels(content, OPTIONS)
        assert np.array_equal(pixels.image, picture), orientation


@pytest.mark.parametrize(
    ("tag", "value"), [(50706, b"\1\4\0\0"), (262, 32803), (262, 34892), (259, 34713), (259, 32767)]
)
def test_a_camera_s_raw_file_is_not_enrolled_by_its_thumbnail(picture: Image, tag: int, value: object) -> None:
    """In DNG, NEF and ARW a TIFF decoder finds only a thumbnail."""
    content = bytearray(encode_pillow(rgb(picture), "TIFF", tiffinfo={50706: value} if tag == 50706 else {}))
    (start,) = struct.unpack_from("<I", content, 4)
    for place in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", content, start)[0], 12):
        if tag != 50706 and struct.unpack_from("<H", content, place)[0] == tag:
            struct.pack_into("<H", content, place + 8, value)
    with pytest.raises(InvalidImage) as caught:
        read_pixels(bytes(content), OPTIONS)
    assert caught.value.detail == RAW


# ----------------------------------------------------------------------------------------------------- transparency


def half_erased(picture: Image) -> tuple[PillowImage.Image, Image]:
    """Return a photo whose right half is erased, with a half-transparent strip, and how it looks on white."""
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    alpha[:, 200:220], alpha[:, 220:] = 128, 0
    layers = np.dstack([picture[:, :, ::-1], alpha])
    weight = alpha[:, :, None] / 255
    return PillowImage.fromarray(layers), np.rint(picture * weight + 255 * (1 - weight)).astype(np.uint8)


TRANSPARENT: dict[str, tuple[str, dict[str, object], float]] = {
    "PNG": ("PNG", {}, 0.01),
    "WEBP": ("WEBP", {"quality": 95}, LOSS),
    "WEBP lossless": ("WEBP", {"lossless": True, "exact": True}, 0.01),
    "TIFF": ("TIFF", {}, 0.01),
    "TIFF packed": ("TIFF", {"compression": "tiff_lzw"}, 0.01),
    "HEIF": ("HEIF", {"quality": 95}, LOSS),
    "AVIF": ("AVIF", {"quality": 95}, LOSS),
}


@pytest.mark.parametrize("name", TRANSPARENT)
def test_erased_parts_are_white(sandbox: Sandbox, picture: Image, name: str) -> None:
    kind, options, loss = TRANSPARENT[name]
    photo, seen = half_erased(picture)
    assert difference(sandbox.read_pixels(encode_pillow(photo, kind, **options), OPTIONS).image, seen) <= loss


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", UNDOING)
def test_a_transparent_photo_is_turned_upright(sandbox: Sandbox, picture: Image, kind: str, orientation: int) -> None:
    photo, seen = half_erased(picture)
    layers = np.asarray(photo)
    colours, alpha = (lying(np.ascontiguousarray(each), orientation) for each in (layers[:, :, :3], layers[:, :, 3]))
    stored = PillowImage.fromarray(np.dstack([colours, alpha]))
    options = {"tiffinfo": {ORIENTATION: orientation}} if kind == "TIFF" else {"exif": exif(orientation)}
    lossless = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    content = encode_pillow(stored, kind, **options, **lossless)
    assert difference(sandbox.read_pixels(content, OPTIONS).image, seen) <= 0.01


@pytest.mark.parametrize(("bits", "grey"), [(8, False), (16, False), (8, True)])
def test_colours_multiplied_by_their_alpha_are_not_multiplied_again(picture: Image, bits: int, grey: bool) -> None:
    photo, _ = half_erased(picture)
    layers = np.asarray(photo.convert("LA") if grey else photo).astype(np.uint16)
    alpha = layers[:, :, -1:]
    multiplied = layers[:, :, :-1] * alpha // 255
    expected = np.minimum(multiplied + 255 - alpha, 255)
    pixels = np.dstack([multiplied, alpha])
    content = tiff_page(pixels.astype(np.uint8) if bits == 8 else pixels * 257, extra=1)
    image = read_pixels(content, OPTIONS).image
    assert difference(image, np.broadcast_to(expected[:, :, ::-1], image.shape).astype(np.uint8)) <= 0.5


def tiff_page(pixels: np.ndarray, extra: int) -> bytes:
    """Write an uncompressed TIFF of one strip. `extra` says what its last plane is (tag ExtraSamples)."""
    rows, columns, samples = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    bits = struct.pack(f"<{samples}H", *[pixels.itemsize * 8] * samples)
    place = 8 + len(data)
    packed = samples * 2 <= 4
    entries = [
        *((256, 4, 1, columns), (257, 4, 1, rows), (259, 3, 1, 1), (262, 3, 1, 2 if samples > 2 else 1)),
        (258, 3, samples, int.from_bytes(bits, "little") if packed else place),
        *((273, 4, 1, 8), (277, 3, 1, samples), (278, 4, 1, rows), (279, 4, 1, len(data)), (338, 3, 1, extra)),
    ]
    directory = b"".join(struct.pack("<HHII", *each) for each in sorted(entries))
    start = place + (0 if packed else len(bits))
    head = b"II*\0" + struct.pack("<I", start)
    return head + data + (b"" if packed else bits) + struct.pack("<H", len(entries)) + directory + bytes(4)


# ------------------------------------------------------------------------------------------------------------ named

TAKE_OUT = "saque de él la foto y guárdela como JPG"
FILM = "es un video, no una foto; tome una foto y guárdela como JPG"
NAMED = {
    "JPEG XL": (b"\xff\x0a" + bytes(99), f"es una foto JPEG XL, que todavía no se lee; {SAVE_AS_JPG}"),
    "JPEG XL in boxes": (b"\0\0\0\x0cJXL \r\n\x87\n", f"es una foto JPEG XL, que todavía no se lee; {SAVE_AS_JPG}"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99), f"es una foto JPEG 2000, que no se lee; {SAVE_AS_JPG}"),
    "JPEG 2000, bare": (b"\xffO\xffQ" + bytes(99), f"es una foto JPEG 2000, que no se lee; {SAVE_AS_JPG}"),
    "SVG": (b"<?xml version='1.0'?>\n<svg/>", "es un dibujo SVG, no una foto; suba una foto de la persona como JPG"),
    "SVG, bare": (b"\n<svg xmlns=''/>", "es un dibujo SVG, no una foto; suba una foto de la persona como JPG"),
    "Photoshop": (b"8BPS\0\1" + bytes(99), "es un documento de Photoshop (PSD); expórtelo como JPG"),
    "CR2": (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), RAW),
    "CR3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", RAW),
    "Fuji": (b"FUJIFILMCCD-RAW 0201", RAW),
    "MP4": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", FILM),
    "QuickTime": (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", FILM),
    "old QuickTime": (b"\0\0\0\x08wide\0\0\1\0mdat", FILM),
    "WebM": (b"\x1aE\xdf\xa3" + bytes(99), FILM),
    "AVI": (b"RIFF\0\0\1\0AVI LIST", FILM),
    "Word": (b"PK\3\4" + bytes(26) + b"word/document.xml", f"es un documento de Word; {TAKE_OUT}"),
    "ZIP": (b"PK\3\4" + bytes(99), "es un archivo comprimido (ZIP); descomprímalo y suba la foto que contiene"),
    "RAR": (b"Rar!\x1a\7", "es un archivo comprimido; descomprímalo y suba la foto que contiene"),
    "PDF": (b"%PDF-1.7", f"es un documento PDF; {TAKE_OUT}"),
    "old Office": (b"\xd0\xcf\x11\xe0\xa1", f"es un documento de Office; {TAKE_OUT}"),
}


@pytest.mark.parametrize("name", NAMED)
def test_a_file_that_no_decoder_reads_is_named_with_what_to_do(name: str) -> None:
    content, said = NAMED[name]
    with pytest.raises(InvalidImage) as caught:
        read_pixels(content, OPTIONS)
    assert caught.value.detail == said


# ------------------------------------------------------------------------------------------------------ orientation


def test_damaged_exif_is_read_as_opencv_reads_it(picture: Image) -> None:
    jpeg = encode_picture(picture[:16, :24], quality=95)
    plain = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    chance, seen = np.random.default_rng(5), set()
    for _ in range(2000):
        block = bytearray(exif(int(chance.integers(0, 10))).removeprefix(b"Exif\0\0") + bytes(20))
        for place in chance.integers(0, len(block), chance.integers(0, 3)):
            block[place] = chance.integers(256)
        segment = b"Exif\0\0" + bytes(block)
        content = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
        orientation = read_orientation(bytes(block))
        seen.add(orientation)
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(turn_upright(plain, orientation), np.asarray(expected)), block.hex()
        assert np.array_equal(read_pixels(content, OPTIONS).image, np.asarray(expected)), block.hex()
    assert seen == set(UNDOING)
