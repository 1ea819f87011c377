"""Keep photos that several members have out of the gallery.

When the run stores the first member with a picture, it cannot know of a second. When that one comes, it withdraws the
first; at the end the failures say how many members have the picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from app.errors import PlaceholderPhoto, Retry, SharedPhoto, kind_of
from app.photos.shared_pictures import SamePhotoGroup, SharedPictures
from app.pipeline.work_item import Processed, log_stage
from app.planning.decisions import Case
from app.records import CrewMember, Embedding, Failed, PhotoAnalysis, Picture, Skipped, Stored
from app.runs.outcomes import Outcomes

MAX_THUMBNAIL_BYTES = 9_000_000  # of a run: in base64 all that the report takes
SAME_PLACE = 0.03  # of the photo's sides: a detector's box moves by less when a photo is saved again
PLACEHOLDER_FROM = 4  # people with one picture: two or three are a mix-up, more is an image that means "no photo"


class SharedPhotoCheck:
    """The check of one run. `row_pictures` are those that the gallery's rows were made of, by row id. Without `reject`
    shared pictures are only reported."""

    def __init__(
        self, pictures: SharedPictures, row_pictures: Mapping[int, Picture] | None = None, *, reject: bool
    ) -> None:
        self._pictures = pictures
        self._row_pictures = row_pictures or {}
        self._reject = reject
        self._thumbnail_bytes = 0
        self._late: list[str] = []

    def admit(self, processed: Processed) -> Embedding | Failed | Skipped:
        """Register the picture of a processed member and return the result, with a thumbnail only if the report shows
        it. If another member has the picture, return SharedPhoto, whatever else is wrong with the photo."""
        result = processed.result
        if isinstance(result, Skipped) and result.photo is not None:
            self.keep(processed.decision.case)
            return result
        if isinstance(result, Failed) and result.recalled:
            return result
        picture = result.analysis.picture if result.analysis else None
        group = None if picture is None else self._pictures.register(result.member.crew_id, picture)
        if isinstance(result, Skipped):  # interrupted, perhaps after the face was found
            return Skipped(result.member, result.code)
        if group is not None and self._reject:
            return self._illustrated(_refuse(result, group, "detect"))
        return self._illustrated(result)

    def keep(self, case: Case) -> None:
        """Register the picture of a member whose row stays as it is."""
        picture = self._row_pictures.get(case.enrolment.row_id) if case.enrolment else None
        if picture is not None:
            self._pictures.keep(case.member.crew_id, picture)

    def refuse(self, embedding: Embedding) -> Failed | None:
        """Return the failure if another member with the picture has come since `admit`."""
        group = self._pictures.group_of(embedding.member.crew_id) if self._reject else None
        return None if group is None else _refuse(embedding, group, "store")

    def take_late(self, outcomes: Outcomes) -> Iterator[Stored]:
        """Yield the outcomes of members who are in the gallery although another one with their picture has come
        since."""
        self._late += self._pictures.take_late() if self._reject else ()
        for crew_id in list(self._late):
            outcome = outcomes.get(crew_id)
            if outcome is None:  # under way
                continue
            if isinstance(outcome, Stored):
                yield outcome
            elif isinstance(outcome, Skipped) and outcome.analysis and outcome.analysis.picture:
                # The row is as it was before: reported, not withdrawn.
                self._pictures.keep(crew_id, outcome.analysis.picture)
            self._late.remove(crew_id)  # only now: if the withdrawal fails, the next call tries again

    def settle(self, outcomes: Outcomes) -> None:
        """Replace each failure whose picture others have by one that says who has it in the end."""
        self._retell(outcomes)
        failures = [(each, each.analysis) for each in outcomes.of(Failed)]
        analyses = {each.member.crew_id: seen for each, seen in failures if seen is not None and seen.thumbnail}
        for outcome, seen in failures if self._reject else ():
            group = None if seen is None else self._pictures.group_of(outcome.member.crew_id)
            if group is None or seen is None:
                continue
            kind = SharedPhoto if group.count + 1 < PLACEHOLDER_FROM else PlaceholderPhoto
            # The first with a picture was stored, and so lost its thumbnail, before the second came. The second's
            # shows the same, unless the face lies elsewhere in it, as in another frame.
            like = (analyses[each] for each in group.shown if each in analyses and _lies_alike(analyses[each], seen))
            shown = (
                seen if seen.thumbnail else dataclasses.replace(seen, thumbnail=next((x.thumbnail for x in like), b""))
            )
            settled = dataclasses.replace(
                outcome, stage=kind.stage, code=kind.code, detail=_same_as(group), analysis=shown
            )
            outcomes.replace(settled)

    def _retell(self, outcomes: Outcomes) -> None:
        """Name in known failures those who have the picture now: of those that an earlier run named, one may have
        another by now."""
        for outcome in outcomes.of(Failed) if self._reject else ():
            if outcome.recalled and kind_of(outcome.code).retry is Retry.UNSHARED:
                group = self._pictures.group_of(outcome.crew_id)
                if group is not None:
                    outcomes.replace(dataclasses.replace(outcome, detail=_same_as(group)))

    def reported(self, outcomes: Outcomes) -> Iterator[tuple[CrewMember, str]]:
        """Yield the members in the gallery whose picture other members have, with a sentence that names these."""
        failed = {each.crew_id for each in outcomes.of(Failed)}
        others = (crew_id for crew_id in outcomes.crew_ids() if crew_id not in failed)
        for crew_id, group in self._pictures.groups_to_report(others):
            outcome = outcomes.get(crew_id)
            if outcome is not None:
                yield outcome.member, _same_as(group)

    def _illustrated(self, result: Embedding | Failed) -> Embedding | Failed:
        """Return the result without its thumbnail if the report does not show the photo, or has too many already."""
        analysis = result.analysis
        if analysis is None or not analysis.thumbnail:
            return result
        note = analysis.quality_note
        is_shown = isinstance(result, Failed) or (note is not None and note.component is not None)
        if is_shown and self._thumbnail_bytes <= MAX_THUMBNAIL_BYTES:
            self._thumbnail_bytes += len(analysis.thumbnail)
            return result
        return dataclasses.replace(result, analysis=dataclasses.replace(analysis, thumbnail=b""))


def _refuse(result: Embedding | Failed, group: SamePhotoGroup, stage: str) -> Failed:
    failure = shared_failure(result, _same_as(group))
    log_stage(failure.crew_id, stage, 0.0, failure)
    return failure


def shared_failure(result: Embedding | Failed | Stored, detail: str = "") -> Failed:
    """Return the failure of a member whose picture another member has, too."""
    kind = SharedPhoto
    return Failed(result.member, kind.stage, kind.code, detail, result.timings_ms, result.analysis, result.photo)


def _lies_alike(one: PhotoAnalysis, other: PhotoAnalysis) -> bool:
    """Tell whether the faces, if there are any, lie at the same place of both photos."""
    if one.box is None or other.box is None:
        return one.box is other.box
    shares = [np.array(each.box) / np.tile(each.size, 2) for each in (one, other)]
    return bool(np.abs(shares[0] - shares[1]).max() <= SAME_PLACE)


def _same_as(group: SamePhotoGroup) -> str:
    return f"la misma foto que {group}"
