"""The stages of one member, in this order: fetch, decode, find, embed. None of them uses the database."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from app.errors import ItemError
from app.faces.regions import crop_with_black
from app.photos.shared_pictures import describe_picture
from app.photos.sources import Source
from app.photos.temp_folder import TempFolder
from app.photos.thumbnail import make_thumbnail
from app.pipeline.face_extractor import FaceExtractor
from app.pipeline.known_photos import recognise
from app.planning.decisions import Decision
from app.planning.rules import Rules
from app.records import Embedding, Face, Failed, Image, Photo, PhotoAnalysis, Portrait, Skipped

PROCESSED_ENDING = "_processed.jpg"
MAX_PROCESSED_COPIES = 200  # of a run with --debug: they must not fill the disk
# The side of the square around a face: in lengths (between the eyes, plus from the eyes to the mouth), or without
# landmarks in sides of the box.
SURROUNDINGS, SURROUNDINGS_OF_BOX = 1.6, 1.6


@dataclass(slots=True)
class Stages:
    """The stages of a run. Each raises ItemError for what costs one member, RunError for what ends the run.

    `thumbnails` makes a small copy of each photo for the report; `keep_copies` keeps the first decoded ones in `temp`.
    """

    source: Source
    faces: FaceExtractor
    temp: TempFolder
    rules: Rules
    thumbnails: bool = True
    keep_copies: bool = False
    _copies: Iterator[int] = field(default_factory=itertools.count, init=False)

    def fetch(self, decision: Decision) -> Photo | Skipped | Failed:
        """Download the photo; return the outcome if a file with this content is enrolled, or failed before."""
        photo = self.source.fetch(decision.member, self.temp)
        known = recognise(photo, decision, self.rules)
        return known or dataclasses.replace(photo, suspect=decision.case.suspect is not None)

    def decode(self, photo: Photo) -> Portrait:
        portrait = self.faces.decode(photo)
        if self.keep_copies and next(self._copies) < MAX_PROCESSED_COPIES:
            _, encoded = cv2.imencode(".jpg", portrait.image)
            self.temp.write(photo.member.crew_id, encoded.tobytes(), PROCESSED_ENDING)
        return portrait

    def find(self, portrait: Portrait) -> Face:
        """Find the member's face. Both the face and an error carry the picture and the thumbnail."""
        try:
            face = self.faces.find(portrait)
        except ItemError as error:
            error.analysis = self._described(portrait, error.analysis or portrait.analysis)
            raise
        return dataclasses.replace(face, analysis=self._described(portrait, face.analysis))

    def embed(self, faces: Sequence[Face]) -> list[Embedding]:
        return self.faces.embedder.embed(faces)

    def discard(self, photo: Photo) -> None:
        """Delete a downloaded file. Raises OSError."""
        if photo.temporary:
            photo.path.unlink(missing_ok=True)

    def _described(self, portrait: Portrait, analysis: PhotoAnalysis) -> PhotoAnalysis:
        thumbnail = make_thumbnail(portrait.image) if self.thumbnails else b""
        return dataclasses.replace(with_picture(portrait, analysis), thumbnail=thumbnail)


def with_picture(portrait: Portrait, analysis: PhotoAnalysis) -> PhotoAnalysis:
    """Return the analysis with the picture that is compared with other members': the upright face and its surroundings,
    because many photos may have one frame; without a face, the whole photo."""
    return dataclasses.replace(analysis, picture=describe_picture(_surroundings(portrait, analysis)))


def _surroundings(portrait: Portrait, analysis: PhotoAnalysis) -> Image:
    if analysis.box is None:
        return portrait.image
    if analysis.landmarks is None:
        x, y, width, height = analysis.box
        centre, side = (x + width / 2, y + height / 2), SURROUNDINGS_OF_BOX * max(width, height)
    else:  # steadier than the box, a few pixels of which would make another picture
        eyes, mouth = analysis.landmarks[:2], analysis.landmarks[3:].mean(axis=0)
        middle = (eyes.mean(axis=0) + mouth) / 2
        centre = float(middle[0]), float(middle[1])
        side = SURROUNDINGS * float(np.hypot(*(mouth - eyes.mean(axis=0))) + np.hypot(*(eyes[1] - eyes[0])))
    reduction = portrait.reduction
    length = max(1, round(side / reduction))
    left, top = (round((middle - side / 2) / reduction) for middle in centre)
    cut = crop_with_black(portrait.image, left, top, length, length)
    return np.ascontiguousarray(np.rot90(cut, _quarter_turns(analysis)))


def _quarter_turns(analysis: PhotoAnalysis) -> int:
    if analysis.landmarks is None:
        return 0
    across, down = analysis.landmarks[1] - analysis.landmarks[0]
    return round(math.degrees(math.atan2(down, across)) / 90) % 4
