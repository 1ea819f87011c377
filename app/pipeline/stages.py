"""Builds the stages from the settings: for the command line, for library use, and for every worker."""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.config import BYTES_PER_MB, Settings, load_settings
from app.core.database import Database
from app.errors import DangerousImage, NoFace, PhotoNotFound
from app.faces.detector import DetectionOptions, build_detector
from app.faces.embedder import Embedder, load_network
from app.faces.finder import CLOSER, FaceFinder, FindOptions
from app.faces.mtcnn import Mtcnn
from app.faces.onnx_sessions import SessionOptions, choose_batch_size
from app.faces.weights import Progress, WeightsOptions, WeightsStore
from app.gallery.vector_writer import SavedRow
from app.photos.decoding import PIXELS_PER_MEGAPIXEL, DecodeOptions, choose_reduction
from app.photos.http_source import HttpSource
from app.photos.portrait import load_portrait
from app.photos.sandbox import Sandbox
from app.photos.source import FetchOptions, FolderSource
from app.photos.temp_folder import TempFolder
from app.pipeline.known_photos import KnownPhotos
from app.pipeline.thread_pipeline import PHOTO_LIMIT_S, PipelineOptions, Stages
from app.records import CrewMember, Embedding, Face, Failed, Photo, Portrait, Skipped
from app.roster.database import DatabaseRoster, RosterLayout
from app.runs.abort_guard import AbortGuard
from app.runs.shared_photos import SharedPhotoCheck

AUTOMATIC = "auto"
GOLDEN = Path(__file__).parents[1] / "faces" / "golden.jpg"  # drawn by benchmarks/golden_face.py
GOLDEN_OPTIONS = DecodeOptions(max_megapixels=1, min_side_px=160)
PROCESSED_ENDING = "_processed.jpg"
Source = FolderSource | HttpSource
MAX_PROCESSED_COPIES = 200  # kept while a run with --debug lasts: not as many as fill a disk


@dataclass(frozen=True, slots=True)
class FaceExtractor:
    """The part of the way that needs no network and no database: a photo's file in, its vector out."""

    decode_options: DecodeOptions
    finder: FaceFinder
    embedder: Embedder
    sandbox: Sandbox
    closer_lock: threading.Lock = field(default_factory=threading.Lock)

    def decode(self, photo: Photo) -> Portrait:
        return load_portrait(photo, self.decode_options, self.sandbox)

    def find(self, portrait: Portrait) -> Face:
        """The member's face; where none is seen, the photo is read once more with more pixels. Raises what
        `FaceFinder.find` does."""
        try:
            return self.finder.find(portrait)
        except NoFace as nothing:
            if portrait.reduction == 1:
                return self.finder.find_small(portrait)
            with self.closer_lock:  # of such photos one at a time: each takes 300 MB
                return self.finder.find_small(self._read_larger(portrait, nothing))

    def _read_larger(self, portrait: Portrait, nothing: NoFace) -> Portrait:
        """The photo with more pixels. Raises `nothing` where they are too many, and InvalidImage for damage that only
        shows in them."""
        options = dataclasses.replace(self.decode_options, min_side_px=CLOSER.max_side_px)
        factor = choose_reduction(portrait.analysis.size, options.min_side_px)
        if math.prod(portrait.analysis.size) > options.max_megapixels * PIXELS_PER_MEGAPIXEL * factor**2:
            raise nothing
        try:
            return load_portrait(portrait.photo, options, self.sandbox)
        except DangerousImage:
            raise nothing from None

    def close(self) -> None:
        """End the processes for files that nobody trusts; the nets can be used as before."""
        self.sandbox.close()

    def golden_vector(self) -> NDArray[np.float32]:
        """The vector of the built-in picture, a drawing of nobody."""
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
    weights: WeightsStore | None = None,
) -> FaceExtractor:
    """Load the nets; `weights`: out of this folder. Raises UnknownModel, WeightsUnavailable."""
    # OpenCV's own threads would only compete with ours, which each take a photo.
    cv2.setNumThreads(1)
    providers = _providers(settings.ONNX_PROVIDERS)
    detection = DetectionOptions(settings.FACE_DETECTOR, settings.DETECTION_MAX_SIDE, settings.MIN_FACE_RATIO)
    # One thread a photo or batch: several are computed side by side.
    sessions = SessionOptions(providers, threads=1)
    nets = Mtcnn(sessions)
    detector = build_detector(detection, nets)
    network = load_network(settings.FACE_MODEL, weights or open_weights(settings, progress, stop), sessions)
    limits = settings.quality_limits()
    find_options = FindOptions(settings.MULTIPLE_FACES, settings.MAX_SECOND_FACE, limits, accept_low_quality)
    return FaceExtractor(
        DecodeOptions(settings.MAX_PHOTO_MEGAPIXELS, settings.DECODE_MIN_SIDE),
        FaceFinder(detector, nets, network.input_size, find_options),
        Embedder(settings.FACE_MODEL, network),
        Sandbox(stop),
    )


def open_weights(
    settings: Settings, progress: Progress | None = None, stop: threading.Event | None = None
) -> WeightsStore:
    """The folder of the models' weights."""
    return WeightsStore(WeightsOptions(settings.DEEPFACE_HOME, settings.WEIGHTS_MIRROR), progress, stop)


def build_roster(settings: Settings, database: Database) -> DatabaseRoster:
    """The roster table under the names that the customer gave it."""
    layout = RosterLayout(
        table=settings.ROSTER_TABLE,
        crew_id=settings.ROSTER_ID_COLUMN,
        photo=settings.ROSTER_PHOTO_COLUMN,
        names=settings.ROSTER_NAMES_COLUMN,
        surnames=settings.ROSTER_SURNAMES_COLUMN,
        status=settings.ROSTER_STATUS_COLUMN,
        active_value=settings.ROSTER_ACTIVE_VALUE,
    )
    return DatabaseRoster(database, layout)


@dataclass(frozen=True, slots=True)
class RunParts:
    """What the stages of one run are made of beside the nets: where photos come from, what is known of them, who
    watches, and what is done with vectors. `keep_processed` keeps what the detector saw of the first photos while the
    run lasts."""

    source: Source
    known_photos: KnownPhotos
    shared_check: SharedPhotoCheck
    abort_guard: AbortGuard
    store: Callable[[Sequence[Embedding]], list[SavedRow]]
    keep_processed: bool = False


@contextmanager
def open_stages(settings: Settings, faces: FaceExtractor, parts: RunParts) -> Iterator[Stages]:
    """All stages of a run; on leaving, its temporary files are gone."""
    temp = TempFolder(settings.TEMP_DIR)
    source, known_photos, shared_check, abort_guard = (
        parts.source,
        parts.known_photos,
        parts.shared_check,
        parts.abort_guard,
    )
    read = _keeping_copies(faces, temp) if parts.keep_processed else faces.decode

    def fetch(member: CrewMember) -> Photo | Skipped | Failed:
        found = known_photos.fetch(lambda member: source.fetch(member, temp), member)
        if isinstance(found, Skipped):
            shared_check.keep(member.crew_id, known_photos.picture_of(member.crew_id))
        return found

    def embed(portraits: Sequence[Face]) -> list[Embedding]:
        embeddings = faces.embedder.embed(portraits)
        abort_guard.embedded(embedding.photo for embedding in embeddings)
        return embeddings

    def store(embeddings: Sequence[Embedding]) -> list[int | Skipped]:
        saved = parts.store(shared_check.still_alone(embeddings))
        pairs = zip(embeddings, saved, strict=True)
        return [known_photos.unmoved(embedding) if row.unmoved else row.row_id for embedding, row in pairs]

    try:
        yield Stages(
            fetch=fetch,
            decode=read,
            find=lambda portrait: shared_check.watch(faces.find, portrait),
            embed=embed,
            store=store,
            discard=_discard,
            may_store=abort_guard.is_satisfied,
        )
    finally:
        faces.close()
        temp.close()


def build_source(settings: Settings, stop: threading.Event) -> Source:
    """Where photos come from, by the scheme of IMAGE_BASE_URL."""
    options = FetchOptions(
        base_url=settings.IMAGE_BASE_URL,
        connect_timeout_s=settings.HTTP_CONNECT_TIMEOUT_S,
        read_timeout_s=settings.HTTP_READ_TIMEOUT_S,
        total_timeout_s=settings.HTTP_TOTAL_TIMEOUT_S,
        attempts=settings.HTTP_ATTEMPTS,
        threads=settings.DOWNLOAD_THREADS,
        max_bytes=int(settings.MAX_PHOTO_MB * BYTES_PER_MB),
    )
    if settings.IMAGE_BASE_URL.startswith("file://"):
        return FolderSource(options)
    return HttpSource(options, stop)


def pipeline_options(settings: Settings) -> PipelineOptions:
    batch_size = settings.BATCH_SIZE or choose_batch_size(_providers(settings.ONNX_PROVIDERS))
    return PipelineOptions(
        settings.DOWNLOAD_THREADS,
        settings.WORKER_THREADS,
        batch_size,
        download_limit_s=max(PHOTO_LIMIT_S, 2 * settings.HTTP_TOTAL_TIMEOUT_S),
    )


def extract_face_embedding(
    image_path: str | Path, model_name: str = "Facenet512", detector_backend: str = "mtcnn"
) -> list[float]:
    """The vector of the face in one photo, on the batch's own code path: 512 numbers, not normalised.

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
    # Neither database nor photo server is touched: what those settings say does not matter here.
    settings = load_settings(DB_URL="sqlite://", IMAGE_BASE_URL="file:///", FACE_MODEL=model, FACE_DETECTOR=detector)
    return open_face_extractor(settings)


def _providers(setting: str) -> tuple[str, ...]:
    if setting == AUTOMATIC:
        return ()
    return tuple(name.strip() for name in setting.split(",") if name.strip())


def _keeping_copies(faces: FaceExtractor, temp: TempFolder) -> Callable[[Photo], Portrait]:
    numbers = itertools.count(1)

    def decode(photo: Photo) -> Portrait:
        portrait = faces.decode(photo)
        if next(numbers) <= MAX_PROCESSED_COPIES:
            _, encoded = cv2.imencode(".jpg", portrait.image)
            temp.write(photo.member.crew_id, encoded.tobytes(), PROCESSED_ENDING)
        return portrait

    return decode


def _discard(photo: Photo) -> None:
    if photo.temporary:
        photo.path.unlink(missing_ok=True)
