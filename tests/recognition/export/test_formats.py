"""The files are read by the programs that they are meant for, and give the same person at the same distance."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from app.errors import MissingDependency, SettingsError
from app.recognition.export.contents import BLOCK_ROWS, Contents
from app.recognition.export.formats import FORMATS, PARQUET_METADATA, format_of, name_for_deepface
from tests.support.exports import (
    contents_of,
    documented_blocks,
    documented_readers,
    export,
    make_contents,
    true_distances,
)

PROBES, MEMBERS, DIMENSIONS = 200, 300, 128
ONE_ROUNDING = 1e-7  # of a unit vector's numbers to float32
FLOAT32_SUM = 2e-6  # of a product of float32 unit vectors
ODD_IDS = ("a\tb", "c\"d'", "ñandú 😀", "x" * 64, "á́́", "Z,;|", "\\n", " 7 ")


def written(contents: Contents, suffix: str) -> bytes:
    file = io.BytesIO()
    FORMATS[suffix].write(file, contents)
    return file.getvalue()


@pytest.fixture(scope="module")
def contents() -> Contents:
    return make_contents(MEMBERS, DIMENSIONS)


@pytest.fixture(scope="module")
def probes(contents: Contents) -> NDArray[np.float32]:
    """Half of them near a member, half of them strangers."""
    rng = np.random.default_rng(7)
    near = contents.templates.vectors[rng.integers(0, MEMBERS, PROBES // 2)]
    near = near + rng.normal(0, 0.3, near.shape)
    return np.concatenate([near, rng.normal(0, 5, (PROBES // 2, DIMENSIONS))]).astype(np.float32)


@pytest.fixture(scope="module")
def nearest(contents: Contents, probes: NDArray[np.float32]) -> list[tuple[str, float]]:
    """Crew id and distance of the nearest member of each probe, by a float64 double loop."""
    distances = true_distances(probes, contents.templates.vectors)
    return [(contents.templates.crew_ids[row.argmin()], float(row.min())) for row in distances]


def agree(found: list[tuple[str, float]], nearest: list[tuple[str, float]], within: float) -> None:
    assert len(found) == PROBES
    assert [crew_id for crew_id, _ in found] == [crew_id for crew_id, _ in nearest]
    assert max(abs(one[1] - other[1]) for one, other in zip(found, nearest, strict=True)) <= within


def test_a_mapped_npy_gives_the_nearest_member(
    contents: Contents, probes: NDArray[np.float32], nearest: list[tuple[str, float]], tmp_path: Path
) -> None:
    export(tmp_path / "g.npy", contents)
    reader = documented_readers().Galeria(tmp_path / "g.npy")
    found = [reader.quien_es(probe)[0] for probe in probes]
    assert isinstance(reader.vectores.base, np.memmap)
    agree([(crew_id, distance) for crew_id, _, distance in found], nearest, ONE_ROUNDING)
    assert [name for _, name, _ in found] == [f"Nombre de {crew_id}" for crew_id, _ in nearest]


def test_a_faiss_index_gives_the_nearest_member(
    contents: Contents, probes: NDArray[np.float32], nearest: list[tuple[str, float]], tmp_path: Path
) -> None:
    export(tmp_path / "g.faiss", contents)
    readers = documented_readers()
    data, index = readers.abrir_faiss(tmp_path / "g.faiss")
    assert type(index) is faiss.IndexIDMap2
    found = [readers.con_faiss(data, index, probe)[0] for probe in probes]
    agree([(crew_id, distance) for crew_id, _, distance in found], nearest, FLOAT32_SUM)
    assert [name for _, name, _ in found] == [f"Nombre de {crew_id}" for crew_id, _ in nearest]


def test_a_parquet_table_gives_the_nearest_member(
    contents: Contents, probes: NDArray[np.float32], nearest: list[tuple[str, float]], tmp_path: Path
) -> None:
    export(tmp_path / "g.parquet", contents)
    table = parquet.read_table(tmp_path / "g.parquet")
    assert table.column_names == ["crew_id", "name", "embedding"]
    vectors = np.stack(table["embedding"].to_numpy())
    np.testing.assert_array_equal(vectors, contents.templates.vectors)
    distances = true_distances(probes, vectors)
    ids = table["crew_id"].to_pylist()
    agree([(ids[row.argmin()], float(row.min())) for row in distances], nearest, 0)


def test_parquet_says_what_its_vectors_are(contents: Contents, tmp_path: Path) -> None:
    export(tmp_path / "g.parquet", contents)
    said = json.loads(parquet.read_schema(tmp_path / "g.parquet").metadata[PARQUET_METADATA])
    assert said == {key: value for key, value in contents.describe().items() if key not in ("crew_ids", "names")}


def test_the_page_shows_three_readers_of_thirty_lines_at_most() -> None:
    lengths = [len([line for line in block.splitlines() if line]) for block in documented_blocks()]
    assert (len(lengths), max(lengths) <= 30) == (3, True), lengths


def test_npy_is_what_numpy_writes(contents: Contents) -> None:
    exact = contents.templates.vectors.astype(np.float64)
    unit = (exact / np.linalg.norm(exact, axis=1, keepdims=True)).astype(np.float32)
    file = io.BytesIO()
    np.save(file, unit)
    assert written(contents, ".npy") == file.getvalue()
    offset = FORMATS[".npy"].describe()["offset"]
    assert file.getvalue()[offset:] == unit.tobytes()
    assert np.lib.format.magic(1, 0) == file.getvalue()[:8]


def test_faiss_is_what_faiss_writes(contents: Contents, tmp_path: Path) -> None:
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(DIMENSIONS))
    index.add_with_ids(np.load(io.BytesIO(written(contents, ".npy"))), np.arange(MEMBERS))
    faiss.write_index(index, str(tmp_path / "theirs.faiss"))
    assert written(contents, ".faiss") == (tmp_path / "theirs.faiss").read_bytes()


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_gallery_gives_the_same_bytes(suffix: str) -> None:
    assert written(make_contents(9), suffix) == written(make_contents(9), suffix)


def test_npz_does_not_hold_the_time_of_its_writing() -> None:
    with zipfile.ZipFile(io.BytesIO(written(make_contents(9), ".npz"))) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("members", [1, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_every_row_is_written_whatever_the_number_of_blocks(members: int, tmp_path: Path) -> None:
    contents = make_contents(members, 4)
    vectors = contents.templates.vectors
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(np.load(io.BytesIO(written(contents, ".npy"))), unit, atol=ONE_ROUNDING)
    np.testing.assert_array_equal(np.load(io.BytesIO(written(contents, ".npz")))["embedding"], vectors)
    (tmp_path / "g.faiss").write_bytes(written(contents, ".faiss"))
    index = faiss.read_index(str(tmp_path / "g.faiss"))
    np.testing.assert_allclose(index.reconstruct_batch(np.arange(members)), unit, atol=ONE_ROUNDING)


def test_odd_ids_and_names_come_back_as_they_are(tmp_path: Path) -> None:
    names = tuple(f"<{crew_id}>" for crew_id in reversed(ODD_IDS))
    contents = contents_of(np.eye(len(ODD_IDS)), ODD_IDS, names)
    for suffix in FORMATS:
        export(tmp_path / f"g{suffix}", contents)
        manifest = json.loads((tmp_path / f"g{suffix}.json").read_text(encoding="utf-8"))
        assert (tuple(manifest["crew_ids"]), tuple(manifest["names"])) == (ODD_IDS, names)
    assert tuple(np.load(tmp_path / "g.npz")["identity"]) == ODD_IDS
    table = parquet.read_table(tmp_path / "g.parquet")
    assert tuple(table["crew_id"].to_pylist()) == ODD_IDS
    assert tuple(table["name"].to_pylist()) == names


def test_text_that_is_no_utf8_is_escaped(tmp_path: Path) -> None:
    contents = contents_of(np.eye(1), ("a\udcff",), ("\ud800",))
    for suffix in FORMATS:
        export(tmp_path / f"g{suffix}", contents)
        manifest = json.loads((tmp_path / f"g{suffix}.json").read_text(encoding="utf-8"))
        assert (manifest["crew_ids"], manifest["names"]) == (["a\\udcff"], ["\\ud800"])


@pytest.mark.parametrize("name", ["g", "g.csv", "g.npy.gz", "g.NPY", ".npy"])
def test_another_ending_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="No se sabe exportar") as caught:
        format_of(Path(name))
    assert caught.value.advice == "El archivo de --export debe terminar en .npy, .npz, .faiss, .parquet."


def test_parquet_without_its_package_is_refused_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in [name for name in sys.modules if name.startswith("pyarrow.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingDependency) as caught:
        format_of(Path("g.parquet"))
    assert (caught.value.exit_code, 'pip install "pyarrow>=' in caught.value.advice) == (2, True)
    assert format_of(Path("g.npy")) is FORMATS[".npy"]


@pytest.mark.parametrize(
    ("model", "detector", "name"),
    [
        ("Facenet512", "mtcnn", "ds_model_facenet512_detector_mtcnn_aligned_normalization_base_expand_0.npz"),
        ("VGG-Face", "opencv", "ds_model_vggface_detector_opencv_aligned_normalization_base_expand_0.npz"),
    ],
)
def test_the_name_for_deepface(model: str, detector: str, name: str) -> None:
    assert name_for_deepface(model, detector) == name
