"""Test scores, verdicts and advice of the quality components."""

import math
import re

import numpy as np
import pytest

from app.faces.quality import (
    COMPONENTS,
    NOT_ASSESSED,
    PASSED,
    REJECT,
    SCORES,
    UNASSESSED,
    WARN,
    Grade,
    Limits,
    Values,
    grade,
    worst,
)

NAMES = [component.name for component in COMPONENTS]
# The best value of each component; 0 for those not listed.
GOOD = {
    "InterEyeDistance": 300,
    "PixelAspectRatio": 1,
    "HeadSize": 0.45,
    "LeftwardCropOfTheFaceImage": 3,
    "RightwardCropOfTheFaceImage": 3,
    "MarginAboveOfTheFaceImage": 5,
    "MarginBelowOfTheFaceImage": 5,
    "Sharpness": 1,
    "IlluminationUniformity": 1,
    "LuminanceMean": 0.5,
    "LuminanceVariance": 1 / 60,
    "DynamicRange": 8,
}
LIMITS: Limits = dict.fromkeys(NAMES, (50.0, 20.0))


def values(**other: float) -> Values:
    found = dict.fromkeys(NAMES, 0.0) | GOOD | other
    return np.array([found[name] for name in NAMES], np.float32)


def graded(name: str, value: float, limits: Limits = LIMITS) -> Grade:
    return next(one for one in grade(values(**{name: value}), limits) if one.component.name == name)


def test_the_best_values_score_a_hundred_or_nearly() -> None:
    scores = [one.score for one in grade(values(), LIMITS) if one.score is not None]
    assert len(scores) == len(COMPONENTS)
    assert min(scores) >= 97


@pytest.mark.parametrize(
    ("name", "value", "score"),
    [
        ("SingleFacePresent", 0.5, 50),
        ("InterEyeDistance", 70, 50),
        ("InterEyeDistance", 90, 73),
        ("PixelAspectRatio", 1.2, 47),
        ("PixelAspectRatio", 1 / 1.2, 47),
        ("PixelAspectRatio", 0, 0),
        ("HeadPoseRoll", -45, 50),
        ("HeadPoseYaw", 60, 25),
        ("HeadPosePitch", 120, 0),  # upside down is no better than lying
        ("HeadSize", 0.5, 54),
        ("LeftwardCropOfTheFaceImage", 0.9, 50),
        ("RightwardCropOfTheFaceImage", 0.8, 27),
        ("MarginAboveOfTheFaceImage", 1.4, 50),
        ("MarginBelowOfTheFaceImage", 1.8, 50),
        ("IlluminationUniformity", 0.5, 81),
        ("UnderExposurePrevention", 0.92, 40),
        ("UnderExposurePrevention", 1, 0),
        ("OverExposurePrevention", 0.09, 10),
        ("LuminanceMean", 0.2, 50),
        ("LuminanceMean", 0.8, 50),
        ("LuminanceVariance", 0.05, 71),
        ("DynamicRange", 4, 50),
    ],
)
def test_values_map_to_the_standards_scores(name: str, value: float, score: int) -> None:
    assert graded(name, value).score == score


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1e6, 0.0, 1.0, 1e6])
def test_every_score_is_between_0_and_100(name: str, value: float) -> None:
    value = (
        max(0.0, value) if name in ("IlluminationUniformity", "LuminanceVariance", "OverExposurePrevention") else value
    )
    score = graded(name, value).score
    assert score is not None
    assert 0 <= score <= 100


@pytest.mark.parametrize(("share", "verdict"), [(0.5, PASSED), (0.51, WARN), (0.8, WARN), (0.81, REJECT)])
def test_below_its_limits_a_component_warns_or_rejects(share: float, verdict: str) -> None:
    assert graded("SingleFacePresent", share).verdict == verdict


def test_a_limit_of_zero_neither_warns_nor_rejects() -> None:
    assert graded("SingleFacePresent", 1.0, LIMITS | {"SingleFacePresent": (0.0, 0.0)}).verdict == PASSED


def test_a_component_without_a_value_is_not_assessed() -> None:
    found = graded("HeadPoseYaw", math.nan)
    assert (found.value, found.score, found.verdict) == (None, None, NOT_ASSESSED)


def test_components_that_need_more_than_landmarks_are_not_assessed() -> None:
    last = grade(values(), LIMITS)[len(COMPONENTS) :]
    assert [(one.component.name, one.verdict, one.score) for one in last] == [
        (name, NOT_ASSESSED, None) for name in UNASSESSED
    ]


def test_the_worst_grade_is_chosen_by_verdict_and_then_by_score() -> None:
    limits = LIMITS | {"SingleFacePresent": (90.0, 60.0), "HeadSize": (0.0, 0.0)}
    found = grade(values(SingleFacePresent=0.5, HeadPoseYaw=60, HeadSize=9), limits)
    assert worst(found).component.name == "SingleFacePresent"  # rejected with 50; HeadSize passed with 0
    assert worst(grade(values(HeadPoseYaw=60, HeadPoseRoll=50), LIMITS)).component.name == "HeadPoseYaw"


def test_a_passed_component_counts_before_one_not_assessed() -> None:
    assert worst(grade(values(HeadPoseYaw=math.nan), LIMITS)).verdict == PASSED


def test_every_component_has_a_mapping_a_defect_and_advice() -> None:
    assert list(SCORES) == NAMES
    for component in COMPONENTS:
        assert re.fullmatch(r"[A-ZÁÉÍÓÚ][^.]+", component.defect)
        assert re.fullmatch(r"Tome la foto de nuevo .+\.", component.advice)


def test_no_component_is_both_assessed_and_unassessed() -> None:
    assert len({*NAMES, *UNASSESSED}) == len(NAMES) + len(UNASSESSED) == 28  # with one of ISO/IEC 19794-5
