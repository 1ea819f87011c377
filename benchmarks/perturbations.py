"""Make photos worse, knowing where each of their points lies in the copy; and collect pictures without a face.

Everything is computed from fixed seeds: the same photo always gives the same copy.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.records import Image
from tests.support.pictures import package_file, read_picture

Matrix = NDArray[np.float64]  # (2, 3): where a point of the photo lies in the copy
Box = NDArray[np.float64]  # x1, y1, x2, y2

GREY_LEVELS = 255
MIDDLE_GREY = 128
SMALL_SIDE_PX = 64
JPEG_QUALITY = 5
NOISE_SIGMA = 40  # grey levels
BLUR_SHARE = 0.01  # Gaussian's sigma, of the longer side
OVER_EXPOSURE = 2.5
TEXTURE_SIDE_PX = 480
SAMPLES = {  # pictures of these packages that show no human face: textures, things, animals, cells, the sky
    "skimage": (
        "data",
        (
            *("brick.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png", "color.png", "grass.png"),
            *("gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png", "logo.png", "microaneurysms.png"),
            *("moon.png", "motorcycle_left.png", "motorcycle_right.png", "page.png", "phantom.png", "retina.jpg"),
            *("rocket.jpg", "text.png"),
        ),
    ),
    "matplotlib": ("mpl-data/sample_data", ("Minduka_Present_Blue_Pack.png", "logo2.png")),
}


@dataclass(frozen=True, slots=True)
class Copy:
    """A perturbed copy, and the matrix that maps the photo's points into it."""

    image: Image
    matrix: Matrix


def _keeping_places(change: Callable[[Image], NDArray[np.generic]]) -> Callable[[Image], Copy]:
    """Build a perturbation that moves no point; the result of `change` may exceed the range of grey levels."""

    def perturb(image: Image) -> Copy:
        changed = np.clip(np.rint(change(image)), 0, GREY_LEVELS).astype(np.uint8)
        return Copy(changed, np.eye(2, 3))

    return perturb


def _turned(degrees: float) -> Callable[[Image], Copy]:
    """Build a turn anticlockwise onto a canvas that holds the whole photo, black where the photo does not reach."""

    def perturb(image: Image) -> Copy:
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        size = np.abs(matrix[:, :2]).round(12) @ (width, height)
        columns, rows = (math.ceil(side) for side in size)
        matrix[:, 2] += ((columns - width) / 2, (rows - height) / 2)
        return Copy(np.asarray(cv2.warpAffine(image, matrix, (columns, rows)), np.uint8), np.asarray(matrix))

    return perturb


def _small(image: Image) -> Copy:
    scale = SMALL_SIDE_PX / max(image.shape[:2])
    reduced = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return Copy(np.asarray(reduced, np.uint8), np.eye(2, 3) * scale)


def _low_contrast(share: float) -> Callable[[Image], Copy]:
    return _keeping_places(lambda image: MIDDLE_GREY + (image - float(MIDDLE_GREY)) * share)


def _gamma(exponent: float) -> Callable[[Image], Copy]:
    return _keeping_places(lambda image: GREY_LEVELS * (image / GREY_LEVELS) ** exponent)


def _brightened(factor: float) -> Callable[[Image], Copy]:
    return _keeping_places(lambda image: image * factor)


def _compressed(image: Image) -> NDArray[np.generic]:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1], cv2.IMREAD_COLOR)


def _noisy(image: Image) -> NDArray[np.generic]:
    generator = np.random.default_rng(zlib.crc32(image.tobytes()))
    return image + generator.normal(0, NOISE_SIGMA, image.shape)


def _blurred(image: Image) -> NDArray[np.generic]:
    return cv2.GaussianBlur(image, (0, 0), BLUR_SHARE * max(image.shape[:2]))


def _grey(image: Image) -> NDArray[np.generic]:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


PERTURBATIONS: dict[str, Callable[[Image], Copy]] = {
    "as it is": _keeping_places(lambda image: image),
    "turned 90": _turned(90),
    "turned 180": _turned(180),
    "turned 270": _turned(270),
    "tilted 30": _turned(30),
    "tilted 45": _turned(45),
    "darkened to 12 %": _brightened(0.12),
    "darkened to 4 %": _brightened(0.04),
    "gamma 4": _gamma(4),
    "contrast at 12 %": _low_contrast(0.12),
    "turned 90, darkened to 4 %": lambda image: _turned(90)(_brightened(0.04)(image).image),
    "64 px": _small,
    "JPEG quality 5": _keeping_places(_compressed),
    "over-exposed": _brightened(OVER_EXPOSURE),
    "noise": _keeping_places(_noisy),
    "blur": _keeping_places(_blurred),
    "grey": _keeping_places(_grey),
}


def carry_box(box: Box, matrix: Matrix) -> Box:
    """Map a face's box into the copy: the centre exactly, the sides exactly for quarter turns, unchanged if tilted."""
    centre = matrix[:, :2] @ ((box[:2] + box[2:]) / 2) + matrix[:, 2]
    half = np.hypot(*(matrix[:, :2] * (box[2:] - box[:2])).T) / 2
    return np.concatenate([centre - half, centre + half])


def faceless_pictures() -> Iterator[tuple[str, Image]]:
    """Yield pictures without a face by name: samples of packages (requirements-demo.txt), and ones drawn here."""
    for package, (folder, names) in SAMPLES.items():
        for name in names:
            yield f"{package} {name}", read_picture(package_file(package, folder, name))
    yield from _textures()
    yield from _avatars()


def _textures() -> Iterator[tuple[str, Image]]:
    """Draw noise from coarse to fine (clouds, foliage, grain), stripes, a gradient and plain colours."""
    generator = np.random.default_rng(0)
    shape = (TEXTURE_SIDE_PX, TEXTURE_SIDE_PX)
    for cells in (4, 8, 16, 32, 64, 128, TEXTURE_SIDE_PX):
        grain = generator.integers(0, 256, (cells, cells, 3), np.uint8)
        yield f"noise of {cells} cells", np.asarray(cv2.resize(grain, shape, interpolation=cv2.INTER_CUBIC), np.uint8)
    ramp = np.broadcast_to(np.linspace(0, GREY_LEVELS, TEXTURE_SIDE_PX)[:, None, None], (*shape, 3))
    yield "gradient", ramp.astype(np.uint8)
    yield "stripes", (ramp % 32 > 16).astype(np.uint8) * np.uint8(GREY_LEVELS)
    for level in (0, MIDDLE_GREY, GREY_LEVELS):
        yield f"plain {level}", np.full((*shape, 3), level, np.uint8)


def _avatars() -> Iterator[tuple[str, Image]]:
    """Draw what servers show for a missing photo: head and shoulders without features, or initials."""
    for name, ground, figure in (("light", 225, 160), ("dark", 40, 110), ("inverse", 130, 255)):
        canvas = np.full((TEXTURE_SIDE_PX, TEXTURE_SIDE_PX, 3), ground, np.uint8)
        cv2.circle(canvas, (240, 180), 90, (figure,) * 3, cv2.FILLED, cv2.LINE_AA)
        cv2.ellipse(canvas, (240, 480), (190, 180), 0, 180, 360, (figure,) * 3, cv2.FILLED, cv2.LINE_AA)
        yield f"avatar {name}", canvas
    for letters, colour in (("AB", (160, 90, 30)), ("OO", (40, 120, 60))):
        canvas = np.full((TEXTURE_SIDE_PX, TEXTURE_SIDE_PX, 3), colour, np.uint8)
        cv2.putText(canvas, letters, (70, 310), cv2.FONT_HERSHEY_SIMPLEX, 8, (255, 255, 255), 20, cv2.LINE_AA)
        yield f"initials {letters}", canvas
