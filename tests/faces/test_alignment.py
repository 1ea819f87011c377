"""Test that faces are cut out as DeepFace cuts them out."""

import cv2
import numpy as np
import pytest
from deepface.modules import preprocessing

from app.faces.alignment import align_face, letterbox, level_eyes
from app.faces.deepface_api import FacialAreaRegion
from app.faces.detector import BoundedMtcnn, DetectionOptions
from app.faces.mtcnn import Mtcnn
from app.records import Image

INPUT = (160, 160)


@pytest.fixture(scope="module")
def mtcnn() -> BoundedMtcnn:
    return BoundedMtcnn(DetectionOptions(), Mtcnn())


@pytest.mark.parametrize("degrees", [0, -8, 25, 45, -90])
def test_a_region_gives_the_pixels_that_deepface_cuts_out(astronaut: Image, degrees: int) -> None:
    """DeepFace's `extract_face` on the whole padded photo gives the same pixels, but for one grey level in one of a
    thousand: interpolation starts at another corner."""
    from deepface.modules import detection  # after deepface_api has chosen the engine

    eyes = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]) * 20
    middle = np.array([225, 110])
    places = {"x": 178, "y": 67, "w": 95, "h": 122}
    region = FacialAreaRegion(**places, left_eye=tuple(middle + eyes), right_eye=tuple(middle - eyes), confidence=1.0)
    top, left = astronaut.shape[0] // 2, astronaut.shape[1] // 2
    padded = cv2.copyMakeBorder(astronaut, top, top, left, left, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    shift = np.array([left, top])
    shifted = FacialAreaRegion(
        x=region.x + left,
        y=region.y + top,
        w=region.w,
        h=region.h,
        left_eye=tuple(region.left_eye + shift),
        right_eye=tuple(region.right_eye + shift),
        confidence=1.0,
    )
    expected = detection.extract_face(shifted, padded, True, 0, left, top, "mtcnn").img
    difference = np.abs(align_face(astronaut, region, 160).astype(int) - expected)
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 1e-3


@pytest.mark.parametrize(
    ("left_eye", "right_eye"),
    [((30.5, 20.25), (10.0, 22.0)), ((10, 20), (30, 25)), ((20, 40), (20, 10)), (None, (3, 4)), ((3, 4), None)],
)
def test_eyes_are_levelled_as_deepface_does_to_the_last_bit(
    astronaut: Image, left_eye: tuple[float, float] | None, right_eye: tuple[float, float] | None
) -> None:
    from deepface.modules import detection  # after deepface_api has chosen the engine

    for image in (astronaut, astronaut[:201, :99], astronaut[:0]):
        expected, _ = detection.align_img_wrt_eyes(image, left_eye, right_eye)
        np.testing.assert_array_equal(level_eyes(image, left_eye, right_eye), expected)


@pytest.mark.parametrize("degrees", [-25, 25])
def test_a_tilted_face_comes_out_level(astronaut: Image, mtcnn: BoundedMtcnn, degrees: int) -> None:
    turn = cv2.getRotationMatrix2D((225, 120), degrees, 1.0)
    tilted = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512)), np.uint8)
    (region,) = mtcnn.detect_faces(tilted)
    before = np.subtract(region.left_eye, region.right_eye)
    assert abs(np.degrees(np.arctan2(before[1], before[0]))) > 20
    (after,) = mtcnn.detect_faces(cv2.resize(align_face(tilted, region, 160), None, fx=2, fy=2))
    slope = np.subtract(after.left_eye, after.right_eye)
    assert abs(np.degrees(np.arctan2(slope[1], slope[0]))) < 6


def test_letterbox_is_deepfaces(astronaut: Image, mtcnn: BoundedMtcnn) -> None:
    (region,) = mtcnn.detect_faces(astronaut)
    pixels = align_face(astronaut, region, 160)
    expected = preprocessing.resize_image(pixels / 255, INPUT)[0]
    np.testing.assert_allclose(letterbox(pixels, INPUT), expected, atol=1e-6)
