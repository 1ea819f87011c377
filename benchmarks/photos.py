"""The photos to measure with: their list, their labels, and copies of other sizes."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
from PIL import Image as PillowImage

ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
JPEG_QUALITY = 95
PIXELS_PER_MEGAPIXEL = 1_000_000


def list_photos(folder: Path) -> list[Path]:
    """List the folder's photos by name. Ends the program when there is none."""
    photos = sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS)
    if not photos:
        raise SystemExit(f"no photos in {folder}")
    return photos


def read_labels(path: Path) -> dict[str, str]:
    """Read from a CSV file (file,person) who is on each photo."""
    with path.open(newline="") as rows:
        return {row["file"]: row["person"] for row in csv.DictReader(rows)}


def megapixels(photo: Path) -> float:
    with PillowImage.open(photo) as image:
        return image.width * image.height / PIXELS_PER_MEGAPIXEL


def write_resized(photo: Path, target: Path, scale: float) -> Path:
    """Write the photo, upright and scaled, as a JPEG; return its path."""
    image = cv2.imread(str(photo))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=method)
    target.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(target), resized, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return target


def shrink_all(photos: Sequence[Path], folder: Path, longer_side_px: int) -> list[Path]:
    """Write copies whose longer side is at most that long; smaller photos are returned as they are."""
    return [_shrink(photo, folder / f"{photo.stem}.jpg", longer_side_px) for photo in photos]


def _shrink(photo: Path, target: Path, longer_side_px: int) -> Path:
    with PillowImage.open(photo) as image:
        scale = longer_side_px / max(image.size)
    return write_resized(photo, target, scale) if scale < 1 else photo


def enlarge(photo: Path, target: Path, wanted_megapixels: float) -> Path:
    """Write a copy of that many megapixels; return its path."""
    return write_resized(photo, target, math.sqrt(wanted_megapixels / megapixels(photo)))
