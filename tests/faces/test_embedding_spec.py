"""What stands for "made the same way": the digest of a contract."""

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
from app.faces.weights import WeightsOptions, WeightsStore, describe_weights
from app.records import EmbeddingSpec

CONTRACT = EmbeddingSpec("Facenet512", "ab" * 32, "mtcnn 1.0.0/1", "letterbox", "base", "BGR", 1)
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


def test_each_part_counts() -> None:
    assert OTHERWISE.keys() == {field.name for field in dataclasses.fields(EmbeddingSpec)}
    digests = {dataclasses.replace(CONTRACT, **{name: value}).digest for name, value in OTHERWISE.items()}
    assert len(digests | {CONTRACT.digest}) == len(OTHERWISE) + 1
    assert dataclasses.replace(CONTRACT).digest == CONTRACT.digest


def test_the_digest_is_the_same_in_every_process_and_at_any_time() -> None:
    """Rows are kept under it for years: should this number change, every gallery would be made anew."""
    program = f"from app.records import Contract; print(({CONTRACT!r}).digest)"
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", program],
            cwd=PROJECT_DIR,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == CONTRACT.digest == "1c0445084e9909e9"


@pytest.mark.parametrize("name", OTHERWISE)
def test_vectors_are_comparable_when_nothing_that_makes_their_space_differs(name: str) -> None:
    other = dataclasses.asdict(CONTRACT) | {name: OTHERWISE[name]}
    assert CONTRACT.is_comparable(other) is (name not in IN_ANOTHER_SPACE)


def test_what_is_known_of_in_part_only_is_not_comparable() -> None:
    assert CONTRACT.is_comparable(dataclasses.asdict(CONTRACT))
    assert not CONTRACT.is_comparable({"model": "Facenet512"})
    assert not CONTRACT.is_comparable({})


def weights_of(home: Path, model: str, content: bytes | None) -> WeightsStore:
    """A folder of weights; in it the model's file, where there is content."""
    store, file = WeightsStore(WeightsOptions(str(home))), describe_weights(model)
    if content is not None and file is not None:
        store.path_of(file).parent.mkdir(parents=True, exist_ok=True)
        store.path_of(file).write_bytes(content)
    return store


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))  # put back afterwards: the store sets it
    return tmp_path


def test_an_installation_is_described_by_all_that_moves_its_vectors(home: Path) -> None:
    contract = describe_spec("Facenet512", "mtcnn", weights_of(home, "Facenet512", b"abc"))
    assert contract == EmbeddingSpec(
        "Facenet512",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",  # FIPS 180's own example
        f"mtcnn {version('mtcnn')}/1",
        "eyes level, box of the detector, letterbox",
        "base",
        "BGR",
        2,
    )


def test_other_weights_and_another_detector_are_another_contract(home: Path) -> None:
    first = describe_spec("Facenet512", "mtcnn", weights_of(home, "Facenet512", b"abc"))
    other = describe_spec("Facenet512", "opencv", weights_of(home, "Facenet512", b"abc"))
    newer = describe_spec("Facenet512", "mtcnn", weights_of(home, "Facenet512", b"abd"))
    assert other.detector == f"opencv (deepface {version('deepface')})"
    assert len({first.digest, other.digest, newer.digest}) == 3
    assert [first.is_comparable(dataclasses.asdict(each)) for each in (other, newer)] == [True, False]


def test_weights_that_are_not_there_have_no_hash(home: Path) -> None:
    assert describe_spec("Facenet512", "mtcnn", weights_of(home, "Facenet512", None)).weights_sha256 == ""


def test_a_model_that_nobody_knows_is_refused_with_those_there_are(home: Path) -> None:
    with pytest.raises(UnknownModel, match="Modelo desconocido: Nadie") as caught:
        describe_spec("Nadie", "mtcnn", weights_of(home, "Facenet512", None))
    assert "Facenet512" in caught.value.advice


def test_the_lengths_are_those_of_models_that_there_are(home: Path) -> None:
    weights = WeightsStore(WeightsOptions(str(home)))
    assert [describe_spec(model, "mtcnn", weights).model for model in DIMENSIONS] == list(DIMENSIONS)
