"""Small pictures of faces for the pages that people judge by: cut out of a photo, or fetched for members."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from contextlib import closing
from multiprocessing.pool import ThreadPool

import cv2
import numpy as np

from app.core.config import Settings
from app.errors import ItemError
from app.faces.regions import crop_inside
from app.photos.decoding import DecodeOptions
from app.photos.portrait import load_portrait
from app.photos.sandbox import Sandbox
from app.photos.sources import open_source
from app.photos.temp_folder import TempFolder
from app.records import CrewMember, PhotoAnalysis, Portrait

AROUND = 0.35  # of the face's box, on each side
SIDE_PX, JPEG_QUALITY = 200, 80

Box = tuple[int, int, int, int]  # x, y, width, height in pixels of the upright original


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


def fetch_faces(
    settings: Settings,
    members: Collection[CrewMember],
    sha256s: Mapping[str, str],
    seen: Mapping[str, PhotoAnalysis],
    stop: threading.Event,
) -> dict[str, bytes]:
    """Fetch the members' photos and cut out the faces that were enrolled; return them by crew id.

    `sha256s` and `seen` (by crew id) are what was recorded of the enrolled photo. A member is left out whose photo
    cannot be fetched or read, or is another one by now: its face is not the one in the gallery. Raises SettingsError,
    NotWritable.
    """
    options = DecodeOptions(settings.MAX_PHOTO_MEGAPIXELS, settings.DECODE_MIN_SIDE)
    source = open_source(settings, stop)
    with closing(TempFolder(settings.TEMP_DIR)) as temp, closing(Sandbox(stop)) as sandbox:

        def fetch(member: CrewMember) -> tuple[str, bytes]:
            recorded = seen.get(member.crew_id)
            try:
                if stop.is_set():
                    return member.crew_id, b""
                photo = source.fetch(member, temp)
                if sha256s.get(member.crew_id) not in ("", None, photo.sha256):
                    return member.crew_id, b""
                return member.crew_id, cut_face(
                    load_portrait(photo, options, sandbox), recorded.box if recorded else None
                )
            except ItemError:
                return member.crew_id, b""

        with ThreadPool(settings.DOWNLOAD_THREADS) as pool:
            return {crew_id: picture for crew_id, picture in pool.imap_unordered(fetch, members) if picture}
