import os


def rounds(quick: int, full: int) -> int:
    return full if os.environ.get("CHAOS") == "1" else quick
