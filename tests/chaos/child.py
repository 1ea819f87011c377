"""The whole program with tiny nets, in a process that may be killed: `python -m tests.chaos.child WORDS`.

Settings come from the environment. A byte goes out on descriptor CHAOS_READY when everything is imported, and the
crew id of every vector computed to the file CHAOS_EMBEDDED, which outlives any death.
"""

from __future__ import annotations

import os
import sys

from app.arguments import parse_arguments
from app.cli import run
from tests.tiny_faces import TinyLoader


def main() -> int:
    notes = os.open(os.environ["CHAOS_EMBEDDED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(stage: str, crew_id: str) -> None:
        if stage == "embed":
            os.write(notes, f"{crew_id}\n".encode())

    options = parse_arguments(sys.argv[1:])
    os.close(int(os.environ["CHAOS_READY"]))
    return run(options, TinyLoader(note))


if __name__ == "__main__":
    sys.exit(main())
