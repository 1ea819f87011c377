"""Test the embedding spec: its digest, and which specs are comparable."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from app.core.config import PROJECT_DIR
from app.errors import UnknownModel
from app.faces.embedding_spec import DIMENSIONS, describe_spec
from app.faces.weights import WeightsStore, describe_weights
from app.records import EmbeddingSpec

SPEC = EmbeddingSpec("Facenet512", "ab" * 32, "mtcnn 1.0.0/1", "letterbox", "base", "BGR", 1)
OTHERWISE = {
    "model": "Facenet",
    "weights_sha256": "cd" * 32,
    "detector": "mtcnn 1.0.0/2",
    "alignment": "none",
    "normalisation": "raw",
    "colour_order": "RGB",
    "preprocessing": 2,
}
IN_ANOTHER_SPACE = {"model", "weights_sha256", "normalisation", "colour_order"}


def test_each_part_changes_the_digest() -> None:
    assert OTHERWISE.keys() == {field.name for field in dataclasses.fields(EmbeddingSpec)}
    digests = {dataclasses.replace(SPEC, **{name: value}).digest for name, value in OTHERWISE.items()}
    assert len(digests | {SPEC.digest}) == len(OTHERWISE) + 1
    assert dataclasses.replace(SPEC).digest == SPEC.digest


def test_the_digest_is_the_same_in_every_process_and_release() -> None:
    """Rows are stored under the digest for years: if it changed, every gallery would be computed again."""
    program = f"from app.records import EmbeddingSpec; print(({SPEC!r}).digest)"
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", program],
            cwd=PROJECT_DIR,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == SPEC.digest == "1c0445084e9909e9"


@pytest.mark.parametrize("name", OTHERWISE)
def test_specs_that_differ_in_nothing_of_their_space_are_comparable(name: str) -> None:
    other = dataclasses.asdict(SPEC) | {name: OTHERWISE[name]}
    assert SPEC.is_comparable(other) is (name not in IN_ANOTHER_SPACE)


def test_an_incomplete_spec_is_not_comparable() -> None:
    assert SPEC.is_comparable(dataclasses.asdict(SPEC))
    assert not SPEC.is_comparable({"model": "Facenet512"})
    assert not SPEC.is_comparable({})


def weights_of(home: Path, model: str, content: bytes | None) -> WeightsStore:
    """Make a folder of weights, with the model's file if `content` is given."""
    store, file = WeightsStore(str(home)), describe_weights(model)
    if content is not None and file is not None:
        store.path_of(file).parent.mkdir(parents=True, exist_ok=True)
        store.path_of(file).write_bytes(content)
    return store


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))  # restored after the test: the store sets it
    return tmp_path


def test_the_spec_holds_everything_that_changes_vectors(home: Path) -> None:
    spec = describe_spec("Facenet512", "mtcnn", weights_of(home, "Facenet512", b"abc"))
    assert spec == EmbeddingSpec(
        "Facenet512",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",  # FIPS 180's own example
        f"mtcnn {version('mtcnn')}/1",
        "eyes level, box of the detector, letterbox",
        "base",
        "BGR",
        2,
    )


def test_other_weights_or_another_detector_give_another_spec(home: Path) -> None:
    first = describe_spec("Facenet512", "mtcnn", weights_of(home, "Facenet512", b"abc"))
    other = describe_spec("Facenet512", "opencv", weights_of(home, "Facenet512", b"abc"))
    newer = describe_spec("Facenet512", "mtcnn", weights_of(home, "Facenet512", b"abd"))
    assert other.detector == f"opencv (deepface {version('deepface')})"
    assert len({first.digest, other.digest, newer.digest}) == 3
    assert [first.is_comparable(dataclasses.asdict(spec)) for spec in (other, newer)] == [True, False]


def test_missing_weights_have_no_hash(home: Path) -> None:
    assert describe_spec("Facenet512", "mtcnn", weights_of(home, "Facenet512", None)).weights_sha256 == ""


def test_refusing_an_unknown_model_names_the_known_ones(home: Path) -> None:
    with pytest.raises(UnknownModel, match="Modelo desconocido: Nadie") as caught:
        describe_spec("Nadie", "mtcnn", weights_of(home, "Facenet512", None))
    assert "Facenet512" in caught.value.advice


def test_every_listed_length_belongs_to_a_model_of_deepface(home: Path) -> None:
    weights = WeightsStore(str(home))
    assert [describe_spec(model, "mtcnn", weights).model for model in DIMENSIONS] == list(DIMENSIONS)
