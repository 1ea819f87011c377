"""Run the whole program with tiny nets, in a process that may be killed: `python -m tests.chaos.child WORDS`.

Settings come from the environment. The program closes the descriptor CHAOS_READY when everything is imported, and
begins the run when the other end of CHAOS_GO is closed. It writes the crew id of each computed vector to the file
CHAOS_EMBEDDED, which survives a kill. With `--lockless` instead of options, the run takes no lock.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import nullcontext

from app.cli.arguments import parse_arguments
from app.cli.main import run
from app.core.config import load_settings
from app.gallery.run_history import RunEnd
from app.planning.rules import Request
from app.records import Failed
from app.runs.run import close_run, run_batch
from tests.support.tiny_faces import Silent, TinyLoader


def main() -> int:
    notes = os.open(os.environ["CHAOS_EMBEDDED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(stage: str, crew_id: str) -> None:
        if stage == "embed":
            os.write(notes, f"{crew_id}\n".encode())

    lockless = sys.argv[1:] == ["--lockless"]
    options = parse_arguments([] if lockless else sys.argv[1:])
    os.close(int(os.environ["CHAOS_READY"]))
    os.read(int(os.environ["CHAOS_GO"]), 1)
    return _run_without_lock(TinyLoader(note)) if lockless else run(options, TinyLoader(note))


def _run_without_lock(loader: TinyLoader) -> int:
    stop, request = threading.Event(), Request()
    result = run_batch(load_settings(None), request, Silent(stop), stop, loader, lambda *_: nullcontext())
    failed = any(isinstance(each, Failed) for each in result.outcomes)
    exit_code = result.error.exit_code if result.error else int(failed)
    close_run(result, request, RunEnd(exit_code, result.seconds))
    sys.stderr.write(str(result.error or ""))
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
