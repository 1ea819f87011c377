"""What flows through the pipeline: small frozen values, each of which carries its `member`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # BGR, (h, w, 3)
DIGEST_DIGITS = 16
SPACE = ("model", "weights_sha256", "normalisation", "colour_order")  # the parts of a contract that vectors share


@dataclass(frozen=True, slots=True)
class CrewMember:
    """One person of the roster. `photo_name` is a file name, such as `FAED(1).jpg`."""

    crew_id: str
    photo_name: str
    full_name: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """What its server says of a file without sending it; empty or None where it says nothing. `size_bytes` is the
    file's size; `last_modified` is compared as text, never read as a date."""

    etag: str = ""
    last_modified: str = ""
    size_bytes: int | None = None


ANSWER_SAME, ANSWER_CHANGED, ANSWER_UNKNOWN = "same", "changed", "unknown"
ANSWER_GONE, ANSWER_UNREACHABLE = "gone", "unreachable"


@dataclass(frozen=True, slots=True)
class Answer:
    """What its server says when asked whether a photo is still the version that it was. `kind` is one of ANSWER_...;
    `version` is what it says of the photo now."""

    kind: str
    version: Version = Version()

    @property
    def says_something(self) -> bool:
        """Whether it counts as asked: the photo is there, and nothing speaks against its being the same."""
        return self.kind in (ANSWER_SAME, ANSWER_UNKNOWN)


@dataclass(frozen=True, slots=True)
class Photo:
    """The member's photo as a local file. `url` is what is stored; `temporary` files are ours to delete. `sha256`
    (hexadecimal) is the content's, `version` what its server said of it. A `suspect` was under way when a run died."""

    member: CrewMember
    url: str
    path: Path
    temporary: bool = True
    sha256: str = ""
    version: Version = Version()
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """What tells whether two photos show the same: a 64-bit perceptual hash, which finds candidates, and
    `photos.fingerprint.GREY_SIDE` squared grey pixels, which settle it. Both are of the face with its surroundings, or
    of the whole photo where no face was found."""

    perceptual_hash: int
    grey: bytes


@dataclass(frozen=True, slots=True)
class QualityNote:
    """A photo's quality as it is stored: the verdict, the component that caused it (None when the photo passed), and
    value, score and verdict of every component, for JSON."""

    verdict: str
    component: str | None
    components: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class PhotoAnalysis:
    """What was seen of a photo, as far as it came: for the reports and the ledger, whatever becomes of the member.

    Everything in pixels of the upright original: `size` (width, height), `box` (x, y, width, height), `landmarks`
    (5, 2) float32: left eye, right eye, nose, mouth left, mouth right, as the onlooker sees them. `faces_seen` is None
    where nobody looked. `quality` is float32, by `app.faces.quality.COMPONENTS`, NaN where not assessed;
    `quality_note` is what the run's limits say of it. `thumbnail` is a small JPEG of the whole photo.
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
class Portrait:
    """The decoded photo: upright, perhaps reduced; `reduction` original pixels make one of `image`."""

    photo: Photo
    image: Image
    analysis: PhotoAnalysis
    reduction: int = 1

    @property
    def member(self) -> CrewMember:
        return self.photo.member


@dataclass(frozen=True, slots=True)
class Face:
    """The chosen face: `pixels` is the network's input (h, w, 3), float32 BGR in [0, 1], aligned and letterboxed."""

    photo: Photo
    pixels: NDArray[np.float32]
    analysis: PhotoAnalysis

    @property
    def member(self) -> CrewMember:
        return self.photo.member


@dataclass(frozen=True, slots=True)
class EmbeddingSpec:
    """What made a vector: two vectors of one contract may be compared, and would come out the same again."""

    model: str
    weights_sha256: str
    detector: str
    alignment: str
    normalisation: str
    colour_order: str
    preprocessing: int

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that stand for the contract."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]

    def is_comparable(self, other: Mapping[str, Any]) -> bool:
        """Whether vectors of the other contract (its parts) lie in the same space: detector and alignment only move
        them a little."""
        return all(other.get(name) == getattr(self, name) for name in SPACE)


@dataclass(frozen=True, slots=True)
class Embedding:
    """The face as a vector: float32 (dimensions,), as DeepFace returns it, not normalised. `timings_ms` by stage."""

    photo: Photo
    vector: NDArray[np.float32] = field(repr=False)  # biometric: no message quotes it
    model: str
    analysis: PhotoAnalysis
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def member(self) -> CrewMember:
        return self.photo.member


@dataclass(frozen=True, slots=True)
class Stored:
    """The member's vector is in the gallery. `timings_ms` by stage."""

    member: CrewMember
    embedding_id: int
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    analysis: PhotoAnalysis | None = None
    photo: Photo | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """No vector was to be computed, or the run was told to stop before it was; `code` says which. `photo` and
    `analysis` as far as the photo was looked at to find that out."""

    member: CrewMember
    code: str
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    analysis: PhotoAnalysis | None = None
    photo: Photo | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The member could not be done. `code` is stable; `detail` (Spanish) says what was seen. `recalled`: in an earlier
    run, and nothing has changed since."""

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

SKIPPED_CURRENT = "current"  # an active row of this contract and this photo exists
SKIPPED_RENAMED = "renamed"  # the same file under another name: the row's address was updated
SKIPPED_SAME_FILE = "same_file"  # the server could not tell, but its content is the same
SKIPPED_REENCODED = "reencoded"  # another file whose vector is the one that the row holds
SKIPPED_REACTIVATED = "reactivated"  # whoever came back: the row was there
SKIPPED_INTERRUPTED = "interrupted"  # the run was told to stop first
