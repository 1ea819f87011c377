"""The only door to DeepFace: its modules, imported with the engine that this program runs on.

DeepFace reads its environment variables once, at import; so every other module imports it from here.
"""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("DEEPFACE_BACKEND_ENGINE", "onnx")  # imports in half a second, without TensorFlow
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # its TensorFlow detectors are written for Keras 2
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("DEEPFACE_LOG_LEVEL", "40")  # errors only: stdout carries our own result
if not os.path.isabs(os.path.expanduser("~")):  # noqa: PTH111, PTH117  # no HOME and no account
    # Keras, behind some of DeepFace's detectors, would make a folder named `~` in the current one.
    os.environ.setdefault("KERAS_HOME", f"{tempfile.gettempdir()}/.keras")

from deepface.commons import folder_utils
from deepface.models.Detector import Detector, FacialAreaRegion
from deepface.modules import detection, exceptions, modeling, preprocessing

from app.errors import UnknownModel

__all__ = ["Detector", "FacialAreaRegion", "detection", "exceptions", "folder_utils", "modeling", "preprocessing"]


def recognition_model(name: str) -> type:
    """Return DeepFace's client class for a recognition model. Raises UnknownModel."""
    try:
        client: type = modeling.get_model_class("facial_recognition", name)
    except exceptions.UnimplementedError as error:
        names = ", ".join(modeling.AVAILABLE_MODELS["facial_recognition"])
        raise UnknownModel(f"Modelo desconocido: {name}", f"Use uno de: {names}.") from error
    return client
