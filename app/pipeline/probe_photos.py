"""Photos that people ask the gallery about: which they are, and the faces in them."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.core.config import Settings, has_host
from app.core.files import why
from app.core.redaction import redacted, without_credentials
from app.errors import ItemError, NoFace, PhotoNotFound, PhotoUnavailable
from app.photos.folder_source import path_of_url, status_of
from app.photos.http_source import HttpSource
from app.photos.temp_folder import TempFolder
from app.pipeline.face_extractor import FaceExtractor
from app.pipeline.face_pictures import Box, cut_face
from app.records import CrewMember, Photo
from app.roster.folder import list_folder
from app.roster.litter import choose_photos, is_litter

ADDRESSES = ("http", "https")
SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)  # of two letters or more: C:// is a drive
USABLE = "indique una dirección http:// o https://, o un archivo"


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


@dataclass(frozen=True, slots=True)
class FoundPhotos:
    """Photos by name, each once; the files and folders within folders that count as none; and the folders that cannot
    be read, each as a photo that failed."""

    names: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    failed: list[ProbePhoto] = field(default_factory=list)


def list_photos(words: Sequence[str]) -> FoundPhotos:
    """Return the photos that the words name: files, addresses, and all photos within folders. A file that is named in
    two ways keeps the first."""
    photos: dict[str, str] = {}
    found = FoundPhotos()
    for word in words:
        path = _path_of(word)
        if path is None:
            photos.setdefault(word, word)
            continue
        # Path.is_dir raises where a folder on the way cannot be entered; here such a word is a photo that fails.
        within = _look_within(path) if os.path.isdir(path) else FoundPhotos([word])  # noqa: PTH112
        found.passed_over.extend(within.passed_over)
        found.failed.extend(within.failed)
        for name in within.names:
            photos.setdefault(os.path.realpath(_path_of(name) or name), name)
    found.names.extend(photos.values())
    return found


def _path_of(word: str) -> Path | None:
    """Return where a photo lies; None for a word that names no file, such as an address or nothing at all."""
    scheme = _scheme_of(word)
    path = path_of_url(word) if scheme == "file" else Path(word)
    return path if word.strip() and scheme in ("", "file") and "\0" not in str(path) else None


def _scheme_of(word: str) -> str:
    found = SCHEME.match(word)
    return found[1].lower() if found else ""


def _look_within(folder: Path) -> FoundPhotos:
    """Return the files of a folder and its folders, sorted, without what systems and programs leave there. Links to
    folders are not followed: they may lead back."""
    found = FoundPhotos()
    for parent, folders, files in os.walk(folder, onerror=lambda error: found.failed.append(_unread(error))):
        folders[:] = sorted(name for name in folders if not is_litter(name))
        beside = [name for name in files if not is_litter(name)]
        photos = choose_photos(beside)
        found.names.extend(str(Path(parent, name)) for name in photos)
        found.passed_over.extend(str(Path(parent, name)) for name in set(beside).difference(photos))
        found.passed_over.extend(f"{path}/" for path in map(Path(parent).joinpath, folders) if path.is_symlink())
    if not (found.names or found.passed_over or found.failed):
        found.passed_over.append(f"{folder}/")  # an empty folder, too, was meant to hold photos
    found.names.sort()
    found.passed_over.sort()
    return found


def _unread(error: OSError) -> ProbePhoto:
    return ProbePhoto(f"{error.filename}/", error=PhotoUnavailable(f"no se puede leer la carpeta: {why(error)}"))


def list_labelled(folder: Path) -> tuple[dict[str, FoundPhotos], list[str]]:
    """Return what each `folder/<label>/` holds by its label (the crew id of the person, or a stranger's name), and the
    names of the files in `folder` itself, which are of nobody. Raises OSError."""
    people, loose = list_folder(folder)
    return {person.name: list_photos([str(person)]) for person in people}, [path.name for path in loose]


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
    scheme, path = _scheme_of(name), _path_of(name)
    if scheme in ADDRESSES:
        url = scheme + name[len(scheme) :]
        if not has_host(url):
            raise PhotoNotFound(f"no es una dirección: {USABLE}")
        return HttpSource(settings.model_copy(update={"IMAGE_BASE_URL": url}), stop).fetch_base(temp)
    if path is None:
        raise PhotoNotFound(f"{scheme}:// no se admite: {USABLE}" if scheme else "no se indicó ninguna")
    status_of(path)
    return Photo(CrewMember(path.stem, path.name), path.resolve().as_uri(), path, temporary=False)


def _shown(name: str) -> str:
    """Return the name without what an address may hold of passwords and tokens."""
    if _scheme_of(name) in ("", "file"):
        return name
    return without_credentials(name) if has_host(name) else redacted(name)


def _read(extractor: FaceExtractor, name: str, open_photo: Callable[[], Photo]) -> ProbePhoto:
    shown = _shown(name)
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
