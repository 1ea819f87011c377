"""How long a page waits for its pictures."""

from __future__ import annotations

import threading

from app.pipeline.face_pictures import SILENT_AFTER, fetch_faces
from app.records import CrewMember
from tests.conftest import MakeSettings
from tests.support.webserver import PhotoServer


def crew(*ids: str) -> list[CrewMember]:
    return [CrewMember(crew_id, "a.jpg") for crew_id in ids]


def test_a_server_that_does_not_answer_is_given_up_after_a_few(make_settings: MakeSettings, web: PhotoServer) -> None:
    settings = make_settings(IMAGE_BASE_URL=web.base_url, DOWNLOAD_THREADS=1, HTTP_ATTEMPTS=3)
    web.down = True
    members = crew(*map(str, range(SILENT_AFTER + 20)))
    fetched = fetch_faces(settings, members, {}, {}, threading.Event())
    assert (fetched.pictures, fetched.missing) == ({}, len(members))
    assert SILENT_AFTER <= len(web.requests) <= SILENT_AFTER + 2


def test_a_photo_that_is_missing_is_an_answer(
    make_settings: MakeSettings, web: PhotoServer, portrait_jpeg: bytes
) -> None:
    settings = make_settings(IMAGE_BASE_URL=web.base_url, DOWNLOAD_THREADS=1)
    web.photos["9/a.jpg"] = portrait_jpeg
    fetched = fetch_faces(settings, crew(*"012345678", "9"), {}, {}, threading.Event())
    assert ([*fetched.pictures], fetched.missing) == (["9"], 9)


def test_a_signal_ends_the_wait(make_settings: MakeSettings, web: PhotoServer) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    settings = make_settings(IMAGE_BASE_URL=f"{web.base_url}/slow", DOWNLOAD_THREADS=1)
    assert fetch_faces(settings, crew("1", "2", "3"), {}, {}, stop).missing == 3
    assert len(web.requests) == 1
