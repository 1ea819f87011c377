"""Detect faces and their landmarks with MTCNN on ONNX Runtime, with the results of the `mtcnn` library 1.0.0.

Nets and thresholds: Zhang et al. 2016; weights, constants and conventions: the `mtcnn` package.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from app.faces import mtcnn_boxes as arithmetic
from app.faces.mtcnn_boxes import NO_CANDIDATES, SCORE, Floats
from app.faces.mtcnn_graphs import build_onet, build_pnet, build_rnet
from app.faces.onnx_sessions import SessionOptions, open_session
from app.records import Image

PYRAMID_FACTOR = 0.709  # between two levels of the pyramid
PNET_THRESHOLD, RNET_THRESHOLD, ONET_THRESHOLD = 0.6, 0.7, 0.8
SCALE_OVERLAP = 0.5  # within one level of the pyramid
STAGE_OVERLAP = 0.7  # everywhere else
RNET_SIDE_PX, ONET_SIDE_PX = 24, 48
PIXEL_MIDDLE, PIXEL_RANGE = 127.5, 128.0
LEAST_SCORE = 1e-7  # about float32's resolution near 1: keeps the logit finite


@dataclass(frozen=True, slots=True)
class Detection:
    """One face: `box` (x1, y1, x2, y2) and `landmarks` (5, 2: left eye, right eye, nose, mouth left, mouth right,
    as the onlooker sees them), in pixels of the image; `confidence` 0 to 1."""

    box: Floats
    landmarks: Floats
    confidence: float


class Mtcnn:
    """The three nets, loaded once. Safe to use from several threads."""

    def __init__(self, options: SessionOptions | None = None) -> None:
        options = options or SessionOptions()
        self._pnet = open_session(build_pnet(), options)
        self._rnet = open_session(build_rnet(), options)
        self._onet = open_session(build_onet(), options)

    def detect(self, image: Image, min_face_px: float = 20.0) -> list[Detection]:
        """Return the faces in a BGR uint8 (h, w, 3) image, the most confident first; empty when there is none."""
        planes = _normalise(image)
        candidates = self._propose(planes, min_face_px)
        batch = _as_batch(planes)
        return self._describe(batch, self._refine(batch, candidates))

    def rate_with_rnet(self, images: NDArray[np.uint8], boxes: Floats) -> NDArray[np.float64]:
        """Rate by R-Net how much the contents of the boxes (m, 5) look like a face: the mean logit over the boxes, for
        each of the BGR images (n, h, w, 3), as (n,)."""
        return _mean_logits(self._rnet, images, boxes, RNET_SIDE_PX)

    def rate_with_onet(self, images: NDArray[np.uint8], boxes: Floats) -> NDArray[np.float64]:
        """Rate by O-Net, otherwise as `rate_with_rnet`: more reliable, and five times as slow."""
        return _mean_logits(self._onet, images, boxes, ONET_SIDE_PX)

    def _propose(self, planes: NDArray[np.float32], min_face_px: float) -> Floats:
        """Return P-Net's candidates (n, 5) of all levels of the pyramid."""
        scales = arithmetic.pyramid_scales(min(planes.shape[:2]), min_face_px, PYRAMID_FACTOR)
        levels = [self._scan(planes, scale) for scale in scales]
        found = np.concatenate(levels) if levels else NO_CANDIDATES
        return arithmetic.to_square(arithmetic.suppress(found, STAGE_OVERLAP))

    def _scan(self, planes: NDArray[np.float32], scale: float) -> Floats:
        """Return P-Net's candidates of one level, in pixels of the image."""
        height, width = (int(side * scale) for side in planes.shape[:2])
        level = np.asarray(cv2.resize(planes, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        offsets, score = self._pnet.run(["offsets", "score"], {"image": _as_batch(level)})
        found = arithmetic.candidates_from_map(offsets[0], score[0], PNET_THRESHOLD)
        found[:, :SCORE] /= scale
        return arithmetic.suppress(found, SCALE_OVERLAP)

    def _refine(self, batch: NDArray[np.float32], candidates: Floats) -> Floats:
        """Return the candidates that R-Net takes for faces, their boxes corrected."""
        if not len(candidates):
            return NO_CANDIDATES
        offsets, score = self._rnet.run(["offsets", "score"], _patches(batch, candidates, RNET_SIDE_PX))
        candidates = np.column_stack([arithmetic.move(candidates, offsets)[:, :SCORE], score])
        kept = candidates[score > RNET_THRESHOLD]
        return arithmetic.to_square(arithmetic.suppress(kept, STAGE_OVERLAP))

    def _describe(self, batch: NDArray[np.float32], candidates: Floats) -> list[Detection]:
        """Return the candidates that O-Net takes for faces, with their landmarks."""
        if not len(candidates):
            return []
        names = ["offsets", "landmarks", "score"]
        offsets, marks, score = self._onet.run(names, _patches(batch, candidates, ONET_SIDE_PX))
        points = arithmetic.place_landmarks(candidates, marks).reshape(-1, 10)
        faces = np.column_stack([arithmetic.move(candidates, offsets)[:, :SCORE], score, points])
        faces = arithmetic.suppress(faces[score > ONET_THRESHOLD], STAGE_OVERLAP, of_smaller=True)
        return [Detection(row[:4], row[5:].reshape(5, 2), float(row[SCORE])) for row in faces]


def _normalise(image: Image) -> NDArray[np.float32]:
    """Convert BGR uint8 to RGB float32 around zero, as the nets were trained."""
    rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.float32)
    return np.asarray((rgb - PIXEL_MIDDLE) / PIXEL_RANGE, np.float32)


def _as_batch(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert (h, w, 3) to (1, 3, h, w)."""
    return np.ascontiguousarray(planes.transpose(2, 0, 1)[None])


def _patches(images: NDArray[np.float32], candidates: Floats, side: int) -> dict[str, NDArray[np.generic]]:
    """Build the input of R-Net and O-Net: the same boxes of each image (n, 3, h, w)."""
    count, _, height, width = images.shape
    regions, inside = arithmetic.sampling_regions(candidates, (height, width), side)
    return {
        "image": images,
        "regions": np.tile(regions, (count, 1)),
        "batch": np.repeat(np.arange(count), len(regions)),
        "inside": np.tile(inside, (count, 1, 1, 1)),
    }


def _mean_logits(net: InferenceSession, images: NDArray[np.uint8], boxes: Floats, side: int) -> NDArray[np.float64]:
    """Return the mean logit (n,) of the boxes' scores in each image; see `Mtcnn.rate_with_rnet`."""
    batch = np.concatenate([_as_batch(_normalise(image)) for image in images])
    (score,) = net.run(["score"], _patches(batch, boxes, side))
    certain = np.clip(np.asarray(score, np.float64), LEAST_SCORE, 1 - LEAST_SCORE)
    return np.asarray(np.log(certain / (1 - certain)).reshape(len(images), -1).mean(axis=1))
