#!/usr/bin/env python3
"""Entry script: `python generate_face_embeddings.py --help`. Also the home of `extract_face_embedding`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from app.cli.arguments import parse_arguments
from app.core.streams import prepare_streams
from app.core.worker_threads import leave
from app.errors import EXIT_INTERRUPTED, MissingDependency


def extract_face_embedding(
    image_path: str | Path, model_name: str = "Facenet512", detector_backend: str = "mtcnn"
) -> list[float]:
    """The vector of the face in one photo, on the batch's own code path: 512 numbers, not normalised.

    Raises app.errors.ItemError (no file, no image, no face), or RunError when the model cannot be had.
    """
    from app.pipeline.face_extractor import extract_face_embedding as extract  # loads the nets: not before it is needed

    return extract(image_path, model_name, detector_backend)


def main(words: Sequence[str] | None = None) -> int:
    """Run the program with these arguments (by default the command line's); returns its exit code."""
    prepare_streams()  # for --help, too
    options = parse_arguments(words)
    try:
        from app.cli.main import run  # after the arguments, so that --help answers at once

        return run(options)
    except ImportError as error:
        missing = MissingDependency.of(error)
        print(f"❌ {missing}\n   Qué hacer: {missing.advice}", file=sys.stderr)
        return missing.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    leave(main())
