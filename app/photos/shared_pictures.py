"""The same picture under several crew ids: pictures come in, who shares a picture goes out."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.photos.fingerprint import grey_distances
from app.records import Picture

# Faces with their surroundings: saved anew, made smaller, brightened or framed the same one differs in 5 of the hash's
# 64 bits and by 0.5 as a rule; two photos in 11 bits and by 1.3 at least, in 27 and by 2.8 as a rule (docs/quality.md).
SAME_PICTURE_BITS = 8
SAME_PICTURE_DISTANCE = 0.9
SHOWN_IDS = 3


@dataclass(frozen=True, slots=True)
class SamePhotoGroup:
    """The others with the same picture: how many, and the first few."""

    count: int
    shown: tuple[str, ...]

    def __str__(self) -> str:
        more = self.count - len(self.shown)
        return ", ".join(self.shown) + (f" y {more} más" if more else "")


class SharedPictures:
    """Who has which picture. `stored` (by crew id) are those in the gallery from earlier runs: theirs is only
    reported. All others that share one are rejected, the first of them also when its twin turns up later. `former` are
    pictures in the gallery whose members may have another one by now: theirs only once they register it again.

    Safe to use from several threads.
    """

    def __init__(
        self,
        stored: Mapping[str, Picture],
        rejected: Mapping[str, Picture],
        former: Mapping[str, Picture] | None = None,
    ) -> None:
        self._stored = {**stored, **(former or {})}
        self._owners: dict[Picture, dict[str, None]] = defaultdict(dict)
        self._hashes = _Hashes()
        self._of: dict[str, Picture] = {}
        self._alone: dict[Picture, str] = {}  # pictures of this run that nobody else had so far
        self._late: list[str] = []
        self._guard = threading.Lock()
        for crew_id, picture in (*stored.items(), *rejected.items()):
            self._add(crew_id, picture)
        self._seen: set[Picture] = set()

    def register(self, crew_id: str, picture: Picture) -> SamePhotoGroup | None:
        """The others with this picture, unless there are none, or the member was stored with it before."""
        with self._guard:
            self._forget(crew_id)
            self._add(crew_id, picture)
            self._seen.add(picture)
            group, stays = self._group(crew_id), self._was_stored_so(crew_id)
            if group is None and not stays:
                self._alone[picture] = crew_id
            alone = [like for like in self._pictures_like(picture) if group and like in self._alone]
            self._late += [self._alone.pop(like) for like in alone]
            return None if stays else group

    def keep(self, crew_id: str, picture: Picture) -> None:
        """A member's row stays as it is, made of this picture: whoever else comes, or came, with it is the second."""
        with self._guard:
            self._forget(crew_id)
            self._stored[crew_id] = picture
            self._add(crew_id, picture)
            alone = [like for like in self._pictures_like(picture) if like in self._alone]
            self._late += [self._alone.pop(like) for like in alone]

    def group(self, crew_id: str) -> SamePhotoGroup | None:
        """The same question again, later: others may have come."""
        with self._guard:
            return None if self._was_stored_so(crew_id) else self._group(crew_id)

    def take_late(self) -> list[str]:
        """Members of this run whose twin turned up after they had registered alone."""
        with self._guard:
            late, self._late = self._late, []
            return late

    def kept(self, crew_ids: Iterable[str]) -> Iterator[tuple[str, SamePhotoGroup]]:
        """Of these members those whose picture somebody has whom this run has looked at, and the others with it."""
        with self._guard:
            for crew_id in crew_ids if self._seen else ():
                picture = self._of.get(crew_id)
                if picture is None or not any(like in self._seen for like in self._pictures_like(picture)):
                    continue
                group = self._group(crew_id)
                if group is not None:
                    yield crew_id, group

    def _was_stored_so(self, crew_id: str) -> bool:
        stored = self._stored.get(crew_id)
        return stored is not None and bool(same_pictures(stored, [self._of[crew_id]]))

    def _group(self, crew_id: str) -> SamePhotoGroup | None:
        others = self._others(crew_id)
        first = tuple(itertools.islice(others, SHOWN_IDS))
        count = sum(len(self._owners[picture]) for picture in self._pictures_like(self._of[crew_id])) - 1
        return SamePhotoGroup(count, first) if first else None

    def _others(self, crew_id: str) -> Iterator[str]:
        for picture in self._pictures_like(self._of[crew_id]):
            yield from (other for other in self._owners[picture] if other != crew_id)

    def _pictures_like(self, picture: Picture) -> list[Picture]:
        return _same_among(picture, self._hashes.near(picture))

    def _add(self, crew_id: str, picture: Picture) -> None:
        self._of[crew_id] = picture
        if picture not in self._owners:
            self._hashes.add(picture)
        self._owners[picture][crew_id] = None

    def _forget(self, crew_id: str) -> None:
        if crew_id in self._of:
            self._owners[self._of.pop(crew_id)].pop(crew_id)


def same_pictures(picture: Picture, others: Sequence[Picture]) -> list[Picture]:
    """Those of the others that show the same."""
    bits = ((other, (other.perceptual_hash ^ picture.perceptual_hash).bit_count()) for other in others)
    return _same_among(picture, [other for other, differing in bits if differing <= SAME_PICTURE_BITS])


def _same_among(picture: Picture, near: list[Picture]) -> list[Picture]:
    """Those of the pictures with a like hash whose grey pixels are alike, too."""
    if near in ([], [picture]):
        return near
    distances = grey_distances(picture, near)
    return [other for other, distance in zip(near, distances, strict=True) if distance <= SAME_PICTURE_DISTANCE]


class _Hashes:
    """All pictures' hashes in one array: to compare one with 100,000 takes less than a millisecond."""

    def __init__(self) -> None:
        self._pictures: list[Picture] = []
        self._hashes = np.empty(1024, np.uint64)

    def add(self, picture: Picture) -> None:
        if len(self._pictures) == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
        self._hashes[len(self._pictures)] = picture.perceptual_hash
        self._pictures.append(picture)

    def near(self, picture: Picture) -> list[Picture]:
        """Those whose hash differs in few bits."""
        differing = np.bitwise_count(self._hashes[: len(self._pictures)] ^ np.uint64(picture.perceptual_hash))
        return [self._pictures[place] for place in np.flatnonzero(differing <= SAME_PICTURE_BITS)]
