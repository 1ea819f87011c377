"""Kinds of `field_pictures` in sound but unusual formats, and files that are not photos."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import features

from app.records import Image
from benchmarks.field_album import Album, Case, Missing, Portrait, as_jpeg, as_png, must_refuse, must_store, to_pillow
from benchmarks.field_backdrop import backdrop, paste
from benchmarks.field_geometry import to_orientation
from tests.support.pictures import EXIF_ORIENTATION, encode_pillow

TIFF_THUMBNAIL_PX = 160
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
PHONE_PX = (12_000, 9000)  # 108 megapixels
PHOTOS_A_FORMAT = 3
PHOTOS_OF_PHONES, PHONE_COPY_PX = 12, 800  # small, since their encoders take a second for a few megapixels
NAMED = "invalid_image"
Encode = Callable[[Image], bytes]


def _by_opencv(ending: str, *options: int) -> Encode:
    return lambda image: bytes(cv2.imencode(ending, image, options)[1])


def _by_pillow(kind: str, mode: str = "RGB", **options: object) -> Encode:
    return lambda image: encode_pillow(to_pillow(image).convert(mode), kind, **options)


def _palette(kind: str) -> Encode:
    return lambda image: encode_pillow(to_pillow(image).quantize(256), kind)


def _motion_photo(image: Image) -> bytes:
    """Encode a JPEG with a film behind it, whose bytes contain JPEG markers by chance."""
    film = np.random.default_rng(0).bytes(300_000)
    return as_jpeg(image) + struct.pack(">I", 24) + b"ftypmp42\0\0\0\0mp42isom" + film


def _two_pictures(image: Image) -> bytes:
    """Encode a JPEG with a small second one behind it, as cameras keep a preview for their own screen."""
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    return as_jpeg(image) + as_jpeg(np.asarray(small, np.uint8))


def _exif_thumbnail(image: Image) -> bytes:
    exif = PillowImage.Exif()
    exif[0x010F] = "Camera " * 200
    return encode_pillow(to_pillow(image), "JPEG", exif=exif, quality=95, comment=b"c" * 5000)


def _sixteen_bit(image: Image) -> bytes:
    return bytes(cv2.imencode(".png", image.astype(np.uint16) * 257)[1])


def interlaced_png(image: Image) -> bytes:
    """Encode an interlaced PNG, which no installed encoder writes: seven pictures (Adam7), each finer than the last."""
    rgb = image[:, :, ::-1]
    lines = bytearray()
    for top, left, down, right in ADAM7:
        for row in rgb[top::down, left::right]:
            lines += b"\0" + row.tobytes()
    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, 2, 0, 0, 1)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(bytes(lines), 3)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


SOUND: dict[str, tuple[str, Encode]] = {
    "trailing": ("jpg", lambda image: as_jpeg(image) + b"\r\n" + bytes(700) + b"tail\xff\xd9"),
    "motion": ("jpg", _motion_photo),
    "two-pictures": ("jpg", _two_pictures),
    "comment": ("jpg", _exif_thumbnail),
    "progressive": ("jpg", _by_pillow("JPEG", quality=95, progressive=True)),
    "progressive-420": ("jpg", _by_pillow("JPEG", quality=80, progressive=True, subsampling=2)),
    "restarts": ("jpg", _by_opencv(".jpg", cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_RST_INTERVAL, 8)),
    "grey": ("jpg", _by_pillow("JPEG", "L", quality=95)),
    "cmyk": ("jpg", _by_pillow("JPEG", "CMYK", quality=95)),
    "16-bit": ("png", _sixteen_bit),
    "palette": ("png", _palette("PNG")),
    "interlaced": ("png", interlaced_png),
    "lossy": ("webp", _by_pillow("WEBP", quality=90)),
    "lossless": ("webp", _by_pillow("WEBP", lossless=True)),
    "gif": ("gif", _palette("GIF")),
    "bmp": ("bmp", _by_opencv(".bmp")),
    "tiff": ("tif", _by_pillow("TIFF")),
    "lzw": ("tif", _by_pillow("TIFF", compression="tiff_lzw")),
    "cmyk-tiff": ("tif", _by_pillow("TIFF", "CMYK", compression="tiff_adobe_deflate")),
    "jpeg-named-png": ("png", as_jpeg),
}


def sound(album: Album) -> Iterator[Case | Missing]:
    """Encode photos in unusual formats; each file shows the whole picture."""
    portraits = iter(album.some(PHOTOS_A_FORMAT * (len(SOUND) + 1)))
    for what, (ending, encode) in SOUND.items():
        for _ in range(PHOTOS_A_FORMAT):
            portrait = next(portraits)
            yield must_store(f"{portrait.file}-{what}.{ending}", encode(portrait.image), portrait)
    tifffile = optional("tifffile")
    if tifffile is None:
        yield Missing("TIFF in tiles: pip install tifffile")
        return
    for portrait in portraits:
        yield must_store(f"{portrait.file}-tiled.tif", _tiled(tifffile, portrait.image), portrait)


def _tiled(tifffile: ModuleType, image: Image) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, image[:, :, ::-1], tile=(256, 256), photometric="rgb", compression="zlib")
    return file.getvalue()


def phones(album: Album) -> Iterator[Case | Missing]:
    """Encode photos as HEIC and AVIF, upright or with the orientation in which a phone was held."""
    heif = optional("pillow_heif")
    if heif is None:
        yield Missing("HEIC: pip install pillow-heif")
    else:
        heif.register_heif_opener()
        yield from _phone(album, "HEIF", "heic")
    if features.check("avif"):
        yield from _phone(album, "AVIF", "avif")
    else:
        yield Missing("AVIF: pip install 'pillow>=11.3'")


def _phone(album: Album, kind: str, ending: str) -> Iterator[Case]:
    for number, whole in enumerate(album.some(PHOTOS_OF_PHONES, start=3)):
        portrait = whole.resized(min(1.0, PHONE_COPY_PX / max(whole.image.shape[:2])))
        orientation = (1, 6, 3, 8)[number % 4]
        exif = PillowImage.Exif()
        exif[EXIF_ORIENTATION] = orientation
        content = encode_pillow(
            to_pillow(to_orientation(portrait.image, orientation)), kind, quality=90, exif=exif.tobytes()
        )
        yield must_store(f"{portrait.file}-{orientation}.{ending}", content, portrait)


def tiff_pages(album: Album) -> Iterator[Case]:
    """Encode TIFFs of two pages, a thumbnail first or second; the large page is the photo."""
    for number, portrait in enumerate(album.some(16, start=9)):
        picture = to_pillow(portrait.image)
        small = picture.copy()
        small.thumbnail((TIFF_THUMBNAIL_PX, TIFF_THUMBNAIL_PX))
        pages = (small, picture) if number % 4 else (picture, small)
        options = {"save_all": True, "append_images": [pages[1]], "compression": "tiff_lzw" if number % 2 else None}
        content = encode_pillow(pages[0], "TIFF", **options)
        yield must_store(f"{portrait.file}-{'thumbnail' if number % 4 else 'photo'}-first.tif", content, portrait)


def odd_files(album: Album) -> Iterator[Case | Missing]:
    """Make files that are no photos, which must be refused by name, and unusual photos that must be read."""
    (portrait,) = album.some(1)
    yield must_refuse("drawing.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>', {NAMED}, "SVG")
    yield must_refuse("declared.svg", b'<?xml version="1.0"?>\n<svg width="9" height="9"></svg>', {NAMED}, "SVG")
    yield must_refuse("page.jpg", b"<!DOCTYPE html><html><body>404</body></html>", {NAMED}, r"página|HTML")
    yield must_refuse("scan.jpg", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n", {NAMED}, "PDF")
    yield must_refuse("empty.jpg", b"", {NAMED}, "vac[ií]")
    yield must_refuse("film.jpg", struct.pack(">I", 24) + b"ftypmp42\0\0\0\0mp42isom" + bytes(5000), {NAMED}, "")
    yield must_refuse("letter.jpg", b"PK\x03\x04" + bytes(3000), {NAMED}, "")
    yield must_store("phone-108.jpg", _phone_picture(portrait), portrait)
    imagecodecs = optional("imagecodecs")
    if imagecodecs is None:
        yield Missing("lossless and 12-bit JPEG: pip install imagecodecs")
        return
    for each in album.some(4, start=1):
        rgb = np.ascontiguousarray(each.image[:, :, ::-1])
        lossless, deep = imagecodecs.jpeg8_encode(rgb, lossless=True), rgb.astype(np.uint16) << 4
        yield _read_or_named(each, f"{each.file}-lossless.jpg", lossless, r"sin pérdida|lossless")
        twelve_bits = imagecodecs.jpeg8_encode(deep, level=95, bitspersample=12)
        yield _read_or_named(each, f"{each.file}-12bit.jpg", twelve_bits, "12 bit")


def _read_or_named(portrait: Portrait, name: str, content: bytes, detail: str) -> Case:
    """Describe a file that must be read right or refused with a detail that names its format."""
    return Case(name, content, portrait.file, frozenset({NAMED}), detail=detail)


def _phone_picture(portrait: Portrait) -> bytes:
    """Encode a photo of 108 megapixels, the largest that phones take."""
    scene = backdrop(*PHONE_PX)
    bust = portrait.bust(PHONE_PX[1] // 4)
    paste(scene, bust.image, PHONE_PX[0] // 3, PHONE_PX[1] // 5)
    return as_jpeg(scene, 85)


def transparency(album: Album) -> Iterator[Case]:
    """Encode photos with alpha: a partner erased whose pixels are still there, and people without their background."""
    for number, portrait in enumerate(album.portraits):
        partner = album.another(portrait, 5 * number)
        yield from _erased(portrait, partner, number)
        yield from _cut_out(portrait, number)


def _erased(portrait: Portrait, partner: Portrait, number: int) -> Iterator[Case]:
    pictures = [each.bust(300).image for each in (portrait, partner)]
    height = max(picture.shape[0] for picture in pictures)
    sides = [cv2.copyMakeBorder(each, 0, height - each.shape[0], 0, 0, cv2.BORDER_REPLICATE) for each in pictures]
    alpha = [np.full(sides[0].shape[:2], 255, np.uint8), np.zeros(sides[1].shape[:2], np.uint8)]
    order = (0, 1) if number % 2 else (1, 0)
    image = np.hstack([np.dstack([sides[index], alpha[index]]) for index in order])
    yield must_store(f"{portrait.file}-erased.{'png' if number % 3 else 'webp'}", _with_alpha(image, number), portrait)


def _cut_out(portrait: Portrait, number: int) -> Iterator[Case]:
    """Cut out head and shoulders; the transparent pixels are black or random."""
    bust = portrait.bust(300)
    x, y, w, h = bust.box
    alpha = np.zeros(bust.image.shape[:2], np.uint8)
    middle = (round(x + w / 2), round(y + 0.45 * h))
    cv2.ellipse(alpha, middle, (round(0.85 * w), round(0.8 * h)), 0, 0, 360, 255, cv2.FILLED, cv2.LINE_AA)
    shoulders = (round(x + w / 2), round(y + 2.1 * h))
    cv2.ellipse(alpha, shoulders, (round(1.3 * w), round(1.1 * h)), 0, 0, 360, 255, cv2.FILLED, cv2.LINE_AA)
    shape = bust.image.shape
    below = np.random.default_rng(number).integers(0, 256, shape, np.uint8) if number % 2 else np.zeros(shape, np.uint8)
    image = np.dstack([np.where(alpha[..., None] > 0, bust.image, below).astype(np.uint8), alpha])
    yield must_store(f"{portrait.file}-cut-out.{'png' if number % 3 else 'webp'}", _with_alpha(image, number), portrait)


def _with_alpha(image: Image, number: int) -> bytes:
    """Encode as PNG, every third as lossless WebP that keeps transparent pixels."""
    if number % 3:
        return as_png(image)
    picture = PillowImage.fromarray(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA))
    return encode_pillow(picture, "WEBP", lossless=True, exact=True)


def optional(name: str) -> ModuleType | None:
    """Import a package; None where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        return None
