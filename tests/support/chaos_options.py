"""How often the chaos tests repeat themselves."""

import os


def rounds(quick: int, full: int) -> int:
    """Return the number of rounds: `full` under `./run_tests.sh --chaos`, else `quick`."""
    return full if os.environ.get("CHAOS") == "1" else quick
