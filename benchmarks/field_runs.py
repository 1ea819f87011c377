"""Run the program on the files of `field_pictures`; and the kinds that take two runs: a photo that was corrected, and a
photo that was only saved again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.core.vectors import cosine_distance
from app.records import Image
from app.reports.photo_review import IMPROVE
from benchmarks.field_album import Album, Case, Floats, Portrait, as_jpeg
from benchmarks.field_judge import LOST, STORED, WRONG_CODE, WRONG_VECTOR, Seen, Verdict
from benchmarks.front_door import FrontDoor, ProgramRun
from benchmarks.weights import DLIB_MODEL

WORDS = ("--all", "--model", DLIB_MODEL, "--allow-mass-change")  # most photos of some kinds are meant to fail
SETTINGS: Mapping[str, object] = {"MULTIPLE_FACES": "dominant", "SHARED_PHOTOS": "report"}
SAME_VECTOR = 0.01
SMALL_SIDE_PX = 200
BARE = "without its metadata"
SPOILT = ("blurred", "soft", "dark", "light", "small", "another's")
JPEG_START, COMMENT, SCAN = b"\xff\xd8", 0xFE, 0xDA
# EXIF, profiles and the like; not those of JFIF and Adobe, which are needed to decode.
APPLICATION_MARKERS = range(0xE1, 0xEE)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The front door and the folder that its web server serves."""

    door: FrontDoor
    served: Path

    def serve(self, files: Mapping[str, bytes]) -> None:
        """Make the web server serve exactly these files."""
        for left in self.served.iterdir():
            left.unlink()
        for name, content in files.items():
            (self.served / name).write_bytes(content)

    def enrol(self, files: Mapping[str, bytes]) -> None:
        """Make a new database with one crew member for each file."""
        self.serve(files)
        self.door.enrol(list(files), len(files))

    def run(self, **settings: object) -> ProgramRun:
        return self.door.run(*WORDS, **(SETTINGS | settings))

    def vectors(self) -> dict[str, Floats]:
        rows = self.door.rows()
        return {crew_id: np.array(json.loads(text), np.float64) for crew_id, (text, _) in rows.items()}


def show(cases: list[Case], around: Surroundings, settings: Mapping[str, object]) -> list[Seen]:
    """Enrol a crew member for each file and run the program once."""
    around.enrol({f"{number}-{case.name}": case.content for number, case in enumerate(cases)})
    run = around.run(**settings)
    vectors, listed = around.vectors(), _listed(run)
    members = {member["crew_id"]: member for member in run.document["members"]}
    return [_seen(members[str(number)], vectors, listed) for number in range(len(cases))]


def _seen(member: dict[str, Any], vectors: Mapping[str, Floats], listed: set[tuple[str, str]]) -> Seen:
    crew_id = member["crew_id"]
    if crew_id in vectors:
        return Seen(vectors[crew_id], improvable=(crew_id, IMPROVE) in listed)
    return Seen(code=str(member["code"]), detail=str(member["detail"]))


def _listed(run: ProgramRun) -> set[tuple[str, str]]:
    """Return who is in HR's report, and in which part of it."""
    return {(entry["crew_id"], entry["kind"]) for entry in run.document["report"]["entries"]}


def corrected(album: Album, around: Surroundings) -> Iterator[Verdict]:
    """Enrol a bad file, then replace it by the good one under its name: vector and HR's report must be those of a first
    enrolment of the good file."""
    good = {portrait.file: portrait.content for portrait in album.portraits}
    around.enrol(good)
    fresh_list, fresh = _listed(around.run()), around.vectors()
    around.enrol({each.file: _spoilt(each, album, number) for number, each in enumerate(album.portraits)})
    around.run()
    around.serve(good)
    listed, found = _listed(around.run(PHOTO_RECHECK_HOURS=0)), around.vectors()
    for number, portrait in enumerate(album.portraits):
        what, crew_id = f"{SPOILT[number % len(SPOILT)]}, then {portrait.file}", str(number)
        distance = cosine_distance(found[crew_id], fresh[crew_id]) if crew_id in found and crew_id in fresh else None
        entries = {entry for entry in listed - fresh_list if entry[0] == crew_id}
        result = WRONG_VECTOR if distance and distance > SAME_VECTOR else WRONG_CODE if entries else STORED
        reported = f"in HR's list: {sorted(kind for _, kind in entries)}" if entries else "the row of before"
        yield Verdict(what, LOST if distance is None else result, True, distance=distance, reported=reported)


def _spoilt(portrait: Portrait, album: Album, number: int) -> bytes:
    image, what = portrait.image, SPOILT[number % len(SPOILT)]
    if what == "another's":
        return album.another(portrait, number).content
    ways: dict[str, Image] = {
        "blurred": np.asarray(cv2.GaussianBlur(image, (0, 0), 0.06 * portrait.box[2]), np.uint8),
        "soft": np.asarray(cv2.GaussianBlur(image, (0, 0), 0.025 * portrait.box[2]), np.uint8),
        "dark": (image * 0.2).astype(np.uint8),
        "light": np.clip(image * 1.9, 0, 255).astype(np.uint8),
        "small": portrait.resized(SMALL_SIDE_PX / max(image.shape[:2])).image,
    }
    return as_jpeg(ways[what])


def saved_again(album: Album, around: Surroundings) -> Iterator[Verdict]:
    """Save every file again without changing its picture: no row may be rewritten, the exit code must not change."""
    for what, files in _copies(album).items():
        around.enrol({portrait.file: portrait.content for portrait in album.portraits})
        first, before = around.run(), around.door.rows()
        around.serve(files)
        again, after = around.run(PHOTO_RECHECK_HOURS=0), around.door.rows()
        # Compressed once more, the pixels change: a rewritten vector is then unnecessary, but not wrong.
        rewritten = WRONG_VECTOR if what == BARE else LOST
        for number, portrait in enumerate(album.portraits):
            same = before.get(str(number)) == after.get(str(number)) is not None
            result, reported = (STORED, "kept") if same else (rewritten, "the row was rewritten")
            yield Verdict(f"{portrait.file} {what}", result, True, reported=reported)
        if again.process.exit_code != first.process.exit_code:
            yield Verdict(what, WRONG_CODE, reported=f"exit code {again.process.exit_code}")


def _copies(album: Album) -> dict[str, dict[str, bytes]]:
    again, bare = {}, {}
    for portrait in album.portraits:
        pixels = cv2.imdecode(np.frombuffer(portrait.content, np.uint8), cv2.IMREAD_COLOR)
        again[portrait.file] = as_jpeg(np.asarray(pixels, np.uint8))
        bare[portrait.file] = without_metadata(portrait.content)
    return {"encoded again": again, BARE: bare}


def without_metadata(content: bytes) -> bytes:
    """Remove EXIF, profiles and comments from a JPEG without encoding it again; return other formats unchanged."""
    if not content.startswith(JPEG_START):
        return content
    kept, place = bytearray(JPEG_START), 2
    while content[place + 1] != SCAN:
        end = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        if content[place + 1] not in (*APPLICATION_MARKERS, COMMENT):
            kept += content[place:end]
        place = end
    return bytes(kept) + content[place:]
