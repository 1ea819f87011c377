"""Measure the traits in which drawn and photographed faces differ.

A flat drawing is even almost everywhere and changes at a few hard edges; a sketch has thin dark strokes on light ground
and no shading; a cartoon has even patches with black outlines.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from app.records import Image

Traits = dict[str, float]
Plane = NDArray[np.float32]

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


def measure_traits(face: Image, grey: Image) -> Traits:
    """Measure the traits of a face (BGR uint8) and its grey levels, both from `drawing.prepare_face`; each a number of
    about -5 to 10."""
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
    ground = _ground(grey, lowest, highest)
    return tones | ground | _lines(grey, contrast) | _spreads(grey, contrast) | _bands(grey) | _colours(face)


def measure_contrast(grey: Image) -> int:
    """Return the grey levels between the darkest and the lightest tone, a few outlying pixels apart."""
    return _level(grey, TONES[-1]) - _level(grey, TONES[0])


def _ground(grey: Image, lowest: int, highest: int) -> Traits:
    """Measure which part of the face lies near ink, and near paper."""
    contrast = max(1, highest - lowest)
    near, far = (np.asarray(cv2.erode(grey, _box(side)), np.uint8) for side in (5, 15))
    wide = np.asarray(cv2.dilate(grey, _box(15)), np.uint8)
    ink, paper = lowest + INK * contrast, highest - PAPER * contrast
    return {
        "ink in 5": _share(near, 0, ink),
        "ink in 15": _share(far, 0, ink),
        "paper in 15": _share(wide, np.ceil(paper), 255),
    }


def _lines(grey: Image, contrast: int) -> Traits:
    """Compare thin dark lines on light ground with thin light lines on dark ground."""
    fine_dark, fine_light = _hats(grey, 5)
    wide_dark, wide_light = _hats(grey, 9)
    dark, light = _hats(grey, 7)
    fine, wide = _against(fine_dark, fine_light, contrast), _against(wide_dark, wide_light, contrast)
    return {
        "dark lines in 5": float(np.log(cv2.mean(fine_dark)[0] / contrast + FAINT)),
        "dark against light in 5": fine,
        "dark against light in 9": wide,
        "hardest dark against light": float(np.log((_level(wide_dark, 0.97) + 1) / (_level(wide_light, 0.97) + 1))),
        "strong lines": _share(dark, int(STRONG * contrast) + 1, 255),
        "strong lights": _share(light, int(STRONG * contrast) + 1, 255),
    }


def _against(dark: Image, light: Image, contrast: int) -> float:
    """Return the logarithm of how many times as strong the dark lines are as the light ones."""
    return float(np.log((cv2.mean(dark)[0] / contrast + FAINT) / (cv2.mean(light)[0] / contrast + FAINT)))


def _spreads(grey: Image, contrast: int) -> Traits:
    """Measure how much the grey levels vary within 3, 5 and 9 pixels."""
    three, five, nine = (_spread(grey, side) for side in (3, 5, 9))
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
    five, nine = _spread(red, 5), _spread(red, 9)
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


def _hats(grey: Image, side: int) -> tuple[Image, Image]:
    """Return by how much thin dark lines are darker, and thin light ones lighter, than their surroundings."""
    dark, light = (cv2.morphologyEx(grey, hat, _box(side)) for hat in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT))
    return np.asarray(dark, np.uint8), np.asarray(light, np.uint8)


def _spread(plane: Image, side: int) -> Image:
    """Return the levels between the lightest and the darkest pixel of each neighbourhood."""
    return np.asarray(cv2.morphologyEx(plane, cv2.MORPH_GRADIENT, _box(side)), np.uint8)


def _box(side: int) -> Image:
    return np.ones((side, side), np.uint8)


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
