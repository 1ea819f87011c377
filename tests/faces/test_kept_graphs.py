"""Test that kept graphs compute what the graphs that they were made from do, to the last bit, and nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.core.files import sha256_of
from app.faces.embedder import OnnxNetwork
from app.faces.kept_graphs import KeptGraphs
from app.faces.mtcnn import Mtcnn
from app.faces.mtcnn_graphs import GraphBuilder
from app.records import Image


def times(factor: float) -> bytes:
    """Build a graph that multiplies its input (1,) by a number."""
    net = GraphBuilder([], "in")
    net.add("Mul", net.constant(np.array([factor], np.float32)), output="out")
    return net.build({"in": [1]}, {"out": [1]})


def product(folder: Path | None, factor: float = 3, digest: str = "", *, may_write: bool = True) -> tuple[float, bool]:
    """Open the graph in that folder; return what it makes of 7, and whether its source was asked for."""
    asked: list[bool] = []

    def source() -> bytes:
        asked.append(True)
        return times(factor)

    session = KeptGraphs(folder, may_write).open("net", digest or str(factor), source)
    (result,) = session.run(None, {"in": np.array([7], np.float32)})
    return float(result[0]), bool(asked)


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.onnx"))


def test_the_second_start_does_not_ask_for_the_source(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    assert [product(folder), product(folder)] == [(21, True), (21, False)]
    assert sorted(path.suffix for path in folder.iterdir()) == [".onnx", ".sha256"]


def test_another_source_has_another_file(tmp_path: Path) -> None:
    assert [product(tmp_path, 3), product(tmp_path, 4), product(tmp_path, 3)] == [(21, True), (28, True), (21, False)]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def swap(path: Path) -> None:
    """Write a sound graph that gives other numbers."""
    path.write_bytes(times(5))


def swap_with_its_digest(path: Path) -> None:
    """Write no graph at all, with its digest: what no version of this program writes must not end a run either."""
    path.write_bytes(b"no graph")
    path.with_name(f"{path.name}.sha256").write_text(sha256_of(path))


@pytest.mark.parametrize("damage", [cut, swap, swap_with_its_digest, Path.unlink])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    product(tmp_path)
    (path,) = kept(tmp_path)
    damage(path)
    assert [product(tmp_path), product(tmp_path)] == [(21, True), (21, False)]


def test_a_missing_digest_is_a_damaged_file(tmp_path: Path) -> None:
    product(tmp_path)
    kept(tmp_path)[0].with_name(f"{kept(tmp_path)[0].name}.sha256").unlink()
    assert [product(tmp_path), product(tmp_path)] == [(21, True), (21, False)]


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    """A file in the folder's place stands for a folder without permission: root may write to any."""
    (tmp_path / "file").touch()
    assert [product(tmp_path / "file"), product(tmp_path / "file")] == [(21, True), (21, True)]
    assert [product(tmp_path, may_write=False), product(None)] == [(21, True), (21, True)]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_source_that_is_no_graph_is_still_an_error(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"ModelProto|INVALID"):
        KeptGraphs(tmp_path).open("net", "x", lambda: b"no graph")
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_version_left_is_deleted_after_a_week(tmp_path: Path) -> None:
    product(tmp_path, 3)
    product(tmp_path, 4)
    weeks_ago = time.time() - 20 * 24 * 3600
    for path in tmp_path.iterdir():
        os.utime(path, (weeks_ago, weeks_ago))
    product(tmp_path, 5)
    assert len(list(tmp_path.iterdir())) == 2
    assert product(tmp_path, 5) == (35, False)


def test_mtcnns_nets_find_the_same_faces_to_the_last_bit(tmp_path: Path, astronaut: Image, admiral: Image) -> None:
    built = Mtcnn()
    for _ in ("first start", "second start"):
        opened = Mtcnn(graphs=KeptGraphs(tmp_path))
        for image in (astronaut, admiral, astronaut[:301, :207]):
            for face, expected in zip(opened.detect(image), built.detect(image), strict=True):
                np.testing.assert_array_equal(face.box, expected.box)
                np.testing.assert_array_equal(face.landmarks, expected.landmarks)
                assert face.confidence == expected.confidence
    assert len(kept(tmp_path)) == 4


def test_facenet512_gives_the_same_vectors_to_the_last_bit(tmp_path: Path, weights_home: Path) -> None:
    folder = weights_home / ".deepface" / "weights"
    faces = np.load(folder / "faces.npy").astype(np.float32)
    path = folder / "facenet512_weights.onnx"
    built = OnnxNetwork(path, ())
    for _ in ("first start", "second start"):
        opened = OnnxNetwork(path, (), KeptGraphs(tmp_path))
        for batch in (faces[:1], faces[:8]):
            np.testing.assert_array_equal(opened.forward(batch), built.forward(batch))
    assert len(kept(tmp_path)) == 1
