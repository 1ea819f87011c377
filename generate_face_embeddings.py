#!/usr/bin/env python3
"""Entry script: `python generate_face_embeddings.py --help`. Also the home of `extract_face_embedding`."""

import sys

from app.errors import MissingDependency

try:
    from app.cli import main
    from app.stages import extract_face_embedding
except ModuleNotFoundError as error:
    missing = MissingDependency.of(error)
    print(f"❌ {missing}", file=sys.stderr)
    sys.exit(missing.exit_code)

__all__ = ["extract_face_embedding", "main"]

if __name__ == "__main__":
    sys.exit(main())
