"""Where photos come from: addresses out of names, what a check can find, and photos in a folder."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from app.core.config import BYTES_PER_MB
from app.core.redaction import without_credentials
from app.errors import BadName, OversizedPhoto, PhotoNotFound, PhotoUnavailable
from app.photos.temp_folder import DownloadTarget
from app.records import (
    ANSWER_CHANGED,
    ANSWER_GONE,
    ANSWER_SAME,
    ANSWER_UNKNOWN,
    ANSWER_UNREACHABLE,
    Answer,
    CrewMember,
    Photo,
    Version,
)

CHUNK_BYTES = 256 * 1024
FORBIDDEN_IN_NAMES = ("/", "\\")
FORBIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode's: control, format, half a character, line ends
# What the system says of a file that is not there, or that no file could be called.
NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}

WEAK = "W/"  # before an ETag: as good as the same, if not byte by byte (RFC 9110, 8.8.1)


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """Where the photos hang and how patient to be with their server."""

    base_url: str
    connect_timeout_s: float
    read_timeout_s: float
    total_timeout_s: float
    attempts: int
    threads: int
    max_bytes: int


def photo_url(base_url: str, member: CrewMember) -> str:
    """`base_url/<crew_id>/<photo>`, each segment percent-encoded, without the base's credentials.

    Raises BadName for a name that is more than one segment, or none.
    """
    for name in (member.crew_id, member.photo_name):
        check_segment(name)
    segments = (quote(name, safe="") for name in (member.crew_id, member.photo_name))
    return "/".join([without_credentials(base_url), *segments])


def check_segment(name: str) -> None:
    """Raises BadName unless the name is one plain path segment."""
    if name in ("", ".", ".."):
        raise BadName(f"«{name}»")
    if name.isascii() and name.isprintable() and not any(mark in name for mark in FORBIDDEN_IN_NAMES):
        return  # at once: a long roster has many such names
    if any(char in FORBIDDEN_IN_NAMES or unicodedata.category(char) in FORBIDDEN_CATEGORIES for char in name):
        raise BadName(f"«{name}» contiene una barra o un carácter de control")


def compare(said: Version, seen: Version) -> str:
    """ANSWER_SAME or ..._CHANGED, by the surest thing that both know of the file; ..._UNKNOWN where there is none."""
    sizes_known = None not in (said.size_bytes, seen.size_bytes)
    resized = sizes_known and said.size_bytes != seen.size_bytes
    if said.etag and seen.etag:
        changed = said.etag.removeprefix(WEAK) != seen.etag.removeprefix(WEAK)
    elif said.last_modified and seen.last_modified:
        changed = said.last_modified != seen.last_modified or resized
    elif sizes_known:
        changed = resized
    else:
        return ANSWER_UNKNOWN
    return ANSWER_CHANGED if changed else ANSWER_SAME


def too_large(limit_bytes: int) -> OversizedPhoto:
    """The error for a photo of more bytes than that."""
    return OversizedPhoto(f"pesa más de {limit_bytes / BYTES_PER_MB:g} MB")


class FolderSource:
    """Photos under a `file://` base: nothing is copied."""

    def __init__(self, options: FetchOptions) -> None:
        self._options = options
        parts = urlsplit(options.base_url)
        server = f"//{parts.netloc}" if parts.netloc else ""  # a Windows share
        self._folder = Path(url2pathname(f"{server}{parts.path}"))

    def fetch(self, member: CrewMember, _temp: DownloadTarget) -> Photo:
        """The member's file. Raises BadName, PhotoNotFound, PhotoUnavailable, OversizedPhoto."""
        url = photo_url(self._options.base_url, member)
        path = self._path(member)
        status = _status(path)  # before the content is read: a change meanwhile must show the next time
        if status.st_size > self._options.max_bytes:
            raise too_large(self._options.max_bytes)
        return Photo(member, url, path, temporary=False, sha256=_file_checksum(path), version=_version(status))

    def check(self, member: CrewMember, version: Version) -> Answer:
        """Whether the photo is still that version, without opening the file. Raises BadName."""
        photo_url(self._options.base_url, member)
        try:
            said = _version(_status(self._path(member)))
        except PhotoNotFound:
            return Answer(ANSWER_GONE)
        except PhotoUnavailable:
            return Answer(ANSWER_UNREACHABLE)
        return Answer(compare(said, version), said)

    def _path(self, member: CrewMember) -> Path:
        return self._folder / member.crew_id / member.photo_name


def _status(path: Path) -> os.stat_result:
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in NO_SUCH_FILE:
            raise PhotoNotFound(f"no existe {path}") from error
        raise _unreadable(error) from error
    if not stat.S_ISREG(status.st_mode):
        raise PhotoNotFound(f"no existe {path}")
    return status


def _version(status: os.stat_result) -> Version:
    return Version("", str(status.st_mtime_ns), status.st_size)


def _file_checksum(path: Path) -> str:
    """`fingerprint.checksum` of the file's content, a piece at a time."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise _unreadable(error) from error
    return digest.hexdigest()


def _unreadable(error: OSError) -> PhotoUnavailable:
    return PhotoUnavailable(f"no se puede leer el archivo: {error.strerror}")
