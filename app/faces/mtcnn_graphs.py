"""Build MTCNN's three nets (Zhang et al. 2016) as serialised ONNX graphs from the weights in the `mtcnn` wheel.

R-Net and O-Net cut their patches out of the image inside the graph (`RoiAlign`): in native code, without Python's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 10  # every onnxruntime in the tested range reads it
BLOCK_CHANNELS = 16  # of the widest processors; others have blocks of 8
FACE_CLASS = 1  # the nets' softmax is (no face, face)
TYPES = {"batch": TensorProto.INT64}  # of inputs, where it is not float32
LAYERS = ["mean 1", "variance 1", "mean 2", "variance 2", "mean 3", "variance 3"]  # outputs of `build_texture`

Array = NDArray[np.float32]
Shapes = dict[str, list[str | int]]  # of tensors, by name


class GraphBuilder:
    """Collect a graph's nodes and constants. A layer's method adds it behind the last one and consumes its weights."""

    def __init__(self, weights: list[Array], first: str) -> None:
        self._weights = iter(weights)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self.last = first

    def constant(self, array: NDArray[np.generic]) -> str:
        """Add a constant; return its name."""
        name = f"w{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def add(self, kind: str, *others: str, output: str = "", **attributes: Any) -> None:
        """Add a node whose first input is the last output and whose other inputs are `others`."""
        name = output or f"x{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, [self.last, *others], [name], **attributes))
        self.last = name

    def conv(self) -> None:
        kernel, bias = next(self._weights), next(self._weights)
        self.add("Conv", self.constant(kernel.transpose(3, 2, 0, 1)), self.constant(bias))

    def prelu(self) -> None:
        """Add max(x, 0) + slope * min(x, 0) for a dense layer."""
        slope, source = next(self._weights), self.last
        self.add("Relu")
        positive, self.last = self.last, source
        self.add("Min", self.constant(np.zeros((), np.float32)))
        self.add("Mul", self.constant(slope))
        self.add("Add", positive)

    def prelu_of_channels(self) -> None:
        """Add max(x, 0) - slope * max(-x, 0), scaling by convolutions of one pixel. ONNX Runtime keeps these in the
        layout of the nets' convolutions, and no other way of scaling: bit for bit what its own PRelu gives, which took
        a third of P-Net's time."""
        slope, source = next(self._weights).reshape(-1, 1, 1, 1), self.last
        self.add("Relu")
        positive, self.last = self.last, source
        self.add("Conv", self.constant(np.full_like(slope, -1)), group=len(slope))
        self.add("Relu")
        self.add("Conv", self.constant(-slope), group=len(slope))
        self.add("Add", positive)

    def conv_prelu(self) -> None:
        self.conv()
        self.prelu_of_channels()

    def pool(self, size: int, *, same: bool) -> None:
        self.add("MaxPool", kernel_shape=[size, size], strides=[2, 2], auto_pad="SAME_UPPER" if same else "VALID")

    def describe(self, mean: str, variance: str) -> None:
        """Output each channel's mean and variance (1, channels, 1, 1) over the whole of the last output, which stays
        the last one."""
        source = self.last
        self.add("ReduceMean", output=mean, axes=[2, 3])
        self.last = source
        self.add("Sub", mean)
        self.add("Mul", self.last)
        self.add("ReduceMean", output=variance, axes=[2, 3])
        self.last = source

    def dense(self) -> None:
        kernel, bias = next(self._weights), next(self._weights)
        self.add("Gemm", self.constant(kernel), self.constant(bias))

    def face_score(self) -> None:
        """Output the face's score of a softmax over the two classes, in the steps of ONNX Runtime's own Softmax, which
        takes four times as long over the middle axis. The sigmoid of the difference is not equal to the last bit: among
        scores near 1, suppression would keep other boxes than the library does."""
        source = self.last
        self.add("ReduceMax", axes=[1])
        largest, self.last = self.last, source
        self.add("Sub", largest)
        self.add("Exp")
        both = self.last
        self.add("ReduceSum", self.constant(np.array([1])))
        self.add("Reciprocal")
        self.add("Mul", both)
        self.add("Gather", self.constant(np.array(FACE_CLASS)), output="score", axis=1)

    def build(self, inputs: Shapes, outputs: Shapes) -> bytes:
        """Check the graph and serialise it."""
        sources, targets = (
            [
                helper.make_tensor_value_info(name, TYPES.get(name, TensorProto.FLOAT), sides)
                for name, sides in each.items()
            ]
            for each in (inputs, outputs)
        )
        graph = helper.make_graph(self._nodes, "mtcnn", sources, targets, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


def build_net(name: str, weights: Path) -> bytes:
    """Build `pnet`, `rnet`, `onet` or `texture` from a net's file in the `mtcnn` package: arrays in the order of the
    layers, convolution kernels HWIO, dense kernels IO, PReLU slopes."""
    return BUILDERS[name](read_weights(weights))


def read_weights(path: Path) -> list[Array]:
    """Read a net's arrays."""
    return [np.asarray(array, np.float32) for array in joblib.load(path)]


def fill_block(weights: list[Array]) -> list[Array]:
    """Add channels that are zero everywhere to the first convolution, until they fill a block of the layout in which
    ONNX Runtime convolves: it pools, too, in that layout then."""
    kernel, bias, slope, following, *others = weights
    added = -len(bias) % BLOCK_CHANNELS
    widened = [np.pad(each, [(0, 0)] * (each.ndim - 1) + [(0, added)]) for each in (kernel, bias, slope)]
    return [*widened, np.pad(following, [(0, 0), (0, 0), (0, added), (0, 0)]), *others]


def build_pnet(weights: list[Array]) -> bytes:
    """Build P-Net: image (1, 3, h, w) -> offsets (1, 4, h', w'), score (1, h', w')."""
    net = GraphBuilder(fill_block(weights), "image")
    net.conv_prelu()
    net.pool(2, same=True)
    net.conv_prelu()
    net.conv_prelu()
    trunk = net.last
    net.conv()
    net.add("Identity", output="offsets")
    net.last = trunk
    net.conv()
    net.face_score()
    outputs: Shapes = {"offsets": [1, 4, "rows", "columns"], "score": [1, "rows", "columns"]}
    return net.build({"image": [1, 3, "h", "w"]}, outputs)


def build_texture(weights: list[Array]) -> bytes:
    """Build the part of P-Net before its outputs: image (1, 3, h, w) -> LAYERS (1, channels, 1, 1)."""
    net = GraphBuilder(weights, "image")
    for mean, variance in zip(LAYERS[::2], LAYERS[1::2], strict=True):
        net.conv_prelu()
        net.describe(mean, variance)
        if mean == LAYERS[0]:
            net.pool(2, same=True)
    return net.build({"image": [1, 3, "h", "w"]}, {name: [1, "channels", 1, 1] for name in LAYERS})


def build_rnet(weights: list[Array]) -> bytes:
    """Build R-Net: image, regions, batch, inside -> offsets (n, 4), score (n,). Patches of 24 x 24."""
    return _build_patch_net(weights, 24, ((3, True), (3, False)), {"offsets": 4})


def build_onet(weights: list[Array]) -> bytes:
    """Build O-Net: as R-Net -> offsets (n, 4), landmarks (n, 10), score (n,). Patches of 48 x 48."""
    return _build_patch_net(weights, 48, ((3, True), (3, False), (2, True)), {"offsets": 4, "landmarks": 10})


def _build_patch_net(
    weights: list[Array], side: int, pools: Sequence[tuple[int, bool]], heads: dict[str, int]
) -> bytes:
    """Cut the patches out of the image, black outside of it; add a convolution before each pool (size, same) and one
    after them, then the outputs (name -> numbers a patch) and the score."""
    net = GraphBuilder(fill_block(weights), "image")
    net.add(
        "RoiAlign",
        "regions",
        "batch",
        coordinate_transformation_mode="output_half_pixel",
        output_height=side,
        output_width=side,
        sampling_ratio=1,
    )
    net.add("Mul", "inside")
    for size, same in pools:
        net.conv_prelu()
        net.pool(size, same=same)
    net.conv_prelu()
    # The nets were trained in a column-first framework: Keras permutes to (width, height, channel) first.
    net.add("Transpose", perm=[0, 3, 2, 1])
    net.add("Flatten")
    net.dense()
    net.prelu()
    trunk = net.last
    for head in heads:
        net.dense()
        net.add("Identity", output=head)
        net.last = trunk
    net.dense()
    net.face_score()
    inputs: Shapes = {
        "image": ["images", 3, "h", "w"],
        "regions": ["n", 4],
        "batch": ["n"],
        "inside": ["n", 1, "side", "side"],
    }
    outputs: Shapes = {head: ["n", size] for head, size in heads.items()}
    return net.build(inputs, outputs | {"score": ["n"]})


BUILDERS = {"pnet": build_pnet, "rnet": build_rnet, "onet": build_onet, "texture": build_texture}
