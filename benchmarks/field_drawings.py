"""Kinds of `field_pictures`: drawings, which must be refused, and poor photos, which are photos all the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from importlib import import_module

import cv2
import numpy as np

from app.records import Image
from benchmarks.field_album import Album, Case, Missing, as_jpeg, as_png, may_store, must_refuse, must_store, to_pillow
from benchmarks.field_formats import optional
from tests.support.pictures import encode_pillow

NOT_A_PHOTO = {"not_a_photo", "no_face", "low_quality"}
PYTHON_AVATARS, MULTIAVATARS, AVATAR_PX = 24, 16, 600
DRAWN_SIDE_PX = 1000
SEPIA = np.array([[0.131, 0.534, 0.272], [0.168, 0.686, 0.349], [0.189, 0.769, 0.393]])  # BGR
POOR_CODES = {"low_quality"}
Change = Callable[[Image], Image]


def avatars(_: Album) -> Iterator[Case | Missing]:
    """Draw avatars, as people choose them instead of a photo."""
    resvg = optional("resvg_py")
    if resvg is None:
        yield Missing("avatars: pip install resvg-py")
        return
    for package, drawings in (("python_avatars", _python_avatars), ("multiavatar", _multiavatars)):
        if optional(package) is None:
            yield Missing(f"avatars: pip install {package}")
            continue
        for number, drawing in enumerate(drawings()):
            content = bytes(resvg.svg_to_bytes(svg_string=drawing, width=AVATAR_PX, background="#ffffff"))
            yield must_refuse(f"{package}-{number}.png", content, NOT_A_PHOTO)


def _python_avatars() -> Iterator[str]:
    avatars_of = import_module("python_avatars")
    for seed in range(PYTHON_AVATARS):
        random.seed(seed)  # the package uses the module's global generator
        yield avatars_of.Avatar.random().render()


def _multiavatars() -> Iterator[str]:
    multiavatar = import_module("multiavatar.multiavatar").multiavatar
    return (multiavatar(f"tripulante {number}", None, None) for number in range(MULTIAVATARS))


def drawn(album: Album) -> Iterator[Case]:
    """Draw the portraits as an app's filters do."""
    for number, portrait in enumerate(album.portraits):
        bust = portrait.bust(DRAWN_SIDE_PX / 2.4)
        for step in range(2):
            style = list(STYLES)[(number + 2 * step + number // 4) % len(STYLES)]
            drawing = as_jpeg(STYLES[style](bust.image))
            yield must_refuse(f"{portrait.file}-{style}.jpg", drawing, NOT_A_PHOTO, drawn_from=portrait.file)


def _pencil(image: Image) -> Image:
    grey, _ = cv2.pencilSketch(image, sigma_s=60, sigma_r=0.07, shade_factor=0.05)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def _coloured_pencil(image: Image) -> Image:
    return np.asarray(cv2.pencilSketch(image, sigma_s=60, sigma_r=0.07, shade_factor=0.05)[1], np.uint8)


def _cartoon(image: Image) -> Image:
    """Draw flat colours with black outlines."""
    smooth = image
    for _ in range(6):
        smooth = np.asarray(cv2.bilateralFilter(smooth, 9, 40, 9), np.uint8)
    flat = smooth // 40 * 40 + 15
    grey = cv2.medianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 7)
    lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 11, 3)
    return np.where(lines[..., None] > 0, flat, 0).astype(np.uint8)


def _stylised(image: Image) -> Image:
    painted = np.asarray(cv2.stylization(image, sigma_s=150, sigma_r=0.6), np.uint8)
    return painted // 32 * 32 + 16


STYLES: dict[str, Change] = {
    "pencil": _pencil,
    "coloured-pencil": _coloured_pencil,
    "cartoon": _cartoon,
    "stylised": _stylised,
}


def grey_and_brown(album: Album) -> Iterator[Case]:
    """Take the colour out of the photos; they must be stored all the same."""
    for portrait in album.portraits:
        grey = cv2.cvtColor(portrait.image, cv2.COLOR_BGR2GRAY)
        yield must_store(f"{portrait.file}-grey.jpg", as_jpeg(np.asarray(grey, np.uint8)), portrait)
        sepia = np.clip(portrait.image @ SEPIA.T, 0, 255).astype(np.uint8)
        yield must_store(f"{portrait.file}-sepia.jpg", as_jpeg(sepia), portrait)


def poor(album: Album) -> Iterator[Case]:
    """Make the photos bad; they must be stored right or refused for their quality, for nothing else."""
    for number, portrait in enumerate(album.portraits):
        for step in range(3):
            what = list(POOR)[(number + 3 * step) % len(POOR)]
            content, ending = POOR[what](portrait.image)
            yield may_store(f"{portrait.file}-{what}.{ending}", content, portrait, POOR_CODES)


def _noisy(image: Image) -> Image:
    noise = np.random.default_rng(image.shape[0]).normal(0, 25, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _few_colours(image: Image) -> bytes:
    return encode_pillow(to_pillow(image).quantize(16), "GIF")


def _copied(image: Image) -> Image:
    """Make the photo grey, high in contrast and grainy, like a photocopy."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float64)
    grain = np.random.default_rng(1).normal(0, 12, grey.shape)
    return np.clip((grey - 128) * 1.7 + 140 + grain, 0, 255).astype(np.uint8)


def _small(image: Image) -> Image:
    scale = 320 / max(image.shape[:2])
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _flat(image: Image) -> Image:
    return np.clip(100 + 0.35 * (image - 128.0), 0, 255).astype(np.uint8)


def _soft(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.002 * max(image.shape[:2])), np.uint8)


POOR: dict[str, Callable[[Image], tuple[bytes, str]]] = {
    "quality10": lambda image: (as_jpeg(image, 10), "jpg"),
    "noise": lambda image: (as_jpeg(_noisy(image)), "jpg"),
    "16-colours": lambda image: (_few_colours(image), "gif"),
    "photocopy": lambda image: (as_png(_copied(image)), "png"),
    "small": lambda image: (as_jpeg(_small(image), 80), "jpg"),
    "flat": lambda image: (as_jpeg(_flat(image)), "jpg"),
    "soft": lambda image: (as_jpeg(_soft(image)), "jpg"),
    "dark": lambda image: (as_jpeg((image * 0.3).astype(np.uint8)), "jpg"),
}
