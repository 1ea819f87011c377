"""What an audit calls suspicious, on hand-made galleries and on one of 5,000 with planted pairs."""

from __future__ import annotations

import numpy as np

from app.recognition.audit import NEAR, SAME_FILE, SAME_PICTURE, Audit, Confused, Finding, audit_gallery
from app.recognition.distances import UnitTemplates
from app.recognition.scan import scan_gallery
from app.records import Picture

THRESHOLD = 0.3
RANDOM = np.random.default_rng(7)


def picture(seed: int) -> Picture:
    grey = np.random.default_rng(seed).integers(0, 256, (24, 24), dtype=np.uint8)
    return Picture(int(np.random.default_rng(seed).integers(2**62)), grey.tobytes())


def mirrored(one: Picture) -> Picture:
    grey = np.frombuffer(one.grey, np.uint8).reshape(24, 24)[:, ::-1]
    return Picture(one.perceptual_hash ^ 0xFFFF_FFFF, np.ascontiguousarray(grey).tobytes())


def audit(
    vectors: object,
    sha256s: list[str] | None = None,
    pictures: dict[int, Picture] | None = None,
    accepted: tuple[tuple[int, int], ...] = (),
) -> Audit:
    gallery = UnitTemplates.of(vectors)
    scan = scan_gallery(gallery, THRESHOLD, [THRESHOLD])
    known = pictures or {}
    return audit_gallery(
        gallery,
        scan,
        sha256s or [""] * len(gallery),
        THRESHOLD,
        lambda places: {place: known[place] for place in places if place in known},
        accepted,
    )


def near(vector: np.ndarray, distance: float) -> np.ndarray:
    """Return a vector at this cosine distance, in a random direction."""
    unit = vector / np.linalg.norm(vector)
    aside = RANDOM.normal(size=unit.shape)
    aside -= (aside @ unit) * unit
    aside /= np.linalg.norm(aside)
    return (1 - distance) * unit + np.sqrt(1 - (1 - distance) ** 2) * aside


def test_one_file_is_one_finding_however_many_have_it() -> None:
    found = audit([[1, 0], [1, 0], [0, 1], [1, 0]], ["aa", "aa", "bb", "aa"])
    assert found.findings == (Finding(SAME_FILE, (0, 1, 3), 0.0),)
    assert list(found.duplicates()) == [(0, 1), (0, 3)]
    assert (found.members, found.pairs) == (4, 6)


def test_an_unknown_digest_is_no_common_file() -> None:
    assert [each.kind for each in audit([[1, 0], [1, 0]], ["", ""]).findings] == [SAME_PICTURE]


def test_a_mirrored_picture_is_the_same_picture() -> None:
    vectors, face = [[1.0, 0.0], [1.0, 0.2], [1.0, -0.3]], picture(1)
    found = audit(vectors, pictures={0: face, 1: mirrored(face), 2: picture(2)})
    assert [(each.kind, each.places) for each in found.findings] == [
        (SAME_PICTURE, (0, 1)),
        (NEAR, (0, 2)),
        (NEAR, (1, 2)),
    ]


def test_an_accepted_pair_is_counted_and_not_shown() -> None:
    found = audit([[1.0, 0.0], [1.0, 0.4], [1.0, -0.3]], accepted=((0, 1),))
    assert [each.places for each in found.findings] == [(0, 2), (1, 2)]
    assert found.accepted == 1


def test_who_is_near_to_most_people_comes_first() -> None:
    found = audit([[1.0, 0.0], [1.0, 0.5], [1.0, -0.5], [-1.0, 0.0]])
    assert found.most_confused == (Confused(0, 2), Confused(1, 1), Confused(2, 1))


def test_the_nearest_of_a_kind_comes_first() -> None:
    vectors = [[1.0, 0.0], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0], [-1.0, 0.0], [-1.0, 0.15]]
    faces = [picture(1), picture(2), picture(3)]
    found = audit(vectors, pictures={place: faces[place // 2] for place in range(6)})
    assert [(each.kind, each.places) for each in found.findings] == [
        (SAME_PICTURE, (2, 3)),
        (SAME_PICTURE, (4, 5)),
        (SAME_PICTURE, (0, 1)),
    ]


def test_all_who_are_near_to_somebody_are_counted() -> None:
    found = audit([[np.cos(angle), np.sin(angle)] for angle in np.linspace(0, np.pi / 2, 40)])
    assert len(found.most_confused) == 40


def test_planted_pairs_are_found_and_called_what_they_are() -> None:
    members, names, size = 5000, [], 512
    vectors = RANDOM.normal(size=(members, size))
    sha256s, pictures = [f"{place:x}" for place in range(members)], {place: picture(place) for place in range(members)}
    planted: dict[tuple[int, int], str] = {}
    for number in range(70):
        one, other = 2 * number, 2 * number + 1
        kind = SAME_FILE if number < 20 else SAME_PICTURE if number < 40 else NEAR
        distance = {SAME_FILE: 0.0, SAME_PICTURE: 0.003}.get(kind, 0.02 + 0.004 * (number - 40))
        vectors[other] = near(vectors[one], distance) * np.linalg.norm(vectors[other])
        if kind == SAME_FILE:
            vectors[other], sha256s[other] = vectors[one], sha256s[one]
        planted[one, other] = kind
        names.append(kind)
    found = audit(vectors, sha256s, pictures)
    assert {each.places: each.kind for each in found.findings} == planted
    kinds = [each.kind for each in found.findings]
    assert kinds == sorted(kinds, key=[SAME_FILE, SAME_PICTURE, NEAR].index)
    distances = [each.distance for each in found.findings if each.kind == NEAR]
    assert distances == sorted(distances)
