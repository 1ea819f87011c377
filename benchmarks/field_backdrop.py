"""Draw what surrounds a face: scenes, forms and badges without a face of their own. The same seed, the same pixels."""

from __future__ import annotations

import cv2
import numpy as np

from app.records import Image

COARSE_CELLS, FINE_CELLS = 7, 160
TINT_LEVELS = 25  # grey levels by which a patch's colours differ
FINE_LEVELS = 10  # grey levels: walls and cloth are not flat
INK = (60, 50, 45)
FRAMES = (  # of digital forms: the ground's colour, a column's, the title
    ((150, 70, 20), (230, 205, 180), "REGISTRO"),
    ((60, 140, 60), (190, 230, 190), "CONGRESO"),
    ((40, 40, 160), (120, 120, 200), "FESTIVAL"),
)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def backdrop(width: int, height: int, seed: int = 0) -> Image:
    """Draw soft patches of colour with a fine texture, like a room out of focus: BGR (height, width, 3)."""
    generator = np.random.default_rng(seed)
    light = generator.integers(60, 200, (COARSE_CELLS, COARSE_CELLS, 1))
    coarse = (light + generator.integers(-TINT_LEVELS, TINT_LEVELS, (COARSE_CELLS, COARSE_CELLS, 3))).astype(np.uint8)
    fine = generator.normal(0, FINE_LEVELS, (FINE_CELLS, FINE_CELLS, 1)).astype(np.float32)
    soft = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    texture = cv2.resize(fine, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.int16)
    bright, dark = np.clip(texture, 0, 255).astype(np.uint8), np.clip(-texture, 0, 255).astype(np.uint8)
    grained = cv2.subtract(cv2.add(soft, cv2.merge([bright] * 3)), cv2.merge([dark] * 3))
    return np.asarray(grained, np.uint8)


def paste(scene: Image, picture: Image, left: int, top: int) -> None:
    """Copy a picture into the scene, which is changed, as far as it fits."""
    x, y = max(0, left), max(0, top)
    height, width = min(picture.shape[0], scene.shape[0] - y), min(picture.shape[1], scene.shape[1] - x)
    scene[y : y + height, x : x + width] = picture[:height, :width]


def write(scene: Image, text: str, left: int, baseline: int, height_px: float) -> None:
    """Write a line of text whose capitals are that high."""
    scale = height_px / cv2.getTextSize("X", FONT, 1.0, 1)[0][1]
    cv2.putText(scene, text, (left, baseline), FONT, scale, INK, max(1, round(height_px / 9)), cv2.LINE_AA)


def badge(picture: Image, name: str, width: int, height: int, colour: tuple[int, int, int]) -> Image:
    """Draw a landscape card with the photo at the left, a coloured header and lines of text."""
    card = np.full((height, width, 3), 250, np.uint8)
    card[: height // 6] = colour
    write(card, "CREDENCIAL", width // 3, height // 8, height / 20)
    paste(card, picture, width // 20, height // 4)
    for row, line in enumerate((name, "TRIPULANTE", "No. 004217", "VIGENCIA 2027")):
        write(card, line, width // 2, round(height * (0.36 + 0.14 * row)), height / 26)
    cv2.rectangle(card, (0, 0), (width - 1, height - 1), colour, max(2, width // 150))
    return card


def form(picture: Image, name: str, width: int, height: int) -> Image:
    """Draw a white page with the photo in its upper right corner and ruled fields."""
    page = np.full((height, width, 3), 253, np.uint8)
    write(page, "FICHA DE REGISTRO", width // 12, height // 14, height / 60)
    left = width - width // 12 - picture.shape[1]
    paste(page, picture, left, height // 12)
    for row in range(18):
        line = round(height * (0.36 + 0.034 * row))
        write(page, (name, "Nacionalidad", "Domicilio", "Telefono")[row % 4], width // 12, line, height / 110)
        cv2.line(page, (width // 3, line), (width - width // 12, line), INK, max(1, width // 800))
    return page


def digital_form(picture: Image, name: str, frame: int) -> Image:
    """Draw a registration page as an app shows it on a wide screen: most of the picture is its frame."""
    page = np.full((900, 1600, 3), FRAMES[frame][0], np.uint8)
    page[150:870, 40:1560] = 248
    page[150:870, 1100:1560] = FRAMES[frame][1]
    write(page, FRAMES[frame][2], 80, 100, 48)
    paste(page, picture, 420 - picture.shape[1] // 2, 190)
    for row in range(5):
        write(page, (name, "Cargo", "Area", "Correo", "Vigencia")[row], 720, 300 + 110 * row, 24)
    return page


def silhouette(side_px: int = 480) -> Image:
    """Draw head and shoulders without features, as servers show them for a missing photo."""
    canvas = np.full((side_px, side_px, 3), 225, np.uint8)
    half = side_px // 2
    cv2.circle(canvas, (half, round(side_px * 0.38)), round(side_px * 0.19), (160,) * 3, cv2.FILLED, cv2.LINE_AA)
    axes = (round(side_px * 0.4), round(side_px * 0.37))
    cv2.ellipse(canvas, (half, side_px), axes, 0, 180, 360, (160,) * 3, cv2.FILLED, cv2.LINE_AA)
    return canvas
