"""Write Facenet512 with seeded weights: DeepFace's own Keras network as the .h5 and the .onnx that DeepFace loads.

Run as a program (`python facenet_weights.py FOLDER`), since TensorFlow and our ONNX engine must not share a process.
The vectors cannot recognise people; architecture, shapes, sizes and speed are the real ones. It also writes a batch of
seeded faces and the TensorFlow network's vectors of them (`faces.npy`, `vectors.npy`), the reference for ONNX.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ |= {"DEEPFACE_BACKEND_ENGINE": "tensorflow", "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SEED = 512
INPUT = (160, 160, 3)
DIMENSIONS = 512


def seeded_faces(count: int = 16) -> np.ndarray:
    """Return network inputs (n, 160, 160, 3), float32 in [0, 1]: coarse shapes, as different as faces are."""
    coarse = np.random.default_rng(SEED).random((count, 8, 8, 3), dtype=np.float32)
    return np.stack([np.clip(cv2.resize(face, INPUT[:2], interpolation=cv2.INTER_CUBIC), 0, 1) for face in coarse])


class Converter:
    """Convert each layer of a Keras functional model to one or a few ONNX nodes, in NCHW."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"w{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def node(self, kind: str, inputs: list[str], **attributes: object) -> str:
        name = f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def convert(self, layer, inputs: list[str]) -> str:
        return getattr(self, f"_{type(layer).__name__.lower()}")(layer, inputs)

    def _conv2d(self, layer, inputs):
        kernel, *bias = layer.get_weights()
        constants = [self.constant(kernel.transpose(3, 2, 0, 1)), *map(self.constant, bias)]
        return self.node("Conv", inputs + constants, strides=list(layer.strides), auto_pad=_padding(layer))

    def _batchnormalization(self, layer, inputs):
        beta, mean, variance = layer.get_weights()  # scale=False: there is no gamma
        parameters = [np.ones_like(beta), beta, mean, variance]
        return self.node("BatchNormalization", inputs + list(map(self.constant, parameters)), epsilon=layer.epsilon)

    def _activation(self, layer, inputs):
        return self.node("Relu", inputs) if layer.get_config()["activation"] == "relu" else inputs[0]

    def _maxpooling2d(self, layer, inputs):
        size, strides = list(layer.pool_size), list(layer.strides)
        return self.node("MaxPool", inputs, kernel_shape=size, strides=strides, auto_pad=_padding(layer))

    def _concatenate(self, _layer, inputs):
        return self.node("Concat", inputs, axis=1)

    def _lambda(self, layer, inputs):
        return self.node("Mul", [*inputs, self.constant(np.float32(layer.arguments["scale"]))])

    def _add(self, _layer, inputs):
        return self.node("Add", inputs)

    def _globalaveragepooling2d(self, _layer, inputs):
        return self.node("Flatten", [self.node("GlobalAveragePool", inputs)])

    def _dropout(self, _layer, inputs):
        return inputs[0]

    def _dense(self, layer, inputs):
        (kernel,) = layer.get_weights()
        return self.node("MatMul", [*inputs, self.constant(kernel)])


def _padding(layer) -> str:
    return "SAME_UPPER" if layer.padding == "same" else "VALID"


def convert(model) -> onnx.ModelProto:
    converter = Converter()
    produced = {id(model.inputs[0]): converter.node("Transpose", ["input"], perm=[0, 3, 1, 2])}
    for layer in model.layers[1:]:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        produced[id(layer.output)] = converter.convert(layer, [produced[id(tensor)] for tensor in inputs])
    converter.nodes.append(helper.make_node("Identity", [produced[id(model.outputs[0])]], ["embedding"]))
    graph = helper.make_graph(
        converter.nodes,
        "facenet512",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", *INPUT])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DIMENSIONS])],
        converter.constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def seed_weights(model) -> None:
    """Set random weights, scaled so that signals neither vanish nor explode in the blocks."""
    random = np.random.default_rng(SEED)
    for layer in model.layers:
        kind, weights = type(layer).__name__, layer.get_weights()
        if kind == "BatchNormalization":
            beta, mean, variance = weights
            noise = [random.normal(0, 0.1, beta.shape), random.normal(0, 0.1, mean.shape)]
            layer.set_weights([*noise, random.uniform(0.5, 1.5, variance.shape)])
        elif weights:
            fan_in = np.prod(weights[0].shape[:-1])
            layer.set_weights([random.normal(0, np.sqrt(2 / fan_in), array.shape) for array in weights])
    _spread(model)


def _spread(model) -> None:
    """Centre and scale the last layer, so that different faces get different vectors. Untrained nets give nearly the
    same vector to all faces, and a comparison of those would not detect a mistake."""
    beta, mean, variance = model.layers[-1].get_weights()
    vectors = model(seeded_faces(), training=False).numpy()
    raw = (vectors - beta) * np.sqrt(variance + model.layers[-1].epsilon) + mean
    model.layers[-1].set_weights([np.zeros_like(beta), raw.mean(axis=0), raw.var(axis=0)])


def main(folder: Path) -> None:
    # Imports TensorFlow, so only when weights are made.
    from deepface.models.facial_recognition.tf.Facenet import InceptionResNetV1

    folder.mkdir(parents=True, exist_ok=True)
    model = InceptionResNetV1(dimension=DIMENSIONS)
    seed_weights(model)
    model.save_weights(folder / "facenet512_weights.h5")
    onnx.save(convert(model), folder / "facenet512_weights.onnx")
    np.save(folder / "faces.npy", seeded_faces())
    np.save(folder / "vectors.npy", model(seeded_faces(), training=False).numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
