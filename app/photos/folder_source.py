"""Photos in a folder, under a `file://` base URL: read where they lie, never copied."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from unicodedata import normalize
from urllib.parse import urlsplit
from urllib.request import url2pathname

from app.core.config import PhotoSettings
from app.core.files import sha256_of, why
from app.errors import PhotoNotFound, PhotoUnavailable
from app.photos.source_rules import compare_versions, refuse_oversized
from app.photos.temp_folder import DownloadTarget
from app.photos.urls import photo_url
from app.records import ANSWER_GONE, ANSWER_UNREACHABLE, Answer, CrewMember, Photo, Version

# The system's errors for a file that is not there, or for a name that no file can have.
NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}


class FolderSource:
    """Photos at `<folder>/<crew_id>/<photo>`."""

    moved_to = ""  # as of HttpSource: a folder redirects nobody

    def __init__(self, settings: PhotoSettings) -> None:
        self._base_url = settings.IMAGE_BASE_URL
        self._max_mb = settings.MAX_PHOTO_MB
        self._folder = path_of_url(self._base_url)

    def fetch(self, member: CrewMember, _temp: DownloadTarget) -> Photo:
        """Return the member's file. Raises BadName, PhotoNotFound, PhotoUnavailable, OversizedPhoto."""
        url = photo_url(self._base_url, member)
        path = self._path(member)
        status = status_of(path)  # before the content is read, so that the next run notices a change meanwhile
        refuse_oversized(status.st_size, self._max_mb)
        try:
            sha256 = sha256_of(path)
        except OSError as error:
            raise _unreadable(error) from error
        return Photo(member, url, path, temporary=False, sha256=sha256, version=_version(status))

    def check(self, member: CrewMember, version: Version) -> Answer:
        """Tell whether the file is still `version`, by its time and size, without opening it. Raises BadName."""
        photo_url(self._base_url, member)
        try:
            current = _version(status_of(self._path(member)))
        except PhotoNotFound:
            return Answer(ANSWER_GONE)
        except PhotoUnavailable as error:
            return Answer(ANSWER_UNREACHABLE, detail=error.detail)
        return Answer(compare_versions(current, version), current)

    def _path(self, member: CrewMember) -> Path:
        """Return where the photo is: under its name as the roster writes it, else as another system writes that name.
        macOS makes two characters of ñ, and copies keep them."""
        folder, name = self._folder / member.crew_id, member.photo_name
        path = folder / name
        if name.isascii() or os.path.lexists(path):
            return path
        others = (folder / normalize(form, name) for form in ("NFC", "NFD"))
        return next(filter(os.path.lexists, others), path)


def path_of_url(url: str) -> Path:
    """Return the file or folder that a `file://` URL names."""
    parts = urlsplit(url)
    server = f"//{parts.netloc}" if parts.netloc else ""  # a Windows share
    return Path(url2pathname(f"{server}{parts.path}"))


def status_of(path: Path) -> os.stat_result:
    """Return what the system knows of a photo's file. Raises PhotoNotFound, PhotoUnavailable."""
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in NO_SUCH_FILE:
            raise PhotoNotFound(f"no existe {path}") from error
        raise _unreadable(error) from error
    if not stat.S_ISREG(status.st_mode):
        raise PhotoNotFound(f"no es un archivo: {path}")
    return status


def _version(status: os.stat_result) -> Version:
    return Version("", str(status.st_mtime_ns), status.st_size)


def _unreadable(error: OSError) -> PhotoUnavailable:
    return PhotoUnavailable(f"no se puede leer el archivo: {why(error)}")
