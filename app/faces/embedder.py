"""Compute the vectors of faces with one of DeepFace's recognition models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.errors import BadVector, UnknownModel, WeightsUnavailable
from app.faces.deepface_api import missing_package, modeling, recognition_model
from app.faces.kept_graphs import KeptGraphs
from app.faces.onnx_sessions import open_session
from app.faces.weights import USUAL, Provide, WeightsFile, describe_weights, noted_digest
from app.records import Embedding, Face

OUTPUT_AXES = 2  # faces, dimensions
Floats = NDArray[np.float32]


class Network(Protocol):
    """A loaded recognition model. `input_size` is (height, width), `dimensions` the vector's length."""

    input_size: tuple[int, int]
    dimensions: int

    def forward(self, batch: Floats) -> Floats:
        """Compute the vectors (n, dimensions) of network inputs (n, height, width, 3), BGR in [0, 1]."""


class OnnxNetwork:
    """One of DeepFace's ONNX graphs in a session of ours. Raises ValueError when the graph has other shapes."""

    def __init__(self, path: Path, providers: Sequence[str], graphs: KeptGraphs | None = None) -> None:
        if graphs is None:
            self._session = open_session(path, providers)
        else:
            self._session = graphs.open(path.stem, noted_digest(path), lambda: path, providers)
        source, target = self._session.get_inputs()[0], self._session.get_outputs()[0]
        if source.shape[3:] != [3] or len(target.shape) != OUTPUT_AXES:
            raise ValueError(f"{path.name}: entrada {source.shape}, salida {target.shape}")
        self._name = source.name
        self.input_size = (int(source.shape[1]), int(source.shape[2]))
        self.dimensions = int(target.shape[1])

    def forward(self, batch: Floats) -> Floats:
        return np.asarray(self._session.run(None, {self._name: batch})[0], np.float32)


class DeepFaceNetwork:
    """A model that only DeepFace's own client can run (Dlib, SFace, Buffalo_L)."""

    def __init__(self, model: str) -> None:
        self._client = modeling.build_model("facial_recognition", model)
        width, height = self._client.input_shape
        self.input_size = (int(height), int(width))
        self.dimensions = int(self._client.output_shape)

    def forward(self, batch: Floats) -> Floats:
        vectors = np.asarray(self._client.forward(batch), np.float32)
        return vectors.reshape(len(batch), -1)  # DeepFace drops the axis of a batch of one


def load_network(
    model: str, provide: Provide, providers: Sequence[str] = (), graphs: KeptGraphs | None = None
) -> Network:
    """Load a model from the weights file that `provide` returns, or from what `graphs` keeps of it. Raises
    UnknownModel, MissingDependency, WeightsUnavailable."""
    file = describe_weights(model)
    if not _is_plain_graph(model):
        return _load_client(model, file, provide, providers)
    if file is None:
        raise UnknownModel(f"DeepFace no indica los pesos de {model}", "Use el modelo Facenet512.")
    loaded: dict[Path, OnnxNetwork] = {}
    path = provide(file, lambda path: loaded.update({path: OnnxNetwork(path, providers)}))
    return loaded.get(path) or OnnxNetwork(path, providers, graphs)


def _is_plain_graph(model: str) -> bool:
    if model == USUAL.model:
        return True
    client = recognition_model(model)
    # SFace comes as a graph too, but its client prepares the input in its own way.
    return client.__mro__[1].__name__ == "OnnxFacialRecognition" and "predict" not in vars(client)


def _load_client(model: str, file: WeightsFile | None, provide: Provide, providers: Sequence[str]) -> Network:
    try:
        if file is not None:
            provide(file, lambda path: _check_loads(path, file.name, providers))
        return DeepFaceNetwork(model)
    except (ValueError, ImportError, OSError, RuntimeError) as error:
        if missing := missing_package(f"el modelo {model}", error, "el modelo Facenet512"):
            raise missing from error
        advice = "Instale lo que falta, borre los pesos si están dañados, o use el modelo Facenet512."
        raise WeightsUnavailable(f"No se pudo preparar el modelo {model}: {error}", advice) from error


def _check_loads(path: Path, name: str, providers: Sequence[str]) -> None:
    """Raise the library's own error when the file does not load; DeepFace's client checks the shapes."""
    if name.endswith(".onnx"):
        open_session(path, providers)
    elif name.endswith(".dat"):
        import dlib  # noqa: PLC0415  # an optional package

        dlib.face_recognition_model_v1(str(path))


class Embedder:
    """Compute embeddings with one network. Safe to use from several threads if the network is."""

    def __init__(self, model: str, network: Network) -> None:
        self.model = model
        self._network = network

    def embed(self, faces: Sequence[Face]) -> list[Embedding]:
        """Compute one embedding for each face, in order. Raises BadVector when any is not finite or all zeros."""
        vectors = self._network.forward(np.stack([face.pixels for face in faces]))
        if vectors.shape != (len(faces), self._network.dimensions):
            raise BadVector(f"forma {vectors.shape}")
        if not (np.isfinite(vectors).all() and vectors.any(axis=1).all()):
            raise BadVector("contiene NaN o infinitos, o es nulo")
        return [
            Embedding(face.photo, vector, self.model, face.analysis)
            for face, vector in zip(faces, vectors, strict=True)
        ]
