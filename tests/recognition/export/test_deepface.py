"""`DeepFace.find` reads the .npz as if it had made it: with DeepFace's Dlib model, which is trained, on real faces."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from deepface import DeepFace
from deepface.modules import representation

from app.recognition.export.formats import name_for_deepface
from app.records import Image
from tests.support.chaos_options import rounds
from tests.support.exports import contents_of, documented_readers, export, make_contents, true_distances
from tests.support.pictures import write_picture

FACES = {"astronaut": (60, 180, 130), "admiral": (90, 175, 180)}  # top, left, side in pixels
SIDE_PX = 150  # the input of Dlib's network
MEMBERS, PROBES = 12, rounds(quick=8, full=200)
MODEL, DETECTOR = "Dlib", "skip"  # the pictures are faces already
SIX_DECIMALS = 1e-6  # to which DeepFace rounds; its own store keeps Dlib's float64


def varied(image: Image, rng: np.random.Generator) -> Image:
    """Return the face a little displaced, darker or brighter, blurred, perhaps mirrored."""
    height, width = image.shape[:2]
    centre = ((width / 2, height / 2), rng.uniform(-20, 20), rng.uniform(0.8, 1.4))
    turned = cv2.warpAffine(image, cv2.getRotationMatrix2D(*centre), (width, height), borderMode=cv2.BORDER_REFLECT)
    shaded = np.clip(turned * rng.uniform(0.5, 1.3) + rng.normal(0, 12, turned.shape), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(shaded[:, ::-1] if rng.random() < 0.5 else shaded)


@pytest.fixture
def faces(astronaut: Image, admiral: Image) -> list[Image]:
    """Make the pictures of the members, and then those of the probes."""
    rng = np.random.default_rng(5)
    cut = []
    for portrait, (top, left, side) in zip((astronaut, admiral), FACES.values(), strict=True):
        cut.append(cv2.resize(portrait[top : top + side, left : left + side], (SIDE_PX, SIDE_PX)))
    return [varied(cut[number % 2], rng) for number in range(MEMBERS + PROBES)]


@pytest.fixture(autouse=True)
def deepface_at_home(weights_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(weights_home))


@pytest.mark.chaos
def test_find_gives_the_same_people_and_distances_as_with_its_own_store(faces: list[Image], tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    ours.mkdir()
    crew_ids = tuple(f"C{number:02}" for number in range(MEMBERS))
    for crew_id, face in zip(crew_ids, faces, strict=False):
        write_picture(theirs / f"{crew_id}.png", face)
    asked = {"detector_backend": DETECTOR, "threshold": 2, "return_type": "dict", "silent": True}
    DeepFace.find(faces[0], str(theirs), MODEL, **asked)  # makes its store
    with np.load(theirs / name_for_deepface(MODEL, DETECTOR)) as store:
        stored = dict(zip((Path(path).stem for path in store["identity"]), store["embedding"], strict=True))
    vectors = np.array([stored[crew_id] for crew_id in crew_ids])
    export(ours / name_for_deepface(MODEL, DETECTOR), contents_of(vectors, crew_ids))

    find = documented_readers().con_deepface
    for probe in faces[MEMBERS:]:
        (wanted,) = DeepFace.find(probe, str(theirs), MODEL, refresh_database=False, **asked)
        (found,) = find(probe, str(ours), 2, MODEL, DETECTOR)
        assert [crew_id for crew_id, _ in found] == [Path(each["identity"]).stem for each in wanted]
        distances = [[distance for _, distance in found], [each["distance"] for each in wanted]]
        np.testing.assert_allclose(*distances, atol=SIX_DECIMALS)


def test_find_gives_the_nearest_member_of_200_probes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights of Facenet512 cannot be had here: in the network's place stand made-up vectors."""
    contents = make_contents(100, 512)
    export(tmp_path / name_for_deepface("Facenet512", "skip"), contents)
    rng = np.random.default_rng(3)
    probes = contents.templates.vectors[rng.integers(0, 100, 200)] + rng.normal(0, 0.8, (200, 512))
    find, answers = documented_readers().con_deepface, iter(probes)
    monkeypatch.setattr(representation, "represent", lambda **_: [{"embedding": list(next(answers))}])
    found = [find(np.zeros((9, 9, 3), np.uint8), str(tmp_path), 2, "Facenet512", "skip")[0][0] for _ in probes]
    nearest = true_distances(probes, contents.templates.vectors)
    assert [crew_id for crew_id, _ in found] == [f"P{row.argmin()}" for row in nearest]
    np.testing.assert_allclose([distance for _, distance in found], nearest.min(axis=1), atol=SIX_DECIMALS)
