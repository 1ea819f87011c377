"""Test what is measured of a face's texture: the responses of P-Net's own layers, the same for the same face."""

from __future__ import annotations

import csv

import cv2
import numpy as np
from numpy.typing import NDArray

from app.faces.drawing import NUMBERS, TEXTURE_TABLE
from app.faces.mtcnn import Mtcnn, weights_path
from app.faces.mtcnn_graphs import read_weights
from app.faces.texture import FAINT, NAMES, Texture
from app.records import Image


def convolve_first_layer(face: Image) -> NDArray[np.float32]:
    """Compute P-Net's first layer of the halved face by OpenCV: (channels, h - 2, w - 2)."""
    kernels, biases, slopes = read_weights(weights_path("pnet"))[:3]
    half = cv2.resize(face, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    planes = (half[:, :, ::-1].astype(np.float32) - 127.5) / 128
    channels = []
    for kernel, bias, slope in zip(np.moveaxis(kernels, 3, 0), biases, slopes.ravel(), strict=True):
        filtered = sum(cv2.filter2D(planes[:, :, colour], -1, kernel[:, :, colour]) for colour in range(3))
        response = np.asarray(filtered)[1:-1, 1:-1] + bias
        channels.append(np.where(response > 0, response, slope * response))
    return np.array(channels)


def test_the_first_layers_numbers_are_its_responses_spread_and_evenness(astronaut: Image) -> None:
    face = astronaut[64:171, 182:265]
    responses = convolve_first_layer(np.ascontiguousarray(face))
    variance = responses.var(axis=(1, 2)) + FAINT
    measured = dict(zip(NAMES, Texture(Mtcnn()).measure(face), strict=True))
    spread, evenness = ([measured[f"layer 1 {what} {n}"] for n in range(10)] for what in ("spread", "evenness"))
    np.testing.assert_allclose(spread, np.log(variance), atol=1e-3)
    np.testing.assert_allclose(evenness, responses.mean(axis=(1, 2)) / np.sqrt(variance), atol=1e-3)


def test_an_even_face_has_a_finite_texture() -> None:
    assert np.isfinite(Texture(Mtcnn()).measure(np.full((200, 160, 3), 120, np.uint8))).all()


def test_the_table_has_a_row_for_each_number() -> None:
    with TEXTURE_TABLE.open(newline="") as lines:
        assert [row["number"] for row in csv.DictReader(lines)] == list(NUMBERS)
