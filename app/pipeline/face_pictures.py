"""Small pictures of faces for the pages that people judge by: cut out of a photo, or fetched for members."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.pool import IMapIterator, ThreadPool

import cv2
import numpy as np

from app.core.config import Settings
from app.errors import ItemError, PhotoUnavailable
from app.faces.regions import crop_inside
from app.photos.decoding import DecodeOptions
from app.photos.portrait import load_portrait
from app.photos.sandbox import Sandbox
from app.photos.sources import open_source
from app.photos.temp_folder import TempFolder
from app.records import CrewMember, PhotoAnalysis, Portrait

AROUND = 0.35  # of the face's box, on each side
SIDE_PX, JPEG_QUALITY = 200, 80
LONGEST_S, LOOK_S = 60.0, 0.2  # that a page waits for its pictures; between two looks at the clock
SILENT_AFTER = 5  # photos in a row without an answer

Box = tuple[int, int, int, int]  # x, y, width, height in pixels of the upright original
Fetched = tuple[str, bytes, ItemError | None]  # crew id, picture (empty: none to show), what failed


def cut_face(portrait: Portrait, box: Box | None) -> bytes:
    """Encode the face with its surroundings, or the whole photo without a box, as a JPEG of at most SIDE_PX a side."""
    image = portrait.image
    if box is not None:
        x, y, width, height = (round(length / portrait.reduction) for length in box)
        margin = round(AROUND * max(width, height))
        cut = crop_inside(image, x - margin, y - margin, width + 2 * margin, height + 2 * margin)
        image = cut if cut.size else image
    scale = min(1.0, SIDE_PX / max(image.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


@dataclass(frozen=True, slots=True)
class FetchedFaces:
    """The pictures by crew id, and how many of the photos could not be had: they failed, or the time was over."""

    pictures: dict[str, bytes]
    missing: int


class _Patience:
    """Sets `over` when the page has waited enough: after LONGEST_S, when the server answers nothing SILENT_AFTER times
    in a row, or on `stop`."""

    def __init__(self, stop: threading.Event) -> None:
        self.over = threading.Event()
        self._stop = stop
        self._until = time.monotonic() + LONGEST_S
        self._unanswered = 0

    def wait_for(self, results: IMapIterator[Fetched]) -> Iterator[Fetched]:
        """Yield all results; once `over` is set those that are left come at once."""
        while True:
            try:
                result = results.next(LOOK_S)
            except StopIteration:
                return
            except multiprocessing.TimeoutError:
                self._look()
                continue
            self._unanswered = self._unanswered + 1 if isinstance(result[2], PhotoUnavailable) else 0
            self._look()
            yield result

    def _look(self) -> None:
        if self._stop.is_set() or self._unanswered >= SILENT_AFTER or time.monotonic() > self._until:
            self.over.set()


def fetch_faces(
    settings: Settings,
    members: Collection[CrewMember],
    sha256s: Mapping[str, str],
    seen: Mapping[str, PhotoAnalysis],
    stop: threading.Event,
) -> FetchedFaces:
    """Fetch the members' photos and cut out the faces that were enrolled. A page waits a minute at most for them.

    `sha256s` and `seen` (by crew id) are what was recorded of the enrolled photo. A member is left out whose photo
    cannot be fetched or read, or is another one by now: its face is not the one in the gallery. Raises SettingsError,
    NotWritable.
    """
    options = DecodeOptions(settings.MAX_PHOTO_MEGAPIXELS, settings.DECODE_MIN_SIDE)
    patience = _Patience(stop)
    source = open_source(settings.model_copy(update={"HTTP_ATTEMPTS": 1}), patience.over)
    with closing(TempFolder(settings.TEMP_DIR)) as temp, closing(Sandbox(patience.over)) as sandbox:

        def fetch(member: CrewMember) -> Fetched:
            recorded = seen.get(member.crew_id)
            try:
                if patience.over.is_set():
                    raise PhotoUnavailable("no se esperó más")
                photo = source.fetch(member, temp)
                if sha256s.get(member.crew_id) not in ("", None, photo.sha256):
                    return member.crew_id, b"", None
                portrait = load_portrait(photo, options, sandbox)
                return member.crew_id, cut_face(portrait, recorded.box if recorded else None), None
            except ItemError as error:
                return member.crew_id, b"", error

        with ThreadPool(settings.DOWNLOAD_THREADS) as pool:
            results = [*patience.wait_for(pool.imap_unordered(fetch, members))]
    pictures = {crew_id: picture for crew_id, picture, _ in results if picture}
    return FetchedFaces(pictures, sum(error is not None for _, _, error in results))
