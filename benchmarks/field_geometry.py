"""Kinds of `field_pictures` whose photos are turned, cut, scaled or stretched."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from PIL import Image as PillowImage

from app.records import Image
from benchmarks.field_album import Album, Case, Portrait, as_jpeg, may_store, must_refuse, must_store
from benchmarks.field_backdrop import backdrop, paste
from tests.support.pictures import encode_picture

TURNS = {0: None, 90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
UNDECIDED = ("unclear_orientation", "low_quality")
TILTS_DEGREES, SQUEEZED_TILTS = (-15, -8, 8, 15), (-20, -10, 10, 20)
BEHIND = (128, 128, 128)  # BGR, in the corners of a tilted photo
# The transposition that undoes each EXIF orientation (TIFF 6.0, tag 274).
TO_FILE = {
    2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
    3: PillowImage.Transpose.ROTATE_180,
    4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
    5: PillowImage.Transpose.TRANSPOSE,
    6: PillowImage.Transpose.ROTATE_90,
    7: PillowImage.Transpose.TRANSVERSE,
    8: PillowImage.Transpose.ROTATE_270,
}
MILD, CUTS = 0.0, (-0.05, 0.0, 0.1, 0.2)  # depth of the cut into the face's box, as a fraction of its side
CUT_SIDES = ("top", "bottom", "left", "right", "all")
LARGE_PX = (6000, 4000)
FACES_PX, FIT_FACE_PX = (40, 60, 80, 100, 150, 200, 400), 100
STRIPS_PX = ((8000, 1000), (1000, 6000), (5000, 800))
STRIP_FACES = (0.34, 0.45, 0.6)  # the face's height, of the short side
SQUEEZES = (0.6, 0.75, 1.4, 1.7)
TINY_FACE_PX, ENLARGED_FACE_PX = 20, 300
METHODS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}


def untouched(album: Album) -> Iterator[Case]:
    """Yield the photos' own files; those of several people must be refused."""
    for portrait in album.portraits:
        yield must_store(portrait.file, portrait.content, portrait)
    for group in album.groups:
        yield must_refuse(group.name, group.read_bytes(), {"several_faces"})


def turned(album: Album) -> Iterator[Case]:
    """Turn each photo into four positions without an EXIF orientation: in colour, grey, and tilted."""
    for number, portrait in enumerate(album.portraits):
        for degrees in (90, 180, 270):
            yield _turned(portrait, portrait.image, degrees, "colour")
        grey = np.asarray(cv2.cvtColor(portrait.image, cv2.COLOR_BGR2GRAY), np.uint8)
        yield _turned(portrait, grey, 90 * (number % 4), "grey")
        degrees = TILTS_DEGREES[number // 4 % 4]
        yield _turned(portrait, tilt(portrait.image, degrees), 90 * ((number + 2) % 4), f"tilted{degrees}")


def _turned(portrait: Portrait, image: Image, degrees: int, what: str) -> Case:
    way = TURNS[degrees]
    pixels = image if way is None else np.asarray(cv2.rotate(image, way), np.uint8)
    return must_store(f"{portrait.file}-{what}-{degrees}.jpg", as_jpeg(pixels), portrait, UNDECIDED)


def tilt(image: Image, degrees: float) -> Image:
    """Turn the photo counterclockwise, in a picture that is large enough to hold all of it."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    cosine, sine = np.abs(matrix[0, :2])
    wide, high = round(width * cosine + height * sine), round(width * sine + height * cosine)
    matrix[:, 2] += (wide - width) / 2, (high - height) / 2
    return np.asarray(cv2.warpAffine(image, matrix, (wide, high), borderValue=BEHIND), np.uint8)


def tilted(album: Album) -> Iterator[Case]:
    """Tilt each photo, as a scanner or a hand does."""
    for portrait in album.portraits:
        for degrees in SQUEEZED_TILTS:
            content = as_jpeg(tilt(portrait.image, degrees))
            yield must_store(f"{portrait.file}-tilted{degrees}.jpg", content, portrait, UNDECIDED)


def exif(album: Album) -> Iterator[Case]:
    """Encode each photo in two of the eight EXIF orientations, as a camera held that way does."""
    for number, portrait in enumerate(album.portraits):
        for orientation in (1 + number % 8, 1 + (number + 3) % 8):
            name = f"{portrait.file}-exif{orientation}.jpg"
            yield must_store(name, encode_oriented(portrait.image, orientation), portrait)


def to_orientation(image: Image, orientation: int) -> Image:
    """Transpose upright pixels to how a file of this EXIF orientation stores them."""
    picture = PillowImage.fromarray(image)
    return np.asarray(picture.transpose(TO_FILE[orientation]) if orientation in TO_FILE else picture, np.uint8)


def encode_oriented(image: Image, orientation: int) -> bytes:
    """Encode upright pixels as a JPEG of this EXIF orientation."""
    return encode_picture(to_orientation(image, orientation), orientation=orientation, quality=95)


def tight_crops(album: Album) -> Iterator[Case]:
    """Cut off forehead, chin, a cheek or all of them; after a mild cut the face must still be found."""
    for number, portrait in enumerate(album.portraits):
        for step, depth in enumerate(CUTS):
            side = CUT_SIDES[(number + step) % len(CUT_SIDES)]
            content = as_jpeg(_cut(portrait, side, depth).image)
            codes = {"low_quality"} if depth <= MILD else {"low_quality", "no_face"}
            yield may_store(f"{portrait.file}-{side}{depth:+.2f}.jpg", content, portrait, codes)


def _cut(portrait: Portrait, side: str, depth: float) -> Portrait:
    x, y, w, h = portrait.box
    height, width = portrait.image.shape[:2]
    lines = {"left": x + depth * w, "top": y + depth * h, "right": x + (1 - depth) * w, "bottom": y + (1 - depth) * h}
    whole = {"left": 0.0, "top": 0.0, "right": float(width), "bottom": float(height)}
    return portrait.cropped(**(lines if side == "all" else whole | {side: lines[side]}))


def small_in_large(album: Album) -> Iterator[Case]:
    """Put a distant person into a camera's large picture; a face of FIT_FACE_PX or more must be stored."""
    portraits = iter(album.some(4 * len(FACES_PX)))
    for face_px in FACES_PX:
        for number in range(4):
            portrait = next(portraits)
            scene = backdrop(*LARGE_PX, seed=face_px + number)
            bust = portrait.bust(face_px, 3.0)
            paste(scene, bust.image, LARGE_PX[0] // 2 - bust.image.shape[1] // 2, LARGE_PX[1] // 2)
            name, content = f"{portrait.file}-{face_px}px.jpg", as_jpeg(scene, 90)
            if face_px >= FIT_FACE_PX:
                yield must_store(name, content, portrait)
            else:
                yield may_store(name, content, portrait, {"face_too_small"})


def strips(album: Album) -> Iterator[Case]:
    """Put people into very long pictures, upright and lengthwise."""
    portraits = iter(album.some(3 * len(STRIPS_PX) * len(STRIP_FACES), start=5))
    for width, height in STRIPS_PX:
        for share in STRIP_FACES:
            for place in (0.15, 0.5, 0.8):
                portrait = next(portraits)
                bust = portrait.bust(share * min(width, height), 1.6)
                scene = backdrop(width, height, seed=int(100 * place) + width)
                rows, columns = bust.image.shape[:2]
                paste(scene, bust.image, round(place * max(0, width - columns)), round(place * max(0, height - rows)))
                yield must_store(f"{portrait.file}-{width}x{height}-{share}.jpg", as_jpeg(scene, 90), portrait)


def squeezed(album: Album) -> Iterator[Case]:
    """Change the width but not the height, as some web forms do."""
    for number, portrait in enumerate(album.portraits):
        for factor in (SQUEEZES[number % 4], SQUEEZES[(number + 1) % 4]):
            yield _squeezed(portrait, portrait.image, factor, "")


def tilted_squeezed(album: Album) -> Iterator[Case]:
    """Change the width of tilted photos."""
    for number, portrait in enumerate(album.portraits):
        for step, factor in enumerate(SQUEEZES):
            degrees = SQUEEZED_TILTS[(number + step) % 4]
            yield _squeezed(portrait, tilt(portrait.image, degrees), factor, f"-tilted{degrees}")


def _squeezed(portrait: Portrait, image: Image, factor: float, what: str) -> Case:
    name, codes = f"{portrait.file}{what}-x{factor}.jpg", {"low_quality", "no_face"}
    return may_store(name, as_jpeg(squeeze(image, factor)), portrait, codes, flagged=True)


def squeeze(image: Image, width: float) -> Image:
    """Make the picture that many times as wide."""
    return np.asarray(cv2.resize(image, None, fx=width, fy=1, interpolation=cv2.INTER_AREA), np.uint8)


def enlarged(album: Album) -> Iterator[Case]:
    """Enlarge a thumbnail to many pixels without detail."""
    for number, portrait in enumerate(album.portraits):
        method = list(METHODS)[number % 4]
        tiny = portrait.bust(TINY_FACE_PX, 4.0)
        large = tiny.resized(ENLARGED_FACE_PX / TINY_FACE_PX, METHODS[method])
        codes = {"low_quality", "face_too_small", "no_face"}
        yield may_store(f"{portrait.file}-{method}.jpg", as_jpeg(large.image), portrait, codes, flagged=True)
