"""What flows through the pipeline: small frozen values, each of which carries its `member`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # BGR, (h, w, 3)


@dataclass(frozen=True, slots=True)
class CrewMember:
    """One person of the roster. `photo_name` is a file name, such as `FAED(1).jpg`."""

    crew_id: str
    photo_name: str
    full_name: str = ""


@dataclass(frozen=True, slots=True)
class Photo:
    """The member's photo as a local file. `url` is what is stored; `temporary` files are ours to delete."""

    member: CrewMember
    url: str
    path: Path
    temporary: bool = True


@dataclass(frozen=True, slots=True)
class Picture:
    """What tells whether two photos are the same picture: a 64-bit perceptual hash, which finds candidates, and the
    picture in `photos.fingerprint.GREY_SIDE` squared grey pixels, which settles it."""

    perceptual_hash: int
    grey: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """What was seen of a photo, as far as it came: for the reports and the ledger, whatever becomes of the member.

    Everything in pixels of the upright original: `size` (width, height), `box` (x, y, width, height), `landmarks`
    (5, 2) float32: left eye, right eye, nose, mouth left, mouth right, as the onlooker sees them. `faces_seen` is None
    where nobody looked. `quality` is float32, by `app.faces.quality.COMPONENTS`, NaN where not assessed. `thumbnail`
    is a small JPEG of the whole photo.
    """

    size: tuple[int, int]
    sha256: str = ""
    picture: Picture | None = None
    faces_seen: int | None = None
    box: tuple[int, int, int, int] | None = None
    landmarks: NDArray[np.float32] | None = None
    confidence: float = 0.0
    attempt: str = ""
    quality: NDArray[np.float32] | None = None
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True)
class Portrait:
    """The decoded photo: upright, perhaps reduced; `reduction` original pixels make one of `image`."""

    photo: Photo
    image: Image
    sighting: Sighting
    reduction: int = 1

    @property
    def member(self) -> CrewMember:
        return self.photo.member


@dataclass(frozen=True, slots=True)
class Face:
    """The chosen face: `pixels` is the network's input (h, w, 3), float32 BGR in [0, 1], aligned and letterboxed."""

    photo: Photo
    pixels: NDArray[np.float32]
    sighting: Sighting

    @property
    def member(self) -> CrewMember:
        return self.photo.member


@dataclass(frozen=True, slots=True)
class Embedding:
    """The face as a vector: float32 (dimensions,), as DeepFace returns it, not normalised."""

    photo: Photo
    vector: NDArray[np.float32]
    model: str
    sighting: Sighting

    @property
    def member(self) -> CrewMember:
        return self.photo.member


@dataclass(frozen=True, slots=True)
class Stored:
    """The member's vector is in the gallery. `timings_ms` by stage."""

    member: CrewMember
    embedding_id: int
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    sighting: Sighting | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Nothing was to be done, or the run was told to stop before it was done; `code` says which."""

    member: CrewMember
    code: str
    timings_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The member could not be done. `code` is stable; `detail` (Spanish) says what was seen."""

    member: CrewMember
    stage: str
    code: str
    detail: str = ""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    sighting: Sighting | None = None


Outcome = Stored | Skipped | Failed

SKIPPED_CURRENT = "current"  # an active row of this model and this photo exists
SKIPPED_INTERRUPTED = "interrupted"  # the run was told to stop first
