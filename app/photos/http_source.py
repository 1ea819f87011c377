"""Photos on a web server: download one, or ask whether one is still the version that an earlier run saw."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import TypeVar

import requests

from app.core.config import PhotoSettings
from app.core.redaction import without_credentials
from app.core.retry import RetryPolicy, call_with_retries
from app.errors import PhotoForbidden, PhotoNotFound, PhotoUnavailable, TruncatedDownload
from app.photos.http_body import read_body
from app.photos.http_deadline import time_limit
from app.photos.http_questions import Questions, read_version
from app.photos.http_server import HttpServer, TransientFailure, check_status
from app.photos.temp_folder import DownloadTarget
from app.photos.urls import photo_url
from app.records import (
    ANSWER_FORBIDDEN,
    ANSWER_GONE,
    ANSWER_UNREACHABLE,
    Answer,
    CrewMember,
    Photo,
    Version,
)

Result = TypeVar("Result")


class HttpSource:
    """Photos on a web server. Safe to use from several threads. Raises SettingsError where the environment names a
    proxy or a file of certificates that cannot be used."""

    def __init__(self, settings: PhotoSettings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        self._policy = RetryPolicy(settings.HTTP_ATTEMPTS, settings.HTTP_TOTAL_TIMEOUT_S)
        self._server = HttpServer(settings)
        self._questions = Questions(self._server, self._retry)

    @property
    def asks_by_get(self) -> bool:
        """Tell whether the server was seen to refuse HEAD, or to tell less by it."""
        return self._questions.by_get

    @property
    def moved_to(self) -> str:
        """The `https://<host>` that the server redirects to from http://; empty where it does not."""
        return self._server.moved_to

    def fetch(self, member: CrewMember, temp: DownloadTarget) -> Photo:
        """Download to `temp`. Raises BadName, PhotoNotFound, PhotoForbidden, PhotoUnavailable, OversizedPhoto,
        TruncatedDownload."""
        return self._fetch(member, photo_url(self._settings.IMAGE_BASE_URL, member), temp)

    def fetch_base(self, temp: DownloadTarget) -> Photo:
        """Download what IMAGE_BASE_URL itself is the address of. Raises what `fetch` does."""
        url = without_credentials(self._settings.IMAGE_BASE_URL)
        return self._fetch(CrewMember("", url), url, temp)

    def _fetch(self, member: CrewMember, url: str, temp: DownloadTarget) -> Photo:
        with time_limit(self._settings.HTTP_TOTAL_TIMEOUT_S):
            content, version = self._retry(lambda: self._download(url))
        path = temp.write(member.crew_id, content)
        return Photo(member, url, path, sha256=hashlib.sha256(content).hexdigest(), version=version)

    def check(self, member: CrewMember, version: Version) -> Answer:
        """Ask the server whether the photo is still `version`, without downloading it. Raises BadName."""
        url = photo_url(self._settings.IMAGE_BASE_URL, member)
        try:
            with time_limit(self._settings.HTTP_TOTAL_TIMEOUT_S):
                return self._questions.ask(url, version)
        except PhotoNotFound as error:
            return Answer(ANSWER_GONE, detail=error.detail)
        except PhotoForbidden as error:
            return Answer(ANSWER_FORBIDDEN, detail=error.detail)
        except (PhotoUnavailable, TruncatedDownload) as error:
            return Answer(ANSWER_UNREACHABLE, detail=error.detail)

    def _retry(self, attempt: Callable[[], Result]) -> Result:
        try:
            return call_with_retries(
                attempt, self._policy, lambda error: isinstance(error, TransientFailure), self._stop
            )
        except TransientFailure as error:
            kind = TruncatedDownload if error.truncated else PhotoUnavailable
            raise kind(str(error)) from error

    def _download(self, url: str) -> tuple[bytes, Version]:
        def read(response: requests.Response) -> tuple[bytes, Version]:
            check_status(response)
            body = bytearray()
            for piece in read_body(response, self._settings.MAX_PHOTO_MB):
                body += piece
                if self._stop.is_set():
                    raise PhotoUnavailable("ejecución interrumpida")
            return bytes(body), read_version(response)

        return self._server.request("GET", url, {}, read)
