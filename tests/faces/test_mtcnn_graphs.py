"""Test the layers that our graphs express differently than the library does."""

import numpy as np
import pytest

from app.faces.mtcnn_graphs import GraphBuilder, fill_block
from app.faces.onnx_sessions import open_session


def run(net: GraphBuilder, values: np.ndarray, shape: list[int]) -> np.ndarray:
    """Return what the graph makes of the values; its last output has this shape."""
    net.add("Identity", output="out")
    graph = net.build({"image": list(values.shape)}, {"out": shape})
    (found,) = open_session(graph).run(None, {"image": values})
    return found


@pytest.mark.parametrize("channels", [5, 16])
def test_prelu_equals_the_librarys_to_the_last_bit(channels: int) -> None:
    """Among scores near 1 the last bit decides which box suppression keeps."""
    random, shape = np.random.default_rng(3), (1, channels, 40, 40)
    slope = random.normal(size=channels).astype(np.float32)
    values = (random.normal(size=shape) * 10.0 ** random.integers(-6, 6, shape)).astype(np.float32)
    net = GraphBuilder([slope.reshape(1, 1, channels)], "image")
    net.prelu_of_channels()
    expected = np.where(values > 0, values, values * slope.reshape(1, channels, 1, 1))
    np.testing.assert_array_equal(run(net, values, [*shape]), expected)

    dense = GraphBuilder([slope], "image")
    dense.prelu()
    rows = np.ascontiguousarray(values[0].reshape(channels, -1).T)
    np.testing.assert_array_equal(run(dense, rows, [*rows.shape]), np.where(rows > 0, rows, rows * slope))


@pytest.mark.parametrize("shape", [(1, 2, 30, 41), (20, 2)])
def test_the_faces_score_equals_a_softmax_to_the_last_bit(shape: tuple[int, ...]) -> None:
    values = (np.random.default_rng(5).normal(size=shape) * 9).astype(np.float32)
    score = GraphBuilder([], "image")
    score.face_score()
    library = GraphBuilder([], "image")
    library.add("Softmax", axis=1)
    found = run(score, values, [shape[0], *shape[2:]])
    np.testing.assert_array_equal(found, run(library, values, [*shape])[:, 1])


def test_a_filled_block_changes_no_output() -> None:
    random = np.random.default_rng(6)
    shapes = [(3, 3, 3, 10), (10,), (1, 1, 10), (3, 3, 10, 16), (16,)]
    weights = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    values = random.normal(size=(1, 3, 12, 12)).astype(np.float32)
    found = []
    for arrays in (weights, fill_block(weights)):
        net = GraphBuilder(arrays, "image")
        net.conv_prelu()
        net.pool(2, same=True)
        net.conv()
        found.append(run(net, values, [1, 16, 3, 3]))
    assert fill_block(weights)[0].shape == (3, 3, 3, 16)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-4)


def test_describing_a_layer_gives_each_channels_mean_and_variance_and_leaves_the_layer_last() -> None:
    values = (
        np.random.default_rng(4).normal([[[[2.0]], [[-1.0]]]], [[[[0.5]], [[3.0]]]], (1, 2, 6, 7)).astype(np.float32)
    )
    net = GraphBuilder([], "image")
    net.describe("mean", "variance")
    net.add("Identity", output="out")
    shape = [1, 2, 6, 7]
    graph = net.build({"image": shape}, {"mean": [1, 2, 1, 1], "variance": [1, 2, 1, 1], "out": shape})
    mean, variance, out = open_session(graph).run(None, {"image": values})
    np.testing.assert_allclose(mean.ravel(), values.mean(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(variance.ravel(), values.var(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(out, values)
