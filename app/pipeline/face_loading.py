"""Load the real nets when they are needed: their libraries take longer to import than all the rest of the program.

A worker's process unpickles `open_faces`, so that this module imports nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.pipeline.face_extractor import FaceExtractor

LoadFaces = Callable[..., "FaceExtractor"]


def open_faces(*arguments: Any, **options: Any) -> FaceExtractor:
    """Import what the real nets need, and load them; the arguments are those of `open_face_extractor`."""
    from app.pipeline.face_extractor import open_face_extractor  # noqa: PLC0415  # takes a second

    return open_face_extractor(*arguments, **options)
