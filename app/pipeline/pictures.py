"""Cuts out what tells whether two photos are the same: the face with its surroundings, upright.

Many people's photos may have one frame, so the frame must not count.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from app.faces.cropping import crop_with_black
from app.photos.shared_pictures import describe_picture
from app.records import Image, PhotoAnalysis, Portrait

# The side of the square around a face: in lengths (between the eyes, plus from the eyes to the mouth), or where there
# are no landmarks in sides of the box.
SURROUNDINGS, SURROUNDINGS_OF_BOX = 1.6, 1.6


def with_picture(portrait: Portrait, analysis: PhotoAnalysis) -> PhotoAnalysis:
    """Return the analysis with the picture of the face and its surroundings; without a face, of the whole photo."""
    return dataclasses.replace(analysis, picture=describe_picture(_surroundings(portrait, analysis)))


def _surroundings(portrait: Portrait, analysis: PhotoAnalysis) -> Image:
    if analysis.box is None:
        return portrait.image
    if analysis.landmarks is None:
        x, y, width, height = analysis.box
        centre, side = (x + width / 2, y + height / 2), SURROUNDINGS_OF_BOX * max(width, height)
    else:  # a few pixels less or more of a box would make another picture; these points are steadier
        eyes, mouth = analysis.landmarks[:2], analysis.landmarks[3:].mean(axis=0)
        middle = (eyes.mean(axis=0) + mouth) / 2
        centre = float(middle[0]), float(middle[1])
        side = SURROUNDINGS * float(np.hypot(*(mouth - eyes.mean(axis=0))) + np.hypot(*(eyes[1] - eyes[0])))
    reduction = portrait.reduction
    length = max(1, round(side / reduction))
    left, top = (round((middle - side / 2) / reduction) for middle in centre)
    cut = crop_with_black(portrait.image, left, top, length, length)
    return np.ascontiguousarray(np.rot90(cut, _quarter_turns(analysis)))


def _quarter_turns(analysis: PhotoAnalysis) -> int:
    """Return how often the photo has to be turned anticlockwise until its face stands upright."""
    if analysis.landmarks is None:
        return 0
    across, down = analysis.landmarks[1] - analysis.landmarks[0]
    return round(math.degrees(math.atan2(down, across)) / 90) % 4
