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
from deepface.modules import exceptions, modeling

from app.errors import MissingDependency, UnknownModel

PIP_NAMES = {"dlib": "dlib-bin"}  # where pip knows a package by another name; this one needs no compiler

__all__ = ["Detector", "FacialAreaRegion", "exceptions", "folder_utils", "modeling"]


def recognition_model(name: str) -> type:
    """Return DeepFace's client class for a recognition model. Raises UnknownModel."""
    try:
        client: type = modeling.get_model_class("facial_recognition", name)
    except exceptions.UnimplementedError as error:
        names = ", ".join(modeling.AVAILABLE_MODELS["facial_recognition"])
        raise UnknownModel(f"Modelo desconocido: {name}", f"Use uno de: {names}.") from error
    return client


def missing_package(part: str, error: BaseException, instead: str) -> MissingDependency | None:
    """Return the error for the package that a `part` of DeepFace (Spanish) lacks, which DeepFace says in English or as
    another error; None when `error` is about something else. `instead` is what needs no package."""
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, ImportError) and cause.name):
        cause = cause.__cause__
    if cause is None:
        return None
    if not isinstance(cause, ModuleNotFoundError):  # it is there, and the system cannot load it
        return MissingDependency.of(cause)
    package = str(cause.name).partition(".")[0]
    return MissingDependency(
        f"Para {part} falta el paquete {package}",
        f"Ejecute: venv/bin/python -m pip install {PIP_NAMES.get(package, package.replace('_', '-'))}. "
        f"O use {instead}, que no lo necesita.",
    )
