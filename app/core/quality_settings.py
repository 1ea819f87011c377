"""The limits of quality: one setting for each component, two scores out of 100: below the first a photo is reported
as improvable, below the second it is rejected.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_settings import BaseSettings

PREFIX = "QUALITY_"
MAX_SCORE = 100.0


def parse_limit(text: str) -> tuple[float, float]:
    """`40,15` -> (40.0, 15.0). Raises ValueError with the Spanish reason."""
    try:
        warn, reject = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError("deben ser dos números separados por una coma, como 40,15") from None
    if not 0 <= reject <= warn <= MAX_SCORE:
        raise ValueError("deben ir de 0 a 100, y el primero (avisar) no puede ser menor que el segundo (rechazar)")
    return warn, reject


def _checked(text: str) -> str:
    parse_limit(text)
    return text


Limit = Annotated[str, AfterValidator(_checked)]


class QualitySettings(BaseSettings):
    """Named after the components of ISO/IEC 29794-5; docs/quality.md shows the measurements behind each."""

    QUALITY_SINGLE_FACE_PRESENT: Limit = "40,0"
    QUALITY_INTER_EYE_DISTANCE: Limit = "10,6"
    QUALITY_PIXEL_ASPECT_RATIO: Limit = "50,1"
    QUALITY_HEAD_POSE_ROLL: Limit = "65,20"
    QUALITY_HEAD_POSE_YAW: Limit = "80,60"
    QUALITY_HEAD_POSE_PITCH: Limit = "75,50"
    QUALITY_HEAD_SIZE: Limit = "0,0"
    QUALITY_LEFTWARD_CROP_OF_THE_FACE_IMAGE: Limit = "5,0"
    QUALITY_RIGHTWARD_CROP_OF_THE_FACE_IMAGE: Limit = "5,0"
    QUALITY_MARGIN_ABOVE_OF_THE_FACE_IMAGE: Limit = "9,5"
    QUALITY_MARGIN_BELOW_OF_THE_FACE_IMAGE: Limit = "8,4"
    QUALITY_SHARPNESS: Limit = "65,4"
    QUALITY_ILLUMINATION_UNIFORMITY: Limit = "25,0"
    QUALITY_UNDER_EXPOSURE_PREVENTION: Limit = "5,0"
    QUALITY_OVER_EXPOSURE_PREVENTION: Limit = "13,2"
    QUALITY_LUMINANCE_MEAN: Limit = "10,0"
    QUALITY_LUMINANCE_VARIANCE: Limit = "20,0"
    QUALITY_DYNAMIC_RANGE: Limit = "60,15"

    def quality_limits(self) -> dict[str, tuple[float, float]]:
        """By the component's name in the standard: scores below which to warn, and to reject."""
        names = [name for name in QualitySettings.model_fields if name.startswith(PREFIX)]
        return {_in_standard(name): parse_limit(getattr(self, name)) for name in names}


def _in_standard(setting: str) -> str:
    """`QUALITY_HEAD_POSE_YAW` -> `HeadPoseYaw`."""
    return setting.removeprefix(PREFIX).title().replace("_", "")
