"""Test vectors against DeepFace and TensorFlow with the same weights, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from app.core.config import PROJECT_DIR
from app.core.vectors import cosine_distance
from app.errors import BadVector, MissingDependency, SettingsError, UnknownModel, WeightsUnavailable
from app.faces.deepface_api import modeling
from app.faces.detector import DeepFaceDetector
from app.faces.embedder import Embedder, OnnxNetwork, load_network
from app.faces.mtcnn_graphs import GraphBuilder
from app.faces.onnx_sessions import CPU_BATCH, choose_batch_size, choose_providers
from app.faces.weights import WeightsStore
from app.pipeline.face_extractor import open_face_extractor
from app.records import CrewMember, Face, Image, Photo, PhotoAnalysis
from tests.conftest import MakeSettings
from tests.support.pictures import write_picture


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the cosine distance, computed in float64: float32 is too coarse for differences of 1e-6."""
    return cosine_distance(np.asarray(one, np.float64), np.asarray(other, np.float64))


def face(pixels: np.ndarray) -> Face:
    return Face(Photo(CrewMember("1", "a.jpg"), "u", Path("a.jpg")), pixels, PhotoAnalysis((1, 1), confidence=0.9))


class MeanColour:
    """A network whose vectors can be computed by hand: mean colours."""

    input_size = (2, 2)
    dimensions = 3

    def forward(self, batch: np.ndarray) -> np.ndarray:
        return batch.mean(axis=(1, 2))


@pytest.fixture
def store(weights_home: Path, monkeypatch: pytest.MonkeyPatch) -> WeightsStore:
    monkeypatch.setenv("DEEPFACE_HOME", str(weights_home))
    return WeightsStore()


def test_facenet512_on_onnx_equals_tensorflow(store: WeightsStore, weights_home: Path) -> None:
    faces, expected = (np.load(weights_home / ".deepface/weights" / name) for name in ("faces.npy", "vectors.npy"))
    vectors = load_network("Facenet512", store.ensure).forward(faces)
    assert vectors.shape == (16, 512)
    assert max(map(distance, vectors, expected)) < 1e-6
    assert distance(vectors[0], vectors[1]) > 0.1  # different faces differ: the comparison can detect a mistake


# A program that computes the photos' vectors with DeepFace on TensorFlow, in its own process.
DEEPFACE = """
import json, sys
from deepface import DeepFace
*photos, target = sys.argv[1:]
vectors = [DeepFace.represent(path, "Facenet512", detector_backend="mtcnn")[0]["embedding"] for path in photos]
json.dump(vectors, open(target, "w"))
"""


def test_vectors_equal_deepface_represent(
    astronaut: Image, admiral: Image, tmp_path: Path, weights_home: Path, make_settings: MakeSettings
) -> None:
    """The same photo and detector, DeepFace on TensorFlow and this program on ONNX: cosine distance below 1e-5."""
    paths = [
        write_picture(tmp_path / f"{name}.png", image, "PNG")
        for name, image in (("astronaut", astronaut), ("admiral", admiral))
    ]
    engine = {"DEEPFACE_BACKEND_ENGINE": "tensorflow", "TF_USE_LEGACY_KERAS": "1"}
    environment = os.environ | engine | {"DEEPFACE_HOME": str(weights_home)}
    words = [sys.executable, "-c", DEEPFACE, *map(str, paths), str(tmp_path / "vectors.json")]
    subprocess.run(words, check=True, env=environment, capture_output=True)
    expected = np.array(json.loads((tmp_path / "vectors.json").read_text()))
    stages = open_face_extractor(make_settings(FACE_DETECTOR="mtcnn-tensorflow", DEEPFACE_HOME=str(weights_home)))
    photos = [Photo(CrewMember(path.stem, path.name), "u", path) for path in paths]
    embeddings = stages.embedder.embed([stages.find(stages.decode(photo)) for photo in photos])
    for embedding, reference in zip(embeddings, expected, strict=True):
        assert distance(embedding.vector, reference) < 1e-5
        np.testing.assert_allclose(embedding.vector, reference, rtol=1e-2, atol=1e-2)  # not normalised
    assert distance(*expected) > 0.1


def test_a_batch_gives_the_same_vectors_as_one_by_one(store: WeightsStore) -> None:
    random = np.random.default_rng(3)
    faces = [face(random.random((160, 160, 3), np.float32)) for _ in range(3)]
    embedder = Embedder("Facenet512", load_network("Facenet512", store.ensure))
    together = embedder.embed(faces)
    alone = [embedder.embed([one])[0] for one in faces]
    for left, right in zip(together, alone, strict=True):
        np.testing.assert_allclose(left.vector, right.vector, rtol=1e-3, atol=1e-4)
        assert (left.vector.dtype, left.vector.shape, left.model) == (np.float32, (512,), "Facenet512")


def test_dlib_runs_through_deepfaces_client(store: WeightsStore) -> None:
    network = load_network("Dlib", store.ensure)
    batch = np.random.default_rng(0).random((2, *network.input_size, 3)).astype(np.float32)
    assert (network.input_size, network.dimensions) == ((150, 150), 128)
    together, alone = network.forward(batch), np.concatenate([network.forward(batch[:1]), network.forward(batch[1:])])
    assert (together.shape, alone.shape) == ((2, 128), (2, 128))
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_model_whose_package_is_missing_is_said_with_the_line_that_installs_it(
    store: WeightsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No message about the file, which is intact, and none of DeepFace's English."""
    monkeypatch.setitem(sys.modules, "dlib", None)
    monkeypatch.delattr(modeling, "cached_models", raising=False)  # DeepFace keeps the clients of other tests
    for provide in (store.ensure, store.verify):
        with pytest.raises(MissingDependency) as refused:
            load_network("Dlib", provide)
        assert str(refused.value) == "Para el modelo Dlib falta el paquete dlib"
        assert "venv/bin/python -m pip install dlib-bin. O use el modelo Facenet512" in refused.value.advice


def test_a_detector_whose_package_is_missing_is_said_likewise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(MissingDependency, match=r"^Para el detector mediapipe falta el paquete mediapipe$"):
        DeepFaceDetector("mediapipe")


def test_vectors_keep_the_order_of_the_faces() -> None:
    colours = [face(np.full((2, 2, 3), value, np.float32)) for value in (0.1, 0.2)]
    vectors = [embedding.vector for embedding in Embedder("m", MeanColour()).embed(colours)]
    np.testing.assert_allclose(vectors, [[0.1] * 3, [0.2] * 3])


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_vector_of_zeros_or_not_finite_is_refused(value: float) -> None:
    good, bad = face(np.ones((2, 2, 3), np.float32)), face(np.full((2, 2, 3), value, np.float32))
    with pytest.raises(BadVector):
        Embedder("m", MeanColour()).embed([good, bad])


def test_refusing_an_unknown_model_names_the_known_ones(store: WeightsStore) -> None:
    with pytest.raises(UnknownModel) as refused:
        load_network("Facenet513", store.ensure)
    assert "Facenet512" in refused.value.advice


def test_a_graph_of_other_shapes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    net = GraphBuilder([], "image")
    net.add("Identity", output="out")
    path.write_bytes(net.build({"image": [1, 2]}, {"out": [1, 2]}))
    with pytest.raises(ValueError, match=r"other\.onnx"):
        OnnxNetwork(path, ())


def test_the_error_names_a_damaged_weights_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    path = tmp_path / ".deepface" / "weights" / "facenet512_weights.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a download")
    with pytest.raises(WeightsUnavailable) as refused:
        load_network("Facenet512", WeightsStore().ensure)
    assert str(path) in str(refused.value)
    assert path.read_bytes() == b"half a download"  # the file may be the user's own: it is not deleted


def test_weights_that_cannot_be_read_are_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in the file's place stands for a file without permission: root may read any."""
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    path = tmp_path / ".deepface" / "weights" / "facenet512_weights.onnx"
    path.mkdir(parents=True)
    for provide in (WeightsStore().ensure, WeightsStore().verify):
        with pytest.raises(WeightsUnavailable, match=r"^No se puede usar"):
            load_network("Facenet512", provide)


def test_providers_are_the_best_available_unless_named() -> None:
    cpu, cuda = "CPUExecutionProvider", "CUDAExecutionProvider"
    assert choose_providers((), [cuda, cpu]) == [cuda, cpu]
    assert choose_providers((), ["AzureExecutionProvider", cpu]) == [cpu]
    assert choose_providers((cpu,), [cuda, cpu]) == [cpu]
    with pytest.raises(SettingsError, match=cuda):
        choose_providers((cuda,), [cpu])


def test_the_batch_size_follows_the_provider() -> None:
    assert choose_batch_size(("CPUExecutionProvider",)) == CPU_BATCH


def test_onnxruntime_sends_no_telemetry(tmp_path: Path) -> None:
    """Without our settings onnxruntime keeps a device id in the home folder and reports its use to Microsoft."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    words = [sys.executable, "-c", "import app.faces.onnx_sessions"]
    subprocess.run(words, check=True, env=environment | {"HOME": str(tmp_path)}, cwd=PROJECT_DIR)
    assert list(tmp_path.rglob("*")) == []
