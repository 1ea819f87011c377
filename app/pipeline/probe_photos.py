"""Photos that people ask the gallery about: which they are, and the faces in them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.core.config import Settings
from app.core.redaction import without_credentials
from app.errors import ItemError, NoFace, PhotoNotFound
from app.photos.http_source import HttpSource
from app.photos.temp_folder import TempFolder
from app.pipeline.face_extractor import FaceExtractor
from app.pipeline.face_pictures import Box, cut_face
from app.records import CrewMember, Photo
from app.roster.litter import is_litter

ADDRESSES = ("http://", "https://")


@dataclass(frozen=True, slots=True, eq=False)
class ProbeFace:
    """One face of a photo: its vector, float32 (dimensions,), its box in pixels of the upright original, its picture as
    a JPEG."""

    vector: NDArray[np.float32] = field(repr=False)
    box: Box
    picture: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class ProbePhoto:
    """A photo by the name under which it was given, and its faces, the largest first; `error` when it has none."""

    name: str
    faces: tuple[ProbeFace, ...] = ()
    error: ItemError | None = None


def list_photos(words: Sequence[str]) -> Iterator[str]:
    """Yield the photos that the words name, each once: files, addresses, and all files within folders. A file that is
    named in two ways keeps the first."""
    seen: set[str] = set()
    for word in words:
        path, is_address = Path(word), word.startswith(ADDRESSES)
        for name in _files_within(path) if not is_address and path.is_dir() else [word]:
            place = name if is_address else os.path.realpath(name)
            if place not in seen:
                seen.add(place)
                yield name


def _files_within(folder: Path) -> list[str]:
    """Return the files of a folder and its folders, sorted, without what systems and programs leave there."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if not any(map(is_litter, path.relative_to(folder).parts)))


def list_labelled(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the photos of `folder/<label>/`, each with its label: the crew id of the person, or a stranger's name."""
    for person in sorted(path for path in folder.iterdir() if path.is_dir() and not is_litter(path.name)):
        yield from ((person.name, name) for name in list_photos([str(person)]))


def read_probes(
    settings: Settings, extractor: FaceExtractor, names: Iterable[str], stop: threading.Event
) -> list[ProbePhoto]:
    """Find and embed every face in these photos, in their order, until `stop`. What is wrong with a photo is in its
    result. Raises SettingsError, NotWritable."""
    with closing(TempFolder(settings.TEMP_DIR)) as temp, ThreadPool(settings.WORKER_THREADS) as pool:

        def read(name: str) -> ProbePhoto | None:
            return None if stop.is_set() else _read(extractor, name, lambda: _open(settings, name, temp, stop))

        return [photo for photo in pool.imap(read, names) if photo is not None]


def _open(settings: Settings, name: str, temp: TempFolder, stop: threading.Event) -> Photo:
    """Return the photo as a local file; one at an address is downloaded. Raises ItemError, SettingsError."""
    if name.startswith(ADDRESSES):
        return HttpSource(settings.model_copy(update={"IMAGE_BASE_URL": name}), stop).fetch_base(temp)
    path = Path(name)
    if not path.is_file():
        raise PhotoNotFound(f"no existe {path}")
    return Photo(CrewMember(path.stem, path.name), path.resolve().as_uri(), path, temporary=False)


def _read(extractor: FaceExtractor, name: str, open_photo: Callable[[], Photo]) -> ProbePhoto:
    shown = without_credentials(name) if name.startswith(ADDRESSES) else name
    try:
        portrait = extractor.decode(open_photo())
        faces = [(face, face.analysis.box) for face in extractor.find_all(portrait)]
        if not faces:
            raise NoFace
        embedded = extractor.embedder.embed([face for face, _ in faces])
        return ProbePhoto(
            shown,
            tuple(
                ProbeFace(embedding.vector, box, cut_face(portrait, box))
                for embedding, (_, box) in zip(embedded, faces, strict=True)
                if box is not None
            ),
        )
    except ItemError as error:
        return ProbePhoto(shown, error=error)
