"""Detect faces and their landmarks with MTCNN on ONNX Runtime, with the results of the `mtcnn` library 1.0.0.

Nets and thresholds: Zhang et al. 2016; weights, constants and conventions: the `mtcnn` package, the odd ones too: the
`+ 1` in sizes, and suppression by a box that was itself suppressed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distribution
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from app.faces.kept_graphs import KeptGraphs
from app.faces.onnx_sessions import CPU
from app.records import Image

Floats = NDArray[np.float64]  # candidates: rows (x1, y1, x2, y2, score), (n, 5), in pixels

SCORE = 4
PNET_CELL_PX = 12  # the side of the square that one P-Net output looks at
PNET_STRIDE_PX = 2
NO_CANDIDATES: Floats = np.empty((0, 5))
PYRAMID_FACTOR = 0.709  # between two levels of the pyramid
PNET_THRESHOLD, RNET_THRESHOLD, ONET_THRESHOLD = 0.6, 0.7, 0.8
SCALE_OVERLAP = 0.5  # within one level of the pyramid
STAGE_OVERLAP = 0.7  # everywhere else
RNET_SIDE_PX, ONET_SIDE_PX = 24, 48
NORMAL = ((np.arange(256) - 127.5) / 128).astype(np.float32)  # of each level of a colour, as the nets were trained
BUILDER = Path(__file__).with_name("mtcnn_graphs.py")
TEXTURE = "texture"  # P-Net's convolutions
WEIGHTS = {"pnet": "pnet", "rnet": "rnet", "onet": "onet", TEXTURE: "pnet"}  # whose each net has
NOTHING_KEPT = KeptGraphs()
LEAST_SCORE = 1e-7  # about float32's resolution near 1: keeps the logit finite


@dataclass(frozen=True, slots=True)
class Detection:
    """One face: `box` (x1, y1, x2, y2) and `landmarks` (5, 2: left eye, right eye, nose, mouth left, mouth right,
    as the onlooker sees them), in pixels of the image; `confidence` 0 to 1."""

    box: Floats
    landmarks: Floats
    confidence: float


class Mtcnn:
    """The three nets, loaded once, from where `graphs` keeps them. Safe to use from several threads."""

    def __init__(self, providers: Sequence[str] = (), graphs: KeptGraphs = NOTHING_KEPT) -> None:
        def open_net(name: str, providers: Sequence[str] = providers) -> InferenceSession:
            return graphs.open(f"mtcnn-{name}", _digest(name), partial(_build, name), providers)

        self._pnet, self._rnet, self._onet = open_net("pnet"), open_net("rnet"), open_net("onet")
        self._texture = open_net(TEXTURE, [CPU])  # wherever the others are: it takes a millisecond

    def detect(self, image: Image, min_face_px: float = 20.0) -> list[Detection]:
        """Return the faces in a BGR uint8 (h, w, 3) image, the most confident first; empty when there is none."""
        planes = as_planes(image)
        return self._describe(planes, self._refine(planes, self._propose(image, min_face_px)))

    def respond(self, image: Image) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return of each of P-Net's convolutions each channel's mean and variance, (channels,), over a BGR uint8
        (h, w, 3) image."""
        outputs = self._texture.run(None, {"image": as_planes(image)})
        found = [np.asarray(each, np.float32).ravel() for each in outputs]
        return list(zip(found[::2], found[1::2], strict=True))

    def rate_with_rnet(self, images: NDArray[np.uint8], boxes: Floats) -> NDArray[np.float64]:
        """Rate by R-Net how much the contents of the boxes (m, 5) look like a face: the mean logit over the boxes, for
        each of the BGR images (n, h, w, 3), as (n,)."""
        return _mean_logits(self._rnet, images, boxes, RNET_SIDE_PX)

    def rate_with_onet(self, images: NDArray[np.uint8], boxes: Floats) -> NDArray[np.float64]:
        """Rate by O-Net, otherwise as `rate_with_rnet`: more reliable, and five times as slow."""
        return _mean_logits(self._onet, images, boxes, ONET_SIDE_PX)

    def _propose(self, image: Image, min_face_px: float) -> Floats:
        """Return P-Net's candidates (n, 5) of all levels of the pyramid."""
        pixels = normalise(image)
        scales = pyramid_scales(min(image.shape[:2]), min_face_px, PYRAMID_FACTOR)
        found = np.concatenate([NO_CANDIDATES, *(self._scan(pixels, scale) for scale in scales)])
        return to_square(suppress(found, STAGE_OVERLAP))

    def _scan(self, pixels: NDArray[np.float32], scale: float) -> Floats:
        """Return P-Net's candidates of one level, in pixels of the image."""
        height, width = (int(side * scale) for side in pixels.shape[:2])
        level = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        offsets, score = self._pnet.run(["offsets", "score"], {"image": level.transpose(2, 0, 1)[None]})
        found = candidates_from_map(offsets[0], score[0], PNET_THRESHOLD)
        found[:, :SCORE] /= scale
        return suppress(found, SCALE_OVERLAP)

    def _refine(self, planes: NDArray[np.float32], candidates: Floats) -> Floats:
        if not len(candidates):
            return NO_CANDIDATES
        offsets, score = self._rnet.run(["offsets", "score"], _patches(planes, candidates, RNET_SIDE_PX))
        candidates = np.column_stack([move(candidates, offsets)[:, :SCORE], score])
        kept = candidates[score > RNET_THRESHOLD]
        return to_square(suppress(kept, STAGE_OVERLAP))

    def _describe(self, planes: NDArray[np.float32], candidates: Floats) -> list[Detection]:
        if not len(candidates):
            return []
        names = ["offsets", "landmarks", "score"]
        offsets, marks, score = self._onet.run(names, _patches(planes, candidates, ONET_SIDE_PX))
        points = place_landmarks(candidates, marks).reshape(-1, 10)
        faces = np.column_stack([move(candidates, offsets)[:, :SCORE], score, points])
        faces = suppress(faces[score > ONET_THRESHOLD], STAGE_OVERLAP, of_smaller=True)
        return [Detection(row[:4], row[5:].reshape(5, 2), float(row[SCORE])) for row in faces]


def weights_path(net: str) -> Path:
    """Return the file of the installed `mtcnn` package with a net's weights."""
    # Importing `mtcnn` would import TensorFlow.
    return Path(str(distribution("mtcnn").locate_file(f"mtcnn/assets/weights/{WEIGHTS[net]}.lz4")))


def _digest(net: str) -> str:
    """Return the SHA-256 of what `_build` makes a net from: the package's weights and our own steps."""
    return hashlib.sha256(weights_path(net).read_bytes() + BUILDER.read_bytes()).hexdigest()


def _build(net: str) -> bytes:
    # Imported only where no graph is kept: with onnx and joblib it takes a quarter of the start.
    from app.faces.mtcnn_graphs import build_net  # noqa: PLC0415

    return build_net(net, weights_path(net))


def as_planes(image: Image) -> NDArray[np.float32]:
    """Convert BGR uint8 (h, w, 3) to the nets' input: RGB float32 around zero, (1, 3, h, w)."""
    planes = np.empty((1, 3, *image.shape[:2]), np.float32)
    for plane, colour in zip(planes[0], cv2.split(image)[::-1], strict=True):
        cv2.LUT(colour, NORMAL, plane)
    return planes


def normalise(image: Image) -> NDArray[np.float32]:
    """Convert BGR uint8 to RGB float32 around zero, (h, w, 3)."""
    return np.asarray(cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), NORMAL), np.float32)


def _patches(images: NDArray[np.float32], candidates: Floats, side: int) -> dict[str, NDArray[np.generic]]:
    """Build the input of R-Net and O-Net: the same boxes of each image (n, 3, h, w)."""
    count, _, height, width = images.shape
    regions, inside = sampling_regions(candidates, (height, width), side)
    return {
        "image": images,
        "regions": np.tile(regions, (count, 1)),
        "batch": np.repeat(np.arange(count), len(regions)),
        "inside": np.tile(inside, (count, 1, 1, 1)),
    }


def _mean_logits(net: InferenceSession, images: NDArray[np.uint8], boxes: Floats, side: int) -> NDArray[np.float64]:
    batch = np.concatenate([as_planes(image) for image in images])
    (score,) = net.run(["score"], _patches(batch, boxes, side))
    certain = np.clip(np.asarray(score, np.float64), LEAST_SCORE, 1 - LEAST_SCORE)
    return np.asarray(np.log(certain / (1 - certain)).reshape(len(images), -1).mean(axis=1))


def pyramid_scales(short_side_px: int, min_face_px: float, factor: float) -> list[float]:
    """Return the scales of the pyramid's levels: from faces of `min_face_px` up to faces as large as the image."""
    first = PNET_CELL_PX / min_face_px
    count = round(-(np.log(short_side_px / PNET_CELL_PX) / np.log(factor) + 1))
    scales = [float(first * factor**level) for level in range(count)]
    return [scale for scale in scales if int(short_side_px * scale) >= PNET_CELL_PX]


def candidates_from_map(offsets: NDArray[np.float32], score: NDArray[np.float32], threshold: float) -> Floats:
    """Convert P-Net's maps (4, h, w) and (h, w) to the candidates above the threshold, row by row."""
    rows, columns = np.nonzero(score > threshold)
    corner = np.stack([columns, rows], axis=1).astype(np.float64) * PNET_STRIDE_PX + 1
    shift = offsets[:, rows, columns].T
    side = PNET_CELL_PX - 1
    first, second = corner + shift[:, :2] * side, corner + side + shift[:, 2:] * side
    return np.column_stack([first, second, score[rows, columns]])


def overlaps(boxes: Floats, *, of_smaller: bool = False) -> Floats:
    """Compute the pairwise overlap (n, n): intersection over union, or over the smaller of the two boxes."""
    x1, y1, x2, y2 = boxes[:, :4].T
    area = (x2 - x1) * (y2 - y1)
    width = np.minimum.outer(x2, x2) - np.maximum.outer(x1, x1)
    height = np.minimum.outer(y2, y2) - np.maximum.outer(y1, y1)
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    whole = np.minimum.outer(area, area) if of_smaller else np.add.outer(area, area) - shared
    return np.asarray(shared / whole)


def suppress(boxes: Floats, threshold: float, *, of_smaller: bool = False) -> Floats:
    """Drop each box that overlaps a stronger one by more than `threshold`; strongest first."""
    # P-Net's scores saturate at 1.0, so ties are common: this very sort breaks them as the library does.
    if len(boxes) <= 1:
        return boxes
    ordered = boxes[np.argsort(boxes[:, SCORE])[::-1]]
    place = np.arange(len(ordered))
    beats = (overlaps(ordered, of_smaller=of_smaller) > threshold) & (place[:, None] < place)
    return ordered[~beats.any(axis=0)]


def to_square(boxes: Floats) -> Floats:
    """Widen each box's shorter side around its centre until it is a square."""
    squared = boxes.copy()
    size = boxes[:, 2:4] - boxes[:, :2]
    largest = size.max(axis=1, keepdims=True, initial=0)
    squared[:, :2] += size * 0.5 - largest * 0.5
    squared[:, 2:4] = squared[:, :2] + largest
    return squared


def move(boxes: Floats, offsets: NDArray[np.float32]) -> Floats:
    """Shift the corners by a net's offsets (n, 4), which are fractions of the box's size."""
    moved = boxes.copy()
    size = boxes[:, 2:4] - boxes[:, :2] + 1
    moved[:, :4] += offsets * np.tile(size, 2)
    return moved


def place_landmarks(boxes: Floats, landmarks: NDArray[np.float32]) -> Floats:
    """Convert O-Net's landmarks (n, 10), fractions x1..x5, y1..y5 of the box, to points (n, 5, 2) in the image."""
    size = boxes[:, None, 2:4] - boxes[:, None, :2] + 1
    points = np.stack([landmarks[:, :5], landmarks[:, 5:]], axis=2)
    return points * size + boxes[:, None, :2] - 1


def sampling_regions(
    boxes: Floats, shape: tuple[int, int], side: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Express TensorFlow's crop_and_resize of `side` x `side` patches in the terms of ONNX's RoiAlign: regions (n, 4)
    whose bins have the sample points as their centres, and a mask (n, 1, side, side), 1 inside the image (h, w)."""
    extent = np.array([shape[1], shape[0]], np.float64)
    start, end = (corner * (extent - 1) / extent for corner in (boxes[:, :2], boxes[:, 2:4]))
    step = (end - start) / (side - 1)
    samples = start[:, None] + step[:, None] * np.arange(side)[None, :, None]
    valid = (samples >= 0) & (samples <= extent - 1)
    inside = valid[:, None, :, None, 1] & valid[:, None, None, :, 0]
    regions = np.concatenate([start - step / 2, end + step / 2], axis=1)
    return regions.astype(np.float32), inside.astype(np.float32)
