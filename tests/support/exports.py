"""Made-up galleries to export, and the readers that docs/reconocimiento.md shows."""

from __future__ import annotations

import hashlib
import re
import types
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from app.core.config import PROJECT_DIR
from app.gallery.templates import Templates
from app.recognition.export.contents import Contents, Threshold
from app.recognition.export.formats import FORMATS
from app.recognition.export.publication import Publication, manifest_of, publish
from app.records import EmbeddingSpec

SPEC = EmbeddingSpec("Facenet512", "a1", "mtcnn 1.0.0/1", "aligned", "base", "BGR", 2)
PAGE, SECTION = PROJECT_DIR / "docs" / "reconocimiento.md", "Entregar la galería a otro servicio"
EVERYBODY = 2.0  # the largest distance there is


def make_contents(members: int, dimensions: int = 16, seed: int = 1, prefix: str = "") -> Contents:
    """Make members `P0`, `P1`, ... with random vectors of the lengths that Facenet512's have."""
    rng = np.random.default_rng(seed)
    return contents_of(rng.normal(0, 1, (members, dimensions)), tuple(f"{prefix}P{each}" for each in range(members)))


def contents_of(vectors: NDArray[np.floating], crew_ids: tuple[str, ...], names: tuple[str, ...] = ()) -> Contents:
    """Make the contents of these vectors, which every face is within the threshold of."""
    many = len(crew_ids)
    templates = Templates(
        crew_ids, vectors.astype(np.float32), tuple(range(many)), ("http://a/b.jpg",) * many, ("ab" * 32,) * many
    )
    names = names or tuple(f"Nombre de {crew_id}" for crew_id in crew_ids)
    return Contents(templates, names, SPEC, Threshold(EVERYBODY, 0.7, "default"))


def export(target: Path, contents: Contents) -> Publication:
    """Publish the contents in the format that the target's name asks for, as the command does."""
    kind = FORMATS[target.suffix]
    description = kind.describe() | contents.describe()
    return publish(target, lambda file: kind.write(file, contents), description)


def documented_readers() -> types.SimpleNamespace:
    """Execute the Python that the page shows for reading an export, and return what it defines."""
    defined: dict[str, object] = {}
    for block in documented_blocks():
        exec(compile(block, PAGE.name, "exec"), defined)  # noqa: S102  # our own page
    return types.SimpleNamespace(**defined)


def documented_blocks() -> list[str]:
    (section,) = re.findall(rf"^## {SECTION}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def read_whole(target: Path) -> list[str]:
    """Return the ids of the version that the manifest names. Asserts that this version is whole, and that the target
    itself is a whole version, too."""
    manifest = orjson.loads(manifest_of(target).read_bytes())
    data = target.with_name(manifest["file"])
    assert hashlib.sha256(data.read_bytes()).hexdigest() == manifest["sha256"]
    assert data.stat().st_size == manifest["size_bytes"]
    assert len(manifest["crew_ids"]) == len(manifest["names"]) == manifest["members"]
    for path in (data, target, manifest_of(target)):
        assert path.stat().st_mode & 0o777 == 0o600
    found: list[str] = manifest["crew_ids"]
    return found


def true_distances(probes: NDArray[np.floating], vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute the cosine distances (probes, members) one by one in float64."""
    found = np.empty((len(probes), len(vectors)))
    for row, probe in enumerate(probes.astype(np.float64)):
        for column, vector in enumerate(vectors.astype(np.float64)):
            lengths = np.sqrt(np.dot(probe, probe)) * np.sqrt(np.dot(vector, vector))
            found[row, column] = 1 - np.dot(probe, vector) / lengths
    return found
