"""Ask a server whether a photo is still the remembered version, without downloading it.

HEAD is asked first. Object stores, proxies and frameworks refuse it, or tell less by it than by GET: what HEAD does not
tell is asked by GET, whose body is not read, and that is remembered for the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import requests

from app.errors import ItemError
from app.photos.http_server import HttpServer, TransientFailure, check_status
from app.photos.source_rules import compare_versions
from app.records import ANSWER_CHANGED, ANSWER_SAME, ANSWER_UNKNOWN, NO_VERSION, Answer, Version

MAX_VALIDATOR_CHARACTERS = 1000  # a longer ETag or date makes no sense, and fits no column
MAX_LENGTH_DIGITS = 15
Retrying = Callable[[Callable[[], Answer]], Answer]


@dataclass(frozen=True, slots=True)
class _Heard:
    """An answer, and whether a GET would hardly tell more: it names what photos are best compared by. A length of
    nought is what frameworks measure that make no body for a HEAD."""

    answer: Answer
    is_sure: bool


class Questions:
    """The questions to one server. `retrying` repeats a call that fails for the moment. Safe to use from several
    threads: at worst each of them learns of the server for itself."""

    def __init__(self, server: HttpServer, retrying: Retrying) -> None:
        self._server = server
        self._retrying = retrying
        self._head_tells_all = False  # it was seen to say what GET says
        self._head_tells_less = False

    @property
    def by_get(self) -> bool:
        """Tell whether HEAD is not worth a request on this server."""
        return self._head_tells_less and not self._head_tells_all

    def ask(self, url: str, version: Version) -> Answer:
        """Return the answer. Raises PhotoNotFound, PhotoForbidden, PhotoUnavailable as GET does."""
        by_head = None if self.by_get else self._try_head(url, version)
        if by_head is not None and (by_head.is_sure or self._head_tells_all):
            self._head_tells_all = True
            return by_head.answer
        by_get = self._retrying(lambda: self._ask("GET", url, version).answer)
        if by_head is not None and by_head.answer == by_get:
            self._head_tells_all = True
        else:
            self._head_tells_less = True
        return by_get

    def _try_head(self, url: str, version: Version) -> _Heard | None:
        """Return None for any refusal: GET tells whether it is one of the photo, or of the method."""
        try:
            return self._ask("HEAD", url, version)
        except (TransientFailure, ItemError):
            return None

    def _ask(self, method: str, url: str, version: Version) -> _Heard:
        return self._server.request(method, url, _conditions(version), lambda response: _hear(response, version))


def read_version(response: requests.Response) -> Version:
    """Return what the response's headers tell of the file."""
    headers = response.headers
    length = headers.get("Content-Length", "")  # of a compressed response it is not the file's
    plain = length.isdecimal() and len(length) <= MAX_LENGTH_DIGITS and "Content-Encoding" not in headers
    return Version(_validator(headers, "ETag"), _validator(headers, "Last-Modified"), int(length) if plain else None)


def _validator(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "")
    return value if len(value) <= MAX_VALIDATOR_CHARACTERS and value.isprintable() else ""


def _conditions(version: Version) -> dict[str, str]:
    """Return the headers by which the server answers 304 to an unchanged photo (RFC 9110, 13.1)."""
    headers = {"If-None-Match": version.etag, "If-Modified-Since": version.last_modified}
    return {name: value for name, value in headers.items() if value}


def _hear(response: requests.Response, version: Version) -> _Heard:
    conditions = _conditions(version)
    if response.status_code == requests.codes.not_modified and conditions:
        return _Heard(Answer(ANSWER_SAME, version), is_sure=True)
    check_status(response)
    current = read_version(response)
    verdict = compare_versions(current, version)
    is_page = response.headers.get("Content-Type", "").lower().startswith("text/html")
    if verdict == ANSWER_UNKNOWN and is_page:
        return _Heard(Answer(ANSWER_CHANGED, current), is_sure=False)
    # A server may send its ETag with the photo only: a remembered one is kept, so that a later request can use it.
    validated = bool(current.etag or current.last_modified)
    answer = Answer(verdict, current if validated or version == NO_VERSION else version)
    compared = validated or (verdict != ANSWER_UNKNOWN and not conditions)
    return _Heard(answer, is_sure=compared and current.size_bytes != 0)
