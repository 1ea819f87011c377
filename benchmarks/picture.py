"""Draw the comparison for docs/rendimiento.md: photos a second, on a logarithmic scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tests.support.pictures import package_file

WIDTH_PX, HEIGHT_PX = 1200, 640
SHARPNESS = 2  # drawn twice as large, then reduced
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 330, 150, 92, 66
BAR_SHARE = 0.62  # of a row's height
INK, FAINT, GRID, PAPER = "#1f2933", "#6b7785", "#e4e8ec", "#ffffff"
DEEPFACE_COLOUR, OURS_COLOUR, FLOOR_COLOUR = "#a9b4bf", "#1a73c8", "#dbe6f1"
# Pillow's own font has no accents; this one comes with requirements-demo.txt.
FONT, BOLD_FONT = (
    str(package_file("matplotlib", "mpl-data", "fonts", "ttf", name))
    for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
)
REFERENCE = "a"
TITLE = "Fotos por segundo"
NOTE = "Escala logarítmica; ×: frente a DeepFace foto a foto"
# Users read Spanish. In the order of the picture's rows.
LABELS = {
    "g": ("DeepFace, como se instala", DEEPFACE_COLOUR),
    "a": ("DeepFace, foto a foto", DEEPFACE_COLOUR),
    "b": ("DeepFace, fotos ya a 640 px", DEEPFACE_COLOUR),
    "c": ("DeepFace, lista de fotos", DEEPFACE_COLOUR),
    "f": ("face_recognition (Dlib)", DEEPFACE_COLOUR),
    "d": ("Este programa, completo", OURS_COLOUR),
    "e": ("Límite: solo la red Facenet512", FLOOR_COLOUR),
}


@dataclass(frozen=True, slots=True)
class Scale:
    """Convert photos a second to pixels, between two powers of ten."""

    low: int
    high: int

    @classmethod
    def around(cls, values: list[float]) -> Scale:
        return cls(math.floor(math.log10(min(values)) - 0.2), math.ceil(math.log10(max(values)) + 0.05))

    def x(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return LEFT_PX + share * (WIDTH_PX - LEFT_PX - RIGHT_PX)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


@dataclass(frozen=True, slots=True)
class Style:
    """Size, colour and font of a text."""

    size_px: int
    colour: str = INK
    font: str = FONT


HEADING, PLAIN, VALUE, SMALL = Style(25, font=BOLD_FONT), Style(18), Style(20, font=BOLD_FONT), Style(15, FAINT)


class Canvas:
    """Draw with Pillow in the finished picture's pixels; the image itself is SHARPNESS times as large."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (WIDTH_PX * SHARPNESS, HEIGHT_PX * SHARPNESS), PAPER)
        self._draw = ImageDraw.Draw(self.image)

    def text(self, x: float, y: float, text: str, style: Style = PLAIN, anchor: str = "lm") -> float:
        """Write the text; return the x at which it ends."""
        font = ImageFont.truetype(style.font, style.size_px * SHARPNESS)
        self._draw.text((x * SHARPNESS, y * SHARPNESS), text, style.colour, font, anchor)
        return x + self._draw.textlength(text, font) / SHARPNESS

    def bar(self, x1: float, y1: float, x2: float, y2: float, colour: str) -> None:
        corners = [side * SHARPNESS for side in (x1, y1, x2, y2)]
        self._draw.rounded_rectangle(corners, 4 * SHARPNESS, colour, corners=(False, True, True, False))

    def rule(self, x: float, y1: float, y2: float) -> None:
        self._draw.line([(x * SHARPNESS, y1 * SHARPNESS), (x * SHARPNESS, y2 * SHARPNESS)], GRID, SHARPNESS)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.image.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.LANCZOS).save(path, optimize=True)


def draw_comparison(per_second: dict[str, float], subtitle: str, path: Path) -> None:
    """Write the picture; `per_second` holds photos a second by the measures' keys."""
    canvas, scale = Canvas(), Scale.around([*per_second.values()])
    canvas.text(24, 34, TITLE, HEADING)
    canvas.text(24, 66, subtitle, SMALL)
    bottom = HEIGHT_PX - BOTTOM_PX
    for tick in scale.ticks():
        canvas.rule(scale.x(tick), TOP_PX, bottom)
        canvas.text(scale.x(tick), bottom + 16, spanish(tick, 1), SMALL, "mm")
    canvas.text(WIDTH_PX - 24, HEIGHT_PX - 18, NOTE, SMALL, "rm")
    row_px = (bottom - TOP_PX) / len(per_second)
    for index, (key, value) in enumerate(per_second.items()):
        place = (TOP_PX + (index + 0.5) * row_px, row_px * BAR_SHARE)
        times = value / per_second[REFERENCE] if REFERENCE in per_second else 0
        _draw_row(canvas, scale, place, (key, value), f"× {spanish(times)}" if times and key != REFERENCE else "")
    canvas.save(path)


def _draw_row(canvas: Canvas, scale: Scale, place: tuple[float, float], row: tuple[str, float], ratio: str) -> None:
    (middle, height), (key, value) = place, row
    label, colour = LABELS[key]
    end = scale.x(value)
    canvas.bar(LEFT_PX, middle - height / 2, end, middle + height / 2, colour)
    canvas.text(LEFT_PX - 14, middle, label, anchor="rm")
    end = canvas.text(end + 10, middle, spanish(value), VALUE)
    canvas.text(end + 12, middle, ratio, SMALL)


def spanish(value: float, digits: int = 2) -> str:
    """Format a number with that many significant digits and a decimal comma."""
    decimals = max(0, digits - 1 - math.floor(math.log10(value)))
    return f"{value:.{decimals}f}".replace(".", ",")
