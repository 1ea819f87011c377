"""Line plots as SVG that needs no script: axes, curves, bands and marks, placed in the drawing's own units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

WIDTH, HEIGHT = 200, 120
LEFT, RIGHT, TOP, BOTTOM = 26, 190, 6, 100  # of the area within the axes

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """Places values between `low` and `high` along a side, after `scale` has stretched them; `ticks`: value, label."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    label: str
    scale: Callable[[float], float] = float

    def place(self, value: float) -> float:
        """Return where a value lies, from 0 to 1; one beyond the ends lies at the end."""
        low, high = self.scale(self.low), self.scale(self.high)
        return (self.scale(min(max(value, self.low), self.high)) - low) / (high - low)


def log_axis(lowest_power: int, label: str, name: Callable[[float], str]) -> Axis:
    """Return the axis of a rate from a power of ten up to 1."""
    powers = [10.0**power for power in range(lowest_power, 1)]
    return Axis(powers[0], 1.0, tuple((power, name(power)) for power in powers), label, math.log10)


def probit_axis(ticks: Sequence[float], label: str, name: Callable[[float], str]) -> Axis:
    """Return the axis of a DET curve, on which errors of a normal distribution lie on a straight line."""
    return Axis(ticks[0], ticks[-1], tuple((tick, name(tick)) for tick in ticks), label, NormalDist().inv_cdf)


@dataclass(frozen=True, slots=True)
class Curve:
    """A line, or the band between two lines, of a style: a class of plots.css."""

    style: str
    points: tuple[Point, ...]
    below: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing with its title, what it shows in words, and vertical marks: place on the x axis, style."""

    title: str
    caption: str
    x: Axis
    y: Axis
    curves: tuple[Curve, ...]
    marks: tuple[tuple[float, str], ...] = ()

    def across(self, value: float) -> float:
        """Return the horizontal place of a value."""
        return round(LEFT + (RIGHT - LEFT) * self.x.place(value), 2)

    def down(self, value: float) -> float:
        """Return the vertical place of a value."""
        return round(BOTTOM - (BOTTOM - TOP) * self.y.place(value), 2)

    def path(self, curve: Curve) -> str:
        """Return the SVG path of a line, or of the outline of a band."""
        around = "".join((self._line(curve.points), self._line(reversed(curve.below)).replace("M", "L", 1)))
        return f"{around}Z" if curve.below else around

    def _line(self, points: Iterable[Point]) -> str:
        steps = [f"{self.across(x):g} {self.down(y):g}" for x, y in points]
        return "M" + "L".join(steps) if steps else ""
