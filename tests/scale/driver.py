"""A run on a cluster in a process of its own, which a test kills: `python -m tests.scale.driver`, values on stdin."""

from __future__ import annotations

import json
import sys
import threading
from datetime import datetime
from pathlib import Path

from app.core.config import load_settings
from app.planning.rules import Request
from app.runs.run import run_batch
from tests.scale.hooks import Witness
from tests.support.tiny_faces import Silent, TinyLoader


def main() -> None:
    given = json.load(sys.stdin)
    stop = threading.Event()
    loader = TinyLoader(Witness(Path(given["journal"]), given["wait_s"]))
    request = Request(now=datetime.fromisoformat(given["now"]), ray=True, ray_address=given["address"])
    run_batch(load_settings(None, **given["settings"]), request, Silent(stop), stop, loader)


if __name__ == "__main__":
    main()
