"""Turn a photo's file into its vector, without network and database; for a run, and as a function of a library."""

from __future__ import annotations

import dataclasses
import math
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.config import Settings, load_settings
from app.errors import DangerousImage, NoFace, PhotoNotFound
from app.faces.detector import DetectionOptions, build_detector
from app.faces.embedder import Embedder, load_network
from app.faces.finder import CLOSER, FaceFinder, FindOptions
from app.faces.kept_graphs import KeptGraphs
from app.faces.mtcnn import Mtcnn
from app.faces.onnx_sessions import parse_providers
from app.faces.weights import Progress, Provide, open_weights
from app.photos.decoding import PIXELS_PER_MEGAPIXEL, DecodeOptions, choose_reduction
from app.photos.portrait import load_portrait
from app.photos.sandbox import Sandbox
from app.records import CrewMember, Face, Photo, Portrait

GOLDEN = Path(__file__).parents[1] / "faces" / "golden.jpg"  # drawn by benchmarks/golden_face.py
GOLDEN_OPTIONS = DecodeOptions(max_megapixels=1, min_side_px=160)


@dataclass(frozen=True, slots=True)
class FaceExtractor:
    """The loaded nets, and how to decode a photo for them."""

    decode_options: DecodeOptions
    finder: FaceFinder
    embedder: Embedder
    sandbox: Sandbox
    closer_lock: threading.Lock = field(default_factory=threading.Lock)

    def decode(self, photo: Photo) -> Portrait:
        return load_portrait(photo, self.decode_options, self.sandbox)

    def find(self, portrait: Portrait) -> Face:
        """Find the member's face; if there is none, once more with more pixels. Raises what `FaceFinder.find` does."""
        try:
            return self.finder.find(portrait)
        except NoFace:
            with self.closer_lock:  # one such photo at a time: each takes 300 MB
                larger = self._read_larger(portrait)
                if larger is None:
                    raise
                return self.finder.find_small(larger)

    def find_all(self, portrait: Portrait) -> list[Face]:
        """Find every face in a photo of one or several people, the largest first. Raises InvalidImage."""
        with self.closer_lock:
            return self.finder.find_all(portrait, self._read_larger(portrait) or portrait)

    def _read_larger(self, portrait: Portrait) -> Portrait | None:
        """Return the photo with more pixels, None if they are too many. Raises InvalidImage for damage that only shows
        in them."""
        if portrait.reduction == 1:
            return portrait
        options = dataclasses.replace(self.decode_options, min_side_px=CLOSER.max_side_px)
        factor = choose_reduction(portrait.analysis.size, options.min_side_px)
        if math.prod(portrait.analysis.size) > options.max_megapixels * PIXELS_PER_MEGAPIXEL * factor**2:
            return None
        try:
            return load_portrait(portrait.photo, options, self.sandbox)
        except DangerousImage:
            return None

    def close(self) -> None:
        """End the sandbox's processes; the nets stay usable."""
        self.sandbox.close()

    def golden_vector(self) -> NDArray[np.float32]:
        """Compute the vector of the built-in picture, which is a drawing."""
        photo = Photo(CrewMember("golden", GOLDEN.name), GOLDEN.as_uri(), GOLDEN, temporary=False)
        portrait = load_portrait(photo, GOLDEN_OPTIONS, self.sandbox)
        (embedding,) = self.embedder.embed([self.finder.find_unchecked(portrait)])
        return embedding.vector


def open_face_extractor(
    settings: Settings,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    *,
    accept_low_quality: bool = False,
    provide: Provide | None = None,
) -> FaceExtractor:
    """Load the nets; a `provide` other than the weights' `ensure` finds their weights, and then nothing is written.
    Raises UnknownModel, WeightsUnavailable."""
    # OpenCV's own threads would compete with ours, which each take a photo.
    cv2.setNumThreads(1)
    providers = parse_providers(settings.ONNX_PROVIDERS)
    weights = open_weights(settings, progress, stop)
    graphs = KeptGraphs(weights.folder, may_write=provide is None)
    nets = Mtcnn(providers, graphs)
    detector = build_detector(DetectionOptions.of(settings), nets)
    network = load_network(settings.FACE_MODEL, provide or weights.ensure, providers, graphs)
    find_options = FindOptions.of(settings, accept_low_quality=accept_low_quality)
    return FaceExtractor(
        DecodeOptions(settings.MAX_PHOTO_MEGAPIXELS, settings.DECODE_MIN_SIDE),
        FaceFinder(detector, nets, network.input_size, find_options),
        Embedder(settings.FACE_MODEL, network),
        Sandbox(stop),
    )


def extract_face_embedding(
    image_path: str | Path, model_name: str = "Facenet512", detector_backend: str = "mtcnn"
) -> list[float]:
    """Return the vector of the face in one photo as a run computes it: 512 numbers, not normalised.

    Raises ItemError (no file, no image, no face, several faces, low quality), UnknownModel, WeightsUnavailable. The
    nets stay loaded.
    """
    path = Path(image_path)
    if not path.is_file():
        raise PhotoNotFound(f"no existe {path}")
    faces = _loaded_faces(model_name, detector_backend)
    photo = Photo(CrewMember(path.stem, path.name), path.resolve().as_uri(), path, temporary=False)
    (embedding,) = faces.embedder.embed([faces.find(faces.decode(photo))])
    return [float(value) for value in embedding.vector]


@lru_cache(maxsize=2)
def _loaded_faces(model: str, detector: str) -> FaceExtractor:
    # Neither database nor photo server is used: those two settings do not matter.
    settings = load_settings(DB_URL="sqlite://", IMAGE_BASE_URL="file:///", FACE_MODEL=model, FACE_DETECTOR=detector)
    return open_face_extractor(settings)
