"""What makes this program's vectors what they are: model, detector and weights come in, a `EmbeddingSpec` goes out.

Sizes (DECODE_MIN_SIDE, DETECTION_MAX_SIDE, MIN_FACE_RATIO) are not part of it: they move a vector by less than two
photos of one person differ, and whoever tunes them does not want all of the gallery made anew.
"""

from __future__ import annotations

from importlib.metadata import version

from app.faces.detector import OWN_MTCNN
from app.faces.weights import WeightsStore, describe_weights
from app.records import EmbeddingSpec

ALIGNMENT = "eyes level, box of the detector, letterbox"  # as DeepFace's align=True, expand_percentage=0
NORMALISATION, COLOUR_ORDER = "base", "BGR"
# Counts up with every change of ours that moves vectors. 2: which way up a face is, is told by the nets' scores; some
# were embedded upside down before.
PREPROCESSING = 2
OWN_DETECTOR = 1  # likewise, of the detector
# Lengths of DeepFace's models, from their published architectures.
DIMENSIONS = {
    **{"Facenet512": 512, "ArcFace": 512, "GhostFaceNet": 512, "Buffalo_L": 512, "Facenet": 128, "Dlib": 128},
    **{"OpenFace": 128, "SFace": 128, "DeepID": 160, "VGG-Face": 4096, "DeepFace": 4096},
}


def describe_spec(model: str, detector: str, weights: WeightsStore) -> EmbeddingSpec:
    """The contract of this installation; its weights' hash is empty while they are not there. Raises UnknownModel."""
    file = describe_weights(model)
    # A model of several files is known by the library that fetches them.
    digest = f"deepface {version('deepface')}" if file is None else weights.recorded_digest(file)
    return EmbeddingSpec(model, digest, _detector(detector), ALIGNMENT, NORMALISATION, COLOUR_ORDER, PREPROCESSING)


def _detector(name: str) -> str:
    if name == OWN_MTCNN:
        return f"{name} {version('mtcnn')}/{OWN_DETECTOR}"
    return f"{name} (deepface {version('deepface')})"
