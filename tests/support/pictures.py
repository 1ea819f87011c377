"""Pictures for the tests: real portraits from packages, encoders with EXIF orientation, and drawings."""

from __future__ import annotations

import importlib.util
import io
import random
from pathlib import Path

import cv2
import numpy as np
import python_avatars
import resvg_py
from PIL import Image as PillowImage

from app.records import Image

EXIF_ORIENTATION = 0x0112
UPRIGHT = 1


def package_file(package: str, *parts: str) -> Path:
    """Return the path of a package's data file, without importing the package: its requirements are not installed."""
    spec = importlib.util.find_spec(package)
    assert spec and spec.submodule_search_locations, "pip install --no-deps -r requirements-demo.txt"
    return Path(spec.submodule_search_locations[0], *parts)


def read_picture(path: Path) -> Image:
    """Read a picture: BGR uint8 (h, w, 3)."""
    return np.asarray(cv2.imread(str(path)), np.uint8)


def encode_picture(image: Image, kind: str = "JPEG", *, orientation: int = UPRIGHT, **options: object) -> bytes:
    """Encode BGR or grey pixels as the bytes of a file; `orientation` is EXIF's, `options` are Pillow's."""
    exif = PillowImage.Exif()
    if orientation != UPRIGHT:
        exif[EXIF_ORIENTATION] = orientation
    pixels = image if image.ndim == 2 else np.ascontiguousarray(image[:, :, ::-1])
    return encode_pillow(PillowImage.fromarray(pixels), kind, exif=exif, **options)


def encode_pillow(picture: PillowImage.Image, kind: str, **options: object) -> bytes:
    """Encode a Pillow image as the bytes of a file."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def write_picture(
    path: Path, image: Image, kind: str = "JPEG", *, orientation: int = UPRIGHT, **options: object
) -> Path:
    """Encode pixels into a file, making its folder if need be; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_picture(image, kind, orientation=orientation, **options))
    return path


def draw_avatar(side_px: int = 480) -> Image:
    """Draw an avatar of the package python_avatars in which MTCNN detects a face; the same one each time."""
    random.seed(1)  # hair, brows and clothes are chosen by chance
    avatar = python_avatars.Avatar(
        style=python_avatars.AvatarStyle.TRANSPARENT,
        top=python_avatars.HairType.SHORT_FLAT,
        eyes=python_avatars.EyeType.DEFAULT,
        mouth=python_avatars.MouthType.SMILE,
        skin_color=python_avatars.SkinColor.LIGHT,
        facial_hair=python_avatars.FacialHairType.NONE,
        accessory=python_avatars.AccessoryType.NONE,
    )
    return render_svg(avatar.render(), side_px)


def render_svg(svg: str, side_px: int) -> Image:
    """Render a drawing on white: BGR uint8 (h, w, 3)."""
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=side_px, background="white"))
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), np.uint8)
