"""What is looked at beside the photo itself: whose picture it is, and what the report shows of it.

Photos whose picture several people have are kept out of the gallery. The first of them cannot be known as such when it
passes: the run withdraws it when the second comes, and says at the end how many there were.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from app.errors import ItemError, PlaceholderPhoto, Retry, SharedPhoto, codes_with
from app.faces.cropping import crop_with_black
from app.faces.quality import PASSED, Limits, grade, worst
from app.gallery.gallery import Gallery
from app.gallery.photo_records import QualityNote
from app.photos.fingerprint import describe_picture
from app.photos.shared_pictures import SamePhotoGroup, SharedPictures
from app.photos.thumbnail import make_thumbnail
from app.planning.decisions import PROCESSED, STALE, Decision
from app.records import (
    CrewMember,
    Embedding,
    Face,
    Failed,
    Image,
    Outcome,
    PhotoAnalysis,
    Picture,
    Portrait,
    Skipped,
    Stored,
)

MAX_THUMBNAIL_BYTES = 9_000_000  # of a run: in base64 all that the report takes
# The square that tells a face's picture: its side in lengths (between the eyes, plus from the eyes to the mouth), or
# where there are no landmarks in sides of the box.
SURROUNDINGS, SURROUNDINGS_OF_BOX = 1.6, 1.6
SAME_PLACE = 0.03  # of the photo's sides: a detector's box moves by less when a photo is saved again
PLACEHOLDER_FROM = 4  # people with one picture: two or three are a mix-up, more is an image that means "no photo"


class SharedPhotoCheck:
    """The screening of one run. `reject` keeps shared pictures out, otherwise they are only reported; `thumbnails`
    makes small copies of what the report shows."""

    def __init__(self, pictures: SharedPictures, limits: Limits, *, reject: bool, thumbnails: bool) -> None:
        self._pictures = pictures
        self._limits = limits
        self._reject = reject
        self._thumbnails = thumbnails
        self._thumbnail_bytes = 0
        self._late: list[str] = []

    def keep(self, crew_id: str, picture: Picture | None) -> None:
        """A member whose row stays as it is has this picture."""
        if picture is not None:
            self._pictures.keep(crew_id, picture)

    def watch(self, find: Callable[[Portrait], Face], portrait: Portrait) -> Face:
        """`find(portrait)`, with what tells the picture, and a thumbnail where the report will show the photo.

        Raises SharedPhoto when somebody else has the picture, too, whatever else is wrong with it.
        """
        try:
            face = find(portrait)
        except ItemError as error:
            seen = error.analysis or portrait.analysis
            error.analysis = self._illustrated(portrait, with_picture(portrait, seen))
            self._admit(portrait, error.analysis)
            raise
        analysis = with_picture(portrait, face.analysis)
        if judge(analysis, self._limits) != PASSED:
            analysis = self._illustrated(portrait, analysis)
        self._admit(portrait, analysis)
        return dataclasses.replace(face, analysis=analysis)

    def _admit(self, portrait: Portrait, analysis: PhotoAnalysis) -> None:
        picture = analysis.picture
        group = None if picture is None else self._pictures.register(portrait.member.crew_id, picture)
        if group is not None and self._reject:
            raise SharedPhoto(_same_as(group), self._illustrated(portrait, analysis))

    def still_alone(self, embeddings: Sequence[Embedding]) -> Sequence[Embedding]:
        """The embeddings, unless somebody else's picture has turned out to be the same. Raises SharedPhoto."""
        for embedding in embeddings if self._reject else ():
            group = self._pictures.group(embedding.member.crew_id)
            if group is not None:
                raise SharedPhoto(_same_as(group))
        return embeddings

    def take_late(self, outcomes: Sequence[Outcome]) -> Iterator[tuple[int, Stored]]:
        """Those among `outcomes` that are in the gallery although their twin has come since, with their places."""
        self._late += self._pictures.take_late() if self._reject else ()
        for crew_id in list(self._late):
            for place, outcome in enumerate(outcomes):
                if outcome.member.crew_id == crew_id:
                    if isinstance(outcome, Stored):
                        yield place, outcome
                    elif isinstance(outcome, Skipped):  # the row is as it was before: reported, not withdrawn
                        self.keep(crew_id, outcome.analysis.picture if outcome.analysis else None)
                    self._late.remove(crew_id)  # only now: when it could not be withdrawn, the next call tries again
                    break

    def withdrawn(self, outcome: Stored) -> Failed:
        """What becomes of such a member."""
        return Failed(
            outcome.member,
            SharedPhoto.stage,
            SharedPhoto.code,
            timings_ms=outcome.timings_ms,
            analysis=outcome.analysis,
            photo=outcome.photo,
        )

    def settle(self, outcomes: list[Outcome]) -> None:
        """Say of each failure whose picture others have how many they are in the end."""
        failures = [(place, each, each.analysis) for place, each in enumerate(outcomes) if isinstance(each, Failed)]
        analyses = {each.member.crew_id: seen for _, each, seen in failures if seen is not None and seen.thumbnail}
        for place, outcome, seen in failures if self._reject else ():
            group = None if seen is None else self._pictures.group(outcome.member.crew_id)
            if group is None or seen is None:
                continue
            kind = SharedPhoto if group.count + 1 < PLACEHOLDER_FROM else PlaceholderPhoto
            # The first with a picture was through before its twin came, so no thumbnail was made. The twin's shows the
            # same, unless the face lies elsewhere in it: in another frame, say.
            like = (analyses[each] for each in group.shown if each in analyses and _lies_alike(analyses[each], seen))
            shown = (
                seen if seen.thumbnail else dataclasses.replace(seen, thumbnail=next((x.thumbnail for x in like), b""))
            )
            outcomes[place] = dataclasses.replace(
                outcome, stage=kind.stage, code=kind.code, detail=_same_as(group), analysis=shown
            )

    def reported(self, outcomes: Sequence[Outcome]) -> Iterator[tuple[CrewMember, str]]:
        """Those in the gallery whose picture somebody else has, too, and with whom."""
        members = {outcome.member.crew_id: outcome.member for outcome in outcomes if not isinstance(outcome, Failed)}
        for crew_id, group in self._pictures.kept(members):
            yield members[crew_id], _same_as(group)

    def _illustrated(self, portrait: Portrait, analysis: PhotoAnalysis) -> PhotoAnalysis:
        if analysis.thumbnail or not self._thumbnails or self._thumbnail_bytes > MAX_THUMBNAIL_BYTES:
            return analysis
        thumbnail = make_thumbnail(portrait.image)
        self._thumbnail_bytes += len(thumbnail)  # a race between threads costs one thumbnail at most
        return dataclasses.replace(analysis, thumbnail=thumbnail)


def with_picture(portrait: Portrait, analysis: PhotoAnalysis) -> PhotoAnalysis:
    """The analysis with what tells the picture: of the face and its surroundings where there is a face, since many
    people's photos may have one frame; otherwise of the whole photo."""
    return dataclasses.replace(analysis, picture=describe_picture(_surroundings(portrait, analysis)))


def _surroundings(portrait: Portrait, analysis: PhotoAnalysis) -> Image:
    if analysis.box is None:
        return portrait.image
    if analysis.landmarks is None:
        x, y, width, height = analysis.box
        centre, side = (x + width / 2, y + height / 2), SURROUNDINGS_OF_BOX * max(width, height)
    else:  # a few pixels less or more of a box would make another picture; these points are steadier
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
    """How often the photo has to be turned anticlockwise until its face stands upright."""
    if analysis.landmarks is None:
        return 0
    across, down = analysis.landmarks[1] - analysis.landmarks[0]
    return round(math.degrees(math.atan2(down, across)) / 90) % 4


def _lies_alike(one: PhotoAnalysis, other: PhotoAnalysis) -> bool:
    """Whether the faces, if there are any, lie at the same place of both photos."""
    if one.box is None or other.box is None:
        return one.box is other.box
    shares = [np.array(each.box) / np.tile(each.size, 2) for each in (one, other)]
    return bool(np.abs(shares[0] - shares[1]).max() <= SAME_PLACE)


def known_pictures(gallery: Gallery, departed: Iterable[str]) -> tuple[dict[str, Picture], dict[str, Picture]]:
    """By crew id, the pictures in the gallery, and those that were rejected because somebody else had them; whoever
    left the roster shares a picture with nobody."""
    in_gallery = gallery.provenance.active_pictures(gallery.table)
    rejected = gallery.photo_records.rejected_pictures(codes_with(Retry.UNSHARED))
    for crew_id in departed:
        in_gallery.pop(crew_id, None)
        rejected.pop(crew_id, None)
    return in_gallery, rejected


def open_pictures(
    in_gallery: Mapping[str, Picture], rejected: Mapping[str, Picture], pending: Mapping[str, Decision], *, force: bool
) -> SharedPictures:
    """The pictures that earlier runs saw, by crew id. `pending`, those about to be processed, perhaps no longer have
    the picture that they had; only a vector that is made anew of the same photo will."""
    stays = {
        crew_id
        for crew_id, decision in pending.items()
        if decision.kind == STALE
        or (force and decision.case.enrolment and decision.case.enrolment.url == decision.case.url)
    }
    stored = {each: picture for each, picture in in_gallery.items() if each not in pending or each in stays}
    former = {each: picture for each, picture in in_gallery.items() if each in pending and each not in stays}
    return SharedPictures(stored, {each: picture for each, picture in rejected.items() if each not in pending}, former)


def alone_by_now(
    decisions: Iterable[Decision], in_gallery: Mapping[str, Picture], rejected: Mapping[str, Picture]
) -> set[str]:
    """Of those whose photo failed because somebody else had it, too: whoever has it alone by now."""
    decisions = list(decisions)
    pending = {each.member.crew_id: each for each in decisions if each.kind in PROCESSED}
    shared = codes_with(Retry.UNSHARED)
    waiting = [each.member.crew_id for each in decisions if each.failure and each.failure.code in shared]
    pictures = open_pictures(in_gallery, rejected, pending, force=False)
    return {each for each in waiting if each in rejected and pictures.group(each) is None}


def judge(analysis: PhotoAnalysis, limits: Limits) -> str:
    """The verdict on a photo's quality; PASSED where none was measured."""
    return PASSED if analysis.quality is None else worst(grade(analysis.quality, limits)).verdict


def note_quality(analysis: PhotoAnalysis, limits: Limits) -> QualityNote | None:
    """A photo's quality as the ledger keeps it."""
    if analysis.quality is None:
        return None
    grades = grade(analysis.quality, limits)
    lowest = worst(grades)
    components = {
        each.component.name: {
            "value": None if each.value is None else round(each.value, 4),
            "score": each.score,
            "verdict": each.verdict,
        }
        for each in grades
    }
    return QualityNote(lowest.verdict, None if lowest.verdict == PASSED else lowest.component.name, components)


def _same_as(group: SamePhotoGroup) -> str:
    return f"la misma foto que {group}"
