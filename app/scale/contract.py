"""Whether a worker computes what the driver would: its embedding spec, the built-in face's vector, its packages."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray

from app.core.vectors import SAME_VECTOR, cosine_distance
from app.records import EmbeddingSpec

# What a vector passes through on its way from the file.
PACKAGES = (
    *("deepface", "mtcnn", "numpy", "onnxruntime", "opencv-contrib-python-headless", "simplejpeg", "pillow"),
    "pillow-heif",
)
PARTS = {
    "model": "el modelo",
    "weights_sha256": "los pesos",
    "detector": "el detector",
    "alignment": "la alineación",
    "normalisation": "la normalización",
    "colour_order": "el orden de los colores",
    "preprocessing": "la preparación",
}
SHOWN = 16  # characters of a hash that a message quotes


@dataclass(frozen=True, slots=True, eq=False)
class Contract:
    """What an installation computes. `golden` is the vector of the built-in face, `versions` are those of PACKAGES."""

    spec: EmbeddingSpec
    golden: NDArray[np.float32] = dataclasses.field(repr=False)
    versions: dict[str, str]

    def differences(self, other: Contract) -> str:
        """Say in Spanish what the other computes otherwise; empty if vectors of both may stand side by side. Packages
        of other versions only explain a difference: alone they are none."""
        found = list(_unlike_parts(self.spec, other.spec))
        moved = cosine_distance(self.golden, other.golden)
        if not found and moved > SAME_VECTOR:
            found = [f"el vector del rostro de control se movió {moved:.4f} (límite {SAME_VECTOR:g})"]
        return "; ".join([*found, *_unlike_packages(self.versions, other.versions)]) if found else ""


def _unlike_parts(ours: EmbeddingSpec, theirs: EmbeddingSpec) -> Iterator[str]:
    for part, name in PARTS.items():
        mine, other = getattr(ours, part), getattr(theirs, part)
        if mine != other:
            yield f"{name}: {str(other)[:SHOWN] or 'ninguno'} en vez de {str(mine)[:SHOWN]}"


def _unlike_packages(ours: dict[str, str], theirs: dict[str, str]) -> Iterator[str]:
    for name in ours.keys() | theirs.keys():
        mine, other = ours.get(name, ""), theirs.get(name, "")
        if mine != other:
            yield f"{name} {other or 'falta'} en vez de {mine or 'ninguno'}"


def installed_versions() -> dict[str, str]:
    """Return the versions of PACKAGES, and of Python, that are installed here."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # its absence is a difference, too
            continue
    return found
