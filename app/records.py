"""Define the values that flow through the program: small and frozen. An outcome carries its `member`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # BGR, (h, w, 3)
DIGEST_DIGITS = 16
NOTHING_TIMED: Mapping[str, float] = {}  # one for all: on most nights nearly every member is skipped
QUARANTINED_AFTER = 2  # runs that died with the member under way
SPACE = ("model", "weights_sha256", "normalisation", "colour_order")  # the parts that comparable vectors share


@dataclass(frozen=True, slots=True)
class CrewMember:
    """A person in the roster. `photo_name` is a file name, such as `FAED(1).jpg`."""

    crew_id: str
    photo_name: str
    full_name: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """What the photo server reports of a file without sending it; empty or None if nothing. `last_modified` is compared
    as text, never parsed as a date."""

    etag: str = ""
    last_modified: str = ""
    size_bytes: int | None = None


NO_VERSION = Version()

ANSWER_SAME, ANSWER_CHANGED, ANSWER_UNKNOWN = "same", "changed", "unknown"
ANSWER_GONE, ANSWER_FORBIDDEN, ANSWER_UNREACHABLE = "gone", "forbidden", "unreachable"


@dataclass(frozen=True, slots=True)
class Answer:
    """The photo server's answer, one of ANSWER_..., to whether a photo is still the known version; its version now.
    `detail` (Spanish) says why there was no answer about a version."""

    kind: str
    version: Version = NO_VERSION
    detail: str = field(default="", compare=False)

    @property
    def says_something(self) -> bool:
        """Tell whether the photo is there and may be the same: then it counts as checked."""
        return self.kind in (ANSWER_SAME, ANSWER_UNKNOWN)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A member's rows of `face_embeddings`. All fields but the ids describe the newest active row, or the newest when
    none is active.

    `known`: this program made or adopted it. `spec_digest`: of its embedding spec, None when unknown.
    `dimensions`: only of active rows that are not known. `sha256`: of its photo, empty when unknown.
    """

    row_id: int
    model: str
    url: str
    active_ids: tuple[int, ...] = ()
    all_ids: tuple[int, ...] = ()
    known: bool = False
    spec_digest: str | None = None
    dimensions: int | None = None
    sha256: str = ""

    @property
    def active(self) -> bool:
        return bool(self.active_ids)


@dataclass(frozen=True, slots=True)
class PhotoRecord:
    """What an earlier run recorded of a member's photo. Times in UTC.

    `code`, `stage` and `detail` are of its failure, empty when the photo is in the gallery; `failures` in a row;
    `judged_by` is the digest of the rules that it failed by. `improvable`: the quality component that could be better,
    empty when there was no warning.
    """

    url: str
    version: Version = NO_VERSION
    sha256: str = ""
    code: str = ""
    stage: str = ""
    detail: str = ""
    judged_by: str = ""
    failures: int = 0
    tried_at: datetime | None = None
    checked_at: datetime | None = None
    left_at: datetime | None = None
    improvable: str = ""


@dataclass(frozen=True, slots=True)
class CrashSuspect:
    """The photo of a member who was under way when runs died, and how many did (the crash count)."""

    url: str
    deaths: int

    @property
    def is_quarantined(self) -> bool:
        return self.deaths >= QUARANTINED_AFTER


@dataclass(frozen=True, slots=True)
class Photo:
    """The member's photo as a local file. `url` is the address to store. A `temporary` file is deleted after use.
    `sha256` is the content's, in hexadecimal. A `suspect` was being processed when an earlier run crashed."""

    member: CrewMember
    url: str
    path: Path
    temporary: bool = True
    sha256: str = ""
    version: Version = NO_VERSION
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class OfPhoto:
    """What a stage made of a photo."""

    photo: Photo

    @property
    def member(self) -> CrewMember:
        return self.photo.member


@dataclass(frozen=True, slots=True)
class Picture:
    """What tells whether two photos show the same face and surroundings, or the same photo if no face was found.
    `perceptual_hash`, 64 bits, finds candidates; `grey`, `shared_pictures.GREY_SIDE` squared pixels, decides."""

    perceptual_hash: int
    grey: bytes


@dataclass(frozen=True, slots=True)
class QualityNote:
    """A photo's quality as it is stored. `component` caused the verdict; None if the photo passed. `components` holds
    value, score and verdict of each, ready for JSON."""

    verdict: str
    component: str | None
    components: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class PhotoAnalysis:
    """What was measured in a photo before it was stored or failed, for the reports and the photo record.

    In pixels of the upright original: `size` (width, height), `box` (x, y, width, height), `landmarks` (5, 2) float32:
    left eye, right eye, nose, mouth left, mouth right, as the viewer sees them. `faces_seen` is None before detection.
    `quality` is float32 in the order of `app.faces.quality.COMPONENTS`, NaN where not assessed; `quality_note` is its
    verdict under the run's limits. `thumbnail` is a small JPEG of the whole photo.
    """

    size: tuple[int, int]
    picture: Picture | None = None
    faces_seen: int | None = None
    box: tuple[int, int, int, int] | None = None
    landmarks: NDArray[np.float32] | None = None
    confidence: float = 0.0
    attempt: str = ""
    quality: NDArray[np.float32] | None = None
    quality_note: QualityNote | None = None
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True)
class Portrait(OfPhoto):
    """The decoded photo, upright. One pixel of `image` is the mean of `reduction` x `reduction` original pixels."""

    image: Image
    analysis: PhotoAnalysis
    reduction: int = 1


@dataclass(frozen=True, slots=True)
class Face(OfPhoto):
    """The chosen face. `pixels` is the network's input (h, w, 3), float32 BGR in [0, 1], aligned and letterboxed."""

    pixels: NDArray[np.float32]
    analysis: PhotoAnalysis


@dataclass(frozen=True, slots=True)
class EmbeddingSpec:
    """What determines a vector: the same photo with the same spec gives the same vector again."""

    model: str
    weights_sha256: str
    detector: str
    alignment: str
    normalisation: str
    colour_order: str
    preprocessing: int

    @property
    def digest(self) -> str:
        """DIGEST_DIGITS hexadecimal digits."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]

    def is_comparable(self, other: Mapping[str, Any]) -> bool:
        """Tell whether vectors of the other spec, given by its parts, lie in the same space. Detector and alignment do
        not matter: they only move vectors a little."""
        return all(other.get(name) == getattr(self, name) for name in SPACE)


@dataclass(frozen=True, slots=True)
class Embedding(OfPhoto):
    """The face as a vector: float32 (dimensions,), as DeepFace returns it, not normalised. `timings_ms` is by stage."""

    vector: NDArray[np.float32] = field(repr=False)  # biometric data: no message may quote it
    model: str
    analysis: PhotoAnalysis
    timings_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """The member's vector is in the gallery. `timings_ms` is by stage."""

    member: CrewMember
    embedding_id: int
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    analysis: PhotoAnalysis | None = None
    photo: Photo | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """No vector was needed, or the run was stopped first; `code` says which. `photo` and `analysis` are set if the run
    fetched and analysed the photo to find that out."""

    member: CrewMember
    code: str
    timings_ms: Mapping[str, float] = field(default_factory=lambda: NOTHING_TIMED)
    analysis: PhotoAnalysis | None = None
    photo: Photo | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The member could not be processed. `code` is stable; `detail` (Spanish) says what was found. A `recalled` photo
    failed in an earlier run and was not tried again, because nothing has changed since."""

    member: CrewMember
    stage: str
    code: str
    detail: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    analysis: PhotoAnalysis | None = None
    photo: Photo | None = None
    recalled: bool = False

    @property
    def crew_id(self) -> str:
        """The member's id, as `CrewMember.crew_id`: a roster's entry is one or the other."""
        return self.member.crew_id


Outcome = Stored | Skipped | Failed


def is_interrupted(outcome: Outcome) -> bool:
    """Tell whether the run was stopped before it reached the member."""
    return isinstance(outcome, Skipped) and outcome.code == SKIPPED_INTERRUPTED


SKIPPED_CURRENT = "current"  # an active row of this spec and this photo exists
SKIPPED_UNCHECKED = "unchecked"  # an active row exists, but whether it is of this photo could not be asked
SKIPPED_RENAMED = "renamed"  # the same file under another name: the row's URL was updated
SKIPPED_SAME_FILE = "same_file"  # the server could not tell, but the content is the same
SKIPPED_REENCODED = "reencoded"  # another file of the same picture: the row's vector stays
SKIPPED_REACTIVATED = "reactivated"  # the member is back in the roster, and the row still existed
SKIPPED_INTERRUPTED = "interrupted"  # the run was stopped first
