"""Test the layers that our graphs express differently than the library does."""

import numpy as np

from app.faces.mtcnn_graphs import GraphBuilder
from app.faces.onnx_sessions import open_session


def test_prelu_equals_the_librarys_to_the_last_bit() -> None:
    """Among scores near 1 the last bit decides which box suppression keeps."""
    random = np.random.default_rng(3)
    slope = random.normal(size=(1, 1, 5)).astype(np.float32)
    values = (random.normal(size=(1, 5, 40, 40)) * 10.0 ** random.integers(-6, 6, (1, 5, 40, 40))).astype(np.float32)
    net = GraphBuilder([slope], "image")
    net.prelu()
    net.add("Identity", output="out")
    shape = [1, 5, 40, 40]
    graph = net.build({"image": shape}, {"out": shape})
    (found,) = open_session(graph).run(None, {"image": values})
    np.testing.assert_array_equal(found, np.where(values > 0, values, values * slope.reshape(1, 5, 1, 1)))


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
