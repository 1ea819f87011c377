"""Puts an export in the place of the one before, so that every reader sees one of the two, whole.

For `--export galeria.npy` the folder then holds

    galeria.<16 digits>.npy   the data of one version; such a file is never changed, and its name is its content's
    galeria.npy.json          the manifest: replaced in one step, it names the file of its version
    galeria.npy               another name of that file, for who needs nothing but the data

A reader that opens the manifest first, and then the file that it names, cannot mix two versions. The file of the
version before stays until the next one, for who has read the manifest just before it was replaced.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import IO, Any

import orjson
from filelock import FileLock, Timeout

from app.core.clock import utc_now
from app.core.files import OWNER_ONLY_FILE, sha256_of
from app.errors import NotWritable

MANIFEST_SUFFIX = ".json"
PARTIAL_SUFFIX = ".part"
VERSION_DIGITS = 16
MAY_STAY = 0o640  # what the owner has granted beyond OWNER_ONLY_FILE is kept as far as this: templates are personal
WAIT_S = 60.0  # for another export of the same file
READABLE = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published: the data's file of its own, its size and SHA-256, and since when it has been this version.
    `unchanged`: the same was published already, and stays."""

    file: Path
    size_bytes: int
    sha256: str
    created: str
    unchanged: bool


def manifest_of(target: Path) -> Path:
    """Return the manifest's path."""
    return target.with_name(target.name + MANIFEST_SUFFIX)


def publish(
    target: Path, write: Callable[[IO[bytes]], object], description: Mapping[str, Any], wait_s: float = WAIT_S
) -> Publication:
    """Publish what `write` writes, with a manifest of the description and the file's own facts. A file that says the
    same already is left as it is, so that the same gallery gives the same bytes, `created` included.

    Raises OSError, and NotWritable when another export of this file does not end.
    """
    with _partial(target):  # where nobody can write, the lock would be waited for in vain
        pass
    lock = FileLock(target.with_name(f".{target.name}.lock"), mode=OWNER_ONLY_FILE, timeout=wait_s)
    try:
        with lock:
            return _publish(target, write, description)
    except Timeout:
        message = f"Otra exportación está escribiendo {target}"
        raise NotWritable(message, "Espere a que termine y repita la orden.") from None


def _publish(target: Path, write: Callable[[IO[bytes]], object], description: Mapping[str, Any]) -> Publication:
    for partial in target.parent.glob(f".{escape(target.name)}.*{PARTIAL_SUFFIX}"):
        partial.unlink()  # of an export that was killed
    before = _read_manifest(manifest_of(target))
    version, size_bytes, sha256 = _write_version(target, write)
    facts = {"file": version.name, "size_bytes": size_bytes, "sha256": sha256}
    said = {**description, **facts}
    created = str(before.pop("created", ""))
    unchanged = bool(created) and before == said
    if not unchanged:
        created = f"{utc_now().isoformat()}+00:00"
        _sync_folder(target.parent)  # a manifest never names what a power cut could still take away
        with _replacing(target, manifest_of(target)) as file:
            file.write(orjson.dumps({**facts, "created": created, **description}, option=READABLE))
    _name_also(version, target)
    _sync_folder(target.parent)
    _delete_versions(target, {version.name, str(before.get("file"))})
    return Publication(version, size_bytes, sha256, created, unchanged)


def _write_version(target: Path, write: Callable[[IO[bytes]], object]) -> tuple[Path, int, str]:
    """Write the data into a file that its content names, unless it is there. Return path, size in bytes, SHA-256."""
    with _partial(target) as partial:
        with partial.open("wb") as file:
            write(file)
            _sync(file)
        size_bytes, sha256 = partial.stat().st_size, sha256_of(partial)
        version = target.with_name(f"{target.stem}.{sha256[:VERSION_DIGITS]}{target.suffix}")
        if not version.exists() or sha256_of(version) != sha256:
            os.replace(partial, version)
    return version, size_bytes, sha256


def _name_also(version: Path, target: Path) -> None:
    """Give the version's file a second name; make a copy where the file system has no hard links."""
    with _partial(target) as partial:
        partial.unlink()
        try:
            os.link(version, partial)
        except OSError:
            partial.touch(OWNER_ONLY_FILE, exist_ok=False)  # nobody else may read it while it is filled
            shutil.copyfile(version, partial)
            partial.chmod(version.stat().st_mode)
            with partial.open("rb+") as file:
                _sync(file)
        os.replace(partial, target)


def _delete_versions(target: Path, kept: set[str]) -> None:
    pattern = rf"{re.escape(target.stem)}\.[0-9a-f]{{{VERSION_DIGITS}}}{re.escape(target.suffix)}"
    for path in target.parent.iterdir():
        if re.fullmatch(pattern, path.name) and path.name not in kept:
            path.unlink()


def _read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest as it was published before; empty when there is none, or it is no manifest."""
    try:
        found = orjson.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _replacing(target: Path, path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` when the block ends well."""
    with _partial(target) as partial:
        with partial.open("wb") as file:
            yield file
            _sync(file)
        os.replace(partial, path)


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """Make an empty file beside the target, for its owner and whom the owner lets read the target. What the block
    leaves of it is deleted."""
    mode = OWNER_ONLY_FILE | (target.stat().st_mode & MAY_STAY if target.exists() else 0)
    descriptor, name = tempfile.mkstemp(PARTIAL_SUFFIX, f".{target.name}.", target.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        partial.chmod(mode)
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
