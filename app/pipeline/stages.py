"""What is done to one member, stage by stage: fetch, decode, find, embed. Works without the database."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import cv2

from app.core.config import Settings
from app.errors import ItemError
from app.photos.sources import Source
from app.photos.temp_folder import TempFolder
from app.photos.thumbnail import make_thumbnail
from app.pipeline.face_extractor import FaceExtractor
from app.pipeline.known_photos import recognise
from app.pipeline.pictures import with_picture
from app.planning.decisions import Decision
from app.planning.rules import Rules
from app.records import Embedding, Face, Failed, Photo, PhotoAnalysis, Portrait, Skipped

PROCESSED_ENDING = "_processed.jpg"
MAX_PROCESSED_COPIES = 200  # kept while a run with --debug lasts: not as many as fill a disk


class Stages(Protocol):
    """The stages of a pipeline. Each raises ItemError for what costs one member, RunError for what ends the run."""

    def fetch(self, decision: Decision, /) -> Photo | Skipped | Failed:
        """Return the member's photo, or the outcome when it needs no processing."""
        ...

    def decode(self, photo: Photo, /) -> Portrait: ...

    def find(self, portrait: Portrait, /) -> Face: ...

    def embed(self, faces: Sequence[Face], /) -> list[Embedding]: ...

    def discard(self, photo: Photo, /) -> None:
        """Free what a photo holds that is not needed any more. Raises OSError."""
        ...


class PhotoStages:
    """The stages of a run. `thumbnails` makes a small copy of each photo for the report; `keep_copies` keeps what the
    detector saw of the first photos while the run lasts."""

    def __init__(
        self,
        source: Source,
        faces: FaceExtractor,
        temp: TempFolder,
        rules: Rules,
        *,
        thumbnails: bool = True,
        keep_copies: bool = False,
    ) -> None:
        self._source = source
        self._faces = faces
        self._temp = temp
        self._rules = rules
        self._thumbnails = thumbnails
        self._copies = itertools.count() if keep_copies else itertools.repeat(MAX_PROCESSED_COPIES)

    def fetch(self, decision: Decision) -> Photo | Skipped | Failed:
        """Download the photo, unless its content is the one that was enrolled, or that failed."""
        photo = self._source.fetch(decision.member, self._temp)
        known = recognise(photo, decision, self._rules)
        return known or dataclasses.replace(photo, suspect=decision.case.suspect is not None)

    def decode(self, photo: Photo) -> Portrait:
        """Decode the photo's file."""
        portrait = self._faces.decode(photo)
        if next(self._copies) < MAX_PROCESSED_COPIES:
            _, encoded = cv2.imencode(".jpg", portrait.image)
            self._temp.write(photo.member.crew_id, encoded.tobytes(), PROCESSED_ENDING)
        return portrait

    def find(self, portrait: Portrait) -> Face:
        """Find the member's face. Face and error alike carry what tells the picture, and a thumbnail."""
        try:
            face = self._faces.find(portrait)
        except ItemError as error:
            error.analysis = self._described(portrait, error.analysis or portrait.analysis)
            raise
        return dataclasses.replace(face, analysis=self._described(portrait, face.analysis))

    def embed(self, faces: Sequence[Face]) -> list[Embedding]:
        """Compute the vectors of a batch of faces."""
        return self._faces.embedder.embed(faces)

    def discard(self, photo: Photo) -> None:
        """Delete a downloaded file."""
        if photo.temporary:
            photo.path.unlink(missing_ok=True)

    def _described(self, portrait: Portrait, analysis: PhotoAnalysis) -> PhotoAnalysis:
        thumbnail = make_thumbnail(portrait.image) if self._thumbnails else b""
        return dataclasses.replace(with_picture(portrait, analysis), thumbnail=thumbnail)


@contextmanager
def open_stages(
    settings: Settings,
    source: Source,
    faces: FaceExtractor,
    rules: Rules,
    *,
    thumbnails: bool = True,
    keep_copies: bool = False,
) -> Iterator[PhotoStages]:
    """Yield the stages of a run; when they are closed, its temporary files are gone."""
    temp = TempFolder(settings.TEMP_DIR)
    try:
        yield PhotoStages(source, faces, temp, rules, thumbnails=thumbnails, keep_copies=keep_copies)
    finally:
        faces.close()
        temp.close()
