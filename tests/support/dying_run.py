"""A run with tiny nets that kills itself when a member comes to a stage: `python -m tests.support.dying_run`, values on
stdin. See `organisation.Organisation.die`."""

from __future__ import annotations

import json
import os
import sys
import threading
from datetime import datetime
from typing import Any, NoReturn

from sqlalchemy import Engine, event

from app.core.config import load_settings
from app.planning.rules import Request
from app.runs.run import run_batch
from tests.support.tiny_faces import Silent, TinyLoader

KILLED = 86  # its exit code


def main() -> None:
    given = json.load(sys.stdin)
    stage, crew_id = given["stage"], given["crew_id"]

    def at_file(name: str, arguments: tuple[Any, ...]) -> None:
        if stage == "download" and name == "open" and f"crew_{crew_id}_" in str(arguments[0]):
            _die()

    @event.listens_for(Engine, "after_cursor_execute")
    def at_statement(*arguments: Any) -> None:
        if stage == "store" and "INSERT INTO face_embeddings" in arguments[2] and f"'{crew_id}'" in str(arguments[3]):
            _die()

    sys.addaudithook(at_file)
    hook = TinyLoader(lambda *came: _die() if came == (stage, crew_id) else None)
    stop = threading.Event()
    request = Request(now=datetime.fromisoformat(given["now"]))
    run_batch(load_settings(None, **given["settings"]), request, Silent(stop), stop, hook)


def _die(*_: object) -> NoReturn:
    os._exit(KILLED)


if __name__ == "__main__":
    main()
