"""What a run goes by: which settings give a photo that failed another chance."""

from typing import Any

import pytest

from app.planning.request import Request
from app.planning.rules import make_rules
from app.records import EmbeddingSpec
from tests.conftest import MakeSettings

CONTRACT = EmbeddingSpec("Facenet512", "ab" * 32, "mtcnn 1.0.0/1", "letterbox", "base", "BGR", 1)
DECIDE = {
    **{"MIN_FACE_RATIO": 0.05, "DETECTION_MAX_SIDE": 900, "DECODE_MIN_SIDE": 1200, "MAX_PHOTO_MEGAPIXELS": 50},
    **{"MAX_PHOTO_MB": 5, "MULTIPLE_FACES": "largest", "MAX_SECOND_FACE": 0.5, "SHARED_PHOTOS": "report"},
    **{"QUALITY_SHARPNESS": "60,2"},
}
DO_NOT = {"DOWNLOAD_THREADS": 2, "BATCH_SIZE": 3, "HTTP_ATTEMPTS": 1, "LOG_NAMES": False, "PHOTO_RECHECK_HOURS": 1}


def judged_by(make_settings: MakeSettings, **values: Any) -> str:
    return make_rules(make_settings(**values), Request(), CONTRACT).judged_by


@pytest.mark.parametrize("name", DECIDE)
def test_whatever_can_reject_a_photo_counts(make_settings: MakeSettings, name: str) -> None:
    assert judged_by(make_settings, **{name: DECIDE[name]}) != judged_by(make_settings)


@pytest.mark.parametrize("name", DO_NOT)
def test_whatever_cannot_does_not(make_settings: MakeSettings, name: str) -> None:
    assert judged_by(make_settings, **{name: DO_NOT[name]}) == judged_by(make_settings)
