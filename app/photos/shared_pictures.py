"""Finds members whose photos show the same picture, also in another size, quality or file."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.records import Image, Picture

# Measured on faces with their surroundings (docs/quality.md). The same picture saved again, reduced, brightened or
# framed differs in up to 5 of the hash's 64 bits and by a distance of 0.5; two photos in at least 11 bits and by 1.3,
# and usually in 27 bits and by 2.8.
SAME_PICTURE_BITS = 8
SAME_PICTURE_DISTANCE = 0.9
SHOWN_IDS = 3
SAMPLED_SIDE_PX, HASHED_SIDE_PX = 256, 64  # at least; the hash reduces further, to 32 x 32
GREY_SIDE = 24
MIN_SPREAD = 4.0  # grey levels: in an empty picture noise must not count as a difference
QUANTILE = 0.98
HASHES_AT_ONCE = 65_536  # half a megabyte: what is compared stays in the processor's cache


def describe_picture(image: Image) -> Picture:
    """Describe a picture, BGR uint8 (h, w, 3), by OpenCV's pHash and by grey pixels.

    The hash differs in a few bits when a picture is saved again, and hardly more between two people in front of the
    same background. The grey pixels tell those apart.
    """
    import cv2  # noqa: PLC0415  # here only: planning compares descriptions, and does without a quarter of a second

    from app.core.image_scaling import reduce  # noqa: PLC0415  # likewise

    step = max(1, min(image.shape[:2]) // SAMPLED_SIDE_PX)
    sampled = np.ascontiguousarray(image[::step, ::step])  # averaging all of a large photo takes milliseconds
    small = reduce(sampled, min(sampled.shape[:2]) // HASHED_SIDE_PX)
    all_grey = cv2.cvtColor(sampled, cv2.COLOR_BGR2GRAY)  # `small` lacks the last rows and columns
    grey = cv2.resize(all_grey, (GREY_SIDE, GREY_SIDE), interpolation=cv2.INTER_AREA)
    return Picture(int.from_bytes(cv2.img_hash.pHash(small).tobytes(), "big"), grey.tobytes())


@dataclass(frozen=True, slots=True)
class SamePhotoGroup:
    """The other members with the same picture: how many, and the crew ids of the first few."""

    count: int
    shown: tuple[str, ...]

    def __str__(self) -> str:
        more = self.count - len(self.shown)
        return ", ".join(self.shown) + (f" y {more} más" if more else "")


class SharedPictures:
    """Each member's picture, and which members have the same. Safe to use from several threads.

    `stored` has, by crew id, the pictures in the gallery: a member stored with a shared picture keeps it. `rejected`
    has those that an earlier run refused. `former` has pictures in the gallery of members whose photo may have
    changed: such a picture counts only once its member registers it again.
    """

    def __init__(
        self,
        stored: Mapping[str, Picture],
        rejected: Mapping[str, Picture],
        former: Mapping[str, Picture] | None = None,
    ) -> None:
        self._stored = {**stored, **(former or {})}
        self._owners: dict[Picture, dict[str, None]] = defaultdict(dict)
        self._hashes = _HashIndex()
        self._picture_of: dict[str, Picture] = {}
        self._alone: dict[Picture, str] = {}  # pictures of this run with the one member that has them so far
        self._no_longer_alone: list[str] = []
        self._lock = threading.Lock()
        for crew_id, picture in (*stored.items(), *rejected.items()):  # a member may have one of each
            self._add(crew_id, picture)
        self._reportable = set(rejected.values())  # and the pictures that this run registers

    def register(self, crew_id: str, picture: Picture) -> SamePhotoGroup | None:
        """Record a member's new picture. Returns the others with it; None when there are none, or when the gallery
        has the member with this picture already."""
        with self._lock:
            self._replace(crew_id, picture)
            self._reportable.add(picture)
            alike = self._pictures_like(picture)
            group, is_stored = self._group_among(alike, crew_id), self._is_stored(crew_id)
            if group is not None:
                self._end_being_alone(alike)
            elif not is_stored:
                self._alone[picture] = crew_id
            return None if is_stored else group

    def keep(self, crew_id: str, picture: Picture) -> None:
        """Record that a member's row stays as it is, made of this picture: any other member with it is the second."""
        with self._lock:
            self._stored[crew_id] = picture
            self._replace(crew_id, picture)
            self._end_being_alone(self._pictures_like(picture))

    def group_of(self, crew_id: str) -> SamePhotoGroup | None:
        """Return what `register` would return by now, when more members may have registered; None for a member without
        a picture."""
        with self._lock:
            picture = self._picture_of.get(crew_id)
            if picture is None or self._alone.get(picture) == crew_id or self._is_stored(crew_id):
                return None
            return self._find_group(crew_id)

    def take_late(self) -> list[str]:
        """Return once the members of this run that had registered alone before another had the same picture."""
        with self._lock:
            late, self._no_longer_alone = self._no_longer_alone, []
            return late

    def groups_to_report(self, crew_ids: Iterable[str]) -> Iterator[tuple[str, SamePhotoGroup]]:
        """Yield those of the members whose picture others have, too, if this run registered that picture or an earlier
        one rejected it."""
        with self._lock:
            in_company = self._reportable - self._alone.keys()
            shown = {alike for picture in in_company for alike in self._pictures_like(picture)}
            for crew_id in crew_ids:
                group = self._find_group(crew_id) if self._picture_of.get(crew_id) in shown else None
                if group is not None:
                    yield crew_id, group

    def _is_stored(self, crew_id: str) -> bool:
        stored = self._stored.get(crew_id)
        return stored is not None and bool(same_pictures(stored, [self._picture_of[crew_id]]))

    def _find_group(self, crew_id: str) -> SamePhotoGroup | None:
        return self._group_among(self._pictures_like(self._picture_of[crew_id]), crew_id)

    def _group_among(self, alike: Sequence[Picture], crew_id: str) -> SamePhotoGroup | None:
        others = (other for picture in alike for other in self._owners[picture] if other != crew_id)
        shown = tuple(itertools.islice(others, SHOWN_IDS))
        count = sum(len(self._owners[picture]) for picture in alike) - 1
        return SamePhotoGroup(count, shown) if shown else None

    def _end_being_alone(self, pictures: Iterable[Picture]) -> None:
        self._no_longer_alone += [self._alone.pop(picture) for picture in pictures if picture in self._alone]

    def _pictures_like(self, picture: Picture) -> list[Picture]:
        return _with_same_grey(picture, self._hashes.near(picture))

    def _replace(self, crew_id: str, picture: Picture) -> None:
        if crew_id in self._picture_of:
            self._owners[self._picture_of[crew_id]].pop(crew_id)
        self._add(crew_id, picture)

    def _add(self, crew_id: str, picture: Picture) -> None:
        self._picture_of[crew_id] = picture
        if picture not in self._owners:
            self._hashes.add(picture)
        self._owners[picture][crew_id] = None


def same_pictures(picture: Picture, others: Sequence[Picture]) -> list[Picture]:
    """Return those of the others that show the same picture."""
    bits = ((other, (other.perceptual_hash ^ picture.perceptual_hash).bit_count()) for other in others)
    return _with_same_grey(picture, [other for other, differing in bits if differing <= SAME_PICTURE_BITS])


def is_same_or_mirrored(picture: Picture, other: Picture) -> bool:
    """Tell whether the other shows the same picture, or its mirror image, of two pictures whose faces are alike."""
    grey = np.frombuffer(other.grey, np.uint8).reshape(GREY_SIDE, GREY_SIDE)
    mirrored = Picture(other.perceptual_hash, np.ascontiguousarray(grey[:, ::-1]).tobytes())
    return bool(_grey_distances(picture, [other, mirrored]).min() <= SAME_PICTURE_DISTANCE)


def _with_same_grey(picture: Picture, near: list[Picture]) -> list[Picture]:
    if near in ([], [picture]):
        return near
    distances = _grey_distances(picture, near)
    return [other for other, distance in zip(near, distances, strict=True) if distance <= SAME_PICTURE_DISTANCE]


def _grey_distances(picture: Picture, others: Sequence[Picture]) -> NDArray[np.float64]:
    """Return how far each of `others` is from the picture: the difference that 98 % of the grey pixels keep within, in
    standard deviations, after brightness and contrast are evened out."""
    pixels = np.frombuffer(b"".join(each.grey for each in (picture, *others)), np.uint8).astype(np.float64)
    pixels = pixels.reshape(len(others) + 1, -1)
    spread = np.maximum(pixels.std(axis=1, keepdims=True), MIN_SPREAD)
    evened = (pixels - pixels.mean(axis=1, keepdims=True)) / spread
    return np.asarray(np.quantile(np.abs(evened[1:] - evened[0]), QUANTILE, axis=1))


class _HashIndex:
    """All pictures' hashes in one array: comparing one with a million takes 0.6 ms (`benchmarks.shared_pictures`)."""

    def __init__(self) -> None:
        self._pictures: list[Picture] = []
        self._hashes = np.empty(1024, np.uint64)
        self._differing = np.empty(HASHES_AT_ONCE, np.uint64)  # made once: new memory takes longer than the arithmetic
        self._bits = np.empty(HASHES_AT_ONCE, np.uint8)

    def add(self, picture: Picture) -> None:
        if len(self._pictures) == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
        self._hashes[len(self._pictures)] = picture.perceptual_hash
        self._pictures.append(picture)

    def near(self, picture: Picture) -> list[Picture]:
        sought, found = np.uint64(picture.perceptual_hash), list[Picture]()
        for start in range(0, len(self._pictures), HASHES_AT_ONCE):
            hashes = self._hashes[start : min(start + HASHES_AT_ONCE, len(self._pictures))]
            differing, bits = self._differing[: len(hashes)], self._bits[: len(hashes)]
            np.bitwise_count(np.bitwise_xor(hashes, sought, out=differing), out=bits)
            if bits.min() <= SAME_PICTURE_BITS:
                found += [self._pictures[start + place] for place in np.flatnonzero(bits <= SAME_PICTURE_BITS)]
        return found
