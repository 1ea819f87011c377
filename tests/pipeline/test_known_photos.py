"""Photos that were seen before: what goes no further, and as what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from app.photos.shared_pictures import GREY_SIDE
from app.pipeline.known_photos import recognise, skip_unmoved
from app.planning.decisions import CHANGED, Case, Decision
from app.planning.rules import Rules
from app.records import Embedding, Enrolment, Failed, Outcome, Photo, PhotoAnalysis, PhotoRecord, Picture, Skipped
from tests.planning.test_decisions import (
    ANA,
    BACK,
    FORCE,
    FULL,
    INSIST,
    NO_FACE,
    OLD_URL,
    OTHER_WEIGHTS,
    RESTING,
    ROW,
    RULES,
    SEEN,
    STRANGER,
    URL,
)

GREY = np.random.default_rng(1).integers(0, 256, GREY_SIDE**2, np.uint8).tobytes()
PICTURE, OTHER_PICTURE = Picture(0x0123_4567_89AB_CDEF, GREY), Picture(0xFEDC_BA98_7654_3210, GREY)
SAME_FILE = Photo(ANA, URL, Path("a.jpg"), sha256="aa")
OTHER_FILE = replace(SAME_FILE, sha256="bb")
MOVED, TWICE = replace(ROW, url=OLD_URL), replace(ROW, active_ids=(11, 12))


@dataclass(frozen=True)
class Known:
    """What is known of Ana, and by which rules."""

    decision: Decision
    rules: Rules


def known_photos(enrolment: Enrolment | None, photo_record: PhotoRecord | None = None, rules: Rules = RULES) -> Known:
    return Known(Decision(CHANGED, "", Case(ANA, URL, enrolment, photo_record)), rules)


def skipped(code: str, photo: Photo, analysis: PhotoAnalysis | None = None) -> Skipped:
    return Skipped(ANA, code, photo=photo, analysis=analysis)


RECALLED = Failed(ANA, "detect", "no_face", "ninguna cara", photo=SAME_FILE, recalled=True)


@pytest.mark.parametrize(
    ("known", "photo", "found"),
    [
        (known_photos(ROW, SEEN), SAME_FILE, skipped("same_file", SAME_FILE)),
        (known_photos(ROW, SEEN), OTHER_FILE, OTHER_FILE),
        (known_photos(MOVED, SEEN), SAME_FILE, skipped("renamed", SAME_FILE)),
        (known_photos(RESTING, BACK), SAME_FILE, skipped("reactivated", SAME_FILE)),
        (known_photos(replace(RESTING, url=OLD_URL), BACK), SAME_FILE, skipped("reactivated", SAME_FILE)),
        (known_photos(RESTING, SEEN), SAME_FILE, SAME_FILE),  # never left: the service laid the row to rest
        (known_photos(OTHER_WEIGHTS, SEEN), SAME_FILE, SAME_FILE),
        (known_photos(TWICE, SEEN), SAME_FILE, SAME_FILE),
        (known_photos(STRANGER, SEEN), SAME_FILE, SAME_FILE),  # it is unknown what that row was made of
        (known_photos(None, SEEN), SAME_FILE, SAME_FILE),
        (known_photos(ROW, SEEN, FORCE), SAME_FILE, SAME_FILE),
        (known_photos(ROW, SEEN, FULL), SAME_FILE, skipped("same_file", SAME_FILE)),
        # the file that failed fails again
        (known_photos(None, NO_FACE), SAME_FILE, RECALLED),
        (known_photos(None, replace(NO_FACE, url=OLD_URL)), SAME_FILE, RECALLED),
        (known_photos(replace(ROW, sha256="cc"), NO_FACE), SAME_FILE, RECALLED),
        (
            known_photos(ROW, replace(NO_FACE, sha256="bb")),
            SAME_FILE,
            SAME_FILE,
        ),  # the enrolled one again: what was seen is gone
        (known_photos(ROW, replace(SEEN, sha256="bb")), SAME_FILE, SAME_FILE),
        (known_photos(None, NO_FACE), OTHER_FILE, OTHER_FILE),
        (known_photos(None, NO_FACE, INSIST), SAME_FILE, SAME_FILE),
        (known_photos(None, NO_FACE, FORCE), SAME_FILE, SAME_FILE),
        (known_photos(None, replace(NO_FACE, judged_by="rules0")), SAME_FILE, SAME_FILE),
        (known_photos(None, replace(NO_FACE, code="shared_photo")), SAME_FILE, SAME_FILE),  # others may have changed
        (known_photos(None, replace(NO_FACE, code="bad_vector")), SAME_FILE, SAME_FILE),
    ],
)
def test_a_fetched_file_goes_on_unless_it_was_enrolled_or_has_failed(
    known: Known, photo: Photo, found: Photo | Outcome
) -> None:
    assert (recognise(photo, known.decision, known.rules) or photo) == found


@pytest.mark.parametrize(
    ("known", "code"),
    [
        (known_photos(ROW, SEEN), "reencoded"),
        (known_photos(MOVED, SEEN), "renamed"),
        (known_photos(RESTING, BACK), "reactivated"),
        (known_photos(None), "reencoded"),
    ],
)
def test_a_vector_that_has_not_moved_leaves_the_row_as_it_is(known: Known, code: str) -> None:
    seen = PhotoAnalysis((640, 480))
    embedding = Embedding(OTHER_FILE, np.ones(3, np.float32), "Facenet512", seen)
    assert skip_unmoved(embedding, known.decision) == skipped(code, OTHER_FILE, seen)
