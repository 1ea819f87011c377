"""A finder and an embedder so small that their vectors can be computed by hand.

A person's picture is 8 x 8 flat grey blocks made from a number; a picture without a face is the same in blue. The
vector is the blocks' brightness, each averaged with its mirror image's, repeated to the model's length and multiplied
by the number of letters of the model's name; `tiny_pictures` draws the pictures.

The children of a worker of Ray import this a hundred times, so that it imports neither SQLAlchemy nor what draws.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from app.errors import NoFace
from app.faces.embedding_spec import DIMENSIONS
from app.photos.decoding import DecodeOptions
from app.photos.portrait import load_portrait
from app.photos.sandbox import Sandbox
from app.records import Embedding, Face, Photo, Portrait

if TYPE_CHECKING:
    from app.core.config import Settings

BLOCKS, BLOCK_PX = 8, 16
DARKEST, BRIGHTEST = 30, 226  # away from black and white, where JPEG clips
COLOURLESS = 20  # levels of green; a picture with less has no face
CONFIDENCE = 0.9
Hook = Callable[[str, str], None]  # called with (stage, crew id) when a member comes to a stage


@lru_cache(maxsize=1024)
def blocks_of(number: int) -> NDArray[np.uint8]:
    """Return grey levels (8, 8); successive numbers give unlike pictures."""
    return np.random.default_rng(number).integers(DARKEST, BRIGHTEST, (BLOCKS, BLOCKS), np.uint8)


def vector_by_hand(number: int, model: str) -> NDArray[np.float32]:
    """Compute the vector of a picture before JPEG compression."""
    return _vector(blocks_of(number) / np.float32(255), model)


def close_to(vector: NDArray[np.float32], number: int, model: str) -> bool:
    """Tell whether the vector is that picture's, within two grey levels in each block."""
    by_hand = vector_by_hand(number, model)
    return vector.shape == by_hand.shape and bool(np.abs(vector - by_hand).max() < len(model) * 2 / 255)


def _vector(blocks: NDArray[np.float32], model: str) -> NDArray[np.float32]:
    evened = (blocks + blocks[:, ::-1]) / 2  # a mirrored picture is the same person
    return np.asarray(np.resize(evened, DIMENSIONS[model]) * len(model), np.float32)


@dataclasses.dataclass
class TinyFinder:
    """Find a face in every picture that is not all blue."""

    hook: Hook

    def find(self, portrait: Portrait) -> Face:
        self.hook("detect", portrait.member.crew_id)
        if portrait.image[:, :, 1].mean() < COLOURLESS:
            raise NoFace(analysis=dataclasses.replace(portrait.analysis, faces_seen=0))
        height, width = portrait.image.shape[:2]
        seen = dataclasses.replace(portrait.analysis, faces_seen=1, box=(0, 0, width, height), confidence=CONFIDENCE)
        return Face(portrait.photo, np.asarray(portrait.image / np.float32(255), np.float32), seen)


@dataclasses.dataclass
class TinyEmbedder:
    """Compute vectors from block means; `note` is called with the crew id of each."""

    model: str
    hook: Hook
    note: Callable[[str], None]

    def embed(self, faces: Sequence[Face]) -> list[Embedding]:
        for face in faces:
            self.hook("embed", face.member.crew_id)
        for face in faces:
            self.note(face.member.crew_id)
        return [Embedding(face.photo, self._forward(face.pixels), self.model, face.analysis) for face in faces]

    def _forward(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        squares = pixels.reshape(BLOCKS, BLOCK_PX, BLOCKS, BLOCK_PX, 3)
        return _vector(squares.mean(axis=(1, 3, 4)), self.model)


@dataclasses.dataclass
class TinyFaces:
    """Stand in for `FaceExtractor`."""

    finder: TinyFinder
    embedder: TinyEmbedder
    hook: Hook
    sandbox: Sandbox
    golden: int = 0

    def golden_vector(self) -> NDArray[np.float32]:
        return vector_by_hand(self.golden, self.embedder.model)

    def decode(self, photo: Photo) -> Portrait:
        self.hook("decode", photo.member.crew_id)
        return load_portrait(photo, DecodeOptions(max_megapixels=1, min_side_px=900), self.sandbox)

    def find(self, portrait: Portrait) -> Face:
        return self.finder.find(portrait)

    def close(self) -> None:
        self.sandbox.close()


@dataclasses.dataclass
class TinyLoader:
    """Stand in for `open_face_extractor`. `embedded` counts over several runs, until a test clears it; what other
    processes embed goes into the `journal`, a line each."""

    hook: Hook = lambda stage, crew_id: None
    embedded: Counter[str] = dataclasses.field(default_factory=Counter)
    sandbox: Sandbox = dataclasses.field(default_factory=Sandbox)
    golden: int = 0  # the number of the picture whose vector is the golden vector
    journal: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the sandbox out: the worker of a cluster, to which this travels, has one of its own."""
        return vars(self) | {"sandbox": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"sandbox": Sandbox()})

    def note(self, crew_id: str) -> None:
        """Count a vector."""
        if self.journal is None:
            self.embedded[crew_id] += 1
        else:
            with self.journal.open("a") as journal:
                journal.write(f"{crew_id}\n")

    def count(self) -> Counter[str]:
        """Return how many vectors were computed, by crew id."""
        written = self.journal.read_text().split() if self.journal and self.journal.exists() else []
        return self.embedded + Counter(written)

    def clear(self) -> None:
        self.embedded.clear()
        if self.journal:
            self.journal.unlink(missing_ok=True)

    def __call__(self, settings: Settings, *_: Any, **__: Any) -> Any:
        embedder = TinyEmbedder(settings.FACE_MODEL, self.hook, self.note)
        return TinyFaces(TinyFinder(self.hook), embedder, self.hook, self.sandbox, self.golden)


class Silent:
    """An observer that prints nothing and stops the run after so many outcomes."""

    def __init__(self, stop: threading.Event, stop_after: int = 0) -> None:
        self._stop, self._left = stop, stop_after

    def outcome(self, _outcome: object) -> None:
        self._left -= 1
        if self._left == 0:
            self._stop.set()

    def checking(self, done: int, total: int) -> None: ...
    def planned(self, plan: object, rules: object) -> None: ...
    def begin(self, pending: int, current: int) -> None: ...
    def withdrawn(self, outcome: object) -> None: ...
    def download(self, name: str, done: int, total: int) -> None: ...
    def notice(self, line: str) -> None: ...
