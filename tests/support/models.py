"""Prepare a DeepFace home for the tests: Facenet512's architecture with seeded weights, Dlib with its trained ones.

It is made once and kept in `tests/.cache` (git-ignored) until facenet_weights.py or DeepFace's version changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from tests.support.pictures import package_file

SUPPORT = Path(__file__).parent
MAKER = SUPPORT / "facenet_weights.py"
DLIB = "dlib_face_recognition_resnet_model_v1.dat"


def prepare_home() -> Path:
    """Return a folder for DEEPFACE_HOME. Its weights folder also holds `faces.npy` and TensorFlow's vectors of them,
    `vectors.npy`."""
    key = hashlib.sha256(MAKER.read_bytes() + version("deepface").encode()).hexdigest()[:16]
    home = SUPPORT.parent / ".cache" / key
    weights = home / ".deepface" / "weights"
    home.parent.mkdir(exist_ok=True)
    with FileLock(home.with_suffix(".lock")):  # the tests run in several processes
        if not weights.exists():
            _make(home)
    return home


def _make(home: Path) -> None:
    partial = home.with_suffix(f".{os.getpid()}")
    folder = partial / ".deepface" / "weights"
    subprocess.run([sys.executable, str(MAKER), str(folder)], check=True, capture_output=True, cwd=SUPPORT)
    shutil.copyfile(package_file("face_recognition_models", "models", DLIB), folder / DLIB)
    partial.replace(home)
