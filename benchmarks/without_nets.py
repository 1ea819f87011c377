"""Run the program with stand-ins for its nets that take no time, to measure everything else that a member costs.

`python -m benchmarks.without_nets ARGUMENTS`: the arguments of `generate_face_embeddings.py`. Roster, download,
decoding, pipeline, database, logs and reports are the real ones.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from app.cli.arguments import parse_arguments
from app.cli.main import run
from app.core.config import Settings
from app.photos.decoding import DecodeOptions
from app.photos.sandbox import Sandbox
from app.pipeline.face_extractor import FaceExtractor
from app.records import Embedding, Face, Portrait

PIXELS = np.zeros((160, 160, 3), np.float32)
VECTOR = np.random.default_rng(512).normal(size=512).astype(np.float32)


class NoFinder:
    """Return a black face for every portrait, without any computation."""

    def find(self, portrait: Portrait) -> Face:
        return Face(portrait.photo, PIXELS, portrait.analysis)

    find_unchecked = find


class NoEmbedder:
    """Return the same vector for every face."""

    def __init__(self, model: str) -> None:
        self._model = model

    def embed(self, faces: Sequence[Face]) -> list[Embedding]:
        return [Embedding(face.photo, VECTOR, self._model, face.analysis) for face in faces]


def build_stand_ins(settings: Settings, *_: object, **__: object) -> FaceExtractor:
    """Build what `open_face_extractor` builds, with the stand-ins."""
    options = DecodeOptions(settings.MAX_PHOTO_MEGAPIXELS, settings.DECODE_MIN_SIDE)
    return FaceExtractor(options, NoFinder(), NoEmbedder(settings.FACE_MODEL), Sandbox())  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(run(parse_arguments(), build_stand_ins))
