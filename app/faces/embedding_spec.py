"""Describe what makes this installation's vectors, without loading it: a plan needs no net."""

from __future__ import annotations

from importlib.metadata import version

from app.faces.weights import WeightsStore, describe_weights
from app.records import EmbeddingSpec

OWN_MTCNN = "mtcnn"  # the detector on this program's own code path
ALIGNMENT = "eyes level, box of the detector, letterbox"  # as DeepFace's align=True, expand_percentage=0
NORMALISATION, COLOUR_ORDER = "base", "BGR"
# Version of our own steps before the network; raised with every change that moves vectors. 2: the nets' scores decide
# which way up a face is; before, some faces were embedded upside down.
PREPROCESSING = 2
OWN_DETECTOR = 1  # version of our own detector, likewise
# Lengths of the vectors of DeepFace's models, from their published architectures.
DIMENSIONS = {
    "Facenet512": 512,
    "ArcFace": 512,
    "GhostFaceNet": 512,
    "Buffalo_L": 512,
    "Facenet": 128,
    "Dlib": 128,
    "OpenFace": 128,
    "SFace": 128,
    "DeepID": 160,
    "VGG-Face": 4096,
    "DeepFace": 4096,
}


def max_dimensions(model: str) -> int:
    """Return the length of the model's vectors, for an unknown model that of the longest there are."""
    return DIMENSIONS.get(model, max(DIMENSIONS.values()))


def describe_spec(model: str, detector: str, weights: WeightsStore) -> EmbeddingSpec:
    """Return this installation's embedding spec; the hash is empty while there are no weights. Raises UnknownModel.
    DECODE_MIN_SIDE, DETECTION_MAX_SIDE and MIN_FACE_RATIO are not part of it: they move a vector by less than two
    photos of one person differ, and tuning them must not make the whole gallery be computed again."""
    file = describe_weights(model)
    # DeepFace fetches a model of several files in its own way: its version stands for their hash.
    digest = f"deepface {version('deepface')}" if file is None else weights.recorded_digest(file)
    versions = f"{version('mtcnn')}/{OWN_DETECTOR}" if detector == OWN_MTCNN else f"(deepface {version('deepface')})"
    return EmbeddingSpec(model, digest, f"{detector} {versions}", ALIGNMENT, NORMALISATION, COLOUR_ORDER, PREPROCESSING)
