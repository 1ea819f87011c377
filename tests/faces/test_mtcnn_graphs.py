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
