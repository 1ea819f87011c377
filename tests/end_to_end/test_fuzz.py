"""Damaged images through decoding and the real detection: each comes to an outcome, in time and within memory.

A few hundred in every test run; all 20,000 under `./run_tests.sh --chaos`.
"""

from __future__ import annotations

import math
import resource
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms

from app.core.config import load_settings
from app.errors import ItemError, item_errors
from app.faces.detector import DetectionOptions, build_detector
from app.faces.finder import FaceFinder, FindOptions
from app.faces.mtcnn import Mtcnn
from app.photos.decoding import DecodeOptions
from app.photos.portrait import load_portrait
from app.photos.sandbox import Sandbox
from app.records import CrewMember, Face, Image, Photo
from tests.conftest import Figure
from tests.support.chaos_options import rounds
from tests.support.mutations import mutate
from tests.support.pictures import encode_picture, encode_pillow

# The program ignores these warnings, too, but pytest resets its filter.
pytestmark = [pytest.mark.chaos, pytest.mark.filterwarnings("ignore::UserWarning:PIL")]
SEED = 20_260_106
OPTIONS = DecodeOptions(max_megapixels=4.0, min_side_px=256)
SIDE_PX = 64
PROFILE_MADE_AT = slice(24, 36)  # ICC.1, 7.2: dateTimeNumber in the header
TIME_LIMIT_S, MEMORY_LIMIT_MB = 30.0, 400
# Numbers of damaged files that once crashed a decoder: every run includes them.
KILLERS = {"PNG animated": (1234, 1780)}  # SIGSEGV in OpenCV 5.0.0
NEVER = {"took_too_long", "shared_photo", "placeholder_photo"}  # a run's own; no file alone causes them
CODES = {"face"} | {kind.code for kind in item_errors() if kind.stage in ("decode", "detect")} - NEVER


def encode(kind: str, image: Image) -> bytes:
    picture = PillowImage.fromarray(np.ascontiguousarray(image[:, :, ::-1]))
    frames = {"save_all": True, "append_images": [picture.rotate(90)]}
    if kind == "JPEG progressive":
        return encode_picture(image, progressive=True, orientation=6)
    if kind == "PNG":  # with parts whose damage leaves the pixels as they are
        profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
        profile[PROFILE_MADE_AT] = bytes(12)  # with the time of this run, each run would damage another file
        return encode_picture(image, "PNG", orientation=6, icc_profile=bytes(profile), dpi=(72, 72))
    if kind == "GIF":
        return encode_pillow(picture.quantize(), "GIF", save_all=True, append_images=[picture.rotate(90).quantize()])
    return encode_pillow(picture, kind.split(maxsplit=1)[0], **(frames if kind.endswith("animated") else {}))


KINDS = {
    **{"JPEG": 1, "JPEG progressive": 1, "PNG": 1, "PNG animated": 1},
    **{"WEBP": 1, "WEBP animated": 1, "GIF": 2, "BMP": 1, "TIFF": 2},
}


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    """Return the program's face finder, which here accepts any quality."""
    settings = load_settings(None, DB_URL="sqlite://", IMAGE_BASE_URL="file:///")
    detection = DetectionOptions.of(settings)
    nets = Mtcnn()
    options = FindOptions("dominant", settings.MAX_SECOND_FACE, settings.quality_limits(), accept_low_quality=True)
    return FaceFinder(build_detector(detection, nets), nets, (160, 160), options)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    one = Sandbox()
    yield one
    one.close()


def peak_mb(whose: int) -> float:
    return resource.getrusage(whose).ru_maxrss / 1024


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_image_has_an_outcome_in_time(
    kind: str, finder: FaceFinder, sandbox: Sandbox, tmp_path: Path, astronaut: Image, figure: Figure
) -> None:
    face = np.asarray(cv2.resize(astronaut[20:220, 120:320], (SIDE_PX, SIDE_PX)), np.uint8)
    good, path = encode(kind, face), tmp_path / "foto.jpg"
    number = math.ceil(rounds(300, 20_000) * KINDS[kind] / sum(KINDS.values()))
    outcomes: Counter[str] = Counter()
    slowest, before = (0.0, -1), peak_mb(resource.RUSAGE_SELF)
    for each in {*range(number), *KILLERS.get(kind, ())}:
        path.write_bytes(mutate(good, np.random.default_rng([SEED, each])))
        started = time.monotonic()
        try:
            portrait = load_portrait(Photo(CrewMember("7", path.name), "u", path), OPTIONS, sandbox)
            assert isinstance(finder.find(portrait), Face)
            outcomes["face"] += 1
        except ItemError as error:
            outcomes[error.code] += 1
        except Exception as error:
            raise AssertionError(f"{kind} {each}") from error
        slowest = max(slowest, (time.monotonic() - started, each))
    grown = peak_mb(resource.RUSAGE_SELF) - before
    figure(f"{kind}: images, what became of them", (number, dict(outcomes)))
    figure(f"{kind}: slowest (s), memory grown by (MB)", (round(slowest[0], 2), round(grown)))
    assert outcomes.keys() <= CODES
    assert slowest[0] < TIME_LIMIT_S
    assert grown < MEMORY_LIMIT_MB


def test_a_face_is_found_in_each_undamaged_kind(
    finder: FaceFinder, sandbox: Sandbox, tmp_path: Path, astronaut: Image
) -> None:
    """Otherwise the damaged ones would not test the detection."""
    face = np.asarray(cv2.resize(astronaut[20:220, 120:320], (SIDE_PX, SIDE_PX)), np.uint8)
    found = {}
    for kind in KINDS:
        path = tmp_path / "foto.jpg"
        path.write_bytes(encode(kind, face))
        found[kind] = finder.find(load_portrait(Photo(CrewMember("7", "a"), "u", path), OPTIONS, sandbox)).pixels.shape
    assert found == dict.fromkeys(KINDS, (160, 160, 3))
