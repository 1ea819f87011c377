"""Decide which way up a face lies in its image. Thresholds: measured on the photos of docs/quality.md.

MTCNN also detects faces on their head or on their side, with landmarks that look upright and the same confidence. But
its other nets' mean logit over slightly shifted boxes is several times higher for the upright position.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from app.core.image_scaling import reduce
from app.faces.mtcnn import Floats, Mtcnn
from app.faces.regions import Box, crop_with_black
from app.records import Image

POSITIONS = 4  # quarter turns
CUT_SIDE_PX = 96  # of the square around the face that is turned; R-Net sees 24, O-Net 48 pixels
CUT_SHARE = 1.6  # the square's side, in sides of the face's box
BOX_SHARE = 1.1  # of the boxes that the nets rate, in sides of the face's box
SHIFT_SHARE = 0.08  # between those boxes
FACE_PX = CUT_SIDE_PX / CUT_SHARE
HALF_BOX_PX = FACE_PX * BOX_SHARE / 2
STEPS = ((0, 0), (-1, -1), (1, -1), (-1, 1), (1, 1))  # of the boxes around the middle of the square, across and down
CENTRES = CUT_SIDE_PX / 2 + np.array(STEPS) * FACE_PX * SHIFT_SHARE
BOXES: Floats = np.hstack([CENTRES - HALF_BOX_PX, CENTRES + HALF_BOX_PX, np.ones((len(STEPS), 1))])
# First glance, by R-Net: nine in ten good photos pass. A face on its head, tilted by 45 degrees besides, reached 4.2.
GLANCE_LOGIT, GLANCE_LEAD = 4.8, 1.5
# Closer look, by O-Net. Good photos reach 7.5 and lead over their opposite by 6.0; poor ones that MTCNN still detects
# 2.2 and 3.3, their enhanced copies more. Of 928 boxes without a face none reached 1.4; MTCNN's false faces reach 2.0.
# A face on its head never led by more than 2.0.
FACE_LOGIT, LEAD = 3.0, 2.5
TIE = 1.0  # a head tilted by 45 degrees scores alike upright and on its side: within this the photo stays as it is


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judge's decision on one box. `quarter_turns` anticlockwise (as `np.rot90` does) make the face upright, None
    when that is not clear; `is_face`: the nets take it for a face in some position."""

    quarter_turns: int | None
    is_face: bool


class OrientationJudge:
    """Rate faces in their four positions. Safe to use from several threads."""

    def __init__(self, nets: Mtcnn) -> None:
        self._nets = nets

    def is_plainly_upright(self, image: Image, box: Box) -> bool:
        """Tell by R-Net alone, quickly, whether the face is surely upright. False means only that it is not sure."""
        logits = self._nets.rate_with_rnet(_positions(image, box), BOXES)
        return bool(logits[0] >= GLANCE_LOGIT and logits[0] - logits[1:].max() >= GLANCE_LEAD)

    def judge(self, image: Image, box: Box) -> Verdict:
        """Decide by O-Net which position of the face in a BGR uint8 (h, w, 3) image is the upright one."""
        logits = self._nets.rate_with_onet(_positions(image, box), BOXES)
        best = int(logits.argmax())
        if logits[0] >= logits[best] - TIE:
            best = 0
        on_its_head = logits[(best + POSITIONS // 2) % POSITIONS]
        is_face = bool(logits[best] >= FACE_LOGIT)
        is_clear = is_face and logits[best] - on_its_head >= LEAD
        return Verdict(best if is_clear else None, is_face)


def _positions(image: Image, box: Box) -> NDArray[np.uint8]:
    """Cut out the square around the face, in 0 to 3 quarter turns anticlockwise: (4, CUT_SIDE_PX, CUT_SIDE_PX, 3)."""
    x, y, width, height = box
    side = max(2, math.ceil(max(width, height) * CUT_SHARE))
    left, top = round(x + (width - side) / 2), round(y + (height - side) / 2)
    cut = reduce(crop_with_black(image, left, top, side, side), side // CUT_SIDE_PX)
    positions = np.empty((POSITIONS, CUT_SIDE_PX, CUT_SIDE_PX, 3), np.uint8)
    cv2.resize(cut, (CUT_SIDE_PX, CUT_SIDE_PX), positions[0], interpolation=cv2.INTER_LINEAR)
    for before, after in itertools.pairwise(positions):
        cv2.rotate(before, cv2.ROTATE_90_COUNTERCLOCKWISE, after)
    return positions
