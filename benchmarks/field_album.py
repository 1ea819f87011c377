"""The photos from which `field_pictures` makes its files, and the results that are right for each file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from app.records import Image
from benchmarks.photos import list_photos, read_labels
from tests.support.pictures import encode_picture

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]  # x, y, width, height, in pixels
WORKING_SIDE_PX = 1600  # of the pictures from which copies are made; a camera's 14 megapixels only take longer
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A photo of one person: its file, and its upright pixels (BGR) with the box and the eyes that DeepFace found."""

    file: str
    person: str
    content: bytes
    image: Image
    box: Box
    eyes: tuple[tuple[float, float], ...]  # left to right as they are seen

    def resized(self, scale: float, method: int | None = None) -> Portrait:
        """Scale the photo, by default by area to make it smaller and cubically to enlarge it."""
        chosen = (cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC) if method is None else method
        image = np.asarray(cv2.resize(self.image, None, fx=scale, fy=scale, interpolation=chosen), np.uint8)
        return self._moved(image, scale, (0, 0))

    def cropped(self, left: float, top: float, right: float, bottom: float) -> Portrait:
        """Cut out the part between these lines (pixels), as far as the photo reaches."""
        height, width = self.image.shape[:2]
        x1, y1 = max(0, round(left)), max(0, round(top))
        x2, y2 = min(width, round(right)), min(height, round(bottom))
        return self._moved(self.image[y1:y2, x1:x2].copy(), 1.0, (x1, y1))

    def bust(self, face_px: float, heads: float = 2.4) -> Portrait:
        """Cut out head and shoulders, `heads` faces high, and scale them until the face is `face_px` high."""
        return self.head_and_shoulders(heads).resized(face_px / self.box[3])

    def head_and_shoulders(self, heads: float) -> Portrait:
        """Cut out a part so many faces high and wide, with half a face above the face, as far as the photo reaches."""
        x, y, w, h = self.box
        half = heads * w / 2
        return self.cropped(x + w / 2 - half, y - 0.45 * h, x + w / 2 + half, y + (heads - 0.45) * h)

    def _moved(self, image: Image, scale: float, origin: tuple[int, int]) -> Portrait:
        x, y, w, h = self.box
        box = ((x - origin[0]) * scale, (y - origin[1]) * scale, w * scale, h * scale)
        eyes = tuple(((px - origin[0]) * scale, (py - origin[1]) * scale) for px, py in self.eyes)
        return replace(self, image=image, box=box, eyes=eyes)


@dataclass(frozen=True, slots=True, eq=False)
class Album:
    """The labelled portraits, the photos of several people, and DeepFace's vectors of the portraits, by file."""

    portraits: Sequence[Portrait]
    groups: Sequence[Path]
    vectors: Mapping[str, Floats]

    def person(self, file: str) -> str:
        return next(each.person for each in self.portraits if each.file == file)

    def another(self, portrait: Portrait, number: int) -> Portrait:
        """Return the n-th portrait of another person, going round. Ends the program if all photos show one person."""
        start = self.portraits.index(portrait)
        turned = [*self.portraits[start:], *self.portraits[:start]]
        others = [each for each in turned if each.person != portrait.person]
        if not others:
            raise SystemExit("photos of at least two people are needed")
        return others[number % len(others)]

    def some(self, number: int, start: int = 0) -> list[Portrait]:
        """Return so many portraits from `start` on, going round, one person after the other."""
        by_person: dict[str, list[Portrait]] = {}
        for each in self.portraits:
            by_person.setdefault(each.person, []).append(each)
        longest = max(map(len, by_person.values()))
        mixed = [group[row] for row in range(longest) for group in by_person.values() if row < len(group)]
        return [mixed[(start + step) % len(mixed)] for step in range(number)]


@dataclass(frozen=True, slots=True)
class Case:
    """A file and the results that are right for it.

    `photo`: the photo whose vector it must get; empty if it must not be stored. `fit`: it should be stored. `codes`:
    with which it may be refused; `detail`: a pattern that the refusal's detail must then match. `flagged`: it may be
    stored only if the report calls the photo improvable. `drawn_from`: the photo of which it is a drawing.
    """

    name: str
    content: bytes
    photo: str = ""
    codes: frozenset[str] = frozenset()
    fit: bool = False
    flagged: bool = False
    detail: str = ""
    drawn_from: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that could not be made on this machine; `reason` names what is missing."""

    reason: str


Build = Callable[[Album], Iterator[Case | Missing]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file. `settings`: the program's own for it; `share`: of its files that may get a wrong vector."""

    name: str
    build: Build
    settings: Mapping[str, object] = field(default_factory=dict)
    share: float = 0.0


def must_store(name: str, content: bytes, portrait: Portrait, codes: Iterable[str] = ()) -> Case:
    """Describe a file that should be stored. A refusal with one of the codes is not wrong, only not stored."""
    return Case(name, content, portrait.file, frozenset(codes), fit=True)


def may_store(name: str, content: bytes, portrait: Portrait, codes: Iterable[str], *, flagged: bool = False) -> Case:
    """Describe a file that must be stored right or refused with one of these codes."""
    return Case(name, content, portrait.file, frozenset(codes), flagged=flagged)


def must_refuse(name: str, content: bytes, codes: Iterable[str], detail: str = "", drawn_from: str = "") -> Case:
    """Describe a file that must be refused with one of these codes."""
    return Case(name, content, codes=frozenset(codes), detail=detail, drawn_from=drawn_from)


def as_jpeg(image: Image, quality: int = JPEG_QUALITY) -> bytes:
    return encode_picture(image, quality=quality)


def as_png(image: Image) -> bytes:
    return bytes(cv2.imencode(".png", image)[1])


def to_pillow(image: Image) -> PillowImage.Image:
    return PillowImage.fromarray(np.ascontiguousarray(image[:, :, ::-1]))


def label_photos(photos: Path, labels: Path | None) -> dict[str, str]:
    """Read who is on each photo. Without a file of labels, each photo counts as another person's."""
    file = labels or photos / "labels.csv"
    if labels is None and not file.exists():
        return {path.name: path.stem for path in list_photos(photos)}
    return read_labels(file)


def open_album(photos: Path, labels: Mapping[str, str], references: Mapping[str, Any]) -> Album:
    """Read the photos. A photo that the labels leave out counts as showing several people."""
    paths = {path.name: path for path in list_photos(photos)}
    portraits = [_portrait(paths[name], person, references[name]) for name, person in labels.items()]
    groups = [path for name, path in paths.items() if name not in labels]
    vectors = {name: np.array(references[name]["vector"], np.float64) for name in labels}
    return Album(portraits, groups, vectors)


def _portrait(path: Path, person: str, reference: Mapping[str, Any]) -> Portrait:
    """Read a labelled photo, reduced to WORKING_SIDE_PX; `reference` is from `field_references`."""
    image = np.asarray(cv2.imread(str(path)), np.uint8)
    eyes = tuple((float(x), float(y)) for x, y in reference["eyes"])
    whole = Portrait(path.name, person, path.read_bytes(), image, tuple(map(float, reference["box"])), eyes)
    scale = WORKING_SIDE_PX / max(image.shape[:2])
    return whole.resized(scale) if scale < 1 else whole
