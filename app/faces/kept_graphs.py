"""Keep graphs as ONNX Runtime optimised them in files beside the weights: the next start need not do it again.

Optimising Facenet512 takes ten times as long as loading the result, and MTCNN's graphs need not even be built.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from app.core.files import sha256_of, write_private
from app.faces.onnx_sessions import CPU, choose_providers, open_session, options_text

log = logging.getLogger(__name__)

READABLE = 0o644  # as the weights: another user's run may use the same folder
ENDING = "optimizado.onnx"
UNUSED_S = 7 * 24 * 3600  # after which another version's file is deleted when a new one is written
# Onnxruntime's errors, which have no class in common, where a file cannot be taken or written. Whether the graph itself
# is sound shows when it is opened without one.
FILE_ERRORS = (
    OSError,
    *(
        getattr(errors, name)
        for name in (
            "Fail",
            "InvalidArgument",
            "InvalidGraph",
            "InvalidProtobuf",
            "NoSuchFile",
            "NotImplemented",
            "RuntimeException",
        )
    ),
)


@dataclass(frozen=True, slots=True)
class KeptGraphs:
    """The kept graphs of one folder; `may_write`: whether missing ones are added. Without a folder nothing is kept."""

    folder: Path | None = None
    may_write: bool = True

    def open(
        self, name: str, source_digest: str, source: Callable[[], Path | bytes], providers: Sequence[str] = ()
    ) -> ort.InferenceSession:
        """Open a session for a graph, whose `source` is asked for only where there is no sound file of it. The digest
        is of all that the source is made from. Raises what `source` and onnxruntime raise."""
        chosen = choose_providers(providers, ort.get_available_providers())
        if self.folder is None or chosen != [CPU]:  # another provider's graph cannot be written to a file
            return open_session(source(), providers)
        path = self.folder / f"{name}-{_key(source_digest)}.{ENDING}"
        if (session := _open_sound(path, providers)) is not None:
            return session
        graph = source()
        kept = _open_and_keep(path, graph, providers) if self.may_write else None
        return kept or open_session(graph, providers)


def _key(source_digest: str) -> str:
    """Name everything that decides what the optimised graph is: it holds the layouts that suit this processor."""
    parts = (source_digest, ort.__version__, options_text(), platform.machine(), _processor_features())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _processor_features() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def _digest_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _open_sound(path: Path, providers: Sequence[str]) -> ort.InferenceSession | None:
    """Open a kept graph; None where it is missing, torn or not what was written."""
    try:
        if sha256_of(path) != _digest_path(path).read_text():
            return None
        return open_session(path, providers, is_optimised=True)
    except FILE_ERRORS:
        return None


def _open_and_keep(path: Path, source: Path | bytes, providers: Sequence[str]) -> ort.InferenceSession | None:
    """Open the source and keep what comes of it; None where it cannot be written, which costs nothing but time."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()  # onnxruntime would say in words of its own that it may not
        session = open_session(source, providers, optimised_to=partial)
        partial.chmod(READABLE)
        digest = sha256_of(partial)
        os.replace(partial, path)
        write_private(_digest_path(path), digest.encode(), READABLE)
        _delete_unused(path)
    except FILE_ERRORS as error:
        log.info("No se pudo guardar %s: %s", path, error)
        return None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return session


def _delete_unused(path: Path) -> None:
    """Delete what earlier versions of the packages left. A folder may be shared with another kind of processor."""
    name = path.name.rpartition("-")[0]
    for other in path.parent.glob(f"{name}-*.{ENDING}*"):
        with suppress(OSError):
            if other not in (path, _digest_path(path)) and time.time() - other.stat().st_mtime > UNUSED_S:
                other.unlink()
