"""Check which settings make the run retry a photo that failed."""

from dataclasses import replace
from typing import Any

import pytest

from app.core.config import Settings
from app.planning.rules import Request, make_rules
from app.records import EmbeddingSpec
from tests.conftest import MakeSettings

CONTRACT = EmbeddingSpec("Facenet512", "ab" * 32, "mtcnn 1.0.0/1", "letterbox", "base", "BGR", 1)
DECIDE = {
    **{"MIN_FACE_RATIO": 0.05, "DETECTION_MAX_SIDE": 900, "DECODE_MIN_SIDE": 1200, "MAX_PHOTO_MEGAPIXELS": 50},
    **{"MAX_PHOTO_MB": 5, "MULTIPLE_FACES": "largest", "MAX_SECOND_FACE": 0.5, "SHARED_PHOTOS": "report"},
    **{"QUALITY_SHARPNESS": "60,2"},
}
LIMIT = "61,1"  # of no component by default
# Settings that cannot reject a photo. A new setting belongs here, or is marked with REJECTS in app/core/config.py.
UNMARKED = {
    *("DB_URL", "DB_HOST", "DB_PORT", "DB_USER", "DB_PASSWORD", "DB_NAME", "DB_TLS", "DB_TLS_CA"),
    *("DB_CONNECT_TIMEOUT_S", "DB_ANSWER_TIMEOUT_S", "DB_RETRY_TOTAL_S"),
    *("IMAGE_BASE_URL", "HTTP_CONNECT_TIMEOUT_S", "HTTP_READ_TIMEOUT_S", "HTTP_TOTAL_TIMEOUT_S", "HTTP_ATTEMPTS"),
    *("DOWNLOAD_THREADS", "PHOTO_RECHECK_HOURS", "HTTP_USER_AGENT"),
    *("ROSTER_TABLE", "ROSTER_ID_COLUMN", "ROSTER_PHOTO_COLUMN", "ROSTER_NAMES_COLUMN", "ROSTER_SURNAMES_COLUMN"),
    *("ROSTER_STATUS_COLUMN", "ROSTER_ACTIVE_VALUE"),
    *("FACE_MODEL", "FACE_DETECTOR"),  # parts of the embedding spec, whose digest counts
    *("BATCH_SIZE", "WORKER_THREADS", "WORKER_GPUS", "ONNX_PROVIDERS", "DEEPFACE_HOME", "WEIGHTS_MIRROR"),
    *("FACE_CONFIDENCE_THRESHOLD", "FACE_DISTANCE_THRESHOLD", "MAX_FACE_MATCHES"),
    *("LOG_DIR", "LOG_MAX_MB", "LOG_BACKUPS", "LOG_NAMES", "TEMP_DIR"),
}
DO_NOT = {"DOWNLOAD_THREADS": 2, "BATCH_SIZE": 3, "HTTP_ATTEMPTS": 1, "LOG_NAMES": False, "PHOTO_RECHECK_HOURS": 1}


def judged_by(make_settings: MakeSettings, **values: Any) -> str:
    return make_rules(make_settings(**values), Request(), CONTRACT).judged_by


@pytest.mark.parametrize("name", DECIDE)
def test_what_can_reject_a_photo_changes_the_digest(make_settings: MakeSettings, name: str) -> None:
    assert judged_by(make_settings, **{name: DECIDE[name]}) != judged_by(make_settings)


@pytest.mark.parametrize("name", DO_NOT)
def test_what_cannot_does_not(make_settings: MakeSettings, name: str) -> None:
    assert judged_by(make_settings, **{name: DO_NOT[name]}) == judged_by(make_settings)


def test_every_setting_is_marked_or_named_as_one_that_cannot_reject(make_settings: MakeSettings) -> None:
    assert Settings.model_fields.keys() - make_settings().rejecting().keys() == UNMARKED


def test_every_marked_setting_changes_the_digest(make_settings: MakeSettings) -> None:
    marked = make_settings().rejecting()
    without_value = [name for name in marked if name not in DECIDE and not name.startswith("QUALITY_")]
    assert without_value == [], "give DECIDE another value of the setting than its default"
    changed = {name: DECIDE.get(name, LIMIT) for name in marked}
    assert [name for name in marked if marked[name] == changed[name]] == []
    digests = [judged_by(make_settings, **{name: value}) for name, value in changed.items()]
    assert len({judged_by(make_settings), *digests}) == 1 + len(marked)


def test_another_spec_and_accepting_low_quality_change_the_digest(make_settings: MakeSettings) -> None:
    settings, other = make_settings(), replace(CONTRACT, detector="retinaface")
    rules = [make_rules(settings, Request(), CONTRACT), make_rules(settings, Request(), other)]
    rules.append(make_rules(settings, Request(accept_low_quality=True), CONTRACT))
    assert len({each.judged_by for each in rules}) == 3
