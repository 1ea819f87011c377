"""Tell a drawn face from a photographed one, by four linear scores over traits of its pixels; figures: docs/quality.md.

A flat drawing is even almost everywhere and changes at a few hard edges; a sketch has thin dark strokes on light ground
and no shading. Filters that leave shading, by pencil strokes or in painted patches, show in the texture, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.image_scaling import reduce
from app.faces.mtcnn import Mtcnn
from app.faces.regions import crop_inside
from app.faces.texture import NAMES, Texture
from app.records import Image

Traits = dict[str, float]
Plane = NDArray[np.float32]
Floats = NDArray[np.float64]

FACE_PX = 160  # wider faces are reduced to this width: finer grain does not survive JPEG either
SAMPLE_PX = 2000  # pixels among which colours are counted, about
COLOUR_NUMBER = np.array([1 << 16, 1 << 8, 1], np.int32)  # makes one number of a pixel
FURTHEST = 4.0  # standard deviations: traits are clipped to this distance from their mean

# Below these, a face is never called a drawing: a photograph may look the same.
FEWEST_COLOURS = 17  # a palette of 16 (GIF, PNG) turns skin into even patches; the soft edges of a drawing hold more
LEAST_CONTRAST = 40  # levels between the 3 % darkest and lightest pixels: with less, steps of 1 level are large
FULL_FACE_PX = 100  # wide: in a narrower face strokes run into each other, in photographs too
LEAST_FACE_PX = 60  # wide

TONES = (0.03, 0.9, 0.97)  # quantiles of the grey levels; the first and the last span the contrast
WHITE, LIGHT = 247, 225  # grey levels
STRONG = 0.3  # of the face's contrast: by how much a strong line or light spot differs from its surroundings
SMOOTH, SHADED = 0.06, 0.25  # of the contrast: 5 x 5 pixels that vary less are even, that vary more hold an edge
STILL = 0.08  # of the contrast: 9 x 9 pixels that vary less are even
INK, PAPER = 0.4, 0.15  # of the contrast: ink is so near the darkest tone, paper so near the lightest
BLURS = (3, 5, 11, 21)  # sides of the boxes of successive blurs: each takes away one band of detail
HARDEST = 0.1  # of the pixels: the part with the strongest edges
COLOUR_STILL, COLOUR_EDGE = 2, 13  # levels of Cr in 5 x 5 pixels: even up to the first, an edge from the second on
LEVEL = 3  # levels in 5 x 5 pixels: as much as JPEG adds to an even patch
FAINT = 0.002  # of the contrast, less than rounding leaves: keeps logarithms finite
STEEPEST = 4  # units of Sobel's gradient that make one step of the histogram

# Fitted by `benchmarks/fit_drawing.py`. Of each trait: mean and standard deviation over the fitted faces; weights for a
# flat drawing and a sketch.
TABLE: dict[str, tuple[float, float, float, float]] = {
    "lightest": (0.8592, 0.1457, -0.06438, 2.309),
    "darkest": (0.1581, 0.16, -0.2886, -0.3652),
    "light tenth": (0.9346, 0.09459, -0.1663, 1.703),
    "white": (0.1643, 0.2718, -2.361, 4.574),
    "light": (0.2221, 0.3065, -1.35, 3.791),
    "ink in 5": (0.4202, 0.1805, -0.2702, 2.589),
    "ink in 15": (0.6412, 0.1815, -0.3148, -1.277),
    "paper in 15": (0.6492, 0.2584, -0.3706, -0.1838),
    "dark lines in 5": (-3.364, 0.9675, -0.9275, -0.5438),
    "dark against light in 5": (0.3279, 0.3088, 0.08566, -0.2154),
    "dark against light in 9": (0.2668, 0.3208, 0.5453, -0.8947),
    "hardest dark against light": (0.3532, 0.4828, 0.4514, 1.979),
    "strong lines": (0.0696, 0.08505, -0.0901, -2.361),
    "strong lights": (0.05066, 0.08201, -0.4963, -2.099),
    "calmest in 3": (-4.748, 1.287, 0.3892, 0.03765),
    "hardest in 3": (-0.5788, 0.4415, 1.679, -0.7019),
    "hardest in 9": (-0.002152, 0.2454, 0.6266, 2.942),
    "still in 9": (0.229, 0.1794, 2.047, -1.342),
    "level in 5": (0.2067, 0.1968, 1.488, -1.485),
    "shaded in 5": (0.3072, 0.183, -1.012, -2.526),
    "edges": (0.7221, 0.1604, 4.421, -0.3593),
    "lopsided 0": (-0.2906, 0.6868, -0.2428, 0.5293),
    "peaked 0": (2.468, 0.7181, -0.6825, -2.215),
    "lopsided 1": (-0.534, 0.5655, 1.062, -1.586),
    "peaked 1": (2.093, 0.5101, -2.011, -2.507),
    "lopsided 2": (-0.67, 0.4998, 0.6729, 2.051),
    "peaked 2": (1.832, 0.4208, 0.6446, -2.324),
    "lopsided 3": (-0.631, 0.5076, -0.4082, 1.805),
    "peaked 3": (1.504, 0.3703, -0.7751, 0.665),
    "shade": (-0.3952, 0.2231, -1.099, -2.679),
    "colour": (2.425, 1.685, 1.964, 2.882),
    "hard colour in 9": (2.247, 1.518, 1.258, -2.079),
    "still colour": (0.5523, 0.3494, -1.275, -0.8411),
    "edges of colour": (0.1539, 0.2155, -0.1051, -1.565),
}
BIASES = (-12.668, -13.049)
WEIGHTS = np.array(list(TABLE.values()))
# Fitted by `benchmarks/fit_texture.py`.
TEXTURE_TABLE = Path(__file__).with_name("texture.csv")
NUMBERS = (*TABLE, "flat", "sketch", *NAMES, "bias")


class Likeness(NamedTuple):
    """Scores of a face as a flat drawing, a sketch in lines alone, a drawing in pencil strokes and a painting in even
    patches, with outlines or without; no fixed range."""

    flat: float
    sketch: float
    strokes: float
    painted: float


# Limits: docs/quality.md says which photographs exceed them, mostly ones over-exposed until little but lines is left.
LINES = Likeness(flat=1.8, sketch=6.0, strokes=-0.2, painted=-0.36)
SMALL_FLAT_LINE = 3.1  # for a face narrower than FULL_FACE_PX, whose other scores do not count


class DrawingJudge:
    """Tell drawn faces. Safe to use from several threads."""

    def __init__(self, nets: Mtcnn) -> None:
        self._texture = Texture(nets)
        # Of each of `measure_all`'s numbers, and last the bias: mean, standard deviation, weights for strokes and for
        # painted patches.
        self._table = np.loadtxt(TEXTURE_TABLE, delimiter=",", skiprows=1, usecols=(1, 2, 3, 4))

    def is_drawing(self, image: Image, box: tuple[int, int, int, int]) -> bool:
        """Tell whether the face in `box` (x, y, width, height; pixels of `image`, BGR uint8, upright) is surely drawn;
        a drawn background or frame does not count."""
        face = crop_inside(image, *box)
        if face.shape[1] < LEAST_FACE_PX or _count_colours(face) < FEWEST_COLOURS:
            return False
        small, grey = prepare_face(face)
        if _level(grey, TONES[-1]) - _level(grey, TONES[0]) < LEAST_CONTRAST:
            return False
        likeness = self.score(small, grey)
        if face.shape[1] < FULL_FACE_PX:
            return bool(likeness.flat > SMALL_FLAT_LINE)
        return any(score > line for score, line in zip(likeness, LINES, strict=True))

    def score(self, small: Image, grey: Image) -> Likeness:
        """Score a face as `prepare_face` returns it: its pixels and its grey levels."""
        numbers = measure_all(small, grey, self._texture)
        flat, sketch = numbers[len(TABLE) :][:2]
        strokes, painted = weigh(numbers, self._table)
        return Likeness(float(flat), float(sketch), float(strokes), float(painted))


def measure_all(small: Image, grey: Image, texture: Texture) -> Floats:
    """Measure a face as `prepare_face` returns it: its traits, its scores as a flat drawing and as a sketch, its
    texture, and 1 for the bias; NUMBERS names them."""
    traits = measure_traits(small, grey)
    own = np.array([traits[name] for name in TABLE])
    return np.concatenate([own, weigh(own, WEIGHTS) + BIASES, texture.measure(small), [1.0]])


def weigh(numbers: Floats, table: Floats) -> Floats:
    """Sum up numbers (n,) by a table (n, 2 + m) of their means, deviations and weights, as (m,)."""
    places = (numbers - table[:, 0]) / table[:, 1]
    return np.asarray(np.clip(places, -FURTHEST, FURTHEST) @ table[:, 2:])


def prepare_face(face: Image) -> tuple[Image, Image]:
    """Reduce a face (BGR uint8) to at most FACE_PX wide; return it and its grey levels (h, w)."""
    small = reduce(face, face.shape[1] // FACE_PX)  # a whole factor first: it takes a tenth of the time
    height, width = small.shape[:2]
    if width > FACE_PX:
        size = (FACE_PX, max(1, round(height * FACE_PX / width)))
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)


def _count_colours(face: Image) -> int:
    step = max(1, int((face.shape[0] * face.shape[1] / SAMPLE_PX) ** 0.5))
    return len({*(face[::step, ::step].reshape(-1, 3) @ COLOUR_NUMBER).tolist()})


def measure_traits(face: Image, grey: Image) -> Traits:
    """Measure the traits of a face as `prepare_face` returns it; each a number of about -5 to 10."""
    counts = np.cumsum(_histogram(grey)) / grey.size
    lowest, light_tenth, highest = (int(np.searchsorted(counts, part)) for part in TONES)
    contrast = max(1, highest - lowest)
    tones: Traits = {
        "lightest": highest / 255,
        "darkest": lowest / 255,
        "light tenth": (light_tenth - lowest) / contrast,
        "white": float(1 - counts[WHITE - 1]),
        "light": float(1 - counts[LIGHT - 1]),
    }
    tones |= _ground(grey, lowest, highest, contrast)
    return tones | _lines(grey, contrast) | _spreads(grey, contrast) | _bands(grey) | _colours(face)


def _ground(grey: Image, lowest: int, highest: int, contrast: int) -> Traits:
    near, far = (_morph(grey, cv2.MORPH_ERODE, side) for side in (5, 15))
    wide = _morph(grey, cv2.MORPH_DILATE, 15)
    ink, paper = lowest + INK * contrast, highest - PAPER * contrast
    return {
        "ink in 5": _share(near, 0, ink),
        "ink in 15": _share(far, 0, ink),
        "paper in 15": _share(wide, np.ceil(paper), 255),
    }


def _lines(grey: Image, contrast: int) -> Traits:
    """Compare the thin lines darker than their surroundings with those that are lighter."""
    fine_dark, dark, wide_dark = (_morph(grey, cv2.MORPH_BLACKHAT, side) for side in (5, 7, 9))
    fine_light, light, wide_light = (_morph(grey, cv2.MORPH_TOPHAT, side) for side in (5, 7, 9))
    return {
        "dark lines in 5": float(np.log(cv2.mean(fine_dark)[0] / contrast + FAINT)),
        "dark against light in 5": _against(fine_dark, fine_light, contrast),
        "dark against light in 9": _against(wide_dark, wide_light, contrast),
        "hardest dark against light": float(np.log((_level(wide_dark, 0.97) + 1) / (_level(wide_light, 0.97) + 1))),
        "strong lines": _share(dark, int(STRONG * contrast) + 1, 255),
        "strong lights": _share(light, int(STRONG * contrast) + 1, 255),
    }


def _against(dark: Image, light: Image, contrast: int) -> float:
    return float(np.log((cv2.mean(dark)[0] / contrast + FAINT) / (cv2.mean(light)[0] / contrast + FAINT)))


def _spreads(grey: Image, contrast: int) -> Traits:
    """Measure by how many levels the lightest and the darkest pixel of each neighbourhood differ."""
    three, five, nine = (_morph(grey, cv2.MORPH_GRADIENT, side) for side in (3, 5, 9))
    return {
        "calmest in 3": float(np.log((_level(three, 0.1) + 0.5) / contrast)),
        "hardest in 3": float(np.log((_level(three, 0.97) + 0.5) / contrast)),
        "hardest in 9": float(np.log((_level(nine, 0.97) + 0.5) / contrast)),
        "still in 9": _share(nine, 0, int(STILL * contrast)),
        "level in 5": _share(five, 0, LEVEL),
        "shaded in 5": _share(five, int(SMOOTH * contrast) + 1, int(SHADED * contrast)),
        "edges": _concentration(grey),
    }


def _bands(grey: Image) -> Traits:
    """Measure the skewness and the kurtosis of each band of detail, and how much shade is left without detail."""
    left: Plane = grey.astype(np.float32)
    whole = _deviation(left) + 1
    traits: Traits = {}
    for number, side in enumerate(BLURS):
        blurred: Plane = np.asarray(cv2.blur(left, (side, side)), np.float32)
        traits[f"lopsided {number}"], traits[f"peaked {number}"] = _shape(left - blurred)
        left = blurred
    return traits | {"shade": float(np.log((_deviation(left) + 0.3) / whole))}


def _shape(band: Plane) -> tuple[float, float]:
    """Return the cube root of the band's skewness and the logarithm of its kurtosis."""
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(band))
    away = (band - mean) / (deviation + 0.3)
    squares = away * away
    lopsided = float(np.vdot(squares, away)) / away.size
    return float(np.cbrt(lopsided)), float(np.log(float(np.vdot(squares, squares)) / away.size + 0.1))


def _colours(face: Image) -> Traits:
    planes = cv2.split(cv2.cvtColor(face, cv2.COLOR_BGR2YCrCb))
    red, blue = (np.asarray(plane, np.uint8) for plane in planes[1:])
    five, nine = (_morph(red, cv2.MORPH_GRADIENT, side) for side in (5, 9))
    return {
        "colour": float(np.log(abs(cv2.mean(red)[0] - 128) + abs(cv2.mean(blue)[0] - 128) + 1)),
        "hard colour in 9": float(np.log(_level(nine, 0.9) + 1)),
        "still colour": _share(five, 0, COLOUR_STILL),
        "edges of colour": _share(five, COLOUR_EDGE, 255),
    }


def _concentration(grey: Image) -> float:
    """Return the fraction of all gradients' energy that lies in the hardest edges."""
    dx, dy = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    steep = np.asarray(cv2.convertScaleAbs(cv2.magnitude(dx, dy), alpha=1 / STEEPEST), np.uint8)
    counts = _histogram(steep)[::-1]
    energy = counts * np.arange(255, -1, -1.0) ** 2
    hardest = np.minimum(np.cumsum(counts), HARDEST * grey.size)
    taken = np.diff(hardest, prepend=0) / np.maximum(counts, 1)
    return float((energy * taken).sum() / (energy.sum() + 1))


def _morph(plane: Image, operation: int, side: int) -> Image:
    return np.asarray(cv2.morphologyEx(plane, operation, np.ones((side, side), np.uint8)), np.uint8)


def _share(values: Image, lowest: float, highest: float) -> float:
    """Return the fraction of the values within the bounds, both included."""
    return cv2.countNonZero(cv2.inRange(values, lowest, highest)) / values.size


def _deviation(plane: Plane) -> float:
    return float(cv2.meanStdDev(plane)[1][0, 0])


def _level(values: Image, part: float) -> int:
    """Return the smallest level that this fraction of the pixels does not exceed."""
    counts = np.cumsum(_histogram(values))
    return int(np.searchsorted(counts, part * counts[-1]))


def _histogram(values: Image) -> Plane:
    return np.asarray(cv2.calcHist([values], [0], None, [256], [0, 256]), np.float32).ravel()
